//! What a generation took.

use std::fmt::Write;
use std::time::Duration;

use crate::output::{count, number, seconds};

/// Tokens and times of a request.
#[derive(Clone, Debug)]
pub(crate) struct Stats {
    pub(crate) prompt_tokens: usize,
    /// Those of them that were known from a request before.
    pub(crate) cached_tokens: usize,
    pub(crate) new_tokens: usize,
    pub(crate) first_token: Option<Duration>,
    pub(crate) time: Duration,
    /// New tokens of the longest sequence that was ended by its length.
    pub(crate) cut_at: Option<usize>,
    max_new_tokens: Option<usize>,
}

impl Stats {
    pub(super) fn new(prompt_tokens: usize, max_new_tokens: Option<usize>) -> Self {
        let (first_token, time) = (None, Duration::ZERO);
        Self { prompt_tokens, cached_tokens: 0, new_tokens: 0, first_token, time, cut_at: None, max_new_tokens }
    }

    /// New tokens in a second, the first not counted, since it comes of the prompt.
    pub(crate) fn new_rate(&self) -> Option<f64> {
        let time = self.time.saturating_sub(self.first_token?);
        Some(rate(self.new_tokens.checked_sub(1).filter(|tokens| *tokens > 0)?, time))
    }

    /// A line for people.
    pub(crate) fn line(&self) -> String {
        let mut line = count(self.prompt_tokens, "prompt token");
        if self.cached_tokens > 0 {
            let _ = write!(line, " ({} known from before)", self.cached_tokens);
        }
        if let Some(first) = self.first_token {
            let read = self.prompt_tokens - self.cached_tokens;
            let _ = write!(line, " in {} ({:.0} tokens/s)", seconds(first), rate(read, first));
        }
        let _ = write!(line, ", {}", count(self.new_tokens, "new token"));
        if let Some(first) = self.first_token {
            let _ = write!(line, " in {}", seconds(self.time.saturating_sub(first)));
        }
        if let Some(rate) = self.new_rate() {
            let _ = write!(line, " ({rate:.1} tokens/s)");
        }
        if let Some(first) = self.first_token {
            let _ = write!(line, ", the first after {}", seconds(first));
        }
        line
    }

    /// Whether it ends in the middle because of `max_new_tokens`.
    pub(crate) fn is_cut_as_asked(&self) -> bool {
        self.cut_at.is_some() && self.cut_at == self.max_new_tokens
    }

    /// Why the text ends in the middle, if it does.
    pub(crate) fn why_cut(&self) -> Option<String> {
        Some(match self.cut_at? {
            most if Some(most) == self.max_new_tokens => {
                format!("cut off after {}, as `max_new_tokens` says", count(most, "token"))
            }
            _ => "cut off where the length that the model takes is reached".to_owned(),
        })
    }
}

/// How many in a second.
fn rate(tokens: usize, time: Duration) -> f64 {
    number(tokens) / time.as_secs_f64().max(1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_count_what_was_computed() {
        let stats = Stats {
            prompt_tokens: 30,
            cached_tokens: 20,
            new_tokens: 11,
            first_token: Some(Duration::from_millis(100)),
            time: Duration::from_millis(2100),
            ..Stats::new(30, Some(11))
        };
        let line = "30 prompt tokens (20 known from before) in 100 ms (100 tokens/s), 11 new tokens in 2.0 s \
                    (5.0 tokens/s), the first after 100 ms";
        assert_eq!(stats.line(), line);
        assert_eq!(Stats::new(1, None).line(), "1 prompt token, 0 new tokens");
        assert_eq!(stats.why_cut(), None);
        let cut = Stats { cut_at: Some(11), ..stats };
        assert_eq!(cut.why_cut().as_deref(), Some("cut off after 11 tokens, as `max_new_tokens` says"));
        let cut = Stats { max_new_tokens: Some(12), ..cut };
        assert_eq!(cut.why_cut().as_deref(), Some("cut off where the length that the model takes is reached"));
    }
}
