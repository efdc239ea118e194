//! What holds for every text: planted values, random texts, a model that is stood in for.

use std::ops::Range;

use fastrand::Rng;
use runtime_plugin_sdk::serde_json::{Value, json};
use runtime_plugin_sdk::testing::with_host;
use runtime_plugin_sdk::{Failure, Fields, Host, step::Step};

use super::RedactPii;

fn fields(value: Value) -> Fields {
    match value {
        Value::Object(fields) => fields,
        other => panic!("{other} is no object"),
    }
}

fn redact(text: &str, parameters: Value) -> Result<Fields, String> {
    RedactPii::start(&fields(parameters))?.process(&fields(json!({ "text": text })))
}

fn text(outputs: &Fields) -> &str {
    outputs["text"].as_str().expect("a text")
}

/// The spans of the entities, checked against their order.
fn spans(outputs: &Fields) -> Vec<(String, Range<usize>)> {
    let entities = outputs["entities"].as_array().expect("a list");
    assert_eq!(outputs["found"], entities.len());
    let number = |value: &Value| usize::try_from(value.as_u64().expect("a number")).expect("small");
    let span = |entity: &Value| {
        let kind = entity["kind"].as_str().expect("a kind").to_owned();
        (kind, number(&entity["start"])..number(&entity["end"]))
    };
    let spans: Vec<_> = entities.iter().map(span).collect();
    assert!(spans.windows(2).all(|two| two[0].1.end <= two[1].1.start), "{spans:?}");
    spans
}

/// The text put together again from the spans, by characters rather than bytes.
fn by_hand(text: &str, spans: &[(String, Range<usize>)]) -> String {
    let characters: Vec<char> = text.chars().collect();
    let mut written = String::new();
    let mut end = 0;
    for (kind, range) in spans {
        written.extend(&characters[end..range.start]);
        written.push_str(&format!("[{}]", kind.to_uppercase()));
        end = range.end;
    }
    written.extend(&characters[end..]);
    written
}

fn digits(rng: &mut Rng, count: usize) -> String {
    (0..count).map(|_| char::from(b'0' + rng.u8(0..10))).collect()
}

/// The digit that makes a number one of Luhn, by trial.
fn with_luhn(start: &str) -> String {
    let sum = |number: &str| -> u32 {
        let doubled = |(place, byte): (usize, u8)| {
            let digit = u32::from(byte - b'0') * if place % 2 == 1 { 2 } else { 1 };
            digit / 10 + digit % 10
        };
        number.bytes().rev().enumerate().map(doubled).sum()
    };
    let numbers = (0..10).map(|digit| format!("{start}{digit}"));
    numbers.into_iter().find(|number| sum(number) % 10 == 0).expect("one of ten")
}

/// A German account, its check digits by ISO 7064: 98 less the remainder with `00` in their place.
fn iban(rng: &mut Rng) -> String {
    let account = digits(rng, 18);
    let remainder = format!("{account}131400").bytes().fold(0, |rest, byte| (rest * 10 + u32::from(byte - b'0')) % 97);
    format!("DE{:02}{account}", 98 - remainder)
}

fn grouped(number: &str, size: usize, gap: &str) -> String {
    number.as_bytes().chunks(size).map(|group| String::from_utf8_lossy(group)).collect::<Vec<_>>().join(gap)
}

/// A random value of a kind, in one of the ways that it is written.
fn value(rng: &mut Rng, kind: &str) -> String {
    let word = |rng: &mut Rng| {
        (0..rng.usize(2..8)).map(|_| *rng.choice(&['a', 'q', 'z', 'é', 'ß', 'я']).expect("one")).collect::<String>()
    };
    match kind {
        "email" => format!("{}.{}{}@{}.example.com", word(rng), word(rng), rng.u8(..), word(rng)),
        "phone" => match rng.u8(0..5) {
            0 => format!("+49 1{} {}", digits(rng, 2), digits(rng, 7)),
            1 => format!("+1 ({}) 555-{}", rng.u16(200..1000), digits(rng, 4)),
            2 => format!("0{}/{}", rng.u16(100..1000), digits(rng, 7)),
            3 => format!("{}-{}-{}", rng.u16(200..1000), rng.u16(200..1000), digits(rng, 4)),
            _ => format!("07{}", digits(rng, 9)),
        },
        "card" => {
            let number = with_luhn(&format!("4{}", digits(rng, 14)));
            grouped(&number, *rng.choice(&[4, 16]).expect("one"), rng.choice(&[" ", "-"]).expect("one"))
        }
        "iban" => grouped(&iban(rng), *rng.choice(&[4, 22]).expect("one"), " "),
        "ip" if rng.bool() => format!("{}.{}.{}.{}", rng.u8(..), rng.u8(..), rng.u8(..), rng.u8(..)),
        "ip" => format!("2001:db8:{:x}::{:x}", rng.u16(1..), rng.u16(1..)),
        _ => format!("{:03}-{:02}-{:04}", rng.u16(1..666), rng.u8(1..100), rng.u16(1..10000)),
    }
}

const KINDS: [&str; 6] = ["email", "phone", "card", "iban", "ip", "ssn"];

/// Words that no value is joined to.
const WORDS: [&str; 8] = ["Grüße", "please", "日本語", "🙂", "write to", "the day", "naïve", "I said:"];

#[test]
fn planted_values_are_gone_and_all_else_is_as_it_was() -> Result<(), String> {
    let mut rng = Rng::with_seed(1);
    for round in 0..2000 {
        let mut original = String::new();
        let mut planted = Vec::new();
        for _ in 0..rng.usize(1..6) {
            let kind = *rng.choice(&KINDS).expect("one");
            original.push_str(rng.choice(&WORDS).expect("one"));
            original.push_str(rng.choice(&[" ", " (", ", ", "\n"]).expect("one"));
            let value = value(&mut rng, kind);
            let start = original.chars().count();
            original.push_str(&value);
            planted.push((kind.to_owned(), start..original.chars().count(), value));
            original.push_str(rng.choice(&[". ", ") ", ", ", " "]).expect("one"));
        }
        original.push_str("end");
        let outputs = redact(&original, json!({}))?;
        for (_, _, value) in &planted {
            assert!(!text(&outputs).contains(value.as_str()), "round {round}: {value} is in {}", text(&outputs));
        }
        let expected: Vec<_> = planted.into_iter().map(|(kind, range, _)| (kind, range)).collect();
        assert_eq!(spans(&outputs), expected, "round {round}: {original}");
        assert_eq!(text(&outputs), by_hand(&original, &expected), "round {round}");
    }
    Ok(())
}

#[test]
fn random_texts_neither_panic_nor_lose_anything() -> Result<(), String> {
    let parts = [
        "1", "0", "42", "4111", "555", "+", "(", ")", "-", ".", "/", " ", "\n", "@", ":", "::", "a", "DE", "é", "🙂",
        "x.com", "\u{a0}", "€", "#", "_", "fe80", "\u{301}", "２", "٣", "tel ", "00", "1111",
    ];
    let mut rng = Rng::with_seed(2);
    let mut found = 0;
    for _ in 0..20_000 {
        let original: String = (0..rng.usize(0..24)).map(|_| *rng.choice(&parts).expect("one")).collect();
        let outputs = redact(&original, json!({}))?;
        let spans = spans(&outputs);
        found += spans.len();
        assert_eq!(text(&outputs), by_hand(&original, &spans), "{original:?}");
    }
    assert!(found > 1000, "such texts have something to be found: {found}");
    Ok(())
}

#[test]
fn only_the_kinds_that_are_asked_for_are_taken() -> Result<(), String> {
    let original = "a@b.com, 4111 1111 1111 1111, 192.0.2.1";
    assert_eq!(text(&redact(original, json!({"kinds": ["ip"]}))?), "a@b.com, 4111 1111 1111 1111, [IP]");
    assert_eq!(
        text(&redact(original, json!({"kinds": ["card"], "placeholder": "<{kind}/{kind}>"}))?),
        "a@b.com, <CARD/CARD>, 192.0.2.1"
    );
    assert_eq!(text(&redact(original, json!({"placeholder": "█"}))?), "█, █, █");
    Ok(())
}

#[test]
fn numbers_tell_values_apart_and_not_the_ways_to_write_them() -> Result<(), String> {
    let original = "A@b.com c@d.org a@B.com; 4111 1111 1111 1111, 4111-1111-1111-1111; +44 20 7946 0958, +442079460958";
    let numbered = redact(original, json!({"numbered": true}))?;
    assert_eq!(text(&numbered), "[EMAIL_1] [EMAIL_2] [EMAIL_1]; [CARD_1], [CARD_1]; [PHONE_1], [PHONE_1]");
    let kept = redact("c@d.org 4012 8888 8888 1881", json!({"numbered": true, "keep_last": 4}))?;
    assert_eq!(text(&kept), "[EMAIL_1] [CARD_1 ****1881]", "each text begins with 1");
    Ok(())
}

/// A model that finds what it is told to.
struct Model(Value);

impl Host for Model {
    fn run(&self, model: &str, input: Fields) -> Result<Value, Failure> {
        assert!(model == "ner" && input.keys().eq(["text"]));
        Ok(self.0.clone())
    }
}

#[test]
fn names_are_those_of_the_model() {
    let original = "Zoë Ünal of Köln wrote zoe@example.com";
    let entity = |label: &str, score: f64, start: usize, end: usize| json!({"entity_group": label, "score": score, "word": "x", "start": start, "end": end});
    let said = json!([
        entity("PER", 0.99, 0, 8),
        entity("B-LOC", 0.9, 12, 16),
        entity("PER", 0.4, 17, 22),
        entity("MISC", 0.9, 17, 22),
        entity("ORG", 0.9, 23, 26),
    ]);
    let all = json!({"kinds": ["person", "place", "organisation", "email"], "numbered": true});
    with_host(Model(said.clone()), || {
        let outputs = redact(original, all.clone()).expect("it is granted");
        assert_eq!(
            text(&outputs),
            "[PERSON_1] of [PLACE_1] wrote [EMAIL_1]",
            "the address is longer than the name in it"
        );
        assert_eq!(spans(&outputs)[0], ("person".to_owned(), 0..8));
        assert_eq!(
            text(&redact(original, json!({"kinds": ["place"]})).expect("it")),
            "Zoë Ünal of [PLACE] wrote zoe@example.com"
        );
        // Nobody is asked where only rules are needed, or there is nothing to ask about.
        assert_eq!(text(&redact(original, json!({})).expect("it")), "Zoë Ünal of Köln wrote [EMAIL]");
        assert_eq!(text(&redact(" -", all.clone()).expect("it")), " -");
    });
    for wrong in
        [json!({}), json!([entity("PER", 1.0, 3, 400)]), json!([entity("PER", 1.0, 5, 4)]), json!([{"entity": "PER"}])]
    {
        let refused = with_host(Model(wrong), || redact(original, all.clone()));
        assert!(refused.expect_err("it is no answer").starts_with("the model `ner`"));
    }
}

#[test]
fn without_the_model_names_are_an_error() {
    struct Nothing;
    impl Host for Nothing {}
    let refused = with_host(Nothing, || redact("Ann", json!({"kinds": ["person"]})));
    assert_eq!(refused.expect_err("not granted"), "`kinds` has some that only a model finds, and `ner` is not granted");
}
