//! The text of a sequence while it grows: whole characters, and nothing of a stop string.

use std::sync::Arc;

/// Tokens of what was shown before that the first new text may hang on; a character has four at most.
const CONTEXT: usize = 16;
/// Tokens that may wait for those behind them. So many bytes in a row are no character.
const WAITING: usize = 64;

/// Shows new text as soon as it is sure. One belongs to one sequence.
///
/// What it has shown, with what [`TextStream::finish`] gives, is the text of the tokens, up to the first stop string.
#[derive(Clone, Debug, Default)]
pub struct TextStream {
    stops: Vec<String>,
    bytes: Arc<[u32]>,
    tokens: Vec<u32>,
    /// Tokens before it are there only since the text of those behind may hang on them, as spaces do.
    context: usize,
    /// Tokens before it have given their text.
    read: usize,
    /// Text that may be the beginning of a stop string.
    held: String,
    stopped: bool,
}

impl TextStream {
    /// A stream that ends before the first of `stops`.
    pub fn new(stops: &[String]) -> Self {
        Self { stops: stops.iter().filter(|stop| !stop.is_empty()).cloned().collect(), ..Self::default() }
    }

    /// The same, behind tokens that were shown already: with them, the first new text has the space that it would lack
    /// alone.
    #[must_use]
    pub fn behind(mut self, shown: &[u32]) -> Self {
        self.tokens = shown[shown.len().saturating_sub(CONTEXT)..].to_vec();
        self.read = self.tokens.len();
        self
    }

    /// The same, for a vocabulary that has single bytes as tokens for what it lacks, `<0x00>` to `<0xFF>`. A run of them is
    /// text as a whole or not at all, so it is held back until another token comes.
    #[must_use]
    pub fn with_bytes(mut self, bytes: Arc<[u32]>) -> Self {
        self.bytes = bytes;
        self
    }

    /// Whether a stop string has come. Nothing is shown any more.
    pub fn stopped(&self) -> bool {
        self.stopped
    }

    /// The text that can be shown after one more token; often none. `decode` gives the text of tokens as a stream shows
    /// it: mostly without special tokens, and without clean-up, which would change what was shown. What is no character
    /// yet is `U+FFFD`.
    ///
    /// # Errors
    /// Those of `decode`; the token counts as added.
    pub fn push<E>(&mut self, token: u32, decode: impl FnMut(&[u32]) -> Result<String, E>) -> Result<String, E> {
        self.tokens.push(token);
        if self.stopped {
            return Ok(String::new());
        }
        let new = self.new_text(decode, true)?;
        Ok(self.show(&new))
    }

    /// The text that was held back, once the sequence has ended.
    ///
    /// # Errors
    /// Those of `decode`.
    pub fn finish<E>(&mut self, decode: impl FnMut(&[u32]) -> Result<String, E>) -> Result<String, E> {
        if self.stopped {
            return Ok(String::new());
        }
        let new = self.new_text(decode, false)?;
        let mut text = self.show(&new);
        text.push_str(&std::mem::take(&mut self.held));
        Ok(text)
    }

    /// The text of the tokens that have not given theirs, if it is whole.
    fn new_text<E>(&mut self, mut decode: impl FnMut(&[u32]) -> Result<String, E>, whole: bool) -> Result<String, E> {
        if self.read == self.tokens.len() {
            return Ok(String::new());
        }
        let before = decode(&self.tokens[self.context..self.read])?;
        let text = decode(&self.tokens[self.context..])?;
        // Bytes that are no character yet may become one with the next token.
        let open = || text.ends_with('\u{FFFD}') || self.tokens.last().is_some_and(|last| self.bytes.contains(last));
        if whole && self.tokens.len() - self.read < WAITING && open() {
            return Ok(String::new());
        }
        let same = before.char_indices().zip(text.chars()).find(|((_, old), new)| old != new);
        let end = same.map_or(before.len(), |((place, _), _)| place);
        let Some(new) = text.get(end..).filter(|new| !new.is_empty()) else { return Ok(String::new()) };
        self.context = self.read;
        self.read = self.tokens.len();
        Ok(new.to_owned())
    }

    /// What can be shown of the text that was held back and `new`.
    fn show(&mut self, new: &str) -> String {
        let mut text = std::mem::take(&mut self.held);
        text.push_str(new);
        let first = self.stops.iter().filter_map(|stop| text.find(stop.as_str())).min();
        if let Some(place) = first {
            self.stopped = true;
            text.truncate(place);
            return text;
        }
        let held = self.stops.iter().map(|stop| begun(&text, stop)).max().unwrap_or(0);
        self.held = text.split_off(text.len() - held);
        text
    }
}

/// Bytes at the end of a text with which `stop` begins.
fn begun(text: &str, stop: &str) -> usize {
    let lengths = (1..stop.len().min(text.len() + 1)).rev();
    lengths.into_iter().find(|length| text.as_bytes().ends_with(&stop.as_bytes()[..*length])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tokens are bytes.
    fn decode(tokens: &[u32]) -> Result<String, ()> {
        let bytes: Result<Vec<u8>, _> = tokens.iter().map(|token| u8::try_from(*token)).collect();
        Ok(String::from_utf8_lossy(&bytes.map_err(|_| ())?).into_owned())
    }

    fn shown(stops: &[&str], bytes: &[u8]) -> (Vec<String>, bool) {
        let mut stream = TextStream::new(&stops.iter().map(|stop| (*stop).to_owned()).collect::<Vec<_>>());
        let mut shown: Vec<String> =
            bytes.iter().map(|byte| stream.push(u32::from(*byte), decode).expect("bytes")).collect();
        shown.push(stream.finish(decode).expect("bytes"));
        shown.retain(|text| !text.is_empty());
        (shown, stream.stopped())
    }

    #[test]
    fn characters_are_shown_when_they_are_whole() {
        let (parts, stopped) = shown(&[], "né 漢🙂!".as_bytes());
        assert_eq!((parts, stopped), (["n", "é", " ", "漢", "🙂", "!"].map(str::to_owned).to_vec(), false));
        // Of a character that never becomes whole, what the tokenizer makes of it comes at the end.
        assert_eq!(shown(&[], b"a\xf0\x9f").0.concat(), "a\u{FFFD}");
        assert_eq!(shown(&[], b"a\xf0b").0.concat(), "a\u{FFFD}b");
    }

    #[test]
    fn a_run_of_bytes_is_shown_once_its_text_is_sure() {
        // As the decoder `ByteFallback` does it: what is no text as a whole is one replacement a byte.
        let decode = |tokens: &[u32]| -> Result<String, ()> {
            let mut text = String::new();
            for run in tokens.chunk_by(|left, right| (*left < 256) == (*right < 256)) {
                let bytes: Vec<u8> = run.iter().filter_map(|token| u8::try_from(*token).ok()).collect();
                text += &match String::from_utf8(bytes) {
                    Ok(run) if !run.is_empty() => run,
                    Ok(_) => "w".repeat(run.len()),
                    Err(_) => "\u{FFFD}".repeat(run.len()),
                };
            }
            Ok(text)
        };
        let shown = |tokens: &[u32]| -> Vec<String> {
            let mut stream = TextStream::new(&[]).with_bytes((0..256).collect());
            let push = |token: &u32| stream.push(*token, decode).expect("text");
            let mut shown: Vec<String> = tokens.iter().map(push).collect();
            shown.push(stream.finish(decode).expect("text"));
            shown
        };
        assert_eq!(shown(&[300, 0x30, 300]), ["w", "", "0w", ""]);
        assert_eq!(shown(&[0xC3, 0xA9, 300, 0x30, 0xFB, 300]), ["", "", "éw", "", "", "\u{FFFD}\u{FFFD}w", ""]);
        assert_eq!(shown(&[300, 0x30]), ["w", "", "0"]);
    }

    #[test]
    fn nothing_of_a_stop_string_is_shown() {
        assert_eq!(shown(&["</s>", "END"], b"one</s>two"), (["o", "n", "e"].map(str::to_owned).to_vec(), true));
        // What looked like one and was none is shown after all, at the end too.
        let (parts, stopped) = shown(&["</s>"], b"a<b</x</s");
        assert_eq!((parts.concat().as_str(), stopped), ("a<b</x</s", false));
        assert_eq!(parts, ["a", "<b", "</x", "</s"]);
        assert_eq!(shown(&["aab"], b"aaaab!").0.concat(), "aa");
        assert_eq!(shown(&["ü"], "aéüb".as_bytes()).0.concat(), "aé");
        // The first in the text counts, not the first in the list.
        assert_eq!(shown(&["d", "bc"], b"abcd").0.concat(), "a");
    }

    #[test]
    fn spaces_that_hang_on_the_word_before_are_there() {
        // As decoders of sentencepiece do, the first space of what is decoded is left out.
        let words = ["▁Hello", "▁wor", "ld", "▁", "▁!"];
        let decode = |tokens: &[u32]| -> Result<String, ()> {
            let text: String = tokens.iter().map(|token| words[usize::try_from(*token).unwrap_or(0)]).collect();
            let text = text.replace('▁', " ");
            Ok(text.strip_prefix(' ').unwrap_or(&text).to_owned())
        };
        let mut stream = TextStream::new(&[]);
        let text: String = [0, 1, 2, 3, 4].iter().map(|token| stream.push(*token, decode).expect("text")).collect();
        assert_eq!(text, "Hello world  !");
        let mut stream = TextStream::new(&[]).behind(&[0]);
        let text: String = [1, 2].iter().map(|token| stream.push(*token, decode).expect("text")).collect();
        assert_eq!(text, " world", "alone it would begin without the space");
    }
}
