//! The prompt of the command line, or of standard input.

use std::io::{IsTerminal, Read, stdin};

use runtime_diagnostics::{Exit, Problem};

use crate::failure::{Failure, IoError};

/// Bytes of a prompt, at most: more than any model reads.
const LONGEST: u64 = 64 << 20;

/// The prompt that was given, or, for `-` or none, what standard input has.
pub(super) fn read(given: Option<&str>) -> Result<String, Failure> {
    match given {
        Some("-") => {}
        Some(prompt) => return Ok(prompt.to_owned()),
        None if stdin().is_terminal() => {
            let problem = Problem::new(Exit::Usage, "there is no prompt");
            return Err(problem.hint("give it as the last argument, or pipe it in; `runtime chat` asks for it").into());
        }
        None => {}
    }
    let mut bytes = Vec::new();
    let failed = |source| IoError::Read { name: "stdin".to_owned(), source };
    let read = stdin().take(LONGEST + 1).read_to_end(&mut bytes).map_err(failed)?;
    if read as u64 > LONGEST {
        return Err(Problem::new(Exit::Data, format!("the prompt on stdin has more than {LONGEST} bytes")).into());
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Problem::new(Exit::Data, format!("the prompt on stdin is not UTF-8 from byte {at} on"))
    })?;
    Ok(without_last_break(&text).to_owned())
}

/// Editors and `echo` end a text with a line break, which is not meant for the model.
fn without_last_break(text: &str) -> &str {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_break_at_the_end_is_taken_away() {
        for (text, prompt) in
            [("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("a ", "a "), ("\u{feff}a\nb", "a\nb"), ("", "")]
        {
            assert_eq!(without_last_break(text), prompt);
        }
    }
}
