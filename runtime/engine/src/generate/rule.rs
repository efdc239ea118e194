//! The constraint of one sequence, if there is one.

use std::sync::Arc;

use runtime_constraint::{Error, Matcher};
use runtime_generation::FinishReason;

/// Where a sequence is in its constraint; of a request without one, nothing.
#[derive(Clone)]
pub(super) struct Rule {
    matcher: Option<Matcher>,
    ends: Arc<[u32]>,
}

impl Rule {
    pub(super) fn new(matcher: Option<Matcher>, ends: &[u32]) -> Self {
        Self { matcher, ends: ends.into() }
    }

    /// Whether there is a constraint.
    pub(super) fn acts(&self) -> bool {
        self.matcher.is_some()
    }

    /// Rules out what does not go on with the text.
    ///
    /// # Errors
    /// Where nothing is left.
    pub(super) fn restrict(&mut self, scores: &mut [f32]) -> Result<(), Error> {
        self.matcher.as_mut().map_or(Ok(()), |matcher| matcher.restrict(scores, &self.ends))
    }

    /// Goes on by a token that was left.
    ///
    /// # Errors
    /// Where it was not.
    pub(super) fn accept(&mut self, token: u32) -> Result<(), Error> {
        match &mut self.matcher {
            Some(matcher) if !self.ends.contains(&token) => matcher.accept(token),
            _ => Ok(()),
        }
    }

    /// Why the sequence ends here, if it does; `found` is the reason apart from the constraint. A text that a forced end
    /// token cuts off has not come to its end.
    pub(super) fn finish(&mut self, found: Option<FinishReason>) -> Option<FinishReason> {
        let Some(matcher) = &mut self.matcher else { return found };
        match found {
            None | Some(FinishReason::Length) if matcher.is_complete() => Some(FinishReason::Complete),
            Some(FinishReason::EndToken) if !matcher.is_satisfied() => Some(FinishReason::Length),
            found => found,
        }
    }
}
