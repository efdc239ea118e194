//! Writes a model's text to standard output.

use std::io::{self, IsTerminal, Write, stderr, stdout};

use runtime_diagnostics::{is_steering, printable};

use crate::output::say;

/// Standard output, for texts of a model.
pub(crate) struct Voice {
    terminal: bool,
}

impl Voice {
    pub(crate) fn new() -> Self {
        Self { terminal: stdout().is_terminal() }
    }

    /// Whether a person reads along.
    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Writes a piece of text at once. On a terminal, what could command it becomes spaces; line breaks and tabs stay.
    pub(crate) fn say(&self, text: &str) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        let mut stdout = stdout().lock();
        match self.terminal {
            true => stdout.write_all(tame(text).as_bytes())?,
            false => stdout.write_all(text.as_bytes())?,
        }
        stdout.flush()
    }
}

/// Tells something beside the answers, on stderr: a line that is set back on a terminal.
pub(crate) fn aside(text: &str) {
    let text = printable(text);
    match stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        true => say(&format!("\u{1b}[2m{text}\u{1b}[0m\n")),
        false => say(&format!("{text}\n")),
    }
}

fn tame(text: &str) -> String {
    let tame = |char: char| if is_steering(char) && !matches!(char, '\n' | '\t') { ' ' } else { char };
    text.chars().map(tame).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_keeps_its_lines_and_commands_no_terminal() {
        assert_eq!(tame("a\n\tb\u{1b}[2Jc\rd\u{202e}é🙂"), "a\n\tb [2Jc d é🙂");
    }
}
