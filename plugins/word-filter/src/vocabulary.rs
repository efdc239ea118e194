//! The text of each token, by many at a time.
//!
//! The tokenizer has no list of its texts; decoding token by token would lose the space that a token of SentencePiece
//! begins with, since a decoder drops it at the start of a text, and would cost a call for each. So many are decoded at
//! once with a token between them that few others contain, and where the pieces do not add up, in halves.

use runtime_plugin_sdk::logits::TOKENIZER;
use runtime_plugin_sdk::{Failure, tokenizer};

/// Tokens of a call.
const BATCH: u32 = 512;

/// Characters that few tokens contain, the rarest first.
const BETWEEN: [char; 6] = ['§', '¶', '|', '~', '\n', ','];

/// Calls `take` with each token of a vocabulary and its text; special ones have none.
///
/// # Errors
/// Where the tokenizer fails.
pub(crate) fn texts(len: u32, mut take: impl FnMut(u32, &str)) -> Result<(), Failure> {
    let between = between()?;
    for first in (0..len).step_by(usize::try_from(BATCH).unwrap_or(1)) {
        let ids: Vec<u32> = (first..len.min(first.saturating_add(BATCH))).collect();
        batch(&ids, between.as_ref(), &mut take)?;
    }
    Ok(())
}

struct Between {
    id: u32,
    text: String,
}

/// A character that is one token of its own.
fn between() -> Result<Option<Between>, Failure> {
    for c in BETWEEN {
        let text = format!("a{c}");
        let tokens = tokenizer::encode(TOKENIZER, &text, false)?;
        let alone = tokens.last().filter(|last| last.start == 1 && text.len().try_into() == Ok(last.end));
        if let Some(last) = alone {
            let between = Between { id: last.id, text: c.to_string() };
            // Whether it is there again when it is decoded is seen by asking.
            if tokenizer::decode(TOKENIZER, &[between.id; 2], true)? == format!("{c}{c}") {
                return Ok(Some(between));
            }
        }
    }
    Ok(None)
}

fn batch(ids: &[u32], between: Option<&Between>, take: &mut impl FnMut(u32, &str)) -> Result<(), Failure> {
    let Some(Between { id, text }) = between else {
        for id in ids {
            take(*id, &tokenizer::decode(TOKENIZER, &[*id], true)?);
        }
        return Ok(());
    };
    let mut asked = vec![*id];
    asked.extend(ids.iter().flat_map(|token| [*token, *id]));
    let decoded = tokenizer::decode(TOKENIZER, &asked, true)?;
    let inner = decoded.strip_prefix(text.as_str()).and_then(|decoded| decoded.strip_suffix(text.as_str()));
    match (ids, inner) {
        ([token], inner) => {
            take(*token, inner.unwrap_or(&decoded));
            Ok(())
        }
        (_, Some(inner)) if inner.matches(text.as_str()).count() + 1 == ids.len() => {
            ids.iter().zip(inner.split(text.as_str())).for_each(|(token, text)| take(*token, text));
            Ok(())
        }
        _ => {
            let (left, right) = ids.split_at(ids.len() / 2);
            batch(left, between, take)?;
            batch(right, between, take)
        }
    }
}
