//! Where a text is in its constraint.

use std::fmt;

use runtime_generation::Constraint;

use crate::Error;
use crate::reason::{self, cannot_go_on, why};

/// Tokens whose bits share a word of the library's masks.
const WORD: usize = 32;

/// A text that is being written under a constraint.
///
/// A clone goes its own way from here on, but shares the automaton that grows as it is used: clones are for one thread.
#[derive(Clone)]
pub struct Matcher {
    inner: llguidance::Matcher,
    name: &'static str,
    /// Whether the constraint would let it go on, but the vocabulary cannot.
    at_end: bool,
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Matcher").field("constraint", &self.name).finish_non_exhaustive()
    }
}

impl Matcher {
    /// At the start of the text.
    pub(crate) fn new(mut inner: llguidance::Matcher, constraint: &Constraint) -> Result<Self, Error> {
        if let Some(message) = inner.get_error() {
            return Err(reason::error(constraint, &message));
        }
        let name = constraint.name();
        let may_end = inner.is_accepting().unwrap_or(false);
        match inner.compute_mask() {
            Ok(_) => Ok(Self { inner, name, at_end: false }),
            Err(_) if may_end => Err(Error::Empty { name }),
            Err(error) if cannot_go_on(&error) => Err(Error::Unsatisfiable { name, reason: why(&error) }),
            Err(error) => Err(reason::error(constraint, &error.to_string())),
        }
    }

    /// The same with an automaton of its own, for another thread.
    pub(crate) fn apart(&self) -> Self {
        Self { inner: self.inner.deep_clone(), ..*self }
    }

    /// The parameter that gives the constraint.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Makes the scores of the tokens `-inf` that the text cannot go on with. Those that `ends` it are left where it may
    /// end here, and nowhere else.
    ///
    /// # Errors
    /// Where no token is left: the vocabulary cannot write what must follow, it is too much work to find out, or other
    /// parameters have ruled out what the constraint allows.
    pub fn restrict(&mut self, scores: &mut [f32], ends: &[u32]) -> Result<(), Error> {
        let may_end = self.is_satisfied();
        let places = ends.iter().filter_map(|end| usize::try_from(*end).ok());
        let ends: Vec<(usize, f32)> = places.filter_map(|place| Some((place, *scores.get(place)?))).collect();
        if self.is_complete() {
            scores.fill(f32::NEG_INFINITY);
        } else {
            match self.inner.compute_mask() {
                Ok(mask) => {
                    let words = mask.as_slice();
                    scores.chunks_mut(WORD).zip(words).for_each(|(scores, word)| rule_out(scores, *word));
                    let known = (words.len() * WORD).min(scores.len());
                    scores[known..].fill(f32::NEG_INFINITY);
                }
                Err(error) if may_end && cannot_go_on(&error) => {
                    self.at_end = true;
                    scores.fill(f32::NEG_INFINITY);
                }
                Err(error) => return Err(Error::Stuck { name: self.name, reason: why(&error) }),
            }
        }
        for (place, score) in ends {
            scores[place] = if may_end { score } else { f32::NEG_INFINITY };
        }
        match scores.iter().any(|score| *score > f32::NEG_INFINITY) {
            true => Ok(()),
            false => Err(Error::RuledOut { name: self.name }),
        }
    }

    /// Goes on by a token that was allowed and ends no text.
    ///
    /// # Errors
    /// Where the constraint does not allow it.
    pub fn accept(&mut self, token: u32) -> Result<(), Error> {
        self.inner.consume_token(token).map_err(|error| Error::Stuck { name: self.name, reason: why(&error) })
    }

    /// Whether the text may end here.
    pub fn is_satisfied(&mut self) -> bool {
        self.is_complete() || self.inner.is_accepting().unwrap_or(false)
    }

    /// Whether the text can only end here.
    pub fn is_complete(&self) -> bool {
        self.at_end || (self.inner.is_stopped() && !self.inner.is_error())
    }
}

/// Of 32 scores, those whose bit is not set.
fn rule_out(scores: &mut [f32], word: u32) {
    if word == 0 {
        scores.fill(f32::NEG_INFINITY);
    } else if word != u32::MAX {
        for (bit, score) in scores.iter_mut().enumerate() {
            if word >> bit & 1 == 0 {
                *score = f32::NEG_INFINITY;
            }
        }
    }
}
