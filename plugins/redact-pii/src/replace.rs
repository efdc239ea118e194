//! A text with placeholders in the places of its finds.

use std::collections::HashMap;

use crate::find::Find;
use crate::kind::Kind;
use crate::settings::Settings;

/// The text with each find, in order and apart, replaced.
pub(crate) fn replaced(text: &str, finds: &[Find], settings: &Settings) -> String {
    let mut numbers = Numbers::default();
    let mut written = String::with_capacity(text.len());
    let mut end = 0;
    for Find { kind, range } in finds {
        let value = &text[range.clone()];
        let mut label = kind.name().to_uppercase();
        if settings.numbered {
            label.push_str(&format!("_{}", numbers.of(*kind, value)));
        }
        if settings.keep_last > 0 && *kind == Kind::Card {
            let digits: String = value.chars().filter(char::is_ascii_digit).collect();
            label.push_str(&format!(" ****{}", &digits[digits.len().saturating_sub(settings.keep_last)..]));
        }
        written.push_str(&text[end..range.start]);
        written.push_str(&settings.placeholder.replace("{kind}", &label));
        end = range.end;
    }
    written.push_str(&text[end..]);
    written
}

/// The numbers of values, by kind, from 1 on in each text.
#[derive(Default)]
struct Numbers {
    values: HashMap<(Kind, String), usize>,
    last: HashMap<Kind, usize>,
}

impl Numbers {
    fn of(&mut self, kind: Kind, value: &str) -> usize {
        let last = self.last.entry(kind).or_default();
        *self.values.entry((kind, plain(kind, value))).or_insert_with(|| {
            *last += 1;
            *last
        })
    }
}

/// A value without the ways to write it: `+44 20 7946 0958` and `+442079460958` are one number.
fn plain(kind: Kind, value: &str) -> String {
    match kind {
        Kind::Phone | Kind::Card | Kind::Ssn => value.chars().filter(|c| c.is_ascii_digit() || *c == '+').collect(),
        Kind::Iban => value.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_uppercase(),
        _ => value.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" "),
    }
}

/// Offsets in bytes, ascending, as offsets in characters.
pub(crate) fn characters(text: &str, offsets: impl IntoIterator<Item = usize>) -> Vec<usize> {
    let (mut at, mut count) = (0, 0);
    let position = |offset: usize| {
        count += text[at..offset].chars().count();
        at = offset;
        count
    };
    offsets.into_iter().map(position).collect()
}
