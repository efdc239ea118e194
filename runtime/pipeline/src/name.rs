//! The names that a pipeline gives to its models, steps and rungs.

use std::fmt;
use std::str::FromStr;

use runtime_diagnostics::{Exit, Explain};
use thiserror::Error;

/// A name of `a-z`, `0-9`, `_` and `-` that starts with a letter: it needs no quotes in TOML, on a command line or in
/// a dotted path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// The name `text`.
    ///
    /// # Errors
    /// Where `text` is empty, starts with something else than a letter or holds another character.
    pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
        let text = text.into();
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
        if text.starts_with(|first: char| first.is_ascii_lowercase()) && text.bytes().all(allowed) {
            Ok(Self(text))
        } else {
            Err(NameError { text })
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that cannot be a [`Name`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{text}` cannot be a name")]
pub struct NameError {
    /// What was written.
    pub text: String,
}

impl Explain for NameError {
    fn exit(&self) -> Exit {
        Exit::Config
    }

    fn hint(&self) -> Option<String> {
        let rule = "a name is of `a-z`, `0-9`, `_` and `-` and starts with a letter";
        let legal = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c.to_ascii_lowercase() } else { '-' };
        let slug: String = self.text.chars().map(legal).collect();
        let slug =
            slug.trim_matches(|c: char| !c.is_ascii_alphanumeric()).trim_start_matches(|c: char| c.is_ascii_digit());
        match Name::new(slug) {
            Ok(name) => Some(format!("{rule}, such as `{name}`")),
            Err(_) => Some(rule.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_and_a_legal_one_is_offered() {
        for legal in ["a", "zero-shot", "step_2"] {
            assert_eq!(Name::new(legal).map(|name| name.to_string()).as_deref(), Ok(legal));
        }
        for (wrong, offered) in [("Zero Shot", Some("zero-shot")), ("2nd", Some("nd")), ("", None), ("é", None)] {
            let error = Name::new(wrong).expect_err(wrong);
            let hint = error.hint().expect("always a hint");
            assert_eq!(hint.split("such as ").nth(1), offered.map(|name| format!("`{name}`")).as_deref(), "{wrong}");
        }
    }
}
