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
        Ok(()) => text,
        // Only a span outside its source makes the handler fail; the message must reach the user all the same.
        Err(_) => format!("error: {problem}\n"),
    }
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
    fn a_span_outside_the_source_still_prints_the_message() {
        let source = Source::new("a.toml", "x");
        let text = render(&Problem::new(Exit::Config, "wrong").at(&source, 7..9, ""), Style::default());
        assert!(text.contains("wrong"), "{text}");
    }
}
