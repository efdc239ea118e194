//! `runtime task`, and tasks as steps of a pipeline, as a user meets them.

use std::fs;
use std::path::Path;

use runtime_tests::{Finished, Following, Project, golden_model, root};
use serde_json::{Value, json};

/// A model of `tests/goldens` as an argument.
fn model(name: &str) -> String {
    golden_model(name).to_string_lossy().into_owned()
}

/// The model of the repository.
fn triage() -> String {
    root().join("pipelines/models/triage-nli").to_string_lossy().into_owned()
}

/// Runs `runtime task` in an empty folder.
fn task(task: &str, model: &str, arguments: &[&str]) -> Finished {
    Project::empty().run(["task", task, "--model", model].iter().chain(arguments))
}

/// A recorded case of `tests/goldens`.
fn case(path: &str) -> Value {
    let text = fs::read_to_string(root().join("tests/goldens/cases").join(path)).expect("the case");
    serde_json::from_str(&text).expect("JSON")
}

/// Whether two results are the same but for rounding.
fn close(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap_or(f64::NAN), b.as_f64().unwrap_or(f64::NAN));
            (a - b).abs() <= 1e-4 + 1e-3 * a.abs()
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| close(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| close(a, b)))
        }
        _ => a == b,
    }
}

#[track_caller]
fn assert_close(found: &Value, expected: &Value) {
    assert!(close(found, expected), "{found}\nis not\n{expected}");
}

/// Texts of many lengths.
fn texts(count: usize) -> Vec<String> {
    (0..count).map(|at| format!("text {at} {}", "an email about the new phone ".repeat(at % 7))).collect()
}

#[test]
fn a_text_has_its_result_alone() {
    let case = case("bert-emotion/02-text-classification-all-1.json");
    let text = case["input"]["text"].as_str().expect("a text");
    let found = task("text-classification", &model("bert-emotion"), &[text, "--param", "top_k=null"]).exits(0);
    assert_close(&found.records()[0], &case["expected"]["result"]);
    assert_eq!(found.stderr, "", "a single text is not worth a summary");
    let best = task("sentiment-analysis", &model("bert-emotion"), &[text]).exits(0);
    assert_eq!(best.records()[0].as_array().map(Vec::len), Some(1), "the default is the best label");

    let case = crate::case("triage-nli/01-zero-shot-classification-single.json");
    let text = case["input"]["sequences"].as_str().expect("a text");
    let labels: Vec<&str> =
        case["input"]["candidate_labels"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    let found = task("zero-shot-classification", &triage(), &[text, "--labels", &labels.join(",")]).exits(0);
    assert_close(&found.records()[0], &case["expected"]["result"]);
}

#[test]
fn entities_and_answers_as_recorded() {
    let text = "John Smith works at Acme Corporation in New York City since January 2015.";
    let arguments = [text, "--param", "aggregation_strategy=simple"];
    let found = task("ner", &model("bert-ner"), &arguments).exits(0).records();
    // `bert-ner/03-token-classification-simple-0`
    assert_close(
        &found[0][1],
        &json!({"entity_group": "ORG", "score": 0.716771, "word": "##hn Sm", "start": 2, "end": 7}),
    );
    let shown = task("ner", &model("bert-ner"), &[&arguments[..], &["--format", "table"]].concat()).exits(0);
    assert!(shown.stdout.starts_with("[J ORG]o[hn Sm ORG][ith PER] [work LOC]s"), "{}", shown.stdout);
    assert!(!shown.stdout.contains('\u{1b}'), "a pipe has no colours");

    let context =
        "Marie Curie was born in Warsaw and later moved to Paris to study physics. She won the Nobel Prize in 1903.";
    let arguments = ["--question", "Where was Marie Curie born?", "--context", context];
    let found = task("question-answering", &model("bert-qa"), &arguments).exits(0).records();
    // `bert-qa/01-question-answering-default-0`
    assert_close(&found[0], &json!({"score": 0.0134587, "start": 92, "end": 105, "answer": "Prize in 1903"}));
    let shown = task("question-answering", &model("bert-qa"), &[&arguments[..], &["--format", "table"]].concat());
    assert!(shown.exits(0).stdout.contains("the Nobel [Prize in 1903].\n0.013"));
}

#[test]
fn a_model_is_asked_for_pairs_documents_and_vectors() {
    let pair = ["A phone.", "--text-pair", "An email."];
    let found = task("similarity", &model("bert-embed"), &pair).exits(0).records();
    assert!(found[0].as_f64().is_some_and(|score| (-1.0..=1.0).contains(&score)), "{found:?}");
    let vectors = ["A phone.", "An email."].map(|text| {
        let vector = task("sentence-embedding", &model("bert-embed"), &[text]).exits(0).records().remove(0);
        serde_json::from_value::<Vec<f64>>(vector).expect("a vector")
    });
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let [a, b] = &vectors;
    assert_close(&found[0], &json!(dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()));

    let rerank = ["a phone", "--document", "An email.", "--document", "A new phone.", "--document", "Five days."];
    let found = task("rerank", &model("bert-reranker"), &rerank).exits(0).records().remove(0);
    let found = found.as_array().expect("a list");
    let scores: Vec<f64> = found.iter().filter_map(|document| document["score"].as_f64()).collect();
    assert_eq!(scores.len(), 3);
    assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");

    let filled = task("fill-mask", &model("bert-mlm"), &["The [MASK] opens.", "--param", "top_k=2"]).exits(0);
    assert_eq!(filled.records()[0].as_array().map(Vec::len), Some(2));
}

#[test]
fn records_come_in_every_form_and_keep_their_fields() {
    let project = Project::empty();
    project.write(
        "t.jsonl",
        "{\"id\": 0.10000000000000000001, \"text\": \"a phone\"}\n{\"text\": \"five days\", \"x\": [1]}\n",
    );
    project.write("t.csv", "id,text\n1,a phone\n2,five days\n");
    project.write("t.txt", "\u{feff}a phone  \r\nfive days\n");
    let emotion = model("bert-emotion");
    let run = |arguments: &[&str], input: &str| {
        let all = ["task", "text-classification", "--model", &emotion].into_iter().chain(arguments.iter().copied());
        project.run_on(input.as_bytes(), all).exits(0)
    };
    let json_lines = run(&["--input", "t.jsonl"], "");
    assert!(json_lines.stdout.starts_with("{\"id\": 0.10000000000000000001, \"text\": \"a phone\",\"result\":["));
    let results = json_lines.field("result");
    assert_ne!(results[0], results[1]);
    assert_eq!(json_lines.field("x"), [Value::Null, json!([1])]);
    assert!(json_lines.stderr.starts_with("2 texts in ") && json_lines.stderr.contains(" tokens/s)"));
    for (arguments, input) in [
        (&["--input", "t.csv"][..], ""),
        (&["--input", "t.txt"], ""),
        (&["--input", "-"], "a phone\nfive days"),
        (&["--input", "-"], "\u{feff}{\"text\": \"a phone\"}\n{\"text\": \"five days\"}"),
    ] {
        let found = run(arguments, input);
        assert_eq!((found.field("result"), found.field("text")), (results.clone(), json_lines.field("text")));
    }
    let _csv = run(&["--input", "t.csv", "--output", "out.csv", "--param", "top_k=1"], "");
    let written = project.read("out.csv");
    let label = results[0][0]["label"].as_str().expect("a label");
    assert!(written.starts_with(&format!("id,text,label,score,labels,scores\n1,a phone,{label},0.")), "{written}");
    assert_eq!(run(&["--input", "t.txt", "--limit", "1"], "").records().len(), 1);
    let questions = ["task", "question-answering", "--model", &model("bert-qa"), "--context", "a phone in the city"];
    project.write("q.txt", "What is it?\nWhere is it?\n");
    let found = project.run(questions.iter().copied().chain(["--input", "q.txt"])).exits(0);
    assert_eq!(found.field("question"), ["What is it?", "Where is it?"]);
    assert!(found.field("result").iter().all(|result| result["answer"].is_string()));
}

#[test]
fn what_cannot_be_answered_is_told_with_its_line() {
    let project = Project::empty();
    let input = "{\"text\": \"a phone\"}\n\n[1]\n{oops}\n{\"txt\": \"x\"}\n{\"text\": \" \"}\n{\"text\": 8}\n\
                 {\"text\": \"a\", \"result\": 1}\n{\"text\": \"a\", \"text_pair\": \"b\"}\n{\"id\": 9, \"text\": \"five\"}\n";
    project.write("t.jsonl", input);
    let emotion = model("bert-emotion");
    let task = ["task", "text-classification", "--model", &emotion, "--input", "t.jsonl"];
    let run = project.run(task).exits(65);
    assert_eq!(run.records().len(), 3);
    let complaints: Vec<&str> = run.stderr.lines().filter(|line| line.starts_with("t.jsonl:")).collect();
    let expected = [
        "2: an empty line",
        "3: not a JSON object but a list",
        "4: not JSON",
        "5: there is no `text` (did you mean `txt`?)",
        "6: `text` is empty",
        "7: `text` is not a text but a number",
        "8: the record has a field `result` already",
    ];
    assert_eq!(complaints.len(), expected.len(), "{}", run.stderr);
    for (complaint, expected) in complaints.iter().zip(expected) {
        assert!(complaint.starts_with(&format!("t.jsonl:{expected}")), "{complaint} is not {expected}");
    }
    let _said = run.says(&["3 texts in", "7 records not answered"]);
    let run = project.run(task.iter().copied().chain(["--text-pair", "the same"])).exits(65);
    let _said = run.says(&["t.jsonl:9: the record has a field `text_pair` already, which the command line gives"]);
}

#[test]
fn a_long_text_is_cut_off_and_told_once_or_refused() {
    let long = "a phone in the city ".repeat(200);
    let emotion = model("bert-emotion");
    let _cut = task("text-classification", &emotion, &[&long]).exits(0).says(&["the text is longer", "--no-truncate"]);
    let refused = task("text-classification", &emotion, &[&long, "--no-truncate"]).exits(65);
    assert_eq!(refused.says(&["tokens, and the model takes 128"]).stdout, "");
    let project = Project::empty();
    project.write("t.txt", format!("{long}\nshort\n{long}\n"));
    let task = ["task", "text-classification", "--model", &emotion, "--input", "t.txt"];
    let run = project.run(task).exits(0);
    assert_eq!(run.stderr.matches("cut off").count(), 1, "{}", run.stderr);
    assert_eq!(run.says(&["warning: 2 texts longer than the model takes"]).records().len(), 3);
    let run = project.run(task.iter().copied().chain(["--no-truncate"])).exits(65);
    assert_eq!(run.says(&["t.txt:1: the text has", "t.txt:3: the text has"]).field("text"), ["short"]);
}

#[test]
fn wrong_usage_is_refused_before_anything_is_loaded() {
    let none = "./there-is-no-such-model";
    for (name, arguments, part) in [
        ("text-classification", &["--question", "who?", "hi"][..], "does not read `--question`"),
        ("text-classification", &["hi", "--param", "topk=3"], "did you mean `top_k`?"),
        ("text-classification", &["hi", "--param", "top_k=none"], "`top_k` must be a whole number"),
        ("ner", &["hi", "--param", "aggregation_strategy=smple"], "did you mean `simple`?"),
        ("question-answering", &["hi"], "there is no `question`"),
        ("text-clasification", &["hi"], "did you mean `text-classification`?"),
        ("fill-mask", &[], "there is no `text` for `fill-mask`"),
        ("fill-mask", &["hi", "--input", "x.txt"], "cannot be used with"),
        ("similarity", &["hi", "--text-pair", "ho", "--format", "xml"], "invalid value 'xml'"),
    ] {
        let run = task(name, none, arguments).exits(64).says(&[part]);
        assert_eq!(run.stdout, "");
    }
    let _gone = task("fill-mask", none, &["hi"]).exits(66);
    let other = task("question-answering", &model("bert-ner"), &["--question", "who?", "hi"]).exits(78);
    let _said = other.says(&["cannot do question-answering", "token-classification"]);
}

#[test]
fn an_output_replaces_neither_input_nor_model() {
    let project = Project::empty();
    project.write("t.jsonl", "{\"text\": \"a\"}\n");
    runtime_tests::copy_folder(Path::new(&model("bert-emotion")), &project.path("model"));
    let task = ["task", "text-classification", "--model", "./model", "--input", "t.jsonl", "--output"];
    for output in ["t.jsonl", "./t.jsonl", "model/config.json", "model/new.jsonl"] {
        let _refused = project.run(task.iter().copied().chain([output])).exits(64);
    }
    assert_eq!(project.read("t.jsonl"), "{\"text\": \"a\"}\n");
    let _written = project.run(task.iter().copied().chain(["out.jsonl"])).exits(0);
}

#[test]
fn a_result_does_not_depend_on_what_is_answered_beside_it() {
    let emotion = model("bert-emotion");
    let texts = texts(400);
    let project = Project::empty();
    project.write("t.txt", texts.join("\n"));
    let task = ["task", "text-classification", "--model", &emotion, "--param", "top_k=all"];
    let together = project.run(task.iter().copied().chain(["--input", "t.txt"])).exits(0);
    assert_eq!(together.field("text"), texts.iter().map(|text| json!(text.trim_end())).collect::<Vec<_>>());
    for at in [0, 3, 77, 399] {
        let alone = project.run(task.iter().copied().chain([texts[at].as_str()])).exits(0);
        assert_eq!(alone.records()[0], together.field("result")[at], "bit for bit: {}", texts[at]);
    }
}

#[test]
fn standard_input_is_answered_as_it_comes() {
    let project = Project::empty();
    let emotion = model("bert-emotion");
    let task = ["task", "text-classification", "--model", &emotion, "--input", "-"];
    let mut process = Following::start(project.command(task));
    for text in ["one", "two"] {
        process.write(&format!("{text}\n"));
        assert!(process.line().starts_with(&format!("{{\"text\":\"{text}\",")));
    }
    process.close_input();
    assert!(process.ends().success());
}

#[test]
fn memory_does_not_grow_with_the_input() {
    if cfg!(not(target_os = "linux")) {
        return;
    }
    let project = Project::empty();
    let emotion = model("bert-emotion");
    let task = ["task", "text-classification", "--model", &emotion, "--input", "-", "--param", "top_k=all"];
    let mut process = Following::start(project.command(task));
    let block: String = texts(2000).iter().map(|text| format!("{text}\n")).collect();
    let peak = |process: &Following| {
        let status = fs::read_to_string(format!("/proc/{}/status", process.id())).expect("it runs");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
        peak.trim().trim_end_matches(" kB").parse::<usize>().expect("a number")
    };
    let mut peaks = Vec::new();
    for _ in 0..5 {
        process.write(&block);
        process.lines(2000);
        peaks.push(peak(&process));
    }
    // Allocators round up; the answers alone would be 400 bytes for each text.
    assert!(peaks[4] < peaks[0] + 2500, "peaks in KiB: {peaks:?}");
    process.close_input();
    assert!(process.ends().success());
}
