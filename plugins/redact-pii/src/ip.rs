//! Addresses of the internet protocol, of both versions.

use core::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

pub(crate) fn find(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let is_part = |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':');
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if !is_part(bytes[at]) {
            at += 1;
            continue;
        }
        let start = at;
        while at < bytes.len() && is_part(bytes[at]) {
            at += 1;
        }
        let alone = !text[..start].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '-')
            && !text[at..].starts_with(|c: char| c.is_alphanumeric() || c == '_');
        if alone {
            found.extend(within(text, start..at));
        }
    }
    found
}

/// The address in a run of its characters, without the marks that end a sentence.
fn within(text: &str, run: Range<usize>) -> Option<Range<usize>> {
    let trimmed = text[run.clone()].trim_start_matches('.').trim_end_matches(['.', ':']);
    let start = run.start + (run.len() - text[run.clone()].trim_start_matches('.').len());
    if is_v6(trimmed) {
        return Some(start..start + trimmed.len());
    }
    // `Host:10.0.0.1:8080` has a word, an address and a port.
    let mut at = start;
    for part in trimmed.split(':') {
        if part.parse::<Ipv4Addr>().is_ok() && !is_version(&text[..at]) {
            return Some(at..at + part.len());
        }
        at += part.len() + 1;
    }
    None
}

/// Whether it is one that says something: `a::b` and `::1` may stand in any text, and mean nobody.
fn is_v6(text: &str) -> bool {
    let groups = text.split([':', '.']).filter(|group| !group.is_empty()).count();
    groups > 1 && text.contains(|c: char| c.is_ascii_digit()) && text.parse::<Ipv6Addr>().is_ok()
}

/// Whether a number of four parts is said to be a version's.
fn is_version(before: &str) -> bool {
    let word = before.trim_end_matches([' ', ':']).rsplit(|c: char| !c.is_alphabetic()).next().unwrap_or_default();
    ["version", "v", "release", "build", "firmware"].iter().any(|name| word.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        find(text).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn addresses_of_both_versions_are_found() {
        for address in [
            "192.0.2.17",
            "10.0.0.1",
            "2001:db8::ff00:42:8329",
            "fe80::1",
            "2001:0db8:0:0:0:0:1428:57ab",
            "::ffff:192.0.2.1",
        ] {
            for text in
                [address.to_owned(), format!("é {address}."), format!("({address}), x"), format!("from {address}:")]
            {
                assert_eq!(found(&text), [address], "{text}");
            }
        }
        assert_eq!(found("http://192.0.2.17:8080/a 192.0.2.0/24"), ["192.0.2.17", "192.0.2.0"]);
    }

    #[test]
    fn versions_times_and_paths_are_left() {
        for text in [
            "1.2.3",
            "1.2.3.4.5",
            "256.1.1.1",
            "version 4.18.2.1",
            "v1.2.3.4",
            "12:30:45",
            "a::b",
            "::1",
            "std::mem",
            "00:1a:2b:3c:4d:5e",
            "x-1.2.3.4",
            "::",
            "....",
            ":::",
        ] {
            assert_eq!(found(text), Vec::<&str>::new(), "{text}");
        }
    }
}
