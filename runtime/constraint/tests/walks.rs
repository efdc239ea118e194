//! Texts written at random under constraints, token by token, over recorded vocabularies: what comes is what the
//! constraint asks for, by other means than those that wrote it.

mod schema;

use std::path::Path;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use regex::Regex;
use runtime_constraint::{Constraint, Error, Matcher, Vocabulary, check};
use runtime_diagnostics::Explain;
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

/// Why a constraint is refused, and what to do about it: by a vocabulary, and before a model is known.
fn refused(model: &Model, constraint: &Constraint) -> (String, Option<String>) {
    let error = matcher(model, constraint).expect_err("it is refused");
    assert_eq!(check(constraint), Err(error.clone()), "without a model");
    (error.to_string(), error.hint())
}

#[test]
fn what_cannot_be_used_is_refused_before_anything_is_written() {
    let (_, model) = models().next().expect("there is one");
    let refused = |constraint: Constraint| refused(&model, &constraint).0;
    let schema = |schema: Value| refused(Constraint::JsonSchema(schema));
    let regex = |regex: &str| refused(Constraint::Regex(regex.to_owned()));
    let grammar = |text: &str| refused(Constraint::Grammar(text.to_owned()));
    let nothing = "there is nothing that it could begin with";
    let cases = [
        (
            schema(json!({"type": "integer", "minimum": 5, "maximum": 3})),
            "no text satisfies `json_schema`: minimum (5) is greater than maximum (3)".to_owned(),
        ),
        (schema(json!(false)), "no text satisfies `json_schema`: schema is false".to_owned()),
        (schema(json!({"enum": []})), "no text satisfies `json_schema`: anyOf is empty".to_owned()),
        (schema(json!({"$ref": "#"})), format!("no text satisfies `json_schema`: {nothing}")),
        (regex(""), "`regex` allows nothing but the empty text".to_owned()),
        (regex("()"), "`regex` allows nothing but the empty text".to_owned()),
        (regex(r"[^\s\S]"), format!("no text satisfies `regex`: {nothing}")),
        (grammar("start: start"), format!("no text satisfies `grammar`: {nothing}")),
        (refused(Constraint::Choices(Vec::new())), "`choices` cannot be used: there is no choice".to_owned()),
        (refused(Constraint::Choices(vec![String::new()])), "`choices` cannot be used: a choice is empty".to_owned()),
    ];
    for (message, expected) in cases {
        assert_eq!(message, expected);
    }
}

#[test]
fn what_is_wrong_is_told_of_what_was_written_and_where() {
    let (_, model) = models().next().expect("there is one");
    let told = |constraint: Constraint, expected: &str, advice: &str| {
        let (message, hint) = refused(&model, &constraint);
        assert_eq!(message, format!("`{}` cannot be used: {expected}", constraint.name()));
        assert!(hint.unwrap_or_default().contains(advice), "{message}");
    };
    let schema = |schema: Value, expected: &str, advice: &str| told(Constraint::JsonSchema(schema), expected, advice);
    let within = |part: Value| json!({"properties": {"a/b": {"anyOf": [{"type": "null"}, part]}}});
    let unique = json!({"type": "array", "uniqueItems": true});
    schema(
        unique.clone(),
        "the keyword `uniqueItems` cannot be followed while a text is written",
        "check the finished",
    );
    schema(
        // A property may have a keyword's name.
        json!({"properties": {"uniqueItems": {}, "list": unique}}),
        "in `#/properties/list`, the keyword `uniqueItems` cannot be followed while a text is written",
        "leave it out",
    );
    let place = "in `#/properties/a~1b/anyOf/1`,";
    let overlap = json!({"oneOf": [{"type": "string"}, {"type": "string", "maxLength": 3}]});
    schema(within(overlap), &format!("{place} `oneOf` has alternatives that may hold at the same time"), "`anyOf`");
    schema(within(json!({"type": "text"})), &format!("{place} there is no type `text`"), "`string`");
    schema(
        within(json!({"type": "string", "format": "x"})),
        &format!("{place} the format `x` is not known"),
        "pattern",
    );
    schema(within(json!({"properties": 3})), &format!("{place} properties must be an object"), "");
    for name in ["#/$defs/none", "https://example.com/a"] {
        let expected = format!("{place} `$ref` names `{name}`, which the schema does not have");
        schema(within(json!({"$ref": name})), &expected, "`#/$defs/name`");
    }
    let pattern = json!({"type": "string", "pattern": "a/(b"});
    let expected = "the pattern `a/(b` is wrong: unclosed group, at character 3: `(b`";
    schema(within(pattern), &format!("{place} {expected}"), "");

    let regex = |regex: &str, expected: &str| told(Constraint::Regex(regex.to_owned()), expected, "");
    regex("a/b(", "unclosed group, at character 4: `(`");
    regex("a\\", "incomplete escape sequence, reached end of pattern prematurely, at character 2: `\\`");
    regex("(?=a)b", "look-around, including look-ahead and look-behind, is not supported, at character 1: `(?=a)b`");

    let grammar = |text: &str, expected: &str| told(Constraint::Grammar(text.to_owned()), expected, "docs/syntax.md");
    grammar("start: other", "line 1, column 8: unknown name: \"other\"");
    grammar("start: (\"a\"", "line 1, column 12: expected token ')', found '\\n'");
    grammar("", "there is no rule `start`, which is what a text is");
    grammar("start: A\nA: /(/", "line 2, column 4: invalid regex \"(\": unclosed group");
    grammar(
        "start: A\nA: /a\\b/",
        "line 2, column 4: invalid regex \"a\\\\b\": boundaries and anchors are not supported",
    );
}

#[test]
fn what_is_too_large_says_so() {
    let (_, model) = models().next().expect("there is one");
    let many: Vec<String> = (0..120_000).map(|number| format!("value number {number}")).collect();
    let properties: Value = (0..60_000).map(|number| (format!("p{number}"), json!({"type": "string"}))).collect();
    let constraints = [
        (Constraint::JsonSchema(json!({"properties": properties})), "fewer properties"),
        (Constraint::Choices(many), "fewer or shorter texts"),
        (Constraint::Regex("a".repeat(2 << 20)), "lower counts"),
        (Constraint::Grammar(rules(40_000)), "fewer rules"),
    ];
    for (constraint, advice) in constraints {
        let (message, hint) = refused(&model, &constraint);
        assert_eq!(message, format!("`{}` is too large to be followed", constraint.name()));
        assert!(hint.unwrap_or_default().starts_with(advice), "{message}");
    }
}

/// A grammar with rules that lead to each other.
fn rules(count: usize) -> String {
    let rules = (1..count).map(|rule| format!("a{rule}: \"x\" a{}\n", rule + 1));
    format!("start: a1\n{}a{count}: \"y\"\n", rules.collect::<String>())
}

#[test]
fn parts_that_lead_to_each_other_take_no_stack_of_the_caller() {
    let (_, model) = models().next().expect("there is one");
    let next = |number: usize| match number {
        3000 => json!({"type": "null"}),
        _ => json!({"properties": {"a": {"$ref": format!("#/$defs/{}", number + 1)}}, "required": ["a"]}),
    };
    let parts: Value = (0..=3000).map(|number| (number.to_string(), next(number))).collect();
    let chain = json!({"$defs": parts, "$ref": "#/$defs/0"});
    for constraint in [Constraint::JsonSchema(chain), Constraint::Grammar(rules(10_000))] {
        let mut matcher = matcher(&model, &constraint).expect("it compiles");
        let (text, _) = walk(&model, &mut matcher, &mut ChaCha8Rng::seed_from_u64(0), 20);
        assert!(!text.is_empty());
    }
}

#[test]
fn a_token_that_a_grammar_names_is_a_models() {
    let (_, model) = models().next().expect("there is one");
    let grammar = Constraint::Grammar("start: \"a\" <|nobody_has_it|>".to_owned());
    assert_eq!(check(&grammar), Ok(()));
    let error = matcher(&model, &grammar).expect_err("it is refused");
    let expected = "line 1, column 8: unknown special token: \"<|nobody_has_it|>\"";
    assert_eq!(error, Error::NoToken { name: "grammar", reason: expected.to_owned() });
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
