//! What transformers changes in the library's tokenizer after `tokenizer.json` is read: the classes set what their
//! arguments in `tokenizer_config.json` say, and tokens that are named there become added ones.

use std::collections::HashSet;

use serde_json::Value;
use tokenizers::decoders::byte_fallback::ByteFallback;
use tokenizers::decoders::fuse::Fuse;
use tokenizers::decoders::sequence::Sequence;
use tokenizers::decoders::strip::Strip;
use tokenizers::normalizers::Replace;
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::{AddedToken, DecoderWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper, Tokenizer};

use super::class::Class;
use super::settings::Settings;
use super::special::{Special, content};

pub(super) fn adapt(
    inner: &mut Tokenizer,
    class: &Class,
    config: &Value,
    settings: &Settings,
) -> tokenizers::Result<()> {
    if class.normalizes_as_bert() {
        normalize_as_bert(inner, config)?;
    }
    if class.sets_prefix_space() {
        set_prefix_space(inner, config["add_prefix_space"].as_bool().unwrap_or(false));
    }
    if class.splits_as_llama() && !byte_level(inner) {
        split_as_llama(inner, config)?;
    }
    add_tokens(inner, config, settings)
}

/// Classes like BERT's make their normalizer anew; a model without the arguments lowercases.
fn normalize_as_bert(inner: &mut Tokenizer, config: &Value) -> tokenizers::Result<()> {
    let Some(NormalizerWrapper::BertNormalizer(normalizer)) = inner.get_normalizer() else { return Ok(()) };
    let mut wanted = *normalizer;
    wanted.lowercase = config["do_lower_case"].as_bool().unwrap_or(true);
    wanted.strip_accents = config["strip_accents"].as_bool();
    wanted.handle_chinese_chars = config["tokenize_chinese_chars"].as_bool().unwrap_or(true);
    let same = wanted.lowercase == normalizer.lowercase
        && wanted.strip_accents == normalizer.strip_accents
        && wanted.handle_chinese_chars == normalizer.handle_chinese_chars;
    if !same {
        inner.with_normalizer(Some(wanted))?;
    }
    Ok(())
}

/// The class of Llama makes all steps around its model anew: words begin with `▁`, which a piece of text gets that has
/// none. By its older rule (`legacy`) each piece between special tokens does, else the first alone.
fn split_as_llama(inner: &mut Tokenizer, config: &Value) -> tokenizers::Result<()> {
    let scheme = match (config["add_prefix_space"].as_bool(), config["legacy"].as_bool()) {
        (Some(false), _) => PrependScheme::Never,
        (_, Some(true)) => PrependScheme::Always,
        _ => PrependScheme::First,
    };
    inner.with_normalizer(None::<NormalizerWrapper>)?;
    inner.with_pre_tokenizer(Some(Metaspace::new('▁', scheme, false)));
    let mut steps: Vec<DecoderWrapper> =
        vec![Replace::new("▁", " ")?.into(), ByteFallback::default().into(), Fuse::default().into()];
    if scheme != PrependScheme::Never {
        steps.push(Strip::new(' ', 1, 0).into());
    }
    inner.with_decoder(Some(Sequence::new(steps)));
    Ok(())
}

/// Whether a step works with bytes as GPT-2's does. Such a file is used as it is, whatever class is named.
fn byte_level(inner: &Tokenizer) -> bool {
    let json = |step: serde_json::Result<String>| step.is_ok_and(|text| text.contains("\"ByteLevel\""));
    json(serde_json::to_string(&inner.get_pre_tokenizer()))
        || json(serde_json::to_string(&inner.get_decoder()))
        || json(serde_json::to_string(&inner.get_post_processor()))
}

fn set_prefix_space(inner: &mut Tokenizer, prefix_space: bool) {
    if let Some(PreTokenizerWrapper::ByteLevel(byte_level)) = inner.get_pre_tokenizer() {
        let mut byte_level = *byte_level;
        byte_level.add_prefix_space = prefix_space;
        inner.with_pre_tokenizer(Some(byte_level));
    }
    if let Some(PostProcessorWrapper::Roberta(roberta)) = inner.get_post_processor() {
        let mut roberta = roberta.clone();
        roberta.add_prefix_space = prefix_space;
        inner.with_post_processor(Some(roberta));
    }
}

/// Tokens of `added_tokens_decoder` replace those of the same text; tokens with a role that are none yet become special
/// ones. A token without an id is left out: transformers would give it one that no model has a row for.
fn add_tokens(inner: &mut Tokenizer, config: &Value, settings: &Settings) -> tokenizers::Result<()> {
    let named: Vec<&str> = Special::ALL.into_iter().filter_map(|role| settings.named(role)).collect();
    let mut listed: Vec<(u64, AddedToken)> = Vec::new();
    for (id, token) in config["added_tokens_decoder"].as_object().into_iter().flatten() {
        listed.extend(id.parse().ok().zip(read(token, &named)));
    }
    listed.sort_by_key(|(id, _)| *id);
    let mut tokens: Vec<AddedToken> = listed.into_iter().map(|(_, token)| token).collect();
    let extra = ["extra_special_tokens", "additional_special_tokens"].map(|name| config[name].as_array());
    let extra = extra.into_iter().flatten().flatten().filter_map(content);
    let added = inner.get_added_tokens_decoder();
    let mut known: HashSet<String> = added.values().chain(&tokens).map(|token| token.content.clone()).collect();
    for name in named.into_iter().chain(extra) {
        if known.insert(name.to_owned()) {
            tokens.push(AddedToken::from(name, true));
        }
    }
    tokens.retain(|token| inner.token_to_id(&token.content).is_some());
    if !tokens.is_empty() {
        inner.add_tokens(tokens)?;
    }
    Ok(())
}

/// A token as `added_tokens_decoder` writes it; one with a role is special whatever stands there.
fn read(token: &Value, named: &[&str]) -> Option<AddedToken> {
    let flag = |name: &str| token[name].as_bool();
    let content = token["content"].as_str()?;
    let special = flag("special").unwrap_or(false);
    Some(AddedToken {
        content: content.to_owned(),
        single_word: flag("single_word").unwrap_or(false),
        lstrip: flag("lstrip").unwrap_or(false),
        rstrip: flag("rstrip").unwrap_or(false),
        normalized: flag("normalized").unwrap_or(!special),
        special: special || named.contains(&content),
    })
}
