//! Texts by code points, in which offsets are counted.

/// A text that can be cut at code points.
#[derive(Clone, Debug)]
pub(crate) struct CodePoints<'a> {
    text: &'a str,
    /// Where each code point starts, in bytes; none for ASCII, where both are the same.
    starts: Option<Vec<usize>>,
}

impl<'a> CodePoints<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let starts = (!text.is_ascii()).then(|| text.char_indices().map(|(start, _)| start).collect());
        Self { text, starts }
    }

    /// The text from one code point up to another, as Python slices it: what is beyond the end is not there, and nothing
    /// is between an end and a later start.
    pub(crate) fn slice(&self, start: usize, end: usize) -> &'a str {
        let byte = |point: usize| match &self.starts {
            None => point.min(self.text.len()),
            Some(starts) => starts.get(point).copied().unwrap_or(self.text.len()),
        };
        self.text.get(byte(start)..byte(end)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_those_of_python() {
        let text = CodePoints::new("héllo 😀👍🏽!");
        assert_eq!(text.slice(1, 5), "éllo");
        assert_eq!(text.slice(6, 9), "😀👍🏽");
        assert_eq!(text.slice(9, 99), "!");
        assert_eq!(text.slice(5, 2), "");
        let ascii = CodePoints::new("hello");
        assert_eq!((ascii.slice(1, 3), ascii.slice(4, 9), ascii.slice(7, 9)), ("el", "o", ""));
    }
}
