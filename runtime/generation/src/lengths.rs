//! How long a sequence may and must become.

use crate::{Error, GenerationConfig};

/// Limits in tokens of the whole sequence: of decoders with the prompt, of encoder-decoders with the start token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lengths {
    /// A sequence ends when it has so many.
    pub max_length: usize,
    /// It does not end before it has so many.
    pub min_length: usize,
}

/// New tokens where nothing says how many, as in transformers.
const DEFAULT_NEW_TOKENS: usize = 20;

impl Lengths {
    /// Those of a request whose prompt has `prompt` tokens (in a batch of transformers: with its padding).
    ///
    /// Where neither call nor `generation_config.json` say how long, 20 tokens are added, but no more than
    /// `max_positions` (`max_position_embeddings` of `config.json`) hold; `GenerationMixin._prepare_generated_length`.
    ///
    /// # Errors
    /// Where the prompt leaves no room for a token.
    pub fn new(config: &GenerationConfig, prompt: usize, max_positions: Option<usize>) -> Result<Self, Error> {
        let max_length = match (config.max_new_tokens, config.max_length) {
            (Some(new), _) => prompt.saturating_add(new),
            (None, Some(whole)) => whole,
            (None, None) => max_positions.unwrap_or(usize::MAX).min(prompt.saturating_add(DEFAULT_NEW_TOKENS)),
        };
        if prompt >= max_length {
            return Err(Error::NoRoom { prompt, max_length });
        }
        let min_length = config.min_new_tokens.map_or(config.min_length, |new| prompt.saturating_add(new));
        Ok(Self { max_length, min_length })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_tokens_go_before_whole_lengths_and_both_before_the_default() {
        let mut config = GenerationConfig::default();
        let lengths = |config: &GenerationConfig| Lengths::new(config, 7, Some(30));
        assert_eq!(lengths(&config), Ok(Lengths { max_length: 27, min_length: 0 }));
        assert_eq!(Lengths::new(&config, 25, Some(30)), Ok(Lengths { max_length: 30, min_length: 0 }));
        config.max_length = Some(9);
        config.min_length = 8;
        assert_eq!(lengths(&config), Ok(Lengths { max_length: 9, min_length: 8 }));
        assert_eq!(Lengths::new(&config, 9, None), Err(Error::NoRoom { prompt: 9, max_length: 9 }));
        config.max_new_tokens = Some(100);
        config.min_new_tokens = Some(3);
        assert_eq!(lengths(&config), Ok(Lengths { max_length: 107, min_length: 10 }));
    }
}
