//! `hypothesis_template`: a sentence with a place for a label.

use std::fmt;
use std::str::FromStr;

use runtime_diagnostics::{Exit, Explain};

/// A sentence with one `{}` and no other brace, so that replacing `{}` and Python's `str.format` give the same.
///
/// ```
/// use runtime_pipeline::Template;
///
/// let template: Template = "This text is about {}.".parse()?;
/// assert_eq!(template.render("sport"), "This text is about sport.");
/// assert!("This text is about nothing.".parse::<Template>().is_err());
/// # Ok::<(), runtime_pipeline::TemplateError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Template(String);

/// Why a text is no template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// There is no place for the label.
    #[error("the template has no `{{}}`")]
    NoPlace,
    /// A brace that is not of the one place.
    #[error("the template may have one `{{}}` and no other brace")]
    OtherBrace,
}

impl Explain for TemplateError {
    fn exit(&self) -> Exit {
        Exit::Config
    }

    fn hint(&self) -> Option<String> {
        Some(format!("`{{}}` is where the label goes, such as `{}`", Template::default()))
    }
}

impl Template {
    /// The hypothesis for a label.
    pub fn render(&self, label: &str) -> String {
        self.0.replacen("{}", label, 1)
    }

    /// The template as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Template {
    /// That of `ZeroShotClassificationPipeline` in Hugging Face's transformers.
    fn default() -> Self {
        Self("This example is {}.".to_owned())
    }
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        let (before, after) = text.split_once("{}").ok_or(TemplateError::NoPlace)?;
        if [before, after].iter().any(|part| part.contains(['{', '}'])) {
            return Err(TemplateError::OtherBrace);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_has_one_place_and_no_other_brace() {
        for (text, expected) in [
            ("{}", Ok("x")),
            ("é {} b", Ok("é x b")),
            ("none", Err(TemplateError::NoPlace)),
            ("{label}", Err(TemplateError::NoPlace)),
            ("{} and {}", Err(TemplateError::OtherBrace)),
            ("{{}}", Err(TemplateError::OtherBrace)),
        ] {
            let rendered = text.parse::<Template>().map(|template| template.render("x"));
            assert_eq!(rendered.as_deref(), expected.as_deref(), "{text}");
        }
        assert_eq!(Template::default().render("{}"), "This example is {}.");
    }
}
