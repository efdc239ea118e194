//! Encodings made equally long. No model here needs that; those who compare with transformers do.

use super::{Encoding, Side, Special, Tokenizer};
use crate::Error;

/// What sequences are filled up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Padding {
    /// They stay as they are.
    #[default]
    None,
    /// The longest of the batch.
    Longest,
    /// So many tokens.
    Length(usize),
}

/// How a batch is padded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PadOptions {
    /// How long.
    pub padding: Padding,
    /// The length is rounded up to a multiple of this (`pad_to_multiple_of`).
    pub multiple_of: Option<usize>,
    /// Where padding goes; `None`: as `tokenizer_config.json` says.
    pub side: Option<Side>,
}

impl Tokenizer {
    /// Pads a batch, of which each entry is an input's windows; it is the first window that makes an input long. What
    /// is longer already stays so.
    ///
    /// # Errors
    /// Where padding is asked for and the tokenizer has no token for it, or sequences would be longer than any.
    pub fn pad(&self, batch: &mut [Vec<Encoding>], options: &PadOptions) -> Result<(), Error> {
        let length = match options.padding {
            Padding::None => return Ok(()),
            Padding::Longest => {
                batch.iter().filter_map(|windows| windows.first()).map(Encoding::len).max().unwrap_or(0)
            }
            Padding::Length(length) => length,
        };
        let multiple = options.multiple_of.filter(|multiple| *multiple > 0).unwrap_or(1);
        let length = length.checked_next_multiple_of(multiple).filter(|length| *length <= LONGEST);
        let length = length.ok_or(Error::PaddedLength { most: LONGEST })?;
        let id = self.special(Special::Padding).ok_or(Error::NoPadding)?;
        let token = self.settings.named(Special::Padding).unwrap_or_default();
        let side = options.side.unwrap_or(self.settings.padding_side);
        for window in batch.iter_mut().flatten() {
            window.pad(length, side, &Filler { id, token });
        }
        Ok(())
    }
}

/// Tokens of a padded sequence, at most: a limit that a file invents is not to fill the memory.
const LONGEST: usize = 1 << 24;

/// `pad_token_type_id`, which no file sets.
const PADDING_TYPE: u32 = 0;

/// What padding consists of.
struct Filler<'a> {
    id: u32,
    token: &'a str,
}

impl Encoding {
    fn pad(&mut self, length: usize, side: Side, filler: &Filler<'_>) {
        let count = length.saturating_sub(self.len());
        fill(&mut self.token_ids, filler.id, count, side);
        fill(&mut self.token_types, PADDING_TYPE, count, side);
        fill(&mut self.tokens, filler.token.to_owned(), count, side);
        fill(&mut self.attention, false, count, side);
        fill(&mut self.special, true, count, side);
        fill(&mut self.offsets, (0, 0), count, side);
        fill(&mut self.words, None, count, side);
        fill(&mut self.sequences, None, count, side);
    }
}

fn fill<T: Clone>(list: &mut Vec<T>, value: T, count: usize, side: Side) {
    let at = if side == Side::Left { 0 } else { list.len() };
    list.splice(at..at, std::iter::repeat_n(value, count));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_goes_to_its_side_and_shortens_nothing() {
        let mut list = vec![7, 8];
        fill(&mut list, 0, 2, Side::Left);
        fill(&mut list, 1, 1, Side::Right);
        assert_eq!(list, [0, 0, 7, 8, 1]);
        let mut long = Encoding { token_ids: vec![1, 2, 3], ..Encoding::default() };
        long.pad(2, Side::Left, &Filler { id: 0, token: "[PAD]" });
        assert_eq!(long.token_ids, [1, 2, 3]);
    }
}
