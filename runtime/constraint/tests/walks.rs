//! Texts written at random under constraints, token by token, over recorded vocabularies: what comes is what the
//! constraint asks for, by other means than those that wrote it.

mod schema;

use std::path::Path;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use regex::Regex;
use runtime_constraint::{Constraint, Error, Matcher, Vocabulary};
use runtime_models::{ModelFolder, TokenBytes, Tokenizer};
use serde_json::{Value, json};

/// A vocabulary, and what to read its tokens by.
struct Model {
    tokenizer: Tokenizer,
    vocabulary: Vocabulary,
    /// Scores of a step: some more than there are tokens.
    size: usize,
}

/// The token that ends a text: none that the vocabulary has.
fn end(model: &Model) -> u32 {
    u32::try_from(model.size - 1).expect("small")
}

fn models() -> impl Iterator<Item = (&'static str, Model)> {
    ["gpt2", "mistral"].into_iter().map(|name| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/goldens/models").join(name);
        let tokenizer = ModelFolder::new(folder).tokenizer().expect("it opens");
        let size = usize::try_from(tokenizer.highest_id()).expect("small") + 40;
        let vocabulary = Vocabulary::new(&tokenizer, size).expect("it has bytes");
        (name, Model { tokenizer, vocabulary, size })
    })
}

fn matcher(model: &Model, constraint: &Constraint) -> Result<Matcher, Error> {
    model.vocabulary.compile(constraint, false)
}

/// The tokens that may come next.
fn allowed(model: &Model, matcher: &mut Matcher) -> Vec<u32> {
    let mut scores = vec![0.0; model.size];
    matcher.restrict(&mut scores, &[end(model)]).expect("some token may come");
    (0..).zip(&scores).filter(|(_, score)| **score == 0.0).map(|(token, _)| token).collect()
}

/// A text of at most `most` tokens, whether it came to its end, and the tokens.
fn walk(model: &Model, matcher: &mut Matcher, random: &mut ChaCha8Rng, most: usize) -> (String, bool) {
    let mut bytes = Vec::new();
    let all = model.tokenizer.token_bytes().expect("it has bytes");
    for _ in 0..most {
        if matcher.is_complete() {
            return (text(bytes), true);
        }
        let allowed = allowed(model, matcher);
        let place = usize::try_from(random.next_u32()).expect("a number") % allowed.len();
        let token = allowed[place];
        assert_eq!(allowed.contains(&end(model)), matcher.is_satisfied());
        if token == end(model) {
            return (text(bytes), true);
        }
        match &all[usize::try_from(token).expect("small")] {
            Some(TokenBytes::Text(more)) => bytes.extend_from_slice(more),
            other => panic!("{token} is allowed, and is {other:?}"),
        }
        matcher.accept(token).expect("it was allowed");
    }
    (text(bytes), false)
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Texts that came to their end, of as many walks.
fn texts(model: &Model, constraint: &Constraint, walks: u64, most: usize) -> Vec<String> {
    let mut found = Vec::new();
    for seed in 0..walks {
        let mut matcher = matcher(model, constraint).expect("it compiles");
        let (text, ended) = walk(model, &mut matcher, &mut ChaCha8Rng::seed_from_u64(seed), most);
        found.extend(ended.then_some(text));
    }
    found
}

#[test]
fn a_text_matches_its_regular_expression() {
    let regexes = [
        r"[a-z]{1,8}@[a-z]{1,8}\.(com|org)",
        r"\d{4}-\d{2}-\d{2}",
        r"^(yes|no|maybe)$",
        r"(a|b)*c?",
        r"\w{3,5} \p{Lu}\p{Ll}{0,3}",
        r#"[/"\\ \n]{2}x"#,
        "é{1,3}|日本",
    ];
    for (name, model) in models() {
        for regex in regexes {
            let checked = Regex::new(&format!("^(?:{regex})$")).expect("it is a regular expression");
            let texts = texts(&model, &Constraint::Regex(regex.to_owned()), 40, 60);
            assert!(texts.len() > 20, "{name}: `{regex}` came to its end {} times", texts.len());
            for text in texts {
                assert!(checked.is_match(&text), "{name}: `{text}` does not match `{regex}`");
            }
        }
    }
}

#[test]
fn a_choice_allows_exactly_the_tokens_that_it_goes_on_with() {
    let choices = ["bug", "bug report", "billing", "other \"quoted\" \\ \n\u{7f}\u{1}", "été", "a/b|c", " lead"]
        .map(str::to_owned);
    for (name, model) in models() {
        let all = model.tokenizer.token_bytes().expect("it has bytes");
        let mut ended = std::collections::BTreeSet::new();
        for seed in 0..60 {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let mut matcher = matcher(&model, &Constraint::Choices(choices.to_vec())).expect("it compiles");
            let mut written: Vec<u8> = Vec::new();
            while !matcher.is_complete() {
                let mut may_come: Vec<u32> = Vec::new();
                for (id, bytes) in (0_u32..).zip(&all) {
                    if let Some(TokenBytes::Text(bytes)) = bytes
                        && !bytes.is_empty()
                        && choices.iter().any(|choice| choice.as_bytes().starts_with(&[&written[..], bytes].concat()))
                    {
                        may_come.push(id);
                    }
                }
                if choices.iter().any(|choice| choice.as_bytes() == written) {
                    may_come.push(end(&model));
                }
                let allowed = allowed(&model, &mut matcher);
                assert_eq!(allowed, may_come, "{name}: behind `{}`", String::from_utf8_lossy(&written));
                let token = allowed[usize::try_from(random.next_u32()).expect("a number") % allowed.len()];
                if token == end(&model) {
                    break;
                }
                let Some(TokenBytes::Text(bytes)) = &all[usize::try_from(token).expect("small")] else { continue };
                written.extend_from_slice(bytes);
                matcher.accept(token).expect("it was allowed");
            }
            ended.insert(text(written));
        }
        assert!(ended.len() >= 5 && ended.iter().all(|text| choices.contains(text)), "{name}: {ended:?}");
    }
}

#[test]
fn json_is_valid_by_its_schema() {
    let schemas = schema::examples();
    for (name, model) in models() {
        for schema in &schemas {
            let texts = texts(&model, &Constraint::JsonSchema(schema.clone()), 30, 400);
            assert!(texts.len() > 15, "{name}: {schema} came to its end {} times", texts.len());
            for text in texts {
                let value: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("`{text}`: {error}"));
                assert_eq!(schema::why_not(schema, schema, &value), None, "{name}: `{text}` by {schema}");
            }
        }
    }
}

#[test]
fn a_grammar_gives_its_texts() {
    let grammar = "start: sum\nsum: NUMBER ((\"+\" | \"-\") NUMBER){1,3}\nNUMBER: /[1-9][0-9]{0,2}/";
    let checked = Regex::new("^[1-9][0-9]{0,2}([+-][1-9][0-9]{0,2}){1,3}$").expect("it is a regular expression");
    for (name, model) in models() {
        let texts = texts(&model, &Constraint::Grammar(grammar.to_owned()), 40, 60);
        assert!(texts.len() == 40 && texts.iter().all(|text| checked.is_match(text)), "{name}: {texts:?}");
    }
}

#[test]
fn behind_a_space_every_text_begins_with_one_more() {
    let constraints = [
        Constraint::Choices(vec!["a".to_owned(), "bc".to_owned()]),
        Constraint::Regex("a|bc".to_owned()),
        Constraint::JsonSchema(json!({"enum": ["a", "bc"]})),
        Constraint::Grammar("start: \"a\" | \"bc\"".to_owned()),
    ];
    for (name, model) in models() {
        for constraint in &constraints {
            for seed in 0..10 {
                let mut matcher = model.vocabulary.compile(constraint, true).expect("it compiles");
                let (text, ended) = walk(&model, &mut matcher, &mut ChaCha8Rng::seed_from_u64(seed), 20);
                let fits = [" a", " bc", " \"a\"", " \"bc\""].contains(&text.as_str());
                assert!(ended && fits, "{name}: `{text}` by {constraint:?}");
            }
        }
    }
}

#[test]
fn clones_go_their_own_ways() {
    let (_, model) = models().next().expect("there is one");
    let mut matcher = matcher(&model, &Constraint::Regex("(ab|cd)[xy]{3}".to_owned())).expect("it compiles");
    let id = |text: &str| model.tokenizer.id(text).expect("it is a token");
    let before = allowed(&model, &mut matcher);
    let mut other = matcher.clone();
    matcher.accept(id("a")).expect("it is allowed");
    assert_eq!(allowed(&model, &mut other), before);
    other.accept(id("c")).expect("it is allowed");
    assert_eq!(allowed(&model, &mut matcher), [id("b")]);
    assert_eq!(allowed(&model, &mut other), [id("d")]);
    assert!(other.accept(id("b")).is_err());
    assert_eq!(allowed(&model, &mut matcher), [id("b")]);
}

#[test]
fn what_cannot_be_used_is_refused_before_anything_is_written() {
    let (_, model) = models().next().expect("there is one");
    let refused = |constraint: Constraint| matcher(&model, &constraint).expect_err("it is refused").to_string();
    let schema = |schema: Value| refused(Constraint::JsonSchema(schema));
    let regex = |regex: &str| refused(Constraint::Regex(regex.to_owned()));
    let cases = [
        (schema(json!({"type": "integer", "minimum": 5, "maximum": 3})), "no text satisfies `json_schema`"),
        (schema(json!(false)), "no text satisfies `json_schema`"),
        (schema(json!({"enum": []})), "no text satisfies `json_schema`"),
        (schema(json!({"type": "nothing"})), "`json_schema` cannot be used"),
        (schema(json!({"$ref": "#/$defs/none"})), "`json_schema` cannot be used"),
        (schema(json!({"type": "array", "uniqueItems": true})), "`json_schema` cannot be used"),
        (regex("("), "`regex` cannot be used"),
        (regex("a\\"), "`regex` cannot be used"),
        (regex(""), "`regex` allows nothing but the empty text"),
        (regex("()"), "`regex` allows nothing but the empty text"),
        (regex(r"[^\s\S]"), "no text satisfies `regex`"),
        (regex("(?=a)b"), "`regex` cannot be used"),
        (refused(Constraint::Choices(Vec::new())), "`choices` cannot be used: there is no choice"),
        (refused(Constraint::Choices(vec![String::new()])), "`choices` cannot be used: a choice is empty"),
        (refused(Constraint::Grammar("start: other".to_owned())), "`grammar` cannot be used"),
        (refused(Constraint::Grammar(String::new())), "`grammar` cannot be used"),
    ];
    let told: Vec<String> = cases.iter().map(|(message, _)| message.clone()).collect();
    for (message, expected) in cases {
        assert!(message.starts_with(expected), "`{message}` does not begin with `{expected}`\nall: {told:#?}");
        assert!(!message.contains('\n') && !message.contains("non-verbose"), "{message}");
    }
}

#[test]
fn what_other_parameters_rule_out_is_told() {
    let (_, model) = models().next().expect("there is one");
    let mut matcher = matcher(&model, &Constraint::Choices(vec!["a".to_owned()])).expect("it compiles");
    let mut scores = vec![f32::NEG_INFINITY; model.size];
    scores[usize::try_from(end(&model)).expect("small")] = 1.0;
    let error = matcher.restrict(&mut scores, &[end(&model)]).expect_err("nothing is left");
    assert_eq!(error, Error::RuledOut { name: "choices" });
}

#[test]
fn a_vocabulary_that_cannot_write_it_says_so() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/goldens/models/t5");
    let tokenizer = ModelFolder::new(folder).tokenizer().expect("it opens");
    let vocabulary = Vocabulary::new(&tokenizer, 392).expect("it has bytes");
    let error = vocabulary.compile(&Constraint::Choices(vec!["日".to_owned()]), false).expect_err("it is refused");
    let expected = "no text satisfies `choices`: no token of the model's vocabulary can come next";
    assert_eq!(error.to_string(), expected);
    // Where the text may end before it, it ends there.
    let mut matcher = vocabulary.compile(&Constraint::Regex("a(日)?".to_owned()), false).expect("`a` can be written");
    matcher.accept(tokenizer.id("a").expect("it is a token")).expect("it is allowed");
    let mut scores = vec![0.0; 392];
    matcher.restrict(&mut scores, &[1]).expect("it may end");
    assert_eq!(scores.iter().filter(|score| **score == 0.0).count(), 1);
    assert!(scores[1] == 0.0 && matcher.is_complete() && matcher.is_satisfied());
}

#[test]
fn tokens_without_bytes_cannot_be_constrained() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/goldens/models/bert-mlm");
    let tokenizer = ModelFolder::new(folder).tokenizer().expect("it opens");
    assert_eq!(Vocabulary::new(&tokenizer, 100).expect_err("it is refused"), Error::Tokenizer);
}
