//! Overrides: what a key can lead to, what a value can be, and how a wrong one is reported.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use runtime_diagnostics::{Problems, Source, Style, render};
use runtime_pipeline::{Pipeline, parse, parse_without_tests};
use serde_json::{Value, json};

const TRIAGE: &str = include_str!("fixtures/triage.toml");

fn with(overrides: &[&str]) -> Result<Pipeline, Problems> {
    let overrides: Vec<_> = overrides.iter().map(|text| text.parse().unwrap()).collect();
    parse(&Source::new("triage.toml", TRIAGE), &overrides)
}

/// The setting `key` of the pipeline with one override.
fn setting(over: &str, key: &str) -> Option<Value> {
    let pipeline = with(&[over]).unwrap_or_else(|problems| panic!("{over}: {problems}"));
    pipeline.settings().into_iter().find(|(name, _)| name == key).map(|(_, value)| value)
}

/// The only problem of the pipeline with one override, as the user sees it.
fn refusal(over: &str) -> String {
    let problems = with(&[over]).expect_err(over);
    let all: Vec<String> = problems.iter().map(|problem| render(problem, Style::default())).collect();
    assert_eq!(all.len(), 1, "{over}:\n{}", all.concat());
    all.concat()
}

#[test]
fn a_key_is_a_path_by_name_or_index_or_the_end_of_one() {
    let threshold = "steps.triage.rungs.zero-shot.accept.threshold";
    for key in [
        threshold,
        "steps.0.rungs.0.accept.threshold",
        "steps.triage.rungs.0.accept.threshold",
        "0.accept.threshold",
        "zero-shot.accept.threshold",
        "accept.threshold",
        "threshold",
    ] {
        assert_eq!(setting(&format!("{key}=0.6"), threshold), Some(json!(0.6)), "{key}");
    }
    assert_eq!(setting("name=other", "name"), Some(json!("other")), "a whole path wins over the end of others");
    assert_eq!(setting("labels.1=bugs", "steps.triage.labels").unwrap()[1], "bugs");
    let test = "tests.a double charge is billing.expect.label";
    assert_eq!(setting(&format!("{test}=other"), test), Some(json!("other")), "a name may hold spaces");
}

#[test]
fn a_path_that_does_not_exist_is_added() {
    for (over, key, value) in [
        ("steps.triage.rungs.zero-shot.multi_label=true", "steps.triage.rungs.zero-shot.multi_label", json!(true)),
        ("steps.0.rungs.0.accept.margin=0.1", "steps.triage.rungs.zero-shot.accept.margin", json!(0.1)),
        ("models.nli.plugin=a.wasm", "models.nli.plugin", json!("a.wasm")),
        ("models.new.source=./new", "models.new.source", json!("./new")),
        ("input.max_record_bytes=0x10", "input.max_record_bytes", json!(16)),
    ] {
        assert_eq!(setting(over, key), Some(value), "{over}");
    }
}

#[test]
fn a_value_is_toml_or_else_a_string() {
    for (value, read) in [
        ("'quoted'", json!("quoted")),
        ("\"a = b\"", json!("a = b")),
        ("plain words", json!("plain words")),
        ("org/name@v1.0", json!("org/name@v1.0")),
        ("a=b", json!("a=b")),
        ("é \"", json!("é \"")),
    ] {
        assert_eq!(setting(&format!("description={value}"), "description"), Some(read), "{value}");
    }
    assert_eq!(
        setting("labels=['a', 'other', 'billing']", "steps.triage.labels"),
        Some(json!(["a", "other", "billing"]))
    );
    assert_eq!(setting("accept={}", "steps.triage.rungs.zero-shot.accept.threshold"), None);
}

#[test]
fn the_last_of_several_wins() {
    let pipeline = with(&["threshold=0.1", "accept={ margin = 0.2 }", "margin=0.3"]).unwrap();
    let settings: serde_json::Map<String, Value> = pipeline.settings().into_iter().collect();
    assert_eq!(settings.get("steps.triage.rungs.zero-shot.accept.margin"), Some(&json!(0.3)));
    assert_eq!(settings.get("steps.triage.rungs.zero-shot.accept.threshold"), None);
}

#[test]
fn a_wrong_key_is_refused_with_candidates() {
    for (over, parts) in [
        (
            "model=nli",
            &["`model` could be one of 2 keys", "`steps.triage.rungs.zero-shot.model`", "rungs.llm.model"][..],
        ),
        ("thresold=0.5", &["no key `thresold`", "did you mean `threshold`?"]),
        ("zero-shot.acept.threshold=1", &["no key", "did you mean `zero-shot.accept.threshold`?"]),
        ("xyz=1", &["no key `xyz`", "the keys are `name`, `description`", "more"]),
        ("steps.triage.rungs.none.kind=llm", &["no key `steps.triage.rungs.none.kind`"]),
        ("steps.9.kind=llm", &["no key `steps.9.kind`"]),
        ("name.first=x", &["no key `name.first`"]),
        ("steps..kind=x", &["no key `steps..kind`"]),
    ] {
        let refusal = refusal(over);
        for part in parts {
            assert!(refusal.contains(part), "{over} lacks {part}:\n{refusal}");
        }
    }
    assert!(!refusal("label=0").contains("tests."), "the pipeline's tests are no candidates");
}

#[test]
fn a_wrong_value_is_pointed_at_on_the_command_line() {
    for (over, parts) in [
        ("threshold=1.5", &["`threshold` must be from 0 to 1", "--set threshold=1.5:1:11"][..]),
        ("threshold=high", &["`threshold` must be a number, not a string", "--set threshold=high:1:11"]),
        ("zero-shot.model=nlii", &["no model is named `nlii`", "did you mean `nli`?"]),
        ("steps.0.lables=1", &["unknown key `lables`", "--set steps.0.lables=1:1:1", "did you mean `labels`?"]),
    ] {
        let refusal = refusal(over);
        for part in parts {
            assert!(refusal.contains(part), "{over} lacks {part}:\n{refusal}");
        }
    }
}

#[test]
fn what_is_no_override_is_a_usage_error() {
    for text in ["threshold", "=1", " = 1", ""] {
        let problem = text.parse::<runtime_pipeline::Override>().expect_err(text);
        assert_eq!(problem.exit(), runtime_diagnostics::Exit::Usage, "{text}");
    }
}

#[test]
fn an_override_that_the_tests_do_not_fit_is_refused_with_them_alone() {
    let source = Source::new("triage.toml", TRIAGE);
    let over = ["text=body".parse().unwrap()];
    assert!(parse(&source, &over).unwrap_err().to_string().contains("`body`"));
    let pipeline = parse_without_tests(&source, &over).unwrap();
    assert!(pipeline.tests.is_empty());
    let labels = ["labels=['fine']".parse().unwrap()];
    assert!(!parse(&source, &labels).unwrap().warnings.is_empty());
    assert_eq!(parse_without_tests(&source, &labels).unwrap().warnings.len(), 0);
    let wrong = ["treshold=1".parse().unwrap()];
    assert!(parse_without_tests(&source, &wrong).is_err());
}
