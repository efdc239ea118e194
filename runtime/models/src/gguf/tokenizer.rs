//! The tokenizer of a model, as its `tokenizer.json` would describe it: byte-level BPE ("gpt2"), or SentencePiece's BPE
//! ("llama"). As transformers does, merges that a file does not have are made from the scores of its tokens.

use std::cmp::Reverse;
use std::collections::HashMap;

use serde_json::{Value, json};
use tokenizers::models::bpe::{BPE, Merges, Vocab};
use tokenizers::{AddedToken, DecoderWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper, Tokenizer};

use super::family::Family;
use super::pre_tokenizer::PreTokenizer;
use super::vocabulary::{Kind, Vocabulary};
use super::{Fields, GgufError};

const MODEL: &str = "tokenizer.ggml.model";
const MERGES: &str = "tokenizer.ggml.merges";

/// What SentencePiece writes for a space.
const SPACE: &str = "▁";

pub(super) fn tokenizer(family: &Family, fields: &Fields<'_>) -> tokenizers::Result<Tokenizer> {
    let vocabulary = Vocabulary::read(fields)?;
    let model = fields.text(MODEL)?.ok_or_else(|| GgufError::Missing { key: MODEL.to_owned() })?;
    match model {
        "gpt2" => byte_level(fields, &vocabulary),
        "llama" => sentence_piece(family, fields, &vocabulary),
        other => Err(GgufError::Unsupported {
            key: MODEL.to_owned(),
            value: other.to_owned(),
            supported: "tokenizers that are read: `gpt2` (byte-level BPE) and `llama` (SentencePiece BPE)".to_owned(),
        }
        .into()),
    }
}

fn byte_level(fields: &Fields<'_>, vocabulary: &Vocabulary<'_>) -> tokenizers::Result<Tokenizer> {
    let pre_tokenizer = PreTokenizer::named(fields.text("tokenizer.ggml.pre")?)?;
    let merges = fields.texts(MERGES)?.ok_or_else(|| GgufError::Missing { key: MERGES.to_owned() })?;
    let mut tokens = Vocab::default();
    for (id, token) in vocabulary.tokens() {
        tokens.entry(token.to_owned()).or_insert(id);
    }
    let model =
        BPE::builder().vocab_and_merges(tokens, pairs(merges)?).ignore_merges(pre_tokenizer.ignore_merges).build()?;
    let mut tokenizer = Tokenizer::new(model);
    if pre_tokenizer.composed {
        tokenizer.with_normalizer(Some(part::<NormalizerWrapper>(json!({ "type": "NFC" }))?))?;
    }
    tokenizer.with_pre_tokenizer(Some(part::<PreTokenizerWrapper>(pre_tokenizer.json())?));
    let byte_level = json!({ "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true });
    tokenizer.with_decoder(Some(part::<DecoderWrapper>(byte_level)?));
    finish(tokenizer, fields, vocabulary, pre_tokenizer.add_bos, |_| false)
}

fn sentence_piece(family: &Family, fields: &Fields<'_>, vocabulary: &Vocabulary<'_>) -> tokenizers::Result<Tokenizer> {
    let gemma = family.name.starts_with("gemma");
    // Gemma's tokens of several spaces are written with them, and looked up as SentencePiece writes them.
    let spelled = |token: &str| match gemma && token.contains(' ') && token.trim().is_empty() {
        true => SPACE.repeat(token.chars().count()),
        false => token.to_owned(),
    };
    let mut tokens = Vocab::default();
    for (id, token) in vocabulary.tokens() {
        tokens.entry(spelled(token)).or_insert(id);
    }
    let merges = match fields.texts(MERGES)? {
        Some(merges) => pairs(merges)?,
        None => merges_by_score(&tokens, |id| match vocabulary.kind(id) {
            Kind::Control | Kind::Unknown | Kind::Byte => None,
            // Gemma's scores do not follow the order in which its tokens were merged; their ids do.
            _ if gemma => Some(-f64::from(id)),
            _ => Some(vocabulary.score(id)),
        }),
    };
    let unknown = fields.token("unknown")?.and_then(|id| vocabulary.token(id));
    let bytes = (0..=u8::MAX).all(|byte| tokens.contains_key(&format!("<0x{byte:02X}>")));
    let mut model = BPE::builder().fuse_unk(true).byte_fallback(bytes);
    if let Some(unknown) = unknown {
        model = model.unk_token(unknown.to_owned());
    }
    let mut tokenizer = Tokenizer::new(model.vocab_and_merges(tokens, merges).build()?);
    let prefix = fields.flag("tokenizer.ggml.add_space_prefix")?.unwrap_or(true);
    let mut steps = Vec::new();
    let mut decoders = vec![
        json!({ "type": "Replace", "pattern": { "String": SPACE }, "content": " " }),
        json!({ "type": "ByteFallback" }),
        json!({ "type": "Fuse" }),
    ];
    if prefix {
        steps.push(json!({ "type": "Prepend", "prepend": SPACE }));
        decoders.push(json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }));
    }
    steps.push(json!({ "type": "Replace", "pattern": { "String": " " }, "content": SPACE }));
    let normalizer = json!({ "type": "Sequence", "normalizers": steps });
    tokenizer.with_normalizer(Some(part::<NormalizerWrapper>(normalizer)?))?;
    let decoder = json!({ "type": "Sequence", "decoders": decoders });
    tokenizer.with_decoder(Some(part::<DecoderWrapper>(decoder)?));
    // Phi-3's marks take the line break behind them along, but those that its vocabulary began with.
    let strips = |token: &str| family.name == "phi3" && !["<unk>", "<s>", "<|endoftext|>"].contains(&token);
    finish(tokenizer, fields, vocabulary, true, strips)
}

/// Adds the tokens that are never split, and the begin and end of a text.
fn finish(
    mut tokenizer: Tokenizer,
    fields: &Fields<'_>,
    vocabulary: &Vocabulary<'_>,
    add_bos: bool,
    strips: impl Fn(&str) -> bool,
) -> tokenizers::Result<Tokenizer> {
    let mut added = Vec::new();
    for (id, token) in vocabulary.tokens() {
        let special = match vocabulary.kind(id) {
            Kind::Control | Kind::Unknown => true,
            Kind::UserDefined => false,
            Kind::Normal | Kind::Unused | Kind::Byte => continue,
        };
        // Another id would be made for a token that is spelled otherwise in the vocabulary.
        if tokenizer.token_to_id(token).is_some() {
            added.push(AddedToken::from(token, special).normalized(false).rstrip(special && strips(token)));
        }
    }
    tokenizer.add_tokens(added)?;
    let token = |name: &str, wanted: bool| -> Result<_, GgufError> {
        let id = if wanted { fields.token(name)? } else { None };
        Ok(id.and_then(|id| Some((id, vocabulary.token(id)?))))
    };
    let begin = token("bos", fields.flag("tokenizer.ggml.add_bos_token")?.unwrap_or(add_bos))?;
    let end = token("eos", fields.flag("tokenizer.ggml.add_eos_token")?.unwrap_or(false))?;
    let around = |sequence: &str, token_type: u32| {
        let special = |token: Option<(u32, &str)>| {
            token.map(|(_, token)| json!({ "SpecialToken": { "id": token, "type_id": token_type } }))
        };
        let text = json!({ "Sequence": { "id": sequence, "type_id": token_type } });
        [special(begin), Some(text), special(end)].into_iter().flatten().collect::<Vec<Value>>()
    };
    let special = [begin, end].into_iter().flatten();
    let special: serde_json::Map<String, Value> =
        special.map(|(id, token)| (token.to_owned(), json!({ "id": token, "ids": [id], "tokens": [token] }))).collect();
    let pair: Vec<Value> = around("A", 0).into_iter().chain(around("B", 1)).collect();
    let processor = json!({
        "type": "TemplateProcessing",
        "single": around("A", 0),
        "pair": pair,
        "special_tokens": special,
    });
    tokenizer.with_post_processor(Some(part::<PostProcessorWrapper>(processor)?));
    Ok(tokenizer)
}

/// A part of a tokenizer as `tokenizer.json` writes it.
fn part<T: serde::de::DeserializeOwned>(json: Value) -> tokenizers::Result<T> {
    Ok(serde_json::from_value(json)?)
}

/// The merges of a list. The first part of each is at least one character, which may be a space.
fn pairs(merges: &[String]) -> Result<Merges, GgufError> {
    let pair = |merge: &String| {
        let first = merge.chars().next().map_or(0, char::len_utf8);
        let (start, second) = merge[first..].split_once(' ')?;
        Some((merge[..first + start.len()].to_owned(), second.to_owned()))
    };
    let wrong = |merge: &String| GgufError::Wrong {
        key: MERGES.to_owned(),
        expected: "a list of pairs with a space between their parts".to_owned(),
        found: format!("one with `{}`", merge.chars().take(60).collect::<String>()),
    };
    merges.iter().map(|merge| pair(merge).ok_or_else(|| wrong(merge))).collect()
}

/// The merges by which tokens are made of two others, the best first; as `generate_merges` of transformers has them.
fn merges_by_score(tokens: &Vocab, score: impl Fn(u32) -> Option<f64>) -> Merges {
    let mergeable = |id: &u32| score(*id).is_some();
    let known: HashMap<&str, u32> =
        tokens.iter().filter(|(_, id)| mergeable(id)).map(|(token, id)| (token.as_str(), *id)).collect();
    let mut by_id: Vec<(u32, &str)> = known.iter().map(|(token, id)| (*id, *token)).collect();
    by_id.sort_unstable();
    let mut merges = Vec::new();
    for (id, token) in by_id {
        let score = score(id).unwrap_or_default();
        let splits = token.char_indices().skip(1).map(|(at, _)| token.split_at(at));
        let found = splits.filter_map(|(left, right)| Some((*known.get(left)?, *known.get(right)?, left, right)));
        let mut found: Vec<_> = found.collect();
        found.sort_unstable();
        merges.extend(found.into_iter().map(|(_, _, left, right)| (score, left, right)));
    }
    let lengths = |left: &str, right: &str| Reverse((left.chars().count(), right.chars().count()));
    merges.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| lengths(a.1, a.2).cmp(&lengths(b.1, b.2))));
    merges.into_iter().map(|(_, left, right)| (left.to_owned(), right.to_owned())).collect()
}
