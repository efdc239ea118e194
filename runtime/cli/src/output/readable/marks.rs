//! Parts of a text, marked with their labels.

use runtime_diagnostics::printable;

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Its first character, in code points.
    pub(super) from: usize,
    /// The character behind its last.
    pub(super) to: usize,
    /// May be empty.
    pub(super) label: String,
}

/// Marks texts: in brackets, or on a terminal in a colour that a label keeps for the whole run.
pub(super) struct Marks {
    colour: bool,
    /// By the order in which they came first.
    labels: Vec<String>,
}

/// Backgrounds of a terminal on which black can be read.
const COLOURS: [u8; 6] = [46, 43, 42, 45, 106, 103];

impl Marks {
    pub(super) fn new(colour: bool) -> Self {
        Self { colour, labels: Vec::new() }
    }

    /// The text on one line with its marked parts; of two that overlap, the first.
    pub(super) fn text(&mut self, text: &str, marks: &[Mark]) -> String {
        let chars: Vec<char> = text.chars().collect();
        let piece = |from: usize, to: usize| printable(&chars[from..to].iter().collect::<String>());
        let mut written = String::new();
        let mut at = 0;
        for mark in marks.iter().filter(|mark| mark.from < mark.to && mark.to <= chars.len()) {
            if mark.from < at {
                continue;
            }
            written.push_str(&piece(at, mark.from));
            written.push_str(&self.marked(&piece(mark.from, mark.to), &printable(&mark.label)));
            at = mark.to;
        }
        written + &piece(at, chars.len())
    }

    fn marked(&mut self, part: &str, label: &str) -> String {
        let space = if label.is_empty() { "" } else { " " };
        if !self.colour {
            return format!("[{part}{space}{label}]");
        }
        // `B-PER` and `I-PER` are one kind of thing.
        let kind = label.strip_prefix("B-").or_else(|| label.strip_prefix("I-")).unwrap_or(label);
        let known = self.labels.iter().position(|known| known == kind).unwrap_or_else(|| {
            self.labels.push(kind.to_owned());
            self.labels.len() - 1
        });
        let colour = COLOURS[known % COLOURS.len()];
        format!("\u{1b}[30;{colour}m{part}{space}\u{1b}[1m{label}\u{1b}[0m")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(from: usize, to: usize, label: &str) -> Mark {
        Mark { from, to, label: label.to_owned() }
    }

    #[test]
    fn offsets_count_characters_and_what_does_not_fit_is_left_alone() {
        let marks = [mark(0, 3, "PER"), mark(2, 4, "LOC"), mark(8, 12, "LOC"), mark(12, 99, "ORG"), mark(5, 5, "X")];
        assert_eq!(Marks::new(false).text("Zoë naïve Köln!\u{1b}", &marks), "[Zoë PER] naïv[e Kö LOC]ln! ");
        assert_eq!(Marks::new(false).text("in Köln", &[mark(3, 7, "")]), "in [Köln]");
    }

    #[test]
    fn a_label_keeps_its_colour() {
        let mut marks = Marks::new(true);
        let first = marks.text("a b", &[mark(0, 1, "B-PER"), mark(2, 3, "LOC")]);
        assert_eq!(first, "\u{1b}[30;46ma \u{1b}[1mB-PER\u{1b}[0m \u{1b}[30;43mb \u{1b}[1mLOC\u{1b}[0m");
        assert!(marks.text("c", &[mark(0, 1, "I-PER")]).starts_with("\u{1b}[30;46mc "));
    }
}
