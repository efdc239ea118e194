//! Choices from the greatest scores of a row alone, the same as from the row.
//!
//! Most requests look at a few scores of many: greedy ones at the greatest, those with top-k at as many. [`Needs`] says
//! which suffice, so that no more has to leave the device, and what is chosen of them is what would be chosen of the row, to
//! the last bit. Whatever looks at all scores needs the row: top-p without top-k, beams, constraints, and processors where
//! they act ([`Processors::act_at`](crate::Processors::act_at)).

use crate::logprobs::TokenLogProb;
use crate::numbers::narrow;
use crate::{Error, GenerationConfig, Warpers};

/// The greatest scores of a row, as many as were needed or more. None is NaN, and the greatest is finite: of a row without
/// such a one the whole is needed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shortlist<'a> {
    /// Tokens, that of the greatest score first, of equal ones the lowest first.
    pub tokens: &'a [u32],
    /// Their scores.
    pub scores: &'a [f32],
    /// `ln(sum(exp(score)))` over the whole row.
    pub log_sum_exp: Option<f64>,
}

/// What suffices of a row of scores to choose from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// All of it.
    Row,
    /// A shortlist.
    Shortlist {
        /// Of so many tokens.
        count: usize,
        /// With all whose score equals the last of them, or is within a millionth of it.
        ties: bool,
        /// With the sum.
        log_sum_exp: bool,
    },
}

impl Needs {
    /// What a request needs wherever no processor acts.
    pub fn new(config: &GenerationConfig) -> Self {
        if config.num_beams > 1 || config.constraint.is_some() {
            return Self::Row;
        }
        let kept = match config.do_sample {
            true => Warpers::new(config).looks_at(),
            false => Some(1),
        };
        let alternatives = config.logprobs.unwrap_or(0);
        kept.map_or(Self::Row, |kept| Self::Shortlist {
            count: kept.max(alternatives),
            ties: config.do_sample,
            log_sum_exp: config.logprobs.is_some(),
        })
    }
}

impl<'a> Shortlist<'a> {
    /// As [`argmax`](crate::argmax) of the row.
    ///
    /// # Errors
    /// Where there is none.
    pub fn argmax(self) -> Result<u32, Error> {
        self.tokens.first().copied().ok_or(Error::NothingLeft { vocabulary: 0 })
    }

    /// As [`token_log_probs`](crate::token_log_probs) of the row, for a chosen token that is listed.
    pub fn log_probs(self, chosen: u32, alternatives: usize) -> Option<(TokenLogProb, Vec<TokenLogProb>)> {
        let total = self.log_sum_exp?;
        let of = |(token, score): (u32, f32)| TokenLogProb { token, log_prob: narrow(f64::from(score) - total) };
        let chosen = self.entries().find(|(token, _)| *token == chosen)?;
        Some((of(chosen), self.entries().take(alternatives).map(of).collect()))
    }

    pub(crate) fn entries(self) -> impl Iterator<Item = (u32, f32)> + 'a {
        self.tokens.iter().copied().zip(self.scores.iter().copied())
    }
}
