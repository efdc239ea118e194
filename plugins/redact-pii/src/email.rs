//! Addresses of electronic mail: what stands around an `@`, with letters of any script.

use std::ops::Range;

/// The longest name and host (RFC 5321).
const LONGEST: (usize, usize) = (64, 255);

pub(crate) fn find(text: &str) -> Vec<Range<usize>> {
    text.match_indices('@').filter_map(|(at, _)| around(text, at)).collect()
}

fn around(text: &str, at: usize) -> Option<Range<usize>> {
    let is_name = |c: char| c.is_alphanumeric() || "._%+-'!#$&*/=?^`{|}~".contains(c);
    let name = text[..at].chars().rev().take_while(|c| is_name(*c)).take(LONGEST.0).map(char::len_utf8).sum::<usize>();
    // Quotes and the like around an address are none of it.
    let trimmed = text[at - name..at].trim_start_matches(|c: char| !c.is_alphanumeric() && c != '_');
    let is_host = |c: &char| c.is_alphanumeric() || matches!(c, '.' | '-');
    let host = text[at + 1..].chars().take_while(is_host).take(LONGEST.1).map(char::len_utf8).sum::<usize>();
    let host = host_of(&text[at + 1..at + 1 + host])?;
    (!trimmed.is_empty()).then(|| at - trimmed.len()..at + 1 + host.len())
}

/// The longest start that is a host with a domain of letters.
fn host_of(text: &str) -> Option<&str> {
    let mut labels: Vec<&str> =
        text.split('.').take_while(|label| !label.is_empty() && !label.starts_with('-') && *label != "-").collect();
    while let Some(last) = labels.last() {
        let trimmed = last.trim_end_matches('-');
        let is_domain =
            (trimmed.chars().count() >= 2 && trimmed.chars().all(char::is_alphabetic)) || trimmed.starts_with("xn--");
        if is_domain {
            let length: usize = labels[..labels.len() - 1].iter().map(|label| label.len() + 1).sum();
            return (labels.len() > 1).then(|| &text[..length + trimmed.len()]);
        }
        labels.pop();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        find(text).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn addresses_are_found_without_what_stands_around_them() {
        for address in
            ["a@b.co", "jo.doe+x@mail.example.com", "zoë@bücher.example", "o'hara@example.org", "x_1@a-b.xn--p1ai"]
        {
            for text in [
                format!("<{address}>"),
                format!("mail '{address}'."),
                format!("{address}, é"),
                format!("mailto:{address}-"),
            ] {
                assert_eq!(found(&text), [address], "{text}");
            }
        }
        assert_eq!(found("a@b.com@c.org"), ["a@b.com"]);
        assert_eq!(found("a@b.com.1"), ["a@b.com"]);
    }

    #[test]
    fn what_has_no_domain_is_left() {
        for text in ["@", "a@", "@b.com", "a@b", "a@1.2", "5 @ 3.com", "a@.com", "@@..@@", "é@é", "- @me.you"] {
            assert_eq!(found(text), Vec::<&str>::new(), "{text}");
        }
    }
}
