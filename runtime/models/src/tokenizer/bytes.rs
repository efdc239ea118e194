//! The bytes that each token adds to a text.
//!
//! A decoder works on whole sequences and on characters; a token may hold a part of a character. So the bytes are taken
//! from the form in which the vocabulary writes them, which the decoder says: byte-level (a character for each byte), or
//! SentencePiece (`▁` for a space, `<0xE4>` for a byte). Left out are vocabularies whose tokens do not say where a word
//! ends or begins, such as WordPiece.

use std::collections::HashMap;

use serde_json::Value;
use tokenizers::DecoderWrapper;

use super::Tokenizer;

/// What a token stands for in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenBytes {
    /// These bytes, which may be a part of a character.
    Text(Vec<u8>),
    /// Nothing: it is a special token, with this name.
    Special(String),
}

/// Ids without a token that any vocabulary may have.
const SPARE: usize = 1 << 16;

/// How a vocabulary writes bytes.
enum Form {
    /// Each byte as a character of its own.
    ByteLevel(HashMap<char, u8>),
    /// Characters, with `space` for a space; where `bytes` is set, some tokens name a byte.
    Pieces { space: char, bytes: bool },
}

impl Tokenizer {
    /// The bytes of each token, by id, as far as the ids have tokens; `None` where its decoder does not say how tokens
    /// become bytes, or where ids are so far apart that a list of them would be almost empty. In front of a text some
    /// decoders drop the space of the first token.
    pub fn token_bytes(&self) -> Option<Vec<Option<TokenBytes>>> {
        let most = self.inner.get_vocab_size(true).saturating_mul(4).saturating_add(SPARE);
        if usize::try_from(self.highest_id).ok()? > most {
            return None;
        }
        let form = Form::of(self.inner.get_decoder()?)?;
        let added = self.inner.get_added_tokens_decoder();
        let bytes = |id: u32| {
            Some(match added.get(&id) {
                Some(token) if token.special => TokenBytes::Special(token.content.clone()),
                Some(token) => TokenBytes::Text(token.content.clone().into_bytes()),
                None => TokenBytes::Text(form.bytes(&self.inner.id_to_token(id)?)),
            })
        };
        Some((0..=self.highest_id).map(bytes).collect())
    }
}

impl Form {
    fn of(decoder: &DecoderWrapper) -> Option<Self> {
        match decoder {
            DecoderWrapper::ByteLevel(_) => Some(Self::ByteLevel(bytes_of_characters())),
            DecoderWrapper::Metaspace(decoder) => Some(Self::Pieces { space: decoder.get_replacement(), bytes: false }),
            DecoderWrapper::ByteFallback(_) => Some(Self::Pieces { space: ' ', bytes: true }),
            DecoderWrapper::Replace(decoder) if decoder.content == " " => {
                // The pattern is private; its JSON form is not.
                let pattern = serde_json::to_value(decoder).ok()?;
                let mut pattern = pattern.pointer("/pattern/String").and_then(Value::as_str)?.chars();
                match (pattern.next(), pattern.next()) {
                    (Some(space), None) => Some(Self::Pieces { space, bytes: false }),
                    _ => None,
                }
            }
            DecoderWrapper::Sequence(decoders) => {
                decoders.get_decoders().iter().filter_map(Self::of).reduce(|one, other| match (one, other) {
                    (Self::Pieces { space, bytes }, Self::Pieces { space: also, bytes: some }) => {
                        Self::Pieces { space: if space == ' ' { also } else { space }, bytes: bytes || some }
                    }
                    (byte_level @ Self::ByteLevel(_), _) | (_, byte_level) => byte_level,
                })
            }
            _ => None,
        }
    }

    fn bytes(&self, token: &str) -> Vec<u8> {
        match self {
            // A character that stands for no byte leaves the token as it is, as in the library's decoder.
            Self::ByteLevel(bytes) => token
                .chars()
                .map(|char| bytes.get(&char).copied())
                .collect::<Option<_>>()
                .unwrap_or_else(|| token.as_bytes().to_vec()),
            Self::Pieces { space, bytes } => match named_byte(token).filter(|_| *bytes) {
                Some(byte) => vec![byte],
                None => token.replace(*space, " ").into_bytes(),
            },
        }
    }
}

/// The byte of a token such as `<0xE4>`.
fn named_byte(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    u8::from_str_radix(digits, 16).ok().filter(|_| digits.len() == 2)
}

/// The inverse of `bytes_to_unicode` of GPT-2: printable bytes of Latin-1 are themselves, the others follow from U+0100 on.
fn bytes_of_characters() -> HashMap<char, u8> {
    let printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let themselves = (0..=u8::MAX).filter(|byte| printable(*byte)).map(|byte| (char::from(byte), byte));
    themselves.chain(('\u{100}'..).zip((0..=u8::MAX).filter(|byte| !printable(*byte)))).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::ModelFolder;

    #[test]
    fn a_token_behind_another_adds_its_bytes() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/goldens/models");
        for model in ["gpt2", "mistral", "roberta-mlm", "t5"] {
            let tokenizer = Tokenizer::open(&ModelFolder::new(folder.join(model))).expect("it opens");
            let all = tokenizer.token_bytes().expect("its decoder is known");
            let anchor = ["a", "▁a"].iter().find_map(|token| tokenizer.id(token)).expect("it has this letter");
            let before = tokenizer.decode(&[anchor], true, Some(false)).expect("it decodes");
            let mut seen = 0;
            for (id, bytes) in (0_u32..).zip(&all) {
                let text = tokenizer.decode(&[anchor, id], true, Some(false)).expect("it decodes");
                let added = text.strip_prefix(&before).expect("the text goes on");
                match bytes {
                    Some(TokenBytes::Text(bytes)) => {
                        let expected = String::from_utf8_lossy(bytes);
                        assert_eq!(added, expected, "{model}: {:?}", tokenizer.token(id));
                        seen += 1;
                    }
                    Some(TokenBytes::Special(_)) | None => assert_eq!(added, "", "{model}: {id}"),
                }
            }
            assert!(seen > 300, "{model}: {seen}");
        }
    }

    #[test]
    fn an_id_far_beyond_the_others_takes_no_memory() {
        let folder = tempfile::tempdir().expect("there is room");
        let open = |far: u32| {
            let file = serde_json::json!({
                "version": "1.0", "added_tokens": [], "normalizer": null, "pre_tokenizer": null, "post_processor": null,
                "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
                "model": {"type": "WordLevel", "vocab": {"a": 0, "b": far}, "unk_token": "a"},
            });
            std::fs::write(folder.path().join("tokenizer.json"), file.to_string()).expect("there is room");
            Tokenizer::open(&ModelFolder::new(folder.path())).expect("it opens").token_bytes()
        };
        let few = open(9).expect("they are near");
        assert_eq!((few.len(), &few[9]), (10, &Some(TokenBytes::Text(b"b".to_vec()))));
        assert_eq!(open(4_000_000_000), None);
    }

    #[test]
    fn word_pieces_have_no_bytes_of_their_own() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/goldens/models/bert-mlm");
        let tokenizer = Tokenizer::open(&ModelFolder::new(folder)).expect("it opens");
        assert_eq!(tokenizer.token_bytes(), None);
    }
}
