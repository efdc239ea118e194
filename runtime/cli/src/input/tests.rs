//! Readers over texts in memory.

use futures::StreamExt;

use super::*;

fn read(text: &[u8], csv: bool, limits: Limits) -> Vec<String> {
    let text = text.to_vec();
    let read = move |items: &mut Items| {
        if csv { csv::read(&*text, limits, items) } else { jsonl::read(&*text, limits, items) }
    };
    described(start("t".to_owned(), limits.records, read))
}

fn described(items: Receiver<Item>) -> Vec<String> {
    let describe = |item| match item {
        Item::Record(record) => format!("{}: {}", record.line, Value::Object(record.fields)),
        Item::Bad { line, error } => format!("{line}! {error}"),
        Item::Failed(error) => format!("failed with {:?}: {error}", error.exit()),
    };
    block_on(items.map(describe).collect())
}

const ALL: Limits = Limits { record_bytes: 40, setting: "`input.max_record_bytes`", records: usize::MAX };

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
fn blanks_behind_a_record_do_not_count_and_hide_nothing() {
    let blanks = " ".repeat(100_000);
    let text = format!("{{\"a\": 1}}{blanks}\n{{\"b\": 2}}{blanks}oops\n{blanks}\n{blanks}{{\"text\": \"lost\"}}");
    let expected = [
        "1: {\"a\":1}",
        "2! a record of 100013 bytes, and `input.max_record_bytes` is 40",
        "3! an empty line is no record",
        "4! a record of 100016 bytes, and `input.max_record_bytes` is 40",
    ];
    assert_eq!(read(text.as_bytes(), false, ALL), expected);
    // Wherever the reader's buffer ends.
    for capacity in 1..64 {
        let text = format!("\u{feff}{{\"a\": 1}} \n  x{}y\n{{\"z\": 3}}", " ".repeat(60)).into_bytes();
        let read = move |items: &mut Items| jsonl::read(BufReader::with_capacity(capacity, &*text), ALL, items);
        let expected = ["1: {\"a\":1}", "2! a record of 65 bytes, and `input.max_record_bytes` is 40", "3: {\"z\":3}"];
        assert_eq!(described(start("t".to_owned(), ALL.records, read)), expected);
    }
}

#[test]
fn an_empty_line_is_told_where_a_record_follows() {
    let empty = "\n".repeat(1000);
    let found = read(format!("{empty}{{\"a\":1}}\n\n\n{{\"a\":2}}\n{empty}").as_bytes(), false, ALL);
    assert_eq!(found.len(), 1004);
    assert_eq!(
        found[999..],
        [
            "1000! an empty line is no record",
            "1001: {\"a\":1}",
            "1002! an empty line is no record",
            "1003! an empty line is no record",
            "1004: {\"a\":2}",
        ]
    );
}

#[test]
fn a_reader_that_panics_is_a_defect_and_no_end_of_the_input() {
    let read = |items: &mut Items| {
        items.bad(1, DataError::EmptyLine);
        panic!("a defect, on purpose")
    };
    let found = described(start("t".to_owned(), 10, read));
    assert_eq!(
        found,
        ["1! an empty line is no record", "failed with Internal: reading `t` ended by a defect of this program"]
    );
}

#[test]
fn csv_lines_are_counted_however_they_end() {
    for end in ["\n", "\r\n"] {
        let lines = ["a,b", "1,x", "", "2", "3,\"x", "y\"", "", "", "4", "5,z"];
        let found = read(lines.join(end).as_bytes(), true, ALL);
        let row = format!("5: {}", serde_json::json!({"a": "3", "b": format!("x{end}y")}));
        let (few, last) = ("1 fields, and the header has 2", "10: {\"a\":\"5\",\"b\":\"z\"}");
        assert_eq!(found, ["2: {\"a\":\"1\",\"b\":\"x\"}", &format!("4! {few}"), &row, &format!("9! {few}"), last]);
    }
}

#[test]
fn a_csv_record_is_as_long_as_it_is_written() {
    let (fits, long) = (format!("\"{}\"", "\"\"".repeat(19)), format!("\"{}\"\"\"", "\"\"".repeat(19)));
    assert_eq!((fits.len(), long.len()), (40, 42));
    let found = read(format!("a\r\n{fits}\r\n{long}\r\n{fits}").as_bytes(), true, ALL);
    let quotes = format!("{{\"a\":\"{}\"}}", "\\\"".repeat(19));
    let refused = "3! a record of 42 bytes, and `input.max_record_bytes` is 40";
    assert_eq!(found, [&*format!("2: {quotes}"), refused, &format!("4: {quotes}")]);
}

#[test]
fn a_quote_that_is_never_closed_does_not_read_the_rest() {
    struct Endless(u64);
    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0 += buffer.len() as u64;
            assert!(self.0 < 4 << 20, "no more is read than a record may be long, and some");
            buffer.fill(b'x');
            Ok(buffer.len())
        }
    }
    let input = (&b"a\n1\n\n\"x"[..]).chain(Endless(0));
    let found = described(start("t".to_owned(), ALL.records, move |items| csv::read(input, ALL, items)));
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(found[0], "2: {\"a\":\"1\"}");
    assert!(found[1].starts_with("4! a record that goes on far beyond the 40 bytes"), "{found:?}");
}

#[test]
fn a_quote_that_is_open_at_the_end_is_told_where_its_record_begins() {
    let open = "a quote that begins in this record is not closed";
    for rest in ["\"x\n3,y\n", "\"x", "\"", "\"x\"\"", "\"\"\"", "x,\"\n\n"] {
        let found = read(format!("a,b\n1,\"\"\"z\"\n\n2,{rest}").as_bytes(), true, ALL);
        assert_eq!(found, ["2: {\"a\":\"1\",\"b\":\"\\\"z\"}", &format!("4! {open}")], "{rest}");
    }
    assert_eq!(read("\u{feff}\"a\n1\n".as_bytes(), true, ALL), [format!("1! {open}")]);
    // A quote behind the beginning of a field is text.
    for (written, text) in [("5\" nail", "5\" nail"), ("\"x\"y\"", "xy\""), ("\"x\"", "x"), ("\"\"", "")] {
        let found = read(format!("a\n{written}").as_bytes(), true, ALL);
        assert_eq!(found, [format!("2: {}", serde_json::json!({ "a": text }))]);
    }
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
