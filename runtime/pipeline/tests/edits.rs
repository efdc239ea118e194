//! What [`diff`] says of an edit.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use runtime_diagnostics::Source;
use runtime_pipeline::{Pipeline, diff, parse};

const TRIAGE: &str = include_str!("fixtures/triage.toml");

fn read(text: &str) -> Pipeline {
    parse(&Source::new("triage.toml", text), &[]).unwrap_or_else(|problems| panic!("{problems}\n{text}"))
}

/// The changes of replacing each `from` by its `to`.
fn edit(replacements: &[(&str, &str)]) -> Vec<String> {
    let mut text = TRIAGE.to_owned();
    for (from, to) in replacements {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    diff(&read(TRIAGE), &read(&text)).iter().map(ToString::to_string).collect()
}

#[test]
fn an_edit_is_one_line_a_setting() {
    let at = "steps.triage.rungs.zero-shot";
    assert_eq!(edit(&[("threshold = 0.75 }  ", "threshold = 0.6 }")]), [format!("{at}.accept.threshold: 0.75 -> 0.6")]);
    assert_eq!(
        edit(&[("threshold = 0.75", "margin = 0.1")]),
        [format!("{at}.accept.margin: 0.1 (new)"), format!("{at}.accept.threshold: 0.75 (gone)"),]
    );
    assert_eq!(
        edit(&[("\"bug report\", ", "\"refund\", \"bug\", ")]),
        [r#"steps.triage.labels: + "refund", + "bug", - "bug report""#,]
    );
    assert_eq!(
        edit(&[("\"./models/triage-nli\"", "\"org/nli\"")]),
        [r#"models.nli.source: "./models/triage-nli" -> "org/nli""#,]
    );
    assert_eq!(
        edit(&[("rung = \"triage.rung\"", ""), ("rung = \"zero-shot\", ", "")]),
        [r#"output.rung: "triage.rung" (gone)"#, r#"tests.a double charge is billing.expect.rung: "zero-shot" (gone)"#,]
    );
}

#[test]
fn another_order_is_a_change() {
    let (first, rest) = TRIAGE.split_once("[[steps.rungs]]").unwrap();
    let (zero_shot, rest) = rest.split_once("[[steps.rungs]]").unwrap();
    let (llm, rest) = rest.split_once("[output]").unwrap();
    let swapped = format!("{first}[[steps.rungs]]{llm}[[steps.rungs]]{zero_shot}[output]{rest}");
    let changes: Vec<String> = diff(&read(TRIAGE), &read(&swapped)).iter().map(ToString::to_string).collect();
    assert_eq!(changes, [r#"steps.triage.rungs: ["zero-shot","llm"] -> ["llm","zero-shot"]"#]);
}

#[test]
fn comments_layout_and_written_defaults_are_no_change() {
    assert_eq!(edit(&[]), [""; 0]);
    let uncommented = [
        ("# max_record_bytes = 262144        # longer", "max_record_bytes = 262144 # long"),
        ("# multi_label = false", "multi_label = false"),
        ("accept = { threshold = 0.75 } ", "accept.threshold = 7.5e-1"),
    ];
    assert_eq!(edit(&uncommented), [""; 0]);
}

#[test]
fn a_parameter_of_a_task_is_a_setting() {
    let text = include_str!("fixtures/tasks.toml");
    let edited = text.replace("max_answer_len = 30", "top_k = 2").replace("stride = 32", "stride = 16");
    let edited = edited.replace("question = \"moderate.label\"", "question = \"title\"");
    let changes: Vec<String> = diff(&read(text), &read(&edited)).iter().map(ToString::to_string).collect();
    let expected = [
        "steps.entities.stride: 32 -> 16",
        "steps.answer.question: \"moderate.label\" -> \"title\"",
        "steps.answer.top_k: 2 (new)",
        "steps.answer.max_answer_len: 30 (gone)",
    ];
    assert_eq!(changes, expected);
}
