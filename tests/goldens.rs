//! What Hugging Face transformers computes, case by case: hidden states and logits of BERT, zero-shot classification.
//!
//! `goldens/cases` holds one case per file, in the schema that `goldens/README.md` describes; `goldens/record.py` made
//! the zero-shot ones. Every case there must be of a task below, so that none is left unread.

#![expect(clippy::cast_precision_loss, reason = "counts of a few thousand")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::executor::block_on;
use runtime_engine::{Error, LoadedModel, Options, Registry, ZeroShot, ZeroShotOptions, split_labels};
use runtime_graph::Head;
use runtime_models::{Arguments, Model, ModelFolder, Sequence, Tokenizer, detokenize_call, tokenize_call};
use runtime_pipeline::{Template, TemplateError};
use runtime_tensor::{Batch, Device, Matrix};
use runtime_tests::root;
use serde_json::Value;

type Failure = Box<dyn std::error::Error>;

/// One recorded case.
struct Case {
    id: String,
    folder: PathBuf,
    fields: Value,
}

impl Case {
    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).expect("the case is readable");
        let fields: Value = serde_json::from_str(&text).expect("the case is JSON");
        let model = fields["model"].as_str().expect("the case names its model");
        let folder = root().join("tests/goldens").join(model);
        Self { id: fields["id"].as_str().expect("the case has an id").to_owned(), folder, fields }
    }

    fn model(&self, head: Head) -> Result<Model, Failure> {
        let folder = ModelFolder::new(&self.folder);
        let config = folder.config()?;
        Ok(Model::load(&folder, &config, Model::built_in(&folder, &config)?, head, Device::Cpu)?)
    }

    /// `|x - y| <= atol + rtol * |x|`, as the schema defines it.
    fn close(&self, what: &str, expected: &Value, found: f64) -> Result<(), Failure> {
        let number = |value: &Value| value.as_f64().ok_or_else(|| format!("{what}: {value} is no number"));
        let expected = number(expected)?;
        let tolerance = number(&self.fields["atol"])? + number(&self.fields["rtol"])? * expected.abs();
        if (expected - found).abs() <= tolerance {
            return Ok(());
        }
        Err(format!("{what}: {found}, recorded {expected}, off by {:e}", (expected - found).abs()).into())
    }

    fn all_close(&self, what: &str, expected: &Value, found: &[f32]) -> Result<(), Failure> {
        let expected = expected.as_array().ok_or_else(|| format!("{what}: nothing recorded"))?;
        equal(&format!("{what}: length"), &expected.len(), &found.len())?;
        let mut pairs = expected.iter().zip(found).enumerate();
        pairs.try_for_each(|(i, (x, y))| self.close(&format!("{what}[{i}]"), x, f64::from(*y)))
    }
}

fn equal<T: PartialEq + std::fmt::Debug>(what: &str, expected: &T, found: &T) -> Result<(), Failure> {
    if expected == found { Ok(()) } else { Err(format!("{what}: {found:?}, recorded {expected:?}").into()) }
}

/// Runs all cases of a task; every failure is told.
fn run(task: &str, at_least: usize, check: impl Fn(&Case) -> Result<(), Failure>) {
    let cases: Vec<Case> =
        cases().iter().map(|path| Case::read(path)).filter(|case| case.fields["task"] == task).collect();
    assert!(cases.len() >= at_least, "{} cases of {task}, and there were {at_least}", cases.len());
    let failed = cases.iter().filter_map(|case| check(case).err().map(|error| format!("{}: {error}", case.id)));
    let failed: Vec<String> = failed.collect();
    assert!(failed.is_empty(), "{} of {} cases fail:\n{}", failed.len(), cases.len(), failed.join("\n"));
}

fn cases() -> Vec<PathBuf> {
    let entries = |folder: &Path| {
        let entries = fs::read_dir(folder).expect("the folder is there").map(|entry| entry.expect("readable").path());
        let mut entries: Vec<PathBuf> = entries.collect();
        entries.sort();
        entries
    };
    entries(&root().join("tests/goldens/cases")).iter().flat_map(|folder| entries(folder)).collect()
}

#[test]
fn every_case_is_of_a_task_that_is_run() {
    for case in cases().iter().map(|path| Case::read(path)) {
        let task = case.fields["task"].as_str().expect("a case names its task");
        let here = ["tokenize", "detokenize", "hidden-states", "text-classification", "zero-shot-classification"];
        // Those are run by `tasks.rs`.
        let there = ["token-classification", "question-answering", "fill-mask"];
        assert!(here.contains(&task) || there.contains(&task), "{}", case.id);
    }
}

#[test]
fn tokenization() {
    calls("tokenize", 62, tokenize_call);
    calls("detokenize", 24, detokenize_call);
}

type Call = fn(&Tokenizer, &Arguments, &Arguments) -> Result<Value, runtime_models::Error>;

/// Every number of these tasks is a whole one, so that results are equal or wrong.
fn calls(task: &str, at_least: usize, call: Call) {
    run(task, at_least, |case| {
        let object = |name: &str| case.fields[name].as_object().ok_or_else(|| format!("no {name}"));
        let recorded = &case.fields["expected"];
        let found = call(&ModelFolder::new(&case.folder).tokenizer()?, object("params")?, object("input")?);
        if recorded.get("error").is_some() {
            return if found.is_err() { Ok(()) } else { Err("it is answered, and transformers refuses it".into()) };
        }
        let found = found?;
        for (name, recorded) in object("expected")? {
            equal(name, recorded, &found[name])?;
        }
        equal("all", recorded, &found)
    });
}

#[test]
fn hidden_states() {
    run("hidden-states", 8, |case| {
        let model = case.model(Head::Base)?;
        let texts = &case.fields["input"]["texts"];
        let pairs = case.fields["input"]["text_pairs"].as_array();
        let mut batch = Batch::new();
        for (index, text) in texts.as_array().ok_or("no texts")?.iter().enumerate() {
            let sequence = sequence(&model, text, pairs.map(|pairs| &pairs[index]))?;
            let recorded = &case.fields["expected"]["results"][index]["input_ids"];
            equal("input_ids", recorded, &Value::from(sequence.token_ids.clone()))?;
            batch.push(&sequence.token_ids, &sequence.token_types);
        }
        let outputs = model.plan.run(&batch)?;
        let states = outputs.get("hidden_states").ok_or("no hidden states")?;
        for (index, span) in batch.spans().enumerate() {
            let recorded = &case.fields["expected"]["results"][index];
            equal("shape", &recorded["shape"], &Value::from(vec![span.len(), states.width]))?;
            for (token, row) in span.clone().enumerate() {
                let what = format!("text {index}, token {token}");
                case.all_close(&what, &recorded["first8"][token], &states.row(row)[..8])?;
            }
            let numbers: Vec<f64> =
                states.data[span.start * states.width..span.end * states.width].iter().map(|x| f64::from(*x)).collect();
            let count = numbers.len() as f64;
            let mean = numbers.iter().sum::<f64>() / count;
            let deviation = (numbers.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count).sqrt();
            case.close("mean", &recorded["stats"]["mean"], mean)?;
            case.close("std", &recorded["stats"]["std"], deviation)?;
            case.close("abs_sum", &recorded["stats"]["abs_sum"], numbers.iter().map(|x| x.abs()).sum())?;
        }
        Ok(())
    });
}

#[test]
fn classifier_logits() {
    run("text-classification", 22, |case| {
        let model = case.model(Head::SequenceClassification)?;
        let pair = case.fields["input"].get("text_pair");
        let sequence = sequence(&model, &case.fields["input"]["text"], pair)?;
        let mut batch = Batch::new();
        batch.push(&sequence.token_ids, &sequence.token_types);
        let outputs = model.plan.run(&batch)?;
        let logits: &Matrix = outputs.get("logits").ok_or("no logits")?;
        case.all_close("logits", &case.fields["expected"]["logits"], &logits.data)
    });
}

fn sequence(model: &Model, text: &Value, pair: Option<&Value>) -> Result<Sequence, Failure> {
    let text = model.tokenizer.pieces(text.as_str().ok_or("no text")?, model.max_tokens)?;
    let Some(pair) = pair else { return Ok(model.tokenizer.single(&text, model.max_tokens)?) };
    let pair = model.tokenizer.pieces(pair.as_str().ok_or("no pair")?, model.max_tokens)?;
    Ok(model.tokenizer.pair(&text, &pair, model.max_tokens)?.ok_or("the pair is too long")?)
}

#[test]
fn zero_shot_classification() {
    run("zero-shot-classification", 33, |case| {
        let registry = Registry::new(Options::default());
        let model = registry.load(&ModelFolder::new(&case.folder), None, Head::SequenceClassification)?;
        let recorded = &case.fields["expected"];
        let found = classify(case, &model);
        if let Some(error) = recorded["error"].as_str() {
            let found = found.err().ok_or("it is answered, and transformers refuses it")?;
            return if same_refusal(error, &*found) { Ok(()) } else { Err(found) };
        }
        let (found, entailment) = found?;
        equal("entailment_id", &recorded["entailment_id"], &Value::from(entailment))?;
        let results = match &recorded["result"] {
            Value::Array(results) => results.clone(),
            one => vec![one.clone()],
        };
        equal("results", &results.len(), &found.len())?;
        for (recorded, (labels, scores)) in results.iter().zip(&found) {
            equal("labels", &recorded["labels"], &Value::from(labels.clone()))?;
            case.all_close("scores", &recorded["scores"], scores)?;
        }
        Ok(())
    });
}

/// Whether `found` is for the reason that transformers gives.
fn same_refusal(recorded: &str, found: &(dyn std::error::Error + 'static)) -> bool {
    let refusal = found.downcast_ref::<Error>();
    match recorded {
        text if text.starts_with("The provided hypothesis_template") => found.is::<TemplateError>(),
        text if text.starts_with("You must include at least one label") => matches!(refusal, Some(Error::NoLabels)),
        // It does not shorten the text then, and fails in the model.
        text if text.starts_with("The size of tensor") => matches!(refusal, Some(Error::HypothesisTooLong { .. })),
        _ => false,
    }
}

/// Labels and scores of each sequence, and the class that means entailment.
type Found = (Vec<(Vec<String>, Vec<f32>)>, usize);

fn classify(case: &Case, model: &Arc<LoadedModel>) -> Result<Found, Failure> {
    let (input, params) = (&case.fields["input"], &case.fields["params"]);
    let texts = |value: &Value| match value {
        Value::Array(values) => values.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        other => vec![other.as_str().unwrap_or_default().to_owned()],
    };
    let labels = match &input["candidate_labels"] {
        Value::String(labels) => split_labels(labels),
        labels => texts(labels),
    };
    let template = params["hypothesis_template"].as_str().map_or(Ok(Template::default()), str::parse)?;
    let multi_label = params["multi_label"].as_bool().unwrap_or(false);
    let classifier = ZeroShot::new(Arc::clone(model), ZeroShotOptions { labels, template, multi_label })?;
    let mut results = Vec::new();
    for text in texts(&input["sequences"]) {
        let found = block_on(classifier.classify(&text))?;
        results.push((found.labels, found.scores));
    }
    Ok((results, classifier.entailment()))
}
