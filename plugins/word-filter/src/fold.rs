//! The form in which texts are compared: small letters, and every white space a space.

/// A text in that form.
pub(crate) fn folded(text: &str) -> String {
    text.chars().flat_map(|c| (if c.is_whitespace() { ' ' } else { c }).to_lowercase()).collect()
}

/// Whether a character is part of a word.
pub(crate) fn is_inner(c: char) -> bool {
    c.is_alphanumeric()
}
