//! Tasks as steps of pipelines: the examples of `pipelines/`, over tiny models in place of those of the hub.

use std::fs;

use runtime_tests::{Finished, Following, Project, golden_model, root};
use serde_json::{Value, json};

/// The example pipelines whose models are of the hub, each with what puts models of `tests/goldens` in their place.
const EXAMPLES: [(&str, &[(&str, &str)]); 4] = [
    ("ner.toml", &[("models.ner.source", "bert-ner")]),
    ("qa.toml", &[("models.qa.source", "bert-qa")]),
    ("embed.toml", &[("models.sentences.source", "bert-embed"), ("models.pairs.source", "bert-reranker")]),
    ("moderate.toml", &[("models.toxic.source", "bert-emotion")]),
];

/// A folder with the examples and their data.
fn examples() -> Project {
    let project = Project::empty();
    for folder in ["", "data/"] {
        for entry in fs::read_dir(root().join("pipelines").join(folder)).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_file() {
                let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
                project.write(&format!("{folder}{name}"), fs::read(&path).expect("a file"));
            }
        }
    }
    project
}

/// `--set` for each model of an example.
fn tiny(example: &str) -> Vec<String> {
    let (_, models) = EXAMPLES.iter().find(|(name, _)| *name == example).expect("an example");
    let set = models.iter().map(|(key, name)| format!("{key}={:?}", golden_model(name).to_string_lossy()));
    set.flat_map(|set| ["--set".to_owned(), set]).collect()
}

fn run(project: &Project, example: &str, arguments: &[&str]) -> Finished {
    let set = tiny(example);
    let arguments = arguments.iter().copied().chain(set.iter().map(String::as_str));
    project.run(["run", example].into_iter().chain(arguments))
}

/// What `runtime task` says of the same records.
fn task(project: &Project, task: &str, model: &str, arguments: &[&str]) -> Vec<Value> {
    let model = golden_model(model).to_string_lossy().into_owned();
    let all = ["task", task, "--model", &model, "--input"].into_iter().chain(arguments.iter().copied());
    project.run(all).exits(0).field("result")
}

fn column(results: &[Value], name: &str) -> Vec<Value> {
    results.iter().map(|result| result[name].clone()).collect()
}

#[test]
fn a_step_gives_what_the_task_alone_gives() {
    let project = examples();
    let params = ["data/news.jsonl", "--param", "aggregation_strategy=first", "--param", "stride=32"];
    let alone = task(&project, "ner", "bert-ner", &params);
    let found = run(&project, "ner.toml", &[]).exits(0);
    assert_eq!(found.field("entities"), alone);
    assert!(alone.iter().any(|entities| entities.as_array().is_some_and(|entities| entities.len() > 1)));
    let of_each = |name: &str| -> Vec<Value> {
        let entities = alone.iter().map(|entities| entities.as_array().expect("a list").clone());
        entities.map(|entities| Value::Array(column(&entities, name))).collect()
    };
    assert_eq!((found.field("names"), found.field("kinds")), (of_each("word"), of_each("entity_group")));
    let ids: Vec<Value> = (1..=5).map(Value::from).collect();
    assert_eq!(found.field("id"), ids, "the other fields are passed on");

    let params = ["data/questions.jsonl", "--param", "handle_impossible_answer=true", "--param", "max_answer_len=30"];
    let alone = task(&project, "question-answering", "bert-qa", &params);
    let found = run(&project, "qa.toml", &[]).exits(0);
    for name in ["answer", "score", "start", "end"] {
        assert_eq!(found.field(name), column(&alone, name), "{name}");
    }

    let alone = task(&project, "rerank", "bert-reranker", &["data/searches.jsonl"]);
    let found = run(&project, "embed.toml", &[]).exits(0);
    let best: Vec<Value> = alone.iter().map(|ranking| ranking[0].clone()).collect();
    assert_eq!((found.field("best"), found.field("score")), (column(&best, "text"), column(&best, "score")));
    assert!(found.field("vector").iter().all(|vector| vector.as_array().is_some_and(|vector| vector.len() == 32)));
    assert!(found.field("similarity").iter().all(|score| score.as_f64().is_some_and(|score| score <= 1.0001)));

    let params = ["data/comments.jsonl", "--param", "top_k=all", "--param", "function_to_apply=sigmoid"];
    let alone = task(&project, "text-classification", "bert-emotion", &params);
    let found = run(&project, "moderate.toml", &[]).exits(0);
    let labels = alone.iter().map(|all| Value::Array(column(all.as_array().expect("a list"), "label")));
    assert_eq!(found.field("labels"), labels.collect::<Vec<_>>());
    assert_eq!(found.field("label"), alone.iter().map(|all| all[0]["label"].clone()).collect::<Vec<_>>());
}

#[test]
fn the_examples_are_valid_drawn_and_tested() {
    let project = examples();
    for (example, models) in EXAMPLES {
        let valid = project.run(["validate", example]).exits(0);
        assert!(valid.stdout.contains("is valid") && valid.stderr.is_empty(), "{}{}", valid.stdout, valid.stderr);
        let drawn = project.run(["graph", example]).exits(0);
        assert!(drawn.stdout.starts_with("flowchart TD"));
        // Without their models, offline, it is the models that are missed.
        let _offline =
            project.run(["run", example]).exits(69).says(&[models[0].0.split('.').nth(1).unwrap_or_default()]);
        // Tiny models of random weights fail the tests, every one of which is run.
        let set = tiny(example);
        let tested = project.run(["test", example].into_iter().chain(set.iter().map(String::as_str)));
        assert!(matches!(tested.code, Some(0 | 1)), "{}", tested.stderr);
        assert!(tested.stdout.contains(" failed\n"), "{}", tested.stdout);
    }
}

#[test]
fn what_a_step_reads_must_be_there_and_of_its_type() {
    let project = examples();
    let records = "{\"query\": \"a\"}\n{\"query\": \"a\", \"documents\": []}\n{\"query\": \"a\", \"documents\": [1]}\n\
                   {\"query\": \" \", \"documents\": [\"b\"]}\n{\"query\": \"a\", \"documents\": \"b\"}\n";
    project.write("searches.jsonl", records);
    let run = run(&project, "embed.toml", &["--input", "searches.jsonl"]).exits(65);
    assert_eq!(run.field("best"), ["b"], "one document is a list of one");
    let _said = run.says(&[
        "searches.jsonl:1: the record has no field `documents`",
        "searches.jsonl:2: the field `documents` is empty",
        "searches.jsonl:3: the field `documents` is a list with a number, which is not a text",
        "searches.jsonl:4: the field `query` is empty",
    ]);
}

#[test]
fn mistakes_are_told_at_their_places() {
    let project = examples();
    let set = |set: &str| run(&project, "ner.toml", &["--set", set]);
    let _typo = set("aggregation_strategy=smple").exits(78).says(&["cannot be `smple`", "did you mean `simple`?"]);
    let _words = set("steps.names.is_split_into_words=true").exits(65).says(&["news.jsonl:1: "]);
    let _fit = set("stride=1000").exits(78).says(&["`stride` is 1000", "--set stride=1000:1:8", "it can be at most"]);
    let other = golden_model("bert-qa").to_string_lossy().into_owned();
    let run = project.run(["run", "ner.toml", "--set", &format!("models.ner.source={other:?}")]).exits(78);
    let _said = run.says(&["cannot do token-classification", "question-answering", "ner.toml:"]);
    let long = json!({"text": "a phone in the city ".repeat(200)}).to_string();
    project.write("long.jsonl", long);
    let cut = run_long(&project, &[]).exits(0);
    let _told = cut.says(&["1 text longer than a model takes, cut off"]);
    let _refused =
        run_long(&project, &["--set", "steps.toxic.truncate=false"]).exits(65).says(&["the model takes 128"]);
}

fn run_long(project: &Project, arguments: &[&str]) -> Finished {
    run(project, "moderate.toml", &[&["--input", "long.jsonl"], arguments].concat())
}

#[test]
fn an_edited_parameter_takes_effect_without_loading_a_model() {
    let project = examples();
    project.write("data/comments.jsonl", "{\"text\": \"a phone\"}\n");
    let set = tiny("moderate.toml");
    let arguments = ["run", "moderate.toml", "--watch", "--format", "jsonl"];
    let mut process = Following::start(project.command(arguments.into_iter().chain(set.iter().map(String::as_str))));
    let first: Value = process.line().parse().expect("JSON");
    assert_eq!(first["labels"].as_array().map(Vec::len), Some(5));
    process.said("1 record in");
    project.edit("moderate.toml", "top_k = \"all\"", "top_k = 2");
    let swapped = process.said("watch: ");
    assert!(swapped.contains("steps.toxic.top_k: \"all\" -> 2") && swapped.contains("0 models loaded"), "{swapped}");
    let second: Value = process.line().parse().expect("JSON");
    assert_eq!(second["labels"], json!(first["labels"].as_array().expect("a list")[..2]));
    assert_eq!(second["score"], first["score"], "bit for bit");
}

/// A step that writes under a constraint, with the model of `golden`.
fn constrained(project: &Project, golden: &str, kind: &str, constraint: &str) {
    let source = golden_model(golden);
    let (reads, output) = match kind {
        "summarize" => ("text = \"text\"", "summary"),
        "text-generation" => ("text = \"text\"", "text"),
        _ => ("prompt = \"{{ text }}\"", "text"),
    };
    let text = format!(
        "name = \"constrained\"\n[models.m]\nsource = {source:?}\n[[steps]]\nname = \"s\"\nkind = \"{kind}\"\n\
         model = \"m\"\n{reads}\nmax_new_tokens = 4\n{constraint}\n[output]\nwritten = \"s.{output}\"\n"
    );
    project.replace("constrained.toml", text);
}

#[test]
fn a_constraint_that_nothing_satisfies_is_told_at_its_place_before_the_first_record() {
    let project = Project::empty();
    project.write("in.jsonl", "{\"text\": \"a\"}\n{\"text\": \"b\"}\n");
    let long = "a".repeat((1 << 20) + 1);
    let cases = [
        ("json_schema = { type = \"integer\", minimum = 5, maximum = 3 }".to_owned(), "minimum (5) is greater than"),
        ("json_schema = { type = \"array\", uniqueItems = true }".to_owned(), "the keyword `uniqueItems`"),
        ("regex = '(a'".to_owned(), "unclosed group, at character 1: `(a`"),
        ("regex = ''".to_owned(), "allows nothing but the empty text"),
        ("grammar = 'start: other'".to_owned(), "unknown name: \"other\""),
        ("json_schema = '{\"type\": '".to_owned(), "is a text that is not JSON: EOF while parsing a value"),
        (format!("regex = '{long}'"), "`regex` is too large to be followed"),
    ];
    for kind in ["generate", "text-generation", "summarize"] {
        for (constraint, told) in &cases {
            constrained(&project, if kind == "summarize" { "t5" } else { "llama-chat" }, kind, constraint);
            let line = "constrained.toml:10:";
            let valid = project.run(["validate", "constrained.toml"]).exits(78).says(&[told, line]);
            assert_eq!(valid.stdout, "");
            let run = project.run(["run", "constrained.toml", "--input", "in.jsonl"]).exits(78).says(&[told, line]);
            assert_eq!(run.stdout, "");
            assert!(!run.stderr.contains("in.jsonl"), "{kind}, {told}: no record is to blame");
            assert!(run.stderr.len() < 4000, "{kind}, {told}: {} bytes are said", run.stderr.len());
        }
    }
}

#[test]
fn a_constraint_that_a_vocabulary_cannot_write_is_told_when_its_model_is_loaded() {
    let project = Project::empty();
    project.write("in.jsonl", "{\"text\": \"a\"}\n");
    for kind in ["chat", "text-generation"] {
        constrained(&project, "llama-chat", kind, "grammar = 'start: <|nobody_has_it|>'");
        let _valid = project.run(["validate", "constrained.toml"]).exits(0);
        let run = project.run(["run", "constrained.toml", "--input", "in.jsonl"]).exits(78);
        let run = run.says(&["names a token that the model does not have", "constrained.toml:10:"]);
        assert!(!run.stderr.contains("in.jsonl"), "no record is to blame: {}", run.stderr);
    }
}
