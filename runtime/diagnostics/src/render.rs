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

/// Columns and lines of an excerpt, at most: a value may be as long as a file.
const WIDEST: usize = 240;
const MOST_LINES: usize = 60;

/// The text without the middle of a very long excerpt; message and hint are whole.
fn shortened(text: &str, style: Style) -> String {
    let mut short = String::new();
    let mut excerpt = None;
    for line in text.split_inclusive('\n') {
        if line.contains("╰────") {
            excerpt = None;
        }
        match excerpt {
            Some(MOST_LINES) => short.push_str("  ...\n"),
            Some(lines) if lines > MOST_LINES => {}
            Some(_) => match line.trim_end().char_indices().nth(WIDEST) {
                Some((end, _)) => short.extend([&line[..end], if style.colour { "\u{1b}[0m" } else { "" }, "...\n"]),
                None => short.push_str(line),
            },
            None => short.push_str(line),
        }
        excerpt = if line.contains("╭─[") { Some(0) } else { excerpt.map(|lines: usize| lines + 1) };
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
        let hint = "shorten it, ".repeat(50).trim_end().to_owned();
        for (text, start) in [(wide, 10), (high, 10)] {
            let source = Source::new("a.toml", format!("{text}b = 1\n"));
            let problem = Problem::new(Exit::Config, "too large").at(&source, start..text.len() - 1, "").hint(&hint);
            for colour in [false, true] {
                let shown = render(&problem, Style { colour, width: 10_000 });
                assert!(shown.contains(&hint), "the hint is whole");
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
