//! Stop strings in texts of random pieces: where they end the text, and what a stream shows of it.

use runtime_generation::{StopStrings, TextStream};
use serde_json::Value;

use super::{cases, size, tokens};

fn texts(value: &Value) -> Vec<String> {
    value.as_array().expect("texts").iter().map(|text| text.as_str().expect("a text").to_owned()).collect()
}

fn decoder(pieces: &[String]) -> impl Fn(&[u32]) -> Result<String, ()> + '_ {
    |tokens| Ok(tokens.iter().map(|token| pieces[usize::try_from(*token).expect("small")].as_str()).collect())
}

#[test]
fn texts_end_where_they_end_in_transformers() {
    let cases = cases(include_str!("../recorded/stops.jsonl"));
    assert!(cases.len() >= 60);
    let mut total = 0;
    for case in &cases {
        let (pieces, sequence) = (texts(&case["pieces"]), tokens(&case["sequence"]));
        let strings = StopStrings::new(&texts(&case["strings"]));
        let ends = |length: &usize| strings.end(&sequence[..*length], decoder(&pieces)) != Ok(None);
        let found: Vec<usize> = (1..=sequence.len()).filter(ends).collect();
        let recorded: Vec<usize> = case["ends"].as_array().expect("lengths").iter().map(size).collect();
        assert_eq!(found, recorded, "{} in {:?}", case["strings"], decoder(&pieces)(&sequence));
        total += found.len();
    }
    assert!(total > 100, "stop strings occur");
}

#[test]
fn a_stream_shows_what_is_before_the_first_stop_string() {
    for case in cases(include_str!("../recorded/stops.jsonl")) {
        let (pieces, sequence, strings) = (texts(&case["pieces"]), tokens(&case["sequence"]), texts(&case["strings"]));
        let decode = decoder(&pieces);
        let first = case["ends"][0].as_u64().map(|_| size(&case["ends"][0]));
        let whole = decode(&sequence[..first.unwrap_or(sequence.len())]).expect("text");
        let place = strings.iter().filter_map(|string| whole.find(string.as_str())).min();
        assert_eq!(place.is_some(), first.is_some());
        let mut stream = TextStream::new(&strings);
        let (mut shown, mut stopped) = (String::new(), None);
        for (count, token) in sequence.iter().enumerate() {
            shown += &stream.push(*token, &decode).expect("text");
            stopped = stopped.or(stream.stopped().then_some(count + 1));
        }
        shown += &stream.finish(&decode).expect("text");
        assert_eq!((shown.as_str(), stopped), (&whole[..place.unwrap_or(whole.len())], first));
    }
}

/// Tokens are parts of the bytes of a text, which may end within a character.
#[test]
fn a_stream_of_bytes_shows_whole_characters_and_loses_nothing() {
    let texts = ["naïve 漢字 🙂🙃 tête-à-tête", "一二三四五\u{FFFD}六", "abc", "¡🏳️‍🌈!"];
    let mut state = 9_u32;
    let mut below = |limit: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        usize::try_from(state >> 8).expect("small") % limit
    };
    for round in 0..400 {
        let text = texts[round % texts.len()].repeat(2);
        let mut pieces: Vec<&[u8]> = Vec::new();
        let mut left = text.as_bytes();
        while !left.is_empty() {
            let (piece, rest) = left.split_at(left.len().min(1 + below(5)));
            pieces.push(piece);
            left = rest;
        }
        let decode = |tokens: &[u32]| -> Result<String, ()> {
            let bytes: Vec<u8> =
                tokens.iter().flat_map(|token| pieces[usize::try_from(*token).expect("small")]).copied().collect();
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        let begin = below(text.chars().count() - 1);
        let stop: String = text.chars().skip(begin).take(1 + below(3)).collect();
        let stops = if round % 2 == 0 { vec![stop] } else { Vec::new() };
        let end = stops.first().map_or(text.len(), |stop| text.find(stop).expect("it is of the text"));
        let mut stream = TextStream::new(&stops);
        let mut shown = String::new();
        for token in 0..u32::try_from(pieces.len()).expect("few") {
            shown += &stream.push(token, decode).expect("text");
            assert!(text[..end].starts_with(&shown), "{shown:?} of {text:?} before {stops:?}");
        }
        shown += &stream.finish(decode).expect("text");
        assert_eq!((shown.as_str(), stream.stopped()), (&text[..end], !stops.is_empty()));
    }
}
