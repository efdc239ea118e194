//! What the tokens of a tokenizer are in a text.

/// What each token of a vocabulary adds in the midst of a text. At its start a decoder may drop the space that a token
/// begins with.
///
/// ```
/// use runtime_plugin_sdk::Vocabulary;
///
/// let vocabulary = Vocabulary::new([Some("a".as_bytes()), None, Some(b" b")]);
/// assert_eq!(vocabulary.len(), 3);
/// assert_eq!(vocabulary.get(2), Some(b" b".as_slice()));
/// assert_eq!(vocabulary.iter().collect::<Vec<_>>(), [(0, b"a".as_slice()), (2, b" b")]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vocabulary {
    bytes: Vec<u8>,
    ends: Vec<u32>,
    special: Vec<u32>,
}

impl Vocabulary {
    /// One for tests: the bytes of each token by its number, without special ones.
    pub fn new<'b>(tokens: impl IntoIterator<Item = Option<&'b [u8]>>) -> Self {
        let mut all = Self::default();
        for bytes in tokens {
            all.bytes.extend(bytes.unwrap_or_default());
            all.ends.push(u32::try_from(all.bytes.len()).unwrap_or(u32::MAX));
        }
        all
    }

    #[cfg(target_arch = "wasm32")]
    pub(crate) fn from_host(given: crate::wit::step::inference::runtime::tokenizer::TokenBytes) -> Self {
        Self { bytes: given.bytes, ends: given.ends, special: given.special }
    }

    /// Numbers of tokens; some of them may be of none.
    pub fn len(&self) -> u32 {
        u32::try_from(self.ends.len()).unwrap_or(u32::MAX)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The bytes that a token adds; of one alone they may be a part of a character. None where it is special, or is none.
    pub fn get(&self, token: u32) -> Option<&[u8]> {
        let bytes = self.written(token)?;
        (!bytes.is_empty() && self.special.binary_search(&token).is_err()).then_some(bytes)
    }

    /// All tokens that add something, with the bytes.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &[u8])> {
        (0..self.len()).filter_map(|token| Some((token, self.get(token)?)))
    }

    /// The special tokens, in ascending order; they add nothing.
    pub fn special(&self) -> &[u32] {
        &self.special
    }

    /// What a token is written as, which is a name where it is special.
    pub fn written(&self, token: u32) -> Option<&[u8]> {
        let at = usize::try_from(token).ok()?;
        let end = *self.ends.get(at)?;
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.bytes.get(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
    }
}
