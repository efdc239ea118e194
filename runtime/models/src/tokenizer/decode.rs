//! Ids and tokens back to text.

use tokenizers::{Decoder, ModelWrapper};

use super::{Tokenizer, guarded};
use crate::Error;

/// What clean-up takes for what, in this order, as transformers has it: English contractions and punctuation.
const CLEAN_UP: [(&str, &str); 10] = [
    (" .", "."),
    (" ?", "?"),
    (" !", "!"),
    (" ,", ","),
    (" ' ", "'"),
    (" n't", "n't"),
    (" 'm", "'m"),
    (" 's", "'s"),
    (" 've", "'ve"),
    (" 're", "'re"),
];

impl Tokenizer {
    /// The text of ids, of which those without a token are left out. `clean_up` is `clean_up_tokenization_spaces`;
    /// `None`: as `tokenizer_config.json` says. It is never done for BPE, where a space before a full stop was written.
    ///
    /// # Errors
    /// Where the library fails.
    pub fn decode(&self, ids: &[u32], skip_special_tokens: bool, clean_up: Option<bool>) -> Result<String, Error> {
        let text = guarded(|| self.inner.decode(ids, skip_special_tokens));
        let text = text.map_err(|source| Error::Detokenize { source })?;
        let wanted = clean_up.unwrap_or(self.settings.clean_up) && (!self.is_bpe() || self.settings.clean_up_bpe);
        Ok(if wanted { clean(text) } else { text })
    }

    /// Tokens joined by the decoder (`convert_tokens_to_string`).
    ///
    /// # Errors
    /// Where the library fails.
    pub fn join(&self, tokens: Vec<String>) -> Result<String, Error> {
        let Some(decoder) = self.inner.get_decoder() else { return Ok(tokens.join(" ")) };
        guarded(|| decoder.decode(tokens)).map_err(|source| Error::Detokenize { source })
    }

    /// The token of an id.
    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// The id of a token of the vocabulary, as written there.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    fn is_bpe(&self) -> bool {
        matches!(self.inner.get_model(), ModelWrapper::BPE(_))
    }
}

fn clean(text: String) -> String {
    CLEAN_UP.iter().fold(text, |text, (from, to)| if text.contains(from) { text.replace(from, to) } else { text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_before_punctuation_and_contractions_go() {
        assert_eq!(clean("it 's done , is n't it ? ' yes ' .".to_owned()), "it's done, isn't it?'yes '.");
    }
}
