//! How much of a text and its pair is kept.

use super::Truncation;

/// Why texts cannot be cut as asked.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CannotCut {
    #[error("the text that is to be cut is too short for {limit} tokens in all to suffice")]
    TooShort { limit: usize },
    #[error("its pair is to be cut, and there is none")]
    NoPair,
    #[error("windows of {window} tokens of the text cannot share {stride} with the one before")]
    Stride { window: usize, stride: usize },
}

/// The tokens that are kept of a text and its pair, which have so many, of at most `limit` in all.
pub(super) fn kept(
    text: usize,
    pair: Option<usize>,
    limit: usize,
    truncation: Truncation,
) -> Result<(usize, usize), CannotCut> {
    let second = pair.unwrap_or(0);
    let over = (text + second).saturating_sub(limit);
    if limit == 0 {
        // With no place for any token, the strategy does not matter.
        return Ok((0, 0));
    }
    if over == 0 || truncation == Truncation::None {
        return Ok((text, second));
    }
    let shorten =
        |length: usize| length.checked_sub(over).filter(|left| *left > 0).ok_or(CannotCut::TooShort { limit });
    match truncation {
        Truncation::OnlyFirst => Ok((shorten(text)?, second)),
        Truncation::OnlySecond if pair.is_none() => Err(CannotCut::NoPair),
        Truncation::OnlySecond => Ok((text, shorten(second)?)),
        _ if pair.is_none() => Ok((limit, 0)),
        _ => Ok(longest_first(text, second, limit)),
    }
}

/// The shorter text is kept whole where it leaves the other no less than its own length; else each has half, and the
/// longer one the odd token.
fn longest_first(text: usize, pair: usize, limit: usize) -> (usize, usize) {
    let shorter = text.min(pair);
    let (shorter, longer) = if shorter + shorter.max(limit.saturating_sub(shorter)) > limit {
        (limit / 2, limit - limit / 2)
    } else {
        (shorter, limit - shorter)
    };
    if text > pair { (longer, shorter) } else { (shorter, longer) }
}

#[cfg(test)]
mod tests {
    use tokenizers::{Encoding, Token, TruncationDirection, TruncationParams, TruncationStrategy, truncate_encodings};

    use super::*;

    fn encoding(length: usize) -> Encoding {
        Encoding::from_tokens(vec![Token::new(0, String::new(), (0, 0)); length], 0)
    }

    /// What the library, which transformers runs, keeps.
    fn library(text: usize, pair: Option<usize>, limit: usize, truncation: Truncation) -> Option<(usize, usize)> {
        let strategy = match truncation {
            Truncation::OnlyFirst => TruncationStrategy::OnlyFirst,
            Truncation::OnlySecond => TruncationStrategy::OnlySecond,
            _ => TruncationStrategy::LongestFirst,
        };
        let params = TruncationParams { direction: TruncationDirection::Right, max_length: limit, strategy, stride: 0 };
        let (text, pair) = truncate_encodings(encoding(text), pair.map(encoding), &params).ok()?;
        Some((text.len(), pair.map_or(0, |pair| pair.len())))
    }

    #[test]
    fn as_much_is_kept_as_by_the_library() {
        for truncation in [Truncation::LongestFirst, Truncation::OnlyFirst, Truncation::OnlySecond] {
            for (text, second, limit) in (0..9).flat_map(|a| (0..10).flat_map(move |b| (0..12).map(move |c| (a, b, c))))
            {
                // No pair stands in for one that is longer than the others.
                let pair = Some(second).filter(|second| *second < 9);
                let own = kept(text, pair, limit, truncation).ok();
                assert_eq!(own, library(text, pair, limit, truncation), "{text}, {pair:?}, {limit}, {truncation:?}");
            }
        }
    }
}
