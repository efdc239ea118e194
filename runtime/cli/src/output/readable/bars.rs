//! Scores as bars.

use runtime_diagnostics::printable;
use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use crate::output::table::shortened;

/// Something with a score.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scored {
    pub(super) label: String,
    pub(super) score: f64,
}

/// Columns of a bar for the score 1.
const WIDTH: f64 = 20.0;

/// A line for each: the score, a bar where all scores are from 0 to 1, the label cut to `width` columns.
pub(super) fn bars(scored: &[Scored], width: usize) -> String {
    let fractions = scored.iter().all(|scored| (0.0..=1.0).contains(&scored.score));
    let line = |Scored { label, score }: &Scored| {
        let label = shortened(&Value::from(printable(label)), width);
        if !fractions {
            return format!("{score:>9.3}  {label}\n");
        }
        let bar = bar(*score);
        let space = " ".repeat(20usize.saturating_sub(bar.width()));
        format!("{score:.3}  {bar}{space}  {label}\n")
    };
    scored.iter().map(line).collect()
}

/// In eighths of a column.
fn bar(score: f64) -> String {
    const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a score from 0 to 1 gives 0 to 160")]
    let eighths = (score * WIDTH * 8.0).round() as usize;
    format!("{}{}", "█".repeat(eighths / 8), PARTS[eighths % 8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_score() {
        assert_eq!(bar(0.0), "");
        assert_eq!(bar(1.0), "█".repeat(20));
        assert_eq!(bar(0.5), "█".repeat(10));
        assert_eq!(bar(0.03125), "▋");
    }

    #[test]
    fn only_fractions_have_bars() {
        let scored = |label: &str, score| Scored { label: label.to_owned(), score };
        let found = bars(&[scored("joy", 0.25), scored("a\u{1b}b", 0.0)], 10);
        assert_eq!(found, format!("0.250  █████{}  joy\n0.000  {}  a b\n", " ".repeat(15), " ".repeat(20)));
        assert_eq!(bars(&[scored("quality", 3.5), scored("x", 0.5)], 10), "    3.500  quality\n    0.500  x\n");
    }
}
