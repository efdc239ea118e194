//! Telephone numbers: international ones, the national forms with a leading zero and those of North America, and any
//! behind a word such as `phone`. Order numbers, dates and amounts are left.

use crate::digits::{Gap, Window};

/// How far before a number the word stands that says what it is, in characters.
const NEAR: usize = 32;

const CALLS: [&str; 14] = [
    "phone",
    "tel",
    "telephone",
    "mobile",
    "cell",
    "call",
    "fax",
    "whatsapp",
    "telefon",
    "mobil",
    "handy",
    "tél",
    "ring",
    "text",
];

const COUNTS: [&str; 17] = [
    "order",
    "invoice",
    "ticket",
    "ref",
    "reference",
    "case",
    "id",
    "account",
    "customer",
    "serial",
    "version",
    "tracking",
    "booking",
    "article",
    "bestellung",
    "rechnung",
    "commande",
];

/// What the words before a number say that it is, the nearest of them.
fn said(window: &Window<'_>) -> Option<bool> {
    let before = window.before();
    let from = before.char_indices().rev().nth(NEAR - 1).map_or(0, |(at, _)| at);
    let words = before[from..].rsplit(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).find_map(|word| {
        let is = |words: &[&str]| words.contains(&word.as_str());
        if is(&CALLS) { Some(true) } else { is(&COUNTS).then_some(false) }
    })
}

pub(crate) fn accepts(window: &Window<'_>) -> bool {
    let digits = window.digits();
    if !(6..=16).contains(&digits.len()) || has_date(window) {
        return false;
    }
    if window.has_plus() {
        return is_international(window, &digits);
    }
    let said = said(window);
    if said == Some(false) {
        return false;
    }
    said == Some(true) && digits.len() <= 15
        || is_prefixed(&digits)
        || is_north_american(window)
        || is_national(window, &digits)
}

/// `+` and a country's code, 15 digits at most (E.164), and a zero in parentheses that is not dialled.
fn is_international(window: &Window<'_>, digits: &str) -> bool {
    let zero = window.gaps().zip(window.groups().skip(1)).any(|(gap, group)| gap == Gap::Parenthesis && group == "0");
    // A digit that stands alone behind the code's is more likely a word of the sentence.
    let lone = window.groups().skip(2).filter(|group| group.len() == 1).count() > usize::from(zero);
    !digits.starts_with('0') && (8..=15 + usize::from(zero)).contains(&digits.len()) && !lone
}

/// `00` and a country's code.
fn is_prefixed(digits: &str) -> bool {
    digits.strip_prefix("00").is_some_and(|rest| !rest.starts_with('0') && (9..=14).contains(&rest.len()))
}

/// `(555) 123-4567` or `1-555-123-4567`: ten digits without a gap may as well be a number of an order.
fn is_north_american(window: &Window<'_>) -> bool {
    let groups: Vec<&str> = window.groups().collect();
    let groups = match &groups[..] {
        ["1", rest @ ..] => rest,
        all => all,
    };
    let from_two = |group: &str| group.starts_with(|digit| ('2'..='9').contains(&digit));
    matches!(groups, [area, office, line]
        if area.len() == 3 && office.len() == 3 && line.len() == 4 && from_two(area) && from_two(office))
}

/// A zero, an area and a number: `020 7946 0958`, `0171/1234567`, `01 23 45 67 89`, `07700900123`.
fn is_national(window: &Window<'_>, digits: &str) -> bool {
    let trunk = digits.starts_with('0') && !digits.starts_with("00");
    let groups = window.groups();
    let written = match groups.len() {
        1 => 10..=11,
        _ => 9..=12,
    };
    trunk && written.contains(&digits.len()) && window.groups().all(|group| group.len() > 1)
}

/// Whether three groups in a row are a day, a month and a year, in an order that is used.
fn has_date(window: &Window<'_>) -> bool {
    let groups: Vec<&str> = window.groups().collect();
    let number = |group: &str| group.parse::<u32>().unwrap_or(u32::MAX);
    let small = |group: &str, most: u32| group.len() <= 2 && (1..=most).contains(&number(group));
    let year = |group: &str| group.len() == 4 && (1900..2100).contains(&number(group));
    groups.windows(3).any(|three| match three {
        [a, b, c] if year(c) => small(a, 31) && small(b, 31) && (small(a, 12) || small(b, 12)),
        [a, b, c] if year(a) => small(b, 12) && small(c, 31),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use crate::find::by_rules;
    use crate::kind::Kind;

    fn found(text: &str) -> Vec<&str> {
        by_rules(text, &[Kind::Phone]).into_iter().map(|find| &text[find.range]).collect()
    }

    #[test]
    fn numbers_of_many_countries_are_found() {
        for number in [
            "+44 20 7946 0958",
            "+49 (0)30 1234567",
            "+491701234567",
            "0049 170 1234567",
            "+1 (555) 234-5678",
            "+33 1 23 45 67 89",
            "+351 912 345 678",
            "+86 138 0013 8000",
            "(555) 234-5678",
            "555-234-5678",
            "555.234.5678",
            "1-800-234-5678",
            "020 7946 0958",
            "(030) 1234 5678",
            "030 / 1234567",
            "0171/1234567",
            "01 23 45 67 89",
            "01.23.45.67.89",
            "07700900123",
            "0612345678",
        ] {
            for text in [
                number.to_owned(),
                format!("é {number}, please."),
                format!("({number})\nthanks"),
                format!("x: {number}; 5"),
            ] {
                let found = found(&text);
                assert_eq!(found.len(), 1, "{text}: {found:?}");
                assert_eq!(found[0].trim_matches(['(', ')']), number.trim_matches(['(', ')']), "{text}");
            }
        }
        assert_eq!(found("my phone number is 555-1234"), ["555-1234"]);
        assert_eq!(found("call 5551234567 or 5557654321"), ["5551234567", "5557654321"]);
        assert_eq!(found("call me on +49 170 1234567 2 times"), ["+49 170 1234567"]);
    }

    #[test]
    fn other_numbers_are_left() {
        for text in [
            "order 0171234567",
            "order no. 555-234-5678",
            "Order #5552345678",
            "5552345678",
            "T-1001 and ORD-0171-234567",
            "01.02.2024",
            "2024-01-02 10:30",
            "on 01.02.2024 10 times",
            "03/14/2025 and 14/03/2025",
            "€ 0171 234567",
            "1.234.567,89",
            "12, 80 and 341 rows",
            "version 4.18.2",
            "0.123456789",
            "00000000000",
            "978-3-16-148410-0",
            "10:30:45",
        ] {
            assert_eq!(found(text), Vec::<&str>::new(), "{text}");
        }
    }
}
