//! Texts to token ids and back, equal to the fast tokenizers of transformers.
//!
//! What a tokenizer does with a text is what `tokenizer.json` says, and the `tokenizers` library does it; here is what
//! transformers adds: limits, sides, roles of tokens and clean-up, from `tokenizer_config.json` and the files beside
//! it; windows and padding by the options of a call. Ids alone are put together without the library (`pieces`).

mod adapt;
mod bytes;
mod call;
mod class;
mod decode;
mod encode;
mod encoding;
mod pad;
mod pieces;
mod settings;
mod special;
mod template;
mod truncate;

use std::panic::{AssertUnwindSafe, catch_unwind};

use runtime_diagnostics::panic_message;
use serde_json::Value;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{ModelWrapper, PostProcessor, PostProcessorWrapper};

pub use bytes::TokenBytes;
pub use call::{Arguments, detokenize_call, tokenize_call};
pub use encode::{EncodeOptions, Side, Text, Truncation};
pub use encoding::Encoding;
pub use pad::{PadOptions, Padding};
pub use pieces::{Pieces, Sequence};
pub use special::Special;

use crate::folder::read_bytes;
use crate::{Error, ModelFolder};
use adapt::adapt;
use class::Class;
use settings::Settings;
use template::Template;

/// Bytes of a `tokenizer.json`, at most; the largest known one has 35 MB.
const LARGEST: u64 = 256 << 20;

/// A tokenizer, with the limits of its model. Truncation and padding that a `tokenizer.json` has baked in are left
/// out: how much is cut off is decided by the task, and only what asks for padding is padded.
#[derive(Debug)]
pub struct Tokenizer {
    /// The library's, without its post-processor, so that encodings can be cut before special tokens come.
    inner: tokenizers::Tokenizer,
    processor: PostProcessorWrapper,
    single: Template,
    pair: Template,
    settings: Settings,
    roles: Vec<(Special, u32)>,
    highest_id: u32,
}

impl Tokenizer {
    pub(crate) fn open(folder: &ModelFolder) -> Result<Self, Error> {
        let gguf = folder.gguf()?;
        let path = gguf.as_ref().map_or_else(|| folder.file("tokenizer.json"), |gguf| gguf.path().to_owned());
        let failed = |source| Error::TokenizerFile { path: path.clone(), source };
        let mut inner = match gguf {
            Some(gguf) => guarded(|| gguf.tokenizer()).map_err(|source| gguf.no_tokenizer(source))?,
            None => {
                let bytes = read_bytes(&path, LARGEST)?;
                guarded(|| tokenizers::Tokenizer::from_bytes(bytes)).map_err(failed)?
            }
        };
        let config = folder.json("tokenizer_config.json")?.unwrap_or(Value::Null);
        let class = Class::of(&config, &folder.json("config.json")?.unwrap_or(Value::Null));
        let settings = Settings::read(folder, &config, &class, &inner)?;
        inner.with_padding(None);
        inner.set_encode_special_tokens(settings.split_special_tokens);
        let parts = guarded(|| {
            inner.with_truncation(None)?;
            adapt(&mut inner, &class, &config, &settings)?;
            let processor = inner.get_post_processor().cloned().map_or_else(plain, Ok)?;
            inner.with_post_processor(None::<PostProcessorWrapper>);
            Ok((Template::learn(&processor, false)?, Template::learn(&processor, true)?, processor))
        });
        let (single, pair, processor) = parts.map_err(failed)?;
        let id = |role: Special| Some((role, inner.token_to_id(settings.named(role)?)?));
        let roles = Special::ALL.into_iter().filter_map(id).collect();
        // A post-processor has its own ids for special tokens, which need not be those of the vocabulary.
        let around = [single.highest(), pair.highest()].into_iter().flatten();
        let highest_id = inner.get_vocab(true).into_values().chain(around).max().unwrap_or(0);
        Ok(Self { inner, processor, single, pair, settings, roles, highest_id })
    }

    /// `model_max_length`, in tokens.
    pub fn max_length(&self) -> Option<usize> {
        self.settings.max_length
    }

    /// The highest id that it can give.
    pub fn highest_id(&self) -> u32 {
        self.highest_id
    }

    /// `padding_side`, by which question answering orders its texts too.
    pub fn padding_side(&self) -> Side {
        self.settings.padding_side
    }

    /// How many special tokens are added to a text, or to a pair.
    pub fn num_special(&self, pair: bool) -> usize {
        self.processor.added_tokens(pair)
    }

    /// What a WordPiece vocabulary puts before tokens that continue a word, such as `##`; `None` for other models.
    pub fn continuing_subword_prefix(&self) -> Option<&str> {
        match self.inner.get_model() {
            ModelWrapper::WordPiece(model) => Some(&model.continuing_subword_prefix),
            _ => None,
        }
    }

    /// Whether transformers returns `token_type_ids`: as `model_input_names` says, else by the tokenizer's class.
    pub fn takes_token_types(&self) -> bool {
        self.settings.token_types
    }
}

/// What transformers uses where a file has no post-processor.
fn plain() -> tokenizers::Result<PostProcessorWrapper> {
    let template = TemplateProcessing::builder().try_single("$A:0")?.try_pair("$A:0 $B:1")?.build()?;
    Ok(template.into())
}

/// What the library returns; where it panics, as it does on some files and texts, that is an error like others.
fn guarded<T>(call: impl FnOnce() -> tokenizers::Result<T>) -> tokenizers::Result<T> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| Err(panic_message(&*panic).into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Found by fuzzing: special tokens that the vocabulary does not have were not counted.
    #[test]
    fn the_highest_id_may_be_one_of_special_tokens() {
        let folder = tempfile::tempdir().expect("there is room");
        let file = serde_json::json!({
            "version": "1.0", "added_tokens": [], "normalizer": null, "pre_tokenizer": null, "decoder": null,
            "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 7], "cls": ["[CLS]", 9]},
            "model": {"type": "WordLevel", "vocab": {"a": 0, "b": 3}, "unk_token": "a"},
        });
        std::fs::write(folder.path().join("tokenizer.json"), file.to_string()).expect("there is room");
        let tokenizer = Tokenizer::open(&ModelFolder::new(folder.path())).expect("it opens");
        let windows = tokenizer.encode(Text::Whole("b"), None, &EncodeOptions::default()).expect("it is encoded");
        assert_eq!(windows[0].token_ids, [9, 3, 7]);
        assert_eq!(tokenizer.highest_id(), 9);
    }
}
