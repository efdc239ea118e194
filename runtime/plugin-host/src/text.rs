//! Texts that come out of a plugin. They end on a terminal, so what could steer one is taken out.

use runtime_diagnostics::is_steering;

/// Bytes of a text in a message, at most.
const LONGEST: usize = 1024;

/// The beginning of `text` with each run of control characters and line breaks as one space.
pub(crate) fn printable(text: &str) -> String {
    let end = text.floor_char_boundary(LONGEST);
    let words: Vec<&str> = text[..end].split(is_steering).filter(|word| !word.is_empty()).collect();
    let mut printable = words.join(" ");
    if end < text.len() {
        printable.push_str("...");
    }
    printable
}

/// Whether `text` can be shown as it is.
pub(crate) fn is_printable(text: &str) -> bool {
    !text.contains(is_steering)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_taken_out() {
        assert_eq!(printable("\u{1b}[31mred\r\n\nnext \u{202e}x"), "[31mred next  x");
        assert!(!is_printable("a\u{1b}b"));
        assert!(is_printable("bert-große"));
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let cut = printable(&"é".repeat(LONGEST));
        assert_eq!(cut, format!("{}...", "é".repeat(LONGEST / 2)));
    }
}
