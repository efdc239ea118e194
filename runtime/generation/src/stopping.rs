//! When a sequence ends.

use crate::{GenerationConfig, Lengths};

/// Why a sequence has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// Its last token is an end token.
    EndToken,
    /// A stop string ends in its last token; by its place among `stop_strings`.
    StopString(usize),
    /// Its text is what the constraint asks for, and cannot be longer.
    Complete,
    /// It is as long as it may become.
    Length,
}

/// The ends of one request's sequences.
#[derive(Clone, Debug)]
pub struct Stopping {
    eos: Vec<u32>,
    max_length: usize,
    padding: usize,
    strings: StopStrings,
}

impl Stopping {
    /// By the end tokens, the stop strings and the length; `padding` as in [`Prompt`](crate::Prompt).
    pub fn new(config: &GenerationConfig, lengths: Lengths, padding: usize) -> Self {
        let strings = StopStrings::new(&config.stop_strings);
        Self { eos: config.eos_token_id.clone(), max_length: lengths.max_length, padding, strings }
    }

    /// Whether a sequence, prompt included, ends with its last token, which was just added. `decode` is asked only where
    /// there are stop strings; see [`StopStrings::end`].
    ///
    /// # Errors
    /// Those of `decode`.
    pub fn check<E>(
        &self,
        sequence: &[u32],
        decode: impl FnMut(&[u32]) -> Result<String, E>,
    ) -> Result<Option<FinishReason>, E> {
        if sequence.last().is_some_and(|token| self.eos.contains(token)) {
            return Ok(Some(FinishReason::EndToken));
        }
        if let Some(string) = self.strings.end(sequence, decode)? {
            return Ok(Some(FinishReason::StopString(string)));
        }
        Ok((sequence.len() + self.padding >= self.max_length).then_some(FinishReason::Length))
    }
}

/// Texts with which a sequence ends.
#[derive(Clone, Debug)]
pub struct StopStrings {
    strings: Vec<String>,
    /// Tokens that the longest of them spans, at most.
    window: usize,
}

impl StopStrings {
    /// Those of `strings`, none of them empty.
    pub fn new(strings: &[String]) -> Self {
        let longest = strings.iter().map(String::len).max().unwrap_or(0);
        // A token has one byte at least. The window may start within a character, of four bytes at most, and some
        // decoders take a space off what they begin with.
        Self { strings: strings.to_vec(), window: longest + 5 }
    }

    /// The stop string that ends in the last token of a sequence, by its place; it may have begun in the prompt, as in
    /// transformers. `decode` gives the text of tokens as it stands, special tokens included, without clean-up; what is no
    /// character yet is `U+FFFD`.
    ///
    /// # Errors
    /// Those of `decode`.
    pub fn end<E>(
        &self,
        sequence: &[u32],
        mut decode: impl FnMut(&[u32]) -> Result<String, E>,
    ) -> Result<Option<usize>, E> {
        if self.strings.is_empty() || sequence.is_empty() {
            return Ok(None);
        }
        let window = &sequence[sequence.len().saturating_sub(self.window)..];
        let (before, text) = (decode(&window[..window.len() - 1])?, decode(window)?);
        let old = common(&before, &text);
        let ends_in_new = |string: &String| {
            // What starts here or later ends behind the old text.
            let from = next_char(&text, (old + 1).saturating_sub(string.len()));
            text[from..].contains(string.as_str())
        };
        Ok(self.strings.iter().position(ends_in_new))
    }
}

/// Bytes of what two texts begin with, in whole characters.
fn common(a: &str, b: &str) -> usize {
    a.chars().zip(b.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum()
}

/// The first start of a character at `place` or behind it.
fn next_char(text: &str, place: usize) -> usize {
    (place..text.len()).find(|place| text.is_char_boundary(*place)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tokens are bytes.
    fn decode(tokens: &[u32]) -> Result<String, ()> {
        let bytes: Result<Vec<u8>, _> = tokens.iter().map(|token| u8::try_from(*token)).collect();
        Ok(String::from_utf8_lossy(&bytes.map_err(|_| ())?).into_owned())
    }

    fn tokens(text: &str) -> Vec<u32> {
        text.bytes().map(u32::from).collect()
    }

    /// Tokens after which a text ends.
    fn end(strings: &[&str], text: &str) -> Option<usize> {
        let strings = StopStrings::new(&strings.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
        let tokens = tokens(text);
        (1..=tokens.len()).find(|length| strings.end(&tokens[..*length], decode) != Ok(None))
    }

    #[test]
    fn a_text_ends_with_the_token_that_completes_a_stop_string() {
        assert_eq!(end(&["lo w", "@@"], "hello world"), Some(7));
        assert_eq!(end(&["xyz"], "hello world"), None);
        assert_eq!(end(&["aab"], "aaaab"), Some(5));
        assert_eq!(end(&["é!"], "né à été!"), Some("né à été!".len()));
        // A string that was complete before the last token is none of its.
        let strings = StopStrings::new(&["ll".to_owned()]);
        assert_eq!(strings.end(&tokens("hell"), decode), Ok(Some(0)));
        assert_eq!(strings.end(&tokens("hello"), decode), Ok(None));
    }

    #[test]
    fn a_token_of_several_characters_ends_it_wherever_in_it_the_string_ends() {
        let words = ["The", " end", ". And", " more"];
        let decode = |tokens: &[u32]| -> Result<String, ()> {
            Ok(tokens.iter().map(|token| words[usize::try_from(*token).unwrap_or(0)]).collect())
        };
        let strings = StopStrings::new(&["d.".to_owned()]);
        assert_eq!(strings.end(&[0, 1], decode), Ok(None));
        assert_eq!(strings.end(&[0, 1, 2], decode), Ok(Some(0)));
        assert_eq!(strings.end(&[0, 1, 2, 3], decode), Ok(None));
    }

    #[test]
    fn the_end_token_goes_before_the_rest() {
        let lengths = Lengths { max_length: 5, min_length: 0 };
        let config = GenerationConfig {
            eos_token_id: vec![98],
            stop_strings: vec!["ab".to_owned(), "cd".to_owned()],
            ..GenerationConfig::default()
        };
        let reason = |text: &str, padding| Stopping::new(&config, lengths, padding).check(&tokens(text), decode);
        assert_eq!(reason("ab", 0), Ok(Some(FinishReason::EndToken)));
        assert_eq!(reason("accd", 1), Ok(Some(FinishReason::StopString(1))));
        assert_eq!(reason("xxxx", 1), Ok(Some(FinishReason::Length)));
        assert_eq!(reason("xxxx", 0), Ok(None));
        let failing = |_: &[u32]| Err::<String, _>("no text");
        assert_eq!(Stopping::new(&config, lengths, 0).check(&[1], failing), Err("no text"));
    }
}
