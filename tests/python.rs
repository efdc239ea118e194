//! `plugins/split-passages`, a step in Python: the interface is the WIT, not the SDK.
//!
//! `tests/run` builds the component, with a compiler that pip brings. Where it cannot, the tests say so and pass, but not
//! where `RUNTIME_NEED_PYTHON` is 1.

use std::io::{Write, stderr};
use std::path::PathBuf;
use std::sync::OnceLock;

use runtime_tests::{Finished, Project, golden_model, root};
use serde_json::{Value, json};

const TEXT: &str = "Dr. Zoë has a new phone. 🙂 It rang at 5 p.m. on Monday! \"Who is it?\" she asked.\n\n\
                    The bank wrote an email… Nobody read it. 今日は晴れです。明日は雨です。 The end";

/// Its sentences, by hand.
const SENTENCES: [&str; 8] = [
    "Dr. Zoë has a new phone.",
    "🙂 It rang at 5 p.m. on Monday!",
    "\"Who is it?\" she asked.",
    "The bank wrote an email…",
    "Nobody read it.",
    "今日は晴れです。",
    "明日は雨です。",
    "The end",
];

/// The component, compiled and in the cache, so that tests do not all compile it at once.
fn component() -> Option<PathBuf> {
    static COMPILED: OnceLock<Option<PathBuf>> = OnceLock::new();
    let compiled = COMPILED.get_or_init(|| {
        let path = root().join("target/python/split_passages.wasm");
        if std::env::var_os("RUNTIME_NO_PYTHON").is_some_and(|value| value == "1") {
            // Past what the test harness keeps to itself.
            let _unread = writeln!(stderr(), "skipped: the component in Python cannot be built here");
            return None;
        }
        assert!(path.is_file(), "{} is missing: `plugins/split-passages/build` builds it", path.display());
        let _inspected = Project::empty().run(["plugin".as_ref(), "inspect".as_ref(), path.as_os_str()]).exits(0);
        Some(path)
    });
    compiled.clone()
}

/// A pipeline that cuts a text, with the tokenizer of a model and grants besides.
fn pipeline(component: &std::path::Path, grants: &str, parameters: &str) -> Project {
    let project = Project::empty();
    let [component, sentences, ranker] =
        [component.to_owned(), golden_model("bert-embed"), golden_model("bert-reranker")]
            .map(|path| format!("{:?}", path.to_string_lossy()));
    let text = format!(
        "name = \"p\"\n[models.sentences]\nsource = {sentences}\n[models.ranker]\nsource = {ranker}\n\
         [plugins.split]\nsource = {component}\n[plugins.split.grants]\n{grants}\n\
         [[steps]]\nname = \"split\"\nkind = \"plugin\"\nplugin = \"split\"\ninputs = {{ text = \"text\" }}\n\
         parameters = {{ {parameters} }}\n\
         [[steps]]\nname = \"best\"\nkind = \"rerank\"\nmodel = \"ranker\"\nquery = \"query\"\n\
         documents = \"split.texts\"\n\
         [output]\npassages = \"split.passages\"\ncount = \"split.count\"\nbest = \"best.best\"\n\
         ranking = \"best.ranking\"\n"
    );
    project.write("p.toml", text);
    project
}

const READER: &str = "tokenizers = { reader = \"sentences\" }\nlog_text = true";
const EMBEDDER: &str = "tokenizers = { reader = \"sentences\" }\nmodels = { embedder = \"sentences\" }";

fn cut(project: &Project, text: &str) -> Finished {
    let record = json!({"text": text, "query": "a phone"}).to_string();
    project.run_on(record.as_bytes(), ["run", "p.toml", "--input", "-"])
}

fn passages(project: &Project, text: &str) -> Vec<Value> {
    let run = cut(project, text).exits(0);
    run.field("passages")[0].as_array().expect("a list").clone()
}

fn text(passage: &Value) -> &str {
    passage["text"].as_str().expect("a text")
}

fn number(value: &Value) -> usize {
    value.as_u64().and_then(|number| usize::try_from(number).ok()).expect("a number")
}

/// The tokens of texts, with those around them: the rows of what a task without a plugin gives.
fn tokens(texts: &[&str]) -> Vec<usize> {
    let project = Project::empty();
    let records: String = texts.iter().map(|text| format!("{}\n", json!({ "text": text }))).collect();
    let model = golden_model("bert-embed").to_string_lossy().into_owned();
    let task = ["task", "feature-extraction", "--model", &model, "--input", "-"];
    let results = project.run_on(records.as_bytes(), task).exits(0).field("result");
    results.iter().map(|result| result[0].as_array().expect("rows").len()).collect()
}

#[test]
fn passages_are_sentences_side_by_side_within_their_tokens() {
    let Some(component) = component() else { return };
    for most in [20, 24, 64] {
        let project = pipeline(&component, READER, &format!("max_tokens = {most}"));
        let found = passages(&project, TEXT);
        let mut sentences = SENTENCES.iter();
        let counted = tokens(&found.iter().map(text).collect::<Vec<_>>());
        let mut after = Vec::new();
        for (passage, counted) in found.iter().zip(counted) {
            let (start, end) = (number(&passage["start"]), number(&passage["end"]));
            assert_eq!(TEXT.chars().skip(start).take(end - start).collect::<String>(), text(passage), "in characters");
            assert_eq!(number(&passage["tokens"]), counted, "as the model itself counts: {passage}");
            assert!(counted <= most, "{passage}");
            // It is whole sentences, in order.
            let mut rest = text(passage);
            while !rest.is_empty() {
                let sentence = sentences.next().expect("a sentence");
                rest =
                    rest.strip_prefix(sentence).unwrap_or_else(|| panic!("{rest} begins with {sentence}")).trim_start();
            }
            after.extend(
                sentences.clone().next().map(|next| {
                    TEXT[..TEXT.find(next).expect("it") + next.len()].chars().skip(start).collect::<String>()
                }),
            );
        }
        assert_eq!(sentences.next(), None, "every sentence is in one");
        let longer = tokens(&after.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(longer.iter().all(|tokens| *tokens > most), "none has room for another sentence: {longer:?}");
        assert_eq!(found.len(), after.len() + 1);
    }
    assert_eq!(cut(&pipeline(&component, READER, ""), TEXT).exits(0).field("count"), [1], "256 tokens hold all of it");
}

#[test]
fn another_step_reads_them() {
    let Some(component) = component() else { return };
    let project = pipeline(&component, READER, "max_tokens = 24, overlap = 1");
    let run = cut(&project, TEXT).exits(0).records();
    let texts: Vec<&str> = run[0]["passages"].as_array().expect("a list").iter().map(text).collect();
    assert_eq!(texts.len(), number(&run[0]["count"]));
    // Each begins with the last sentence of the one before it, but where that leaves no room.
    let begins =
        |pair: &[&str]| SENTENCES.iter().any(|sentence| pair[0].ends_with(sentence) && pair[1].starts_with(sentence));
    assert!(texts.windows(2).filter(|pair| begins(pair)).count() >= 2, "{texts:?}");
    let model = golden_model("bert-reranker").to_string_lossy().into_owned();
    let documents = texts.iter().flat_map(|text| ["--document", text]);
    let task =
        ["task", "rerank", "--model", &model, "--query", "a phone", "--format", "jsonl"].into_iter().chain(documents);
    assert_eq!(project.run(task).exits(0).records(), [run[0]["ranking"].clone()], "the same as without a plugin");
}

#[test]
fn unlike_neighbours_are_parted_where_a_model_is_granted() {
    let Some(component) = component() else { return };
    let model = golden_model("bert-embed").to_string_lossy().into_owned();
    let pairs: String =
        SENTENCES.windows(2).map(|pair| format!("{}\n", json!({"text": pair[0], "text_pair": pair[1]}))).collect();
    let task = ["task", "similarity", "--model", &model, "--input", "-"];
    let alike = Project::empty().run_on(pairs.as_bytes(), task).exits(0).field("result");
    let alike: Vec<f64> = alike.iter().map(|alike| alike.as_f64().expect("a number")).collect();
    let mut sorted = alike.clone();
    sorted.sort_by(f64::total_cmp);
    // Between the third and the fourth of seven: three are parted.
    let between = f64::midpoint(sorted[2], sorted[3]);
    let project = pipeline(&component, EMBEDDER, &format!("max_tokens = 500, min_similarity = {between}"));
    let found = passages(&project, TEXT);
    let parted = SENTENCES[1..].iter().zip(&alike).filter(|(_, alike)| **alike < between).map(|(sentence, _)| sentence);
    let begin = std::iter::once(&SENTENCES[0]).chain(parted);
    assert_eq!(found.len(), 4);
    assert!(found.iter().zip(begin).all(|(passage, sentence)| text(passage).starts_with(sentence)), "{found:?}");

    let denied = pipeline(&component, READER, "min_similarity = 0.5");
    let denied = cut(&denied, TEXT).exits(65);
    let _said = denied.says(&["the model `embedder` is not granted: `models = { embedder = \"MODEL\" }` would"]);
}

#[test]
fn what_is_wrong_is_told_and_what_is_lacking_named() {
    let Some(component) = component() else { return };
    let run = |grants: &str, parameters: &str| cut(&pipeline(&component, grants, parameters), TEXT);
    let _refused = run(READER, "max_tokens = 2.5").exits(78).says(&["`max_tokens` is 2.5; it must be a whole number"]);
    let _token = run(READER, "max_tokens = 4").exits(0);
    let _reader = run("", "").exits(78).says(&["the plugin `split-passages` needs a tokenizer `reader`"]);
    let _memory = run(&format!("{READER}\nmemory_mib = 8"), "")
        .says(&["it asked for more than 8388608 bytes of memory", "`memory_mib` in its grants gives it more"]);
    let project = pipeline(&component, &format!("{READER}\nseconds = 0.005"), "");
    let late = cut(&project, &TEXT.repeat(200)).exits(69);
    let _late = late.says(&["was ended: it ran for more than 5 ms", "`seconds` in its grants gives it more"]);
}

#[test]
fn it_imports_nothing_but_the_interface() {
    let Some(component) = component() else { return };
    let inspected =
        Project::empty().run(["plugin".as_ref(), "inspect".as_ref(), component.as_os_str()]).exits(0).stdout;
    for line in [
        "plugin       split-passages 0.1.0\n",
        "world        step of inference:runtime@0.1\n",
        "set up with  max_tokens (a number, optional): ",
        "asks         embedder: sentence-embedding, if granted\n",
        "tokenizers   reader\n",
        "denied       nothing: it imports nothing of WASI\n",
    ] {
        assert!(inspected.contains(line), "{inspected} has `{line}`");
    }
}
