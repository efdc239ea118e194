//! Texts of others, made fit to be printed.

use std::any::Any;
use std::error::Error;

/// The text without what could command a terminal or turn its line around: control characters and marks of direction
/// become spaces, each of as many bytes as it had, so that places in the text stay where they are.
///
/// ```
/// assert_eq!(runtime_diagnostics::printable("a\u{1b}[31mb\n"), "a [31mb ");
/// ```
pub fn printable(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut shown, char| {
        if is_steering(char) {
            shown.extend(std::iter::repeat_n(' ', char.len_utf8()));
        } else {
            shown.push(char);
        }
        shown
    })
}

/// Whether it is a control character, a line break, or a mark of Unicode's bidirectional algorithm (UAX 9).
pub fn is_steering(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// An error and its causes on one line, `what: why: why that`.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

/// The text that a panic carries.
pub fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without a message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_commands_a_terminal_becomes_spaces_of_its_length() {
        let text = "a\u{1b}b\u{9b}c\u{202e}d\te";
        let shown = printable(text);
        assert_eq!(shown, "a b  c   d e");
        assert_eq!(shown.len(), text.len());
        assert_eq!(printable("naïve 日本 🎉"), "naïve 日本 🎉");
    }
}
