//! One sequence as a model is given it, with what ties its tokens to the text.

use tokenizers::Encoding as LibraryEncoding;

/// One window of an input: all lists have an entry for each token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoding {
    /// `input_ids`.
    pub token_ids: Vec<u32>,
    /// `token_type_ids`.
    pub token_types: Vec<u32>,
    /// The tokens as texts. Where a Unigram model has no token for a piece, that is the piece itself, unlike
    /// [`Tokenizer::token`](super::Tokenizer::token) of its id.
    pub tokens: Vec<String>,
    /// `attention_mask`: false for padding.
    pub attention: Vec<bool>,
    /// `special_tokens_mask`: true for special tokens that were added, and for padding.
    pub special: Vec<bool>,
    /// Start and end in code points of the text, or of the word for an input in words; (0, 0) for special tokens.
    pub offsets: Vec<(usize, usize)>,
    /// `word_ids`: the word that the token is of.
    pub words: Vec<Option<u32>>,
    /// `sequence_ids`: 0 for the text, 1 for its pair, `None` for special tokens.
    pub sequences: Vec<Option<usize>>,
}

impl Encoding {
    /// How many tokens there are.
    pub fn len(&self) -> usize {
        self.token_ids.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.token_ids.is_empty()
    }
}

impl From<&LibraryEncoding> for Encoding {
    fn from(encoding: &LibraryEncoding) -> Self {
        let flags = |mask: &[u32]| mask.iter().map(|flag| *flag != 0).collect();
        Self {
            token_ids: encoding.get_ids().to_vec(),
            token_types: encoding.get_type_ids().to_vec(),
            tokens: encoding.get_tokens().to_vec(),
            attention: flags(encoding.get_attention_mask()),
            special: flags(encoding.get_special_tokens_mask()),
            offsets: encoding.get_offsets().to_vec(),
            words: encoding.get_word_ids().to_vec(),
            sequences: encoding.get_sequence_ids(),
        }
    }
}
