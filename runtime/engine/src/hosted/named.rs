//! Which label an answer names, and how likely its tokens were.
//!
//! An answer is JSON with the label in it, or plain words. Words are compared without regard to case: first as a whole,
//! then as a part, where there is one label that the answer has in it. `bug` within `bug report` is not taken for itself.

use std::ops::Range;

use runtime_provider::TokenLogProb;
use serde_json::{Value, json};

/// The field that holds the label.
const FIELD: &str = "label";

/// Characters of an answer that are looked through; what is longer does not name one label.
const LONGEST: usize = 4000;

/// What ends the thoughts of a model that writes them into its answer.
const END_OF_THOUGHTS: &str = "</think>";

/// The schema of an answer that is one of `labels`.
pub(super) fn schema(labels: &[String]) -> Value {
    json!({
        "type": "object",
        "properties": {FIELD: {"type": "string", "enum": labels}},
        "required": [FIELD],
        "additionalProperties": false,
    })
}

/// A label by its index, and the bytes of the answer that name it, where they are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) label: usize,
    pub(super) place: Option<Range<usize>>,
}

/// The label that an answer names; `None` where it names none, or several.
pub(super) fn named(answer: &str, labels: &[String]) -> Option<Named> {
    let from = answer.rfind(END_OF_THOUGHTS).map_or(0, |at| at + END_OF_THOUGHTS.len());
    let said = &answer[from..];
    let moved = |named: Named, by: usize| {
        let place = named.place.map(|place| place.start + by..place.end + by);
        Named { place, ..named }
    };
    if let Some(value) = field(said) {
        let named = in_words(&value, labels)?;
        // Where it stands as it is written, which it does not where JSON has escaped it.
        return Some(match said.rfind(value.as_str()) {
            Some(at) => moved(named, from + at),
            None => Named { place: None, ..named },
        });
    }
    in_words(said, labels).map(|named| moved(named, from))
}

/// The label in an answer that is JSON, bare or between the marks of a block of code.
fn field(said: &str) -> Option<String> {
    let object = &said[said.find('{')?..=said.rfind('}')?];
    match serde_json::from_str::<Value>(object).ok()?.get(FIELD)? {
        Value::String(label) => Some(label.clone()),
        _ => None,
    }
}

fn in_words(said: &str, labels: &[String]) -> Option<Named> {
    let trimmed = said.trim();
    let start = said.len() - said.trim_start().len();
    let whole = |label: usize| Named { label, place: Some(start..start + trimmed.len()) };
    if let Some(label) = labels.iter().position(|label| label.trim() == trimmed) {
        return Some(whole(label));
    }
    let text = Lowered::of(said);
    if text.0.len() > LONGEST {
        return None;
    }
    let mut found: Vec<(usize, Range<usize>)> = Vec::new();
    for (label, written) in labels.iter().enumerate() {
        found.extend(text.places_of(written.trim()).map(|place| (label, place)));
    }
    let within = |(_, inner): &(usize, Range<usize>)| {
        let around = |outer: &Range<usize>| outer.start <= inner.start && inner.end <= outer.end && outer != inner;
        found.iter().any(|(_, outer)| around(outer))
    };
    let mut apart = found.iter().filter(|place| !within(place));
    let (label, place) = apart.next()?;
    apart.all(|(other, _)| other == label).then(|| Named { label: *label, place: Some(place.clone()) })
}

/// The characters of a text in lower case, each with the bytes of the text that it stands for.
struct Lowered(Vec<(char, Range<usize>)>);

impl Lowered {
    fn of(text: &str) -> Self {
        let lowered = text.char_indices().take(LONGEST + 1).flat_map(|(at, char)| {
            let bytes = at..at + char.len_utf8();
            char.to_lowercase().map(move |lower| (lower, bytes.clone()))
        });
        Self(lowered.collect())
    }

    /// Where `label` stands with no letter or digit on either side.
    fn places_of(&self, label: &str) -> impl Iterator<Item = Range<usize>> {
        let wanted: Vec<char> = label.chars().flat_map(char::to_lowercase).collect();
        let ends = (0..self.0.len()).map(move |start| (start, start + wanted.len(), wanted.clone()));
        ends.filter_map(|(start, end, wanted)| {
            let window = self.0.get(start..end).filter(|window| !window.is_empty())?;
            let same = window.iter().map(|(char, _)| char).eq(&wanted);
            let part =
                |at: Option<usize>| at.and_then(|at| self.0.get(at)).is_some_and(|(char, _)| char.is_alphanumeric());
            let apart = !part(start.checked_sub(1)) && !part(Some(end));
            (same && apart).then(|| window[0].1.start..window[window.len() - 1].1.end)
        })
    }
}

/// The probability of the tokens that a part of the answer is made of; `None` where they are not told, or are not those
/// of the answer.
pub(super) fn probability(answer: &str, tokens: Option<&[TokenLogProb]>, place: Option<Range<usize>>) -> Option<f32> {
    let (tokens, place) = (tokens?, place?);
    let mut at = 0;
    let mut sum = 0.0;
    for token in tokens {
        // A mark of the end may be told as a token too.
        let Some(rest) = answer.get(at..).filter(|rest| !rest.is_empty()) else { break };
        if !rest.starts_with(&token.token) {
            return None;
        }
        let end = at + token.token.len();
        if at < place.end && place.start < end {
            sum += token.logprob;
        }
        at = end;
    }
    #[expect(clippy::cast_possible_truncation, reason = "a score has single precision")]
    let probability = sum.exp() as f32;
    (at >= place.end && (0.0..=1.001).contains(&probability)).then(|| probability.min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> Vec<String> {
        ["billing", "bug", "bug report", "Größe", "other"].map(str::to_owned).to_vec()
    }

    /// The label that `answer` names, and the words that name it.
    fn found(answer: &str) -> Option<(String, Option<String>)> {
        let labels = labels();
        let named = named(answer, &labels)?;
        Some((labels[named.label].clone(), named.place.map(|place| answer[place].to_owned())))
    }

    fn some(label: &str, words: &str) -> Option<(String, Option<String>)> {
        Some((label.to_owned(), Some(words.to_owned())))
    }

    #[test]
    fn an_answer_names_one_label() {
        assert_eq!(found("billing"), some("billing", "billing"));
        assert_eq!(found(" \nBilling.\n"), some("billing", "Billing"));
        assert_eq!(found("The label is **Bug Report**, I think."), some("bug report", "Bug Report"));
        assert_eq!(found("GRÖSSE? No: GRÖßE"), some("Größe", "GRÖßE"));
        assert_eq!(found("bug, yes, a bug"), some("bug", "bug"));
        assert_eq!(found("<think>billing or a bug?</think>\nother"), some("other", "other"));
    }

    #[test]
    fn an_answer_in_json_names_its_label() {
        assert_eq!(found(r#"{"label": "bug report"}"#), some("bug report", "bug report"));
        assert_eq!(found("```json\n{\"label\":\"Other\"}\n```"), some("other", "Other"));
        assert_eq!(found(r#"{"label": "Gr\u00f6\u00dfe"}"#), Some(("Größe".to_owned(), None)));
        assert_eq!(found(r#"{"label": "nonsense", "not": "billing"}"#), None);
        assert_eq!(found(r#"{"label": 3}"#), None);
    }

    #[test]
    fn what_names_none_or_several_is_no_answer() {
        let answers = ["", "   ", "I cannot say", "billing or other", "a bug and a bug report", "debugging", "another"];
        for answer in answers.into_iter().chain(["{}", "{\"label\":", "}{"]) {
            assert_eq!(found(answer), None, "{answer}");
        }
        assert_eq!(found(&("billing ".to_owned() + &"x".repeat(LONGEST))), None);
        let empty: [String; 2] = ["".to_owned(), " ".to_owned()];
        assert_eq!(named("something", &empty), None);
    }

    #[test]
    fn the_probability_is_that_of_the_label_alone() {
        let token = |token: &str, logprob: f64| TokenLogProb { token: token.to_owned(), logprob, top: Vec::new() };
        let answer = r#"{"label":"bug report"}"#;
        let tokens = [
            token("{\"", -3.0),
            token("label\":\"", -3.0),
            token("bug", -0.5),
            token(" report", -0.25),
            token("\"}", -3.0),
        ];
        let place = named(answer, &labels()).expect("a label").place;
        let share = |tokens: &[TokenLogProb]| probability(answer, Some(tokens), place.clone());
        assert_eq!(share(&tokens), Some((-0.75f32).exp()));
        assert_eq!(share(&tokens[..3]), None, "it ends within the label");
        assert_eq!(share(&tokens[1..]), None, "these are the tokens of another text");
        assert_eq!(share(&[]), None);
        assert_eq!(probability(answer, None, place.clone()), None);
        assert_eq!(probability("bug", Some(&[token("bug", 0.0), token("<|end|>", -1.0)]), Some(0..3)), Some(1.0));
        assert_eq!(probability("bug", Some(&[token("bug", f64::NAN)]), Some(0..3)), None);
        assert_eq!(probability("bug", Some(&[token("", -1.0), token("bug", 2.0)]), Some(0..3)), None);
    }
}
