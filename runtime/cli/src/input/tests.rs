//! Readers over texts in memory.

use futures::StreamExt;

use super::*;

fn read(text: &[u8], csv: bool, limits: Limits) -> Vec<String> {
    let (items, receiver) = channel(1000);
    let mut items = Items { items, left: limits.records, name: "t".to_owned(), empty: true };
    let read = if csv { csv::read(text, limits, &mut items) } else { jsonl::read(text, limits, &mut items) };
    items.finish(read);
    let describe = |item| match item {
        Item::Record(record) => format!("{}: {}", record.line, Value::Object(record.fields)),
        Item::Bad { line, error } => format!("{line}! {error}"),
        Item::Failed(error) => format!("failed: {error}"),
    };
    block_on(receiver.map(describe).collect())
}

const ALL: Limits = Limits { record_bytes: 40, records: usize::MAX };

#[test]
fn every_bad_line_is_told_with_its_number_and_the_rest_is_read() {
    let mut text = b"\xef\xbb\xbf{\"a\": 1}\r\n\n{\"b\": \"\xff\"}\n[1]\n{oops}\n".to_vec();
    text.extend_from_slice(format!("{{\"long\": \"{}\"}}\n", "x".repeat(100)).as_bytes());
    text.extend_from_slice(b"{\"z\": 0.10000000000000000001, \"a\": 2}\n\n  \n");
    let found = read(&text, false, ALL);
    let expected = [
        "1: {\"a\":1}",
        "2! an empty line is no record",
        "3! not UTF-8 from byte 7 of the line on",
        "4! not a JSON object but a list",
        "5! not JSON: key must be a string at column 2",
        "6! a record of 113 bytes, and `input.max_record_bytes` is 40",
        "7: {\"z\":0.1,\"a\":2}",
    ];
    assert_eq!(found, expected);
}

#[test]
fn an_input_without_records_is_bad() {
    for (text, csv) in [("", false), ("", true)] {
        assert_eq!(read(text.as_bytes(), csv, ALL), ["1! the input is empty"]);
    }
}

#[test]
fn a_record_of_just_the_limit_is_read() {
    let record = format!("{{\"a\": \"{}\"}}", "x".repeat(31));
    assert_eq!(record.len(), 40);
    for end in ["", "\n", "\r\n"] {
        let found = read(format!("{record}{end}").as_bytes(), false, ALL);
        assert!(found[0].starts_with("1: "), "{found:?}");
    }
    let found = read(format!("{record} x\n").as_bytes(), false, ALL);
    assert!(found[0].starts_with("1! a record of"), "{found:?}");
}

#[test]
fn csv_records_have_the_header_s_fields() {
    let found = read(b"id,text\n1,\"a, \"\"b\"\"\nc\"\n2\n3,x\n", true, ALL);
    let expected = [
        "2: {\"id\":\"1\",\"text\":\"a, \\\"b\\\"\\nc\"}",
        "4! 1 fields, and the header has 2",
        "5: {\"id\":\"3\",\"text\":\"x\"}",
    ];
    assert_eq!(found, expected);
    assert_eq!(read(b"id,id\n1,2\n", true, ALL), ["1! two columns are called `id`"]);
}

#[test]
fn no_more_than_the_limit_is_read() {
    let limits = Limits { records: 2, ..ALL };
    assert_eq!(read(b"{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n", false, limits), ["1: {\"a\":1}", "2: {\"a\":2}"]);
    assert_eq!(read(b"a\n1\n2\n3\n", true, limits), ["2: {\"a\":\"1\"}", "3: {\"a\":\"2\"}"]);
}
