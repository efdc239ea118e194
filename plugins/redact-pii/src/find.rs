//! All finds of a text, none over another.

use std::ops::Range;

use crate::digits::{Groups, Window};
use crate::kind::Kind;
use crate::{card, email, iban, ip, phone, ssn};

/// Where something stands in a text, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Find {
    pub(crate) kind: Kind,
    pub(crate) range: Range<usize>,
}

/// What needs no model: the finds of `kinds`, which may lie over each other.
pub(crate) fn by_rules(text: &str, kinds: &[Kind]) -> Vec<Find> {
    let groups = Groups::of(text);
    let numbers = |accepts: fn(&Window<'_>) -> bool| groups.windows(text, accepts);
    let find = |kind: Kind| match kind {
        Kind::Email => email::find(text),
        Kind::Phone => numbers(phone::accepts),
        Kind::Card => numbers(card::accepts),
        Kind::Iban => iban::find(text),
        Kind::Ip => ip::find(text),
        Kind::Ssn => numbers(ssn::accepts),
        Kind::Person | Kind::Place | Kind::Organisation => Vec::new(),
    };
    kinds.iter().flat_map(|kind| find(*kind).into_iter().map(|range| Find { kind: *kind, range })).collect()
}

/// The finds in the order of the text. Those that overlap become one, of the kind of the longest, that covers them all:
/// nothing that was found is left, not even in part.
pub(crate) fn apart(mut finds: Vec<Find>) -> Vec<Find> {
    finds.sort_by_key(|find| find.range.start);
    let mut apart: Vec<(Find, usize)> = Vec::new();
    for find in finds.into_iter().filter(|find| !find.range.is_empty()) {
        match apart.last_mut() {
            Some((last, longest)) if find.range.start < last.range.end => {
                if find.range.len() > *longest {
                    (last.kind, *longest) = (find.kind, find.range.len());
                }
                last.range.end = last.range.end.max(find.range.end);
            }
            _ => {
                let length = find.range.len();
                apart.push((find, length));
            }
        }
    }
    apart.into_iter().map(|(find, _)| find).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_gives_its_kind_and_nothing_is_left_over() {
        let find = |kind, range| Find { kind, range };
        let found = apart(vec![
            find(Kind::Phone, 8..14),
            find(Kind::Card, 0..10),
            find(Kind::Ip, 14..15),
            find(Kind::Email, 20..20),
            find(Kind::Person, 30..32),
            find(Kind::Place, 30..40),
        ]);
        assert_eq!(found, [find(Kind::Card, 0..14), find(Kind::Ip, 14..15), find(Kind::Place, 30..40)]);
    }
}
