//! Groups of digits, and the windows over them that may be one number written in groups: `+44 20 7946 0958`.

use std::ops::Range;

/// Groups of one number, at most: `+33 1 23 45 67 89` has 6.
const MOST_GROUPS: usize = 8;

/// What stands between a group and the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gap {
    /// Nothing that stands within a number.
    Apart,
    /// A space.
    Blank,
    /// A hyphen, dot or slash, maybe with a space on either side.
    Sign(char),
    /// Parentheses, of an area code.
    Parenthesis,
}

/// Some ASCII digits with no other beside them.
#[derive(Clone, Debug)]
struct Group {
    range: Range<usize>,
    gap: Gap,
    /// Where it begins with the `+` or `(` before it.
    from: usize,
    plus: bool,
}

/// All groups of a text.
#[derive(Debug)]
pub(crate) struct Groups(Vec<Group>);

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\u{a0}' | '\u{202f}' | '\u{2009}')
}

fn is_sign(c: char) -> bool {
    matches!(c, '-' | '.' | '/' | '\u{2010}' | '\u{2011}' | '\u{2013}')
}

fn gap(between: &str) -> Gap {
    let count = |is: fn(char) -> bool| between.chars().filter(|c| is(*c)).count();
    let (blanks, signs) = (count(is_blank), count(is_sign));
    let (open, close) = (count(|c| c == '('), count(|c| c == ')'));
    let others = between.chars().count() - blanks - signs - open - close;
    if others > 0 || signs > 1 || open > 1 || close > 1 || blanks > 2 || between.contains("  ") {
        return Gap::Apart;
    }
    match between.chars().find(|c| is_sign(*c)) {
        Some(sign) => Gap::Sign(sign),
        None if open + close > 0 => Gap::Parenthesis,
        None if blanks == 1 => Gap::Blank,
        None => Gap::Apart,
    }
}

impl Groups {
    pub(crate) fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut groups: Vec<Group> = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            if !bytes[at].is_ascii_digit() {
                at += 1;
                continue;
            }
            let start = at;
            while at < bytes.len() && bytes[at].is_ascii_digit() {
                at += 1;
            }
            let gap = groups.last().map_or(Gap::Apart, |last| gap(&text[last.range.end..start]));
            let before = text[..start].strip_suffix('(').unwrap_or(&text[..start]);
            let plus = before.ends_with('+');
            let from = if plus { before.len() - 1 } else { before.len() };
            groups.push(Group { range: start..at, gap, from, plus });
        }
        Self(groups)
    }

    /// The longest windows that are accepted, from left to right, none over another.
    pub(crate) fn windows(&self, text: &str, accepts: fn(&Window<'_>) -> bool) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        let mut first = 0;
        while first < self.0.len() {
            let joined = self.0[first + 1..].iter().take(MOST_GROUPS - 1).take_while(|group| group.gap != Gap::Apart);
            let most = 1 + joined.count();
            let windows =
                (1..=most).rev().map(|count| Window { text, groups: &self.0[first..first + count], all: self, first });
            match windows.into_iter().find(|window| window.stands_alone() && accepts(window)) {
                Some(window) => {
                    found.push(window.range());
                    first += window.groups.len();
                }
                None => first += 1,
            }
        }
        found
    }
}

/// Groups that follow each other.
pub(crate) struct Window<'t> {
    text: &'t str,
    groups: &'t [Group],
    all: &'t Groups,
    first: usize,
}

impl<'t> Window<'t> {
    /// The groups.
    pub(crate) fn groups(&self) -> impl ExactSizeIterator<Item = &'t str> {
        let text = self.text;
        self.groups.iter().map(move |group| &text[group.range.clone()])
    }

    /// What stands between them.
    pub(crate) fn gaps(&self) -> impl Iterator<Item = Gap> {
        self.groups[1..].iter().map(|group| group.gap)
    }

    /// All digits.
    pub(crate) fn digits(&self) -> String {
        self.groups().collect()
    }

    /// The lengths of the groups.
    pub(crate) fn shape(&self) -> Vec<usize> {
        self.groups().map(str::len).collect()
    }

    /// Whether a `+` is before the first group.
    pub(crate) fn has_plus(&self) -> bool {
        self.groups[0].plus
    }

    /// The line up to the window.
    pub(crate) fn before(&self) -> &'t str {
        let before = &self.text[..self.range().start];
        before.rfind('\n').map_or(before, |end| &before[end + 1..])
    }

    fn range(&self) -> Range<usize> {
        let (first, last) = (&self.groups[0], &self.groups[self.groups.len() - 1]);
        // A parenthesis is taken where its other half is.
        let closes = self.text[first.range.start..last.range.end].contains(')');
        let start = match first.plus || closes {
            true => first.from,
            false => first.range.start,
        };
        start..last.range.end
    }

    /// Whether nothing beside the window says that it is but a part of something, such as of `ORD-555-123-4567`.
    fn stands_alone(&self) -> bool {
        let range = self.range();
        let (before, after) = (&self.text[..range.start], &self.text[range.end..]);
        let inner = |c: char| c.is_alphanumeric() || matches!(c, '_' | '@' | '#' | '%' | '$' | '€' | '£' | '¥');
        let mut left = before.chars().rev();
        let mut right = after.chars();
        let left = [left.next(), left.next()];
        let right = [right.next(), right.next()];
        let joins = |c: char| is_sign(c) || matches!(c, ',' | ':' | '+' | '\\');
        let fused = |near: Option<char>, far: Option<char>, part: fn(char) -> bool| {
            near.is_some_and(|c| inner(c) || (joins(c) && far.is_some_and(part)))
        };
        // `Tel:555` has a number of its own; `id-555` has not. Behind it only digits go on, for `4567.Bye` is a typo.
        let glued = |c: char| joins(c) && c != ':';
        let begins = left[0].is_some_and(|c| inner(c) || (glued(c) && left[1].is_some_and(char::is_alphanumeric)));
        let next = self.all.0.get(self.first + self.groups.len());
        let goes_on = next.is_some_and(|next| matches!(next.gap, Gap::Sign(_)) && !next.plus);
        let amount = |c: char| matches!(c, '%' | '$' | '€' | '£' | '¥');
        let priced = left[0].is_some_and(is_blank) && left[1].is_some_and(amount)
            || right[0].is_some_and(is_blank) && right[1].is_some_and(amount);
        !begins && !goes_on && !priced && !fused(right[0], right[1], |c| c.is_ascii_digit())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(text: &str) -> Vec<&str> {
        Groups::of(text)
            .windows(text, |window| window.digits().len() >= 4)
            .into_iter()
            .map(|range| &text[range])
            .collect()
    }

    #[test]
    fn a_number_is_taken_whole_with_its_sign_and_parentheses() {
        assert_eq!(windows("a +44 (0)20 7946-0958, b (030) 12"), ["+44 (0)20 7946-0958", "(030) 12"]);
        assert_eq!(windows("(1234 and 12\u{a0}34\n5678)"), ["1234", "12\u{a0}34", "5678"]);
        assert_eq!(windows("Tel:5551 1-2–34"), ["5551 1-2–34"]);
    }

    #[test]
    fn parts_of_something_else_are_not_taken() {
        for text in ["ORD-1234", "#1234", "x1234", "1234€", "€ 1234", "1234,5", "12.34.5x", "a@1234", "1234:56"] {
            assert_eq!(windows(text), Vec::<&str>::new(), "{text}");
        }
    }
}
