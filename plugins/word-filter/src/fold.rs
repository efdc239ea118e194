//! The form in which texts are compared: small letters, and every white space a space.

/// A text in that form.
pub(crate) fn folded(text: &str) -> String {
    let mut folded = String::new();
    fold_into(&mut folded, text);
    folded
}

/// The same, in place of what `folded` was.
pub(crate) fn fold_into(folded: &mut String, text: &str) {
    folded.clear();
    // Most tokens are such, and there are tens of thousands of them.
    if text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        folded.push_str(text);
        folded.make_ascii_lowercase();
        return;
    }
    folded.extend(text.chars().flat_map(|c| (if c.is_whitespace() { ' ' } else { c }).to_lowercase()));
}

/// Whether a character is part of a word.
pub(crate) fn is_inner(c: char) -> bool {
    c.is_alphanumeric()
}
