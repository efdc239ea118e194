//! What a run of a task came to.

use std::fmt::Write;
use std::time::{Duration, Instant};

use runtime_diagnostics::Exit;

use crate::output::{count, number, say, seconds};

/// Counts of one run.
#[derive(Debug)]
pub(crate) struct Tally {
    start: Instant,
    answered: usize,
    tokens: usize,
    /// Texts that were cut off.
    truncated: usize,
    bad: usize,
    exit: Exit,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self { start: Instant::now(), answered: 0, tokens: 0, truncated: 0, bad: 0, exit: Exit::Ok }
    }

    pub(crate) fn answered(&mut self, tokens: usize, truncated: usize) {
        self.answered += 1;
        self.tokens += tokens;
        self.truncated += truncated;
    }

    pub(crate) fn bad(&mut self, exit: Exit) {
        self.bad += 1;
        self.exit = self.exit.max(exit);
    }

    /// 0, or the gravest of what records failed with.
    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// Tells it on stderr; of a single text only what is wrong.
    pub(crate) fn tell(&self, several: bool) {
        say(&self.warning(several));
        if several {
            say(&self.text(self.start.elapsed()));
        }
    }

    fn warning(&self, several: bool) -> String {
        let hint = "(`--no-truncate` refuses it)";
        match (self.truncated, several) {
            (0, _) => String::new(),
            (1, false) => format!("warning: the text is longer than the model takes, and was cut off {hint}\n"),
            (cut, _) => {
                let texts = count(cut, "text");
                format!("warning: {texts} longer than the model takes, cut off {hint}\n")
            }
        }
    }

    fn text(&self, elapsed: Duration) -> String {
        let mut text = format!("{} in {}", count(self.answered, "text"), seconds(elapsed));
        if self.answered > 0 {
            let rate = |of: usize| number(of) / elapsed.as_secs_f64().max(1e-9);
            let _ = write!(text, " ({:.0} texts/s, {:.0} tokens/s)", rate(self.answered), rate(self.tokens));
        }
        if self.bad > 0 {
            let _ = write!(text, ", {} not answered", count(self.bad, "record"));
        }
        text + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_tokens_and_what_was_cut_off_or_refused() {
        let mut tally = Tally::new();
        assert_eq!(tally.text(Duration::from_secs(1)), "0 texts in 1.0 s\n");
        assert_eq!(tally.warning(true), "");
        for _ in 0..4 {
            tally.answered(50, 1);
        }
        tally.bad(Exit::Data);
        let text = "4 texts in 2.0 s (2 texts/s, 100 tokens/s), 1 record not answered\n";
        assert_eq!((tally.text(Duration::from_secs(2)), tally.exit()), (text.to_owned(), Exit::Data));
        assert!(tally.warning(true).starts_with("warning: 4 texts longer than the model takes, cut off"));
    }
}
