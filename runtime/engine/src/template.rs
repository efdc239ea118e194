//! `hypothesis_template`, in the part of Python's format syntax that it is used with.

use std::fmt;
use std::str::FromStr;

/// A text with a place for a label, written `{}` or `{0}`; `{{` and `}}` stand for braces.
///
/// ```
/// use runtime_engine::Template;
///
/// let template: Template = "This text is about {}.".parse()?;
/// assert_eq!(template.render("sport"), "This text is about sport.");
/// assert!("This text is about nothing.".parse::<Template>().is_err());
/// # Ok::<(), runtime_engine::TemplateError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Template {
    /// What stands before, between and after the places; at least two texts.
    parts: Vec<String>,
}

/// Why a text is no template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// There is no place for the label.
    #[error("the template has no `{{}}` where the label should go")]
    NoPlace,
    /// A brace stands alone, or holds something else.
    #[error("the template has a brace at character {0} that is neither `{{}}` nor doubled")]
    Brace(usize),
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        let mut parts = vec![String::new()];
        let mut chars = text.chars().enumerate().peekable();
        while let Some((index, char)) = chars.next() {
            let next = chars.peek().map(|(_, next)| *next);
            let current = parts.last_mut().ok_or(TemplateError::NoPlace)?;
            match (char, next) {
                ('{', Some('{')) | ('}', Some('}')) => {
                    chars.next();
                    current.push(char);
                }
                ('{', next) => {
                    if next == Some('0') {
                        chars.next();
                    }
                    if chars.next().is_none_or(|(_, close)| close != '}') {
                        return Err(TemplateError::Brace(index + 1));
                    }
                    parts.push(String::new());
                }
                ('}', _) => return Err(TemplateError::Brace(index + 1)),
                _ => current.push(char),
            }
        }
        if parts.len() < 2 { Err(TemplateError::NoPlace) } else { Ok(Self { parts }) }
    }
}

impl Template {
    /// The hypothesis for a label.
    pub fn render(&self, label: &str) -> String {
        self.parts.join(label)
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render("{}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_render_as_python_formats_them() {
        for (template, rendered) in [("{}", "x"), ("a {0} b", "a x b"), ("{{{}}}", "{x}"), ("é {}", "é x")] {
            assert_eq!(template.parse::<Template>().map(|template| template.render("x")), Ok(rendered.to_owned()));
        }
        for (template, error) in [
            ("none", TemplateError::NoPlace),
            ("{{}}", TemplateError::NoPlace),
            ("é {label}", TemplateError::Brace(3)),
            ("{", TemplateError::Brace(1)),
            ("{} }", TemplateError::Brace(4)),
        ] {
            assert_eq!(template.parse::<Template>(), Err(error), "{template}");
        }
    }
}
