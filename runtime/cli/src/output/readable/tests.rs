//! What people see of each task, from results in the form of the Hugging Face pipelines.

use serde_json::json;

use super::*;

fn shown(kind: TaskKind, fields: Value, result: &Value, alone: bool) -> String {
    let Value::Object(fields) = fields else { panic!("{fields} is no record") };
    let mut written = Vec::new();
    let mut readable = Readable::new(&mut written, kind, false, alone);
    readable.write(7, &fields, result).expect("a buffer in memory");
    readable.finish().expect("a buffer in memory");
    drop(readable);
    String::from_utf8(written).expect("a text")
}

#[test]
fn entities_are_marked_in_their_text() {
    let result = json!([
        {"entity_group": "PER", "score": 0.9, "word": "ada", "start": 0, "end": 3},
        {"entity_group": "LOC", "score": 0.9, "word": "köln", "start": 7, "end": 11},
    ]);
    let text = json!({"text": "Adá in Köln."});
    let kind = TaskKind::TokenClassification;
    assert_eq!(shown(kind, text.clone(), &result, true), "[Adá PER] in [Köln LOC].\n");
    assert_eq!(shown(kind, text, &result, false), "    7  [Adá PER] in [Köln LOC].\n");
    let words = json!([[{"entity": "B-LOC", "score": 0.9, "index": 3, "word": "k", "start": 7, "end": 8}]]);
    assert_eq!(shown(kind, json!({"text": ["Adá", "in", "Köln"]}), &words, true), "Adá in [K B-LOC]öln\n");
}

#[test]
fn an_answer_is_marked_in_its_context() {
    let context = format!("{} She was born in Köln.", "Long ago. ".repeat(30));
    let start = context.chars().count() - 5;
    let best = json!({"score": 0.5, "start": start, "end": start + 4, "answer": "Köln"});
    let none = json!({"score": 0.25, "start": 0, "end": 0, "answer": ""});
    let found = shown(TaskKind::QuestionAnswering, json!({"context": context}), &json!([best, none]), true);
    let lines: Vec<&str> = found.lines().collect();
    assert!(lines[0].starts_with('…') && lines[0].ends_with("She was born in [Köln]."), "{found}");
    assert!(lines[1].starts_with("0.500  ██████████ ") && lines[1].ends_with("  Köln"), "{found}");
    assert!(lines[2].ends_with("  (no answer)"), "{found}");
    let found = shown(TaskKind::QuestionAnswering, json!({"context": "x"}), &none, true);
    assert_eq!(found.lines().count(), 1, "{found}");
}

#[test]
fn labels_have_bars_and_a_heading_where_there_are_several_texts() {
    let result = json!([{"label": "joy", "score": 0.75}, {"label": "fear", "score": 0.25}]);
    let fields = json!({"text": "so\nhappy"});
    let found = shown(TaskKind::TextClassification, fields.clone(), &result, false);
    let bars = format!("0.750  {}{}  joy", "█".repeat(15), " ".repeat(5));
    assert!(found.starts_with(&format!("    7  so happy\n       {bars}\n")), "{found}");
    let result = json!({"sequence": "so\nhappy", "labels": ["joy", "fear"], "scores": [0.75, 0.25]});
    assert_eq!(shown(TaskKind::ZeroShotClassification, fields, &result, false), found);
}

#[test]
fn vectors_are_told_by_their_first_numbers() {
    let fields = || json!({"text": "a"});
    let vector: Value = (0..10u8).map(f64::from).collect();
    let numbers = "  0.0000   1.0000   2.0000   3.0000   4.0000   5.0000   6.0000   7.0000 …";
    let found = shown(TaskKind::SentenceEmbedding, fields(), &vector, true);
    assert_eq!(found, format!("10 numbers  {numbers}\n"));
    let tokens: Value = (0..14).map(|_| vector.clone()).collect();
    let found = shown(TaskKind::FeatureExtraction, fields(), &json!([tokens]), true);
    let lines: Vec<&str> = found.lines().collect();
    assert_eq!(
        (lines[0], lines[1], lines[13]),
        ("14 tokens of 10 numbers", &*format!("  {numbers}"), "  … and 2 more")
    );
}

#[test]
fn candidates_pairs_and_documents() {
    let filled = json!([{"score": 0.5, "token": 7, "token_str": "cat", "sequence": "a cat"}]);
    let one = shown(TaskKind::FillMask, json!({"text": "a [MASK]"}), &filled, true);
    assert!(one.starts_with("a cat\n0.500  ██████████ ") && one.ends_with("  cat\n"), "{one}");
    let two = shown(TaskKind::FillMask, json!({"text": "a"}), &json!([filled, filled]), true);
    assert_eq!(two, one.repeat(2));
    let alike = shown(TaskKind::Similarity, json!({"text": "a", "text_pair": "b"}), &json!(-0.5), true);
    assert_eq!(alike, "   -0.500  similarity\n");
    let ranked = json!([{"corpus_id": 1, "score": 2.5, "text": "b"}, {"corpus_id": 0, "score": -1.0, "text": "a"}]);
    let found = shown(TaskKind::Rerank, json!({"query": "q", "documents": ["a", "b"]}), &ranked, true);
    assert_eq!(found, "    2.500  b\n   -1.000  a\n");
}
