//! Numbers of payment cards: 13 to 19 digits that begin as an issuer's do, with the check digit of Luhn.

use crate::digits::{Gap, Window};

pub(crate) fn accepts(window: &Window<'_>) -> bool {
    let digits = window.digits();
    let written = window.groups().len() == 1 || window.shape().iter().all(|length| (3..=7).contains(length));
    let joined = window.gaps().all(|gap| matches!(gap, Gap::Blank | Gap::Sign('-' | '\u{2010}' | '\u{2011}')));
    written && joined && !window.has_plus() && is_issued(&digits) && luhn(&digits)
}

/// The ranges of ISO/IEC 7812 that the networks use, with their lengths.
fn is_issued(digits: &str) -> bool {
    let begins = |length: usize, from: u32, to: u32| {
        digits.get(..length).and_then(|start| start.parse().ok()).is_some_and(|start: u32| (from..=to).contains(&start))
    };
    match digits.len() {
        13 | 19 if begins(1, 4, 4) => true,
        14 => begins(2, 36, 36) || begins(2, 38, 39) || begins(3, 300, 305),
        15 => begins(2, 34, 34) || begins(2, 37, 37),
        16 => {
            begins(1, 4, 4)
                || begins(2, 51, 55)
                || begins(4, 2221, 2720)
                || begins(4, 2200, 2204)
                || begins(4, 6011, 6011)
                || begins(3, 644, 649)
                || begins(2, 65, 65)
                || begins(4, 3528, 3589)
                || begins(2, 62, 62)
                || begins(2, 81, 81)
                || begins(2, 60, 60)
                || begins(2, 50, 50)
                || begins(2, 56, 58)
        }
        12 | 13 | 17..=19 => begins(2, 50, 50) || begins(2, 56, 58) || begins(2, 62, 63) || begins(2, 67, 67),
        _ => false,
    }
}

fn luhn(digits: &str) -> bool {
    let doubled = |digit: u32| if digit > 4 { 2 * digit - 9 } else { 2 * digit };
    let values = digits.chars().rev().filter_map(|digit| digit.to_digit(10)).enumerate();
    values.map(|(place, digit)| if place % 2 == 1 { doubled(digit) } else { digit }).sum::<u32>().is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use crate::find::by_rules;
    use crate::kind::Kind;

    fn found(text: &str) -> Vec<&str> {
        by_rules(text, &[Kind::Card]).into_iter().map(|find| &text[find.range]).collect()
    }

    #[test]
    fn the_test_numbers_of_the_networks_are_found() {
        for number in [
            "4111 1111 1111 1111",
            "4111-1111-1111-1111",
            "4012888888881881",
            "4222222222222",
            "5105105105105100",
            "5555 5555 5555 4444",
            "2223003122003222",
            "378282246310005",
            "3714 496353 98431",
            "6011111111111117",
            "30569309025904",
            "3530111333300000",
            "6200000000000005",
        ] {
            assert_eq!(found(&format!("card {number}.")), [number]);
        }
    }

    #[test]
    fn a_wrong_digit_makes_it_another_number() {
        for digit in 0..=9 {
            let number = format!("411111111111111{digit}");
            assert_eq!(found(&number).len(), usize::from(digit == 1), "{number}");
        }
        for other in ["0000 0000 0000 0000", "1111111111111117", "41111111111111110000000", "a4111111111111111"] {
            assert_eq!(found(other), Vec::<&str>::new(), "{other}");
        }
    }
}
