//! A problem as text for a person.

use miette::{GraphicalReportHandler, GraphicalTheme};

use crate::Problem;

/// How a problem is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// ANSI colours; what is drawn reads as well without.
    pub colour: bool,
    /// Columns to wrap at.
    pub width: usize,
}

impl Default for Style {
    fn default() -> Self {
        Self { colour: false, width: 100 }
    }
}

/// The message, its causes, the lines it points at and the hint, ending in a line break.
pub fn render(problem: &Problem, style: Style) -> String {
    let theme = if style.colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler = GraphicalReportHandler::new_themed(theme).with_width(style.width).with_context_lines(1);
    let mut text = String::new();
    match handler.render_report(&mut text, problem) {
        Ok(()) => shortened(&text, style),
        // Only a span outside its source makes the handler fail; the message must reach the user all the same.
        Err(_) => format!("error: {problem}\n"),
    }
}

/// Columns of a line, and lines of a problem, at most: a value may be as long as a file.
const WIDEST: usize = 240;
const MOST_LINES: usize = 80;
/// Lines that are kept at the end, where the hint is.
const LAST_LINES: usize = 20;

/// The text without the middle of what is very long.
fn shortened(text: &str, style: Style) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let left_out = if lines.len() > MOST_LINES { MOST_LINES - LAST_LINES..lines.len() - LAST_LINES } else { 0..0 };
    let mut short = String::new();
    for (number, line) in lines.into_iter().enumerate() {
        if left_out.contains(&number) {
            if number == left_out.start {
                short.push_str("  ...\n");
            }
            continue;
        }
        match line.char_indices().nth(WIDEST) {
            Some((end, _)) => short.extend([&line[..end], if style.colour { "\u{1b}[0m" } else { "" }, "..."]),
            None => short.push_str(line),
        }
        short.push('\n');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Exit, Source};

    #[test]
    fn a_problem_shows_file_line_caret_and_hint() {
        let source = Source::new("triage.toml", "[accept]\ntreshold = 0.75\n");
        let problem = Problem::new(Exit::Config, "unknown key `treshold`")
            .at(&source, 9..17, "not a key of an acceptance rule")
            .hint("did you mean `threshold`?");
        let text = render(&problem, Style::default());
        for part in ["unknown key `treshold`", "triage.toml:2:1", "not a key of an acceptance rule", "did you mean"] {
            assert!(text.contains(part), "{part} is missing in:\n{text}");
        }
        assert!(!text.contains('\u{1b}'), "no escape codes without colour");
    }

    #[test]
    fn nothing_of_a_file_commands_the_terminal() {
        let source = Source::new("a\u{1b}.toml", "x = \"\u{1b}[31m\"\ny = 1\n");
        let problem = Problem::new(Exit::Config, "bad \u{1b}[1m").at(&source, 4..10, "\u{9b}").hint("\u{202e}");
        let text = render(&problem, Style::default());
        assert!(text.contains("a .toml:1:5"), "{text}");
        assert!(!text.contains(|char: char| char != '\n' && crate::is_steering(char)), "{text:?}");
    }

    #[test]
    fn a_very_long_value_is_shown_in_part() {
        let wide = format!("choices = [{}]\n", "\"value\", ".repeat(100_000));
        let high = format!("grammar = \"\"\"\n{}\"\"\"\n", "a: b\n".repeat(100_000));
        for (text, start) in [(wide, 10), (high, 10)] {
            let source = Source::new("a.toml", format!("{text}b = 1\n"));
            let problem =
                Problem::new(Exit::Config, "too large").at(&source, start..text.len() - 1, "").hint("shorten it");
            for colour in [false, true] {
                let shown = render(&problem, Style { colour, ..Style::default() });
                assert!(shown.len() < 20_000, "{} bytes", shown.len());
                assert!(
                    ["too large", "a.toml:1:11", "...", "shorten it"].iter().all(|part| shown.contains(part)),
                    "{shown}"
                );
            }
        }
    }

    #[test]
    fn a_span_outside_the_source_still_prints_the_message() {
        let source = Source::new("a.toml", "x");
        let text = render(&Problem::new(Exit::Config, "wrong").at(&source, 7..9, ""), Style::default());
        assert!(text.contains("wrong"), "{text}");
    }
}
