//! International bank account numbers (ISO 13616): a country, its length, and a remainder of 1 by 97.

use std::ops::Range;

/// Countries with the length of their numbers, from SWIFT's registry.
const LENGTHS: &str = "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27DK18DO28EE20EG29ES24FI18FK18\
    FO18FR27GB22GE22GI23GL18GR27GT28HN28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22\
    MK19MN20MR27MT31MU30NI28NL18NO15OM23PK24PL28PS29PT25QA29RO24RS22RU33SA24SC31SD18SE24SI19SK24SM27SO23ST25SV28TL23TN24\
    TR26UA29VA22VG24XK20YE30";

fn length(country: &str) -> Option<usize> {
    let mut countries = (0..LENGTHS.len()).step_by(4).map(|at| LENGTHS[at..at + 4].split_at(2));
    countries.find(|(name, _)| country.eq_ignore_ascii_case(name)).and_then(|(_, length)| length.parse().ok())
}

pub(crate) fn find(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut found: Vec<Range<usize>> = Vec::new();
    for start in 0..bytes.len().saturating_sub(4) {
        let begins = bytes[start].is_ascii_alphabetic()
            && bytes[start + 1].is_ascii_alphabetic()
            && bytes[start + 2].is_ascii_digit()
            && bytes[start + 3].is_ascii_digit()
            && !text[..start].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        if begins && found.last().is_none_or(|last| last.end <= start) {
            found.extend(from(text, start));
        }
    }
    found
}

/// The number that begins at a letter.
fn from(text: &str, start: usize) -> Option<Range<usize>> {
    let length = length(&text[start..start + 2])?;
    let mut number = String::new();
    let mut gap = false;
    for (at, c) in text[start..].char_indices() {
        if c.is_ascii_alphanumeric() {
            number.push(c.to_ascii_uppercase());
            gap = false;
        } else if matches!(c, ' ' | '\u{a0}' | '\u{202f}' | '-') && !gap {
            gap = true;
        } else {
            return None;
        }
        if number.len() == length {
            let end = start + at + 1;
            let ends = !text[end..].starts_with(|c: char| c.is_alphanumeric() || c == '_');
            return (ends && remainder(&number) == 1).then_some(start..end);
        }
    }
    None
}

/// The number by 97, its first four characters behind the rest and letters as 10 to 35.
fn remainder(number: &str) -> u32 {
    let (head, tail) = number.split_at(4);
    tail.chars().chain(head.chars()).filter_map(|c| c.to_digit(36)).fold(0, |rest, value| {
        let shift = if value < 10 { 10 } else { 100 };
        (rest * shift + value) % 97
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        find(text).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn the_examples_of_the_registry_are_found() {
        for number in [
            "DE89 3704 0044 0532 0130 00",
            "GB29NWBK60161331926819",
            "FR14 2004 1010 0505 0001 3M02 606",
            "NL91-ABNA-0417-1643-00",
            "NO93 8601 1117 947",
            "MT84MALT011000012345MTLCAST001S",
            "ch93 0076 2011 6238 5295 7",
            "BR15 0000 0000 0000 1093 2840 814P 2",
        ] {
            assert_eq!(found(&format!("to é {number}, or {number}")), [number, number]);
        }
    }

    #[test]
    fn a_changed_digit_is_noticed() {
        for (at, digit) in "DE89370400440532013000".char_indices().skip(2) {
            let other = char::from_digit((digit.to_digit(10).unwrap_or_default() + 1) % 10, 10).unwrap_or_default();
            let mut number = "DE89370400440532013000".to_owned();
            number.replace_range(at..=at, &other.to_string());
            assert_eq!(found(&number), Vec::<&str>::new(), "{number}");
        }
        for text in [
            "XX89370400440532013000",
            "DE8937040044053201300",
            "DE893704004405320130001",
            "aDE89370400440532013000",
            "DE",
            "DE89",
        ] {
            assert_eq!(found(text), Vec::<&str>::new(), "{text}");
        }
    }
}
