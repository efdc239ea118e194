//! Guesses of the next tokens from the sequence itself.
//!
//! Where the last tokens stand earlier in the sequence too, what followed them there is likely to follow again. A model
//! checks the guesses in one run: see [`accepted`]. After `PromptLookupCandidateGenerator` of transformers.

use crate::GenerationConfig;

/// The look-up of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptLookup {
    tokens: usize,
    ngram: usize,
    max_length: usize,
    eos: Vec<u32>,
}

impl PromptLookup {
    /// By `prompt_lookup_num_tokens` and `max_matching_ngram_size`; `None` where the former is not set.
    pub fn new(config: &GenerationConfig, max_length: usize) -> Option<Self> {
        let tokens = config.prompt_lookup_num_tokens?;
        let ngram = config.max_matching_ngram_size.unwrap_or(2);
        Some(Self { tokens, ngram, max_length, eos: config.eos_token_id.clone() })
    }

    /// What followed the longest of the last n-grams where it stood first; empty where there is nothing to guess.
    ///
    /// Guesses end before an end token, and leave room for the token that the model adds to them. Tokens that the
    /// processors ban may be among them: checking refuses these.
    ///
    /// ```
    /// # use runtime_generation::{GenerationConfig, PromptLookup};
    /// let config = GenerationConfig { prompt_lookup_num_tokens: Some(3), ..GenerationConfig::default() };
    /// let lookup = PromptLookup::new(&config, 100).expect("it is set");
    /// assert_eq!(lookup.candidates(&[5, 6, 7, 8, 9, 1, 5, 6]), [7, 8, 9]);
    /// ```
    pub fn candidates<'a>(&self, sequence: &'a [u32]) -> &'a [u32] {
        let length = sequence.len();
        let room = self.max_length.saturating_sub(length + 1);
        if room == 0 {
            return &[];
        }
        for size in (1..=self.ngram.min(length.saturating_sub(1))).rev() {
            let last = &sequence[length - size..];
            // The last n-gram itself has nothing behind it.
            let found = sequence[..length - 1].windows(size).position(|window| window == last);
            if let Some(place) = found {
                let start = place + size;
                let guesses = &sequence[start..length.min(start + self.tokens.min(room))];
                let end = guesses.iter().position(|token| self.eos.contains(token));
                return &guesses[..end.unwrap_or(guesses.len())];
            }
        }
        &[]
    }
}

/// How many guesses hold, given what the model chose in the place of each.
///
/// Run on the sequence and the guesses, the model gives one row of scores more than there are guesses; `chosen` is its
/// choice in each row. The sequence grows by `chosen[..=accepted]`.
///
/// ```
/// assert_eq!(runtime_generation::accepted(&[7, 8, 9], &[7, 8, 4, 1]), 2);
/// ```
pub fn accepted(guesses: &[u32], chosen: &[u32]) -> usize {
    guesses.iter().zip(chosen).take_while(|(guess, chosen)| guess == chosen).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(tokens: usize, ngram: usize, max_length: usize) -> PromptLookup {
        PromptLookup { tokens, ngram, max_length, eos: vec![2] }
    }

    #[test]
    fn the_longest_ngram_goes_first_and_then_its_first_place() {
        assert_eq!(lookup(10, 2, 100).candidates(&[5, 1, 4, 5, 6, 9, 4, 5]), [6, 9, 4, 5]);
        assert_eq!(lookup(10, 1, 100).candidates(&[5, 1, 4, 5, 6, 9, 4, 5]), [1, 4, 5, 6, 9, 4, 5]);
        assert_eq!(lookup(2, 3, 100).candidates(&[7, 7, 7, 7]), [7]);
        assert!(lookup(2, 3, 100).candidates(&[1, 3, 4]).is_empty());
        assert!(lookup(2, 3, 100).candidates(&[]).is_empty());
    }

    #[test]
    fn guesses_end_before_the_end_token_and_the_length() {
        assert_eq!(lookup(10, 2, 100).candidates(&[4, 5, 6, 2, 9, 4, 5]), [6]);
        assert!(lookup(10, 2, 100).candidates(&[4, 5, 2, 9, 4, 5]).is_empty());
        assert_eq!(lookup(10, 2, 9).candidates(&[4, 5, 6, 7, 9, 4, 5]), [6]);
        assert!(lookup(10, 2, 8).candidates(&[4, 5, 6, 7, 9, 4, 5]).is_empty());
    }
}
