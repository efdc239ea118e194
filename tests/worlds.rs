//! Plugins that see records and scores: what they are given, and what comes of each misuse. The host is a stand-in, so that
//! nothing but the sandbox answers.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::executor::block_on;
use runtime_diagnostics::{Exit, Explain};
use runtime_plugin_host::{
    Answer, Cause, Completion, CompletionStream, Described, Error, Failure, Fields, Granted, Level, Limits,
    LogitsPlugin, PluginFile, PluginHost, Prompt, Role, StepHost, StepPlugin, TextHost, Token, Vocabulary, World,
};
use runtime_tests::guest;
use serde_json::{Value, json};

/// A host that answers as a model could: tokens are the letters of a text.
#[derive(Default)]
struct Fake {
    log: Mutex<Vec<String>>,
    streams: Arc<AtomicUsize>,
}

struct FakeStream {
    left: Vec<&'static str>,
    alive: Arc<AtomicUsize>,
}

impl CompletionStream for FakeStream {
    fn next(&mut self) -> Answer<'_, Option<String>> {
        let next = self.left.pop().map(str::to_owned);
        Box::pin(async move { Ok(next) })
    }
}

impl Drop for FakeStream {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

impl TextHost for Fake {
    fn encode(&self, tokenizer: &str, text: &str, _: bool) -> Result<Vec<Token>, Failure> {
        if tokenizer == "absent" {
            return Err(Failure::NotGranted("no".to_owned()));
        }
        let token = |(start, char): (usize, char)| {
            let start = u32::try_from(start).unwrap_or(0);
            Token { id: u32::from(char) % 128, start, end: start + u32::try_from(char.len_utf8()).unwrap_or(0) }
        };
        Ok(text.char_indices().map(token).collect())
    }

    fn decode(&self, _: &str, ids: &[u32], _: bool) -> Result<String, Failure> {
        Ok(ids.iter().filter_map(|id| char::from_u32(*id)).collect())
    }

    fn token_id(&self, _: &str, token: &str) -> Result<Option<u32>, Failure> {
        Ok(token.chars().next().map(u32::from))
    }

    fn vocabulary(&self, _: &str) -> Result<Vocabulary, Failure> {
        let mut vocabulary = Vocabulary { special: vec![3, 9], ..Vocabulary::default() };
        for id in 0..0x300 {
            // A number without a token adds nothing.
            let char = char::from_u32(id).filter(|_| id != 5);
            vocabulary.bytes.extend(char.map(String::from).unwrap_or_default().into_bytes());
            vocabulary.ends.push(u32::try_from(vocabulary.bytes.len()).unwrap_or(0));
        }
        Ok(vocabulary)
    }

    fn log(&self, _: Level, message: &str) {
        self.log.lock().expect("no test panics with it").push(message.to_owned());
    }
}

impl StepHost for Fake {
    fn classify<'a>(&'a self, model: &'a str, text: String, _: Option<String>) -> Answer<'a, Vec<(String, f32)>> {
        Box::pin(async move {
            match model {
                "judge" => Ok(vec![(text, 0.75), ("other".to_owned(), 0.25)]),
                other => Err(Failure::NotGranted(format!("`{other}` is not granted"))),
            }
        })
    }

    fn embed<'a>(&'a self, _: &'a str, texts: Vec<String>) -> Answer<'a, Vec<Vec<f32>>> {
        Box::pin(async move { Ok(texts.iter().map(|_| vec![0.5, -1.0]).collect()) })
    }

    fn run<'a>(&'a self, _: &'a str, input: Fields) -> Answer<'a, String> {
        Box::pin(async move { Ok(Value::Object(input).to_string()) })
    }

    fn complete<'a>(&'a self, _: &'a str, prompt: Prompt, parameters: Fields) -> Answer<'a, Vec<Completion>> {
        Box::pin(async move {
            let Prompt::Chat(turns) = prompt else {
                // A model that takes its time, which is none of the plugin's.
                std::thread::sleep(Duration::from_millis(700));
                return Err(Failure::UsedUp("nothing is left".to_owned()));
            };
            assert_eq!(turns, [(Role::User, "hé".to_owned())]);
            assert_eq!(Value::Object(parameters), json!({"max_new_tokens": 4, "do_sample": false}));
            let completion = |text: &str| Completion {
                text: text.to_owned(),
                tokens: vec![1],
                cut_off: true,
                log_probability: -1.5,
            };
            Ok(vec![completion("a"), completion("b")])
        })
    }

    fn stream<'a>(&'a self, _: &'a str, _: Prompt, _: Fields) -> Answer<'a, Box<dyn CompletionStream>> {
        self.streams.fetch_add(1, Ordering::SeqCst);
        let stream = FakeStream { left: vec!["c", "b", "a"], alive: Arc::clone(&self.streams) };
        Box::pin(async move { Ok(Box::new(stream) as Box<dyn CompletionStream>) })
    }

    fn score<'a>(&'a self, _: &'a str, _: Prompt, continuations: Vec<String>) -> Answer<'a, Vec<f64>> {
        Box::pin(async move { Ok(continuations.iter().map(|_| -2.0).collect()) })
    }
}

fn host() -> PluginHost {
    let cache = std::env::temp_dir().join("runtime-tests-worlds");
    PluginHost::new(Some(cache), Limits::default()).expect("this machine runs WebAssembly")
}

fn probe() -> StepPlugin {
    host().load_step(&guest("examples/step_probe")).expect("it loads")
}

const GRANTED: Granted =
    Granted { memory: 16 << 20, time: Duration::from_millis(500), log_text: true, by_pipeline: true };

fn fields(value: Value) -> Fields {
    serde_json::from_value(value).expect("it is an object")
}

/// What the probe makes of a text.
fn outcome(does: &str, granted: Granted) -> Result<Fields, Error> {
    let host: Arc<Fake> = Arc::default();
    let mut step = block_on(probe().start(fields(json!({"does": does})), granted, host.clone()))?;
    block_on(step.process(fields(json!({"text": "hé"})), host))
}

fn text(does: &str) -> String {
    let outputs = outcome(does, GRANTED).unwrap_or_else(|error| panic!("{does}: {}", said(&error)));
    outputs["text"].as_str().expect("it is a text").to_owned()
}

/// An error with its causes.
fn said(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |said, cause| format!("{said}: {cause}"))
}

#[test]
fn a_step_says_what_it_is() {
    let inspection = host().inspect(&guest("examples/step_probe")).expect("it is a plugin");
    assert_eq!(inspection.world, World::Step);
    assert_eq!(inspection.digest.len(), 64);
    assert!(inspection.imports.iter().all(|import| import.starts_with("inference:runtime/")));
    let Described::Step(described) = inspection.described else { panic!("it is a step") };
    assert_eq!(described.name, "step-probe");
    assert_eq!(described.inputs.iter().map(|slot| slot.required).collect::<Vec<_>>(), [true, false]);
    let needs: Vec<_> = described.models.iter().map(|need| (&*need.name, need.task, need.required)).collect();
    assert_eq!(
        needs,
        [
            ("judge", "text-classification", true),
            ("writer", "text-generation", false),
            ("embedder", "sentence-embedding", false)
        ]
    );
}

#[test]
fn a_step_is_answered_by_the_host() {
    for (does, text_of) in [
        ("count", "hé 1"),
        ("tokens", "hi"),
        ("vocabulary", "765 tokens, 233 adds é, 9 is special, of 768 numbers"),
        ("classify", "hé 0.75, other 0.25"),
        ("embed", "[[0.5, -1.0]]"),
        ("run", "{\"text\":\"hé\"}"),
        ("not described", "Failure::NotGranted(\"`other` is not granted\")"),
        ("write", "a|b"),
        ("write for ever", "Failure::UsedUp(\"nothing is left\")"),
        ("stream", "abc"),
        ("score", "[-2.0, -2.0]"),
    ] {
        assert_eq!(text(does), text_of, "{does}");
    }
}

#[test]
fn fields_go_through_as_they_are() {
    let host: Arc<Fake> = Arc::default();
    let mut step = block_on(probe().start(fields(json!({"does": "count"})), GRANTED, host.clone())).expect("it starts");
    let extras = [json!(null), json!([1, {"a": null}]), json!(u64::MAX), json!(-7), json!(0.1), json!(true), json!("")];
    for (index, extra) in extras.into_iter().enumerate() {
        let record = fields(json!({"text": "a", "extra": extra}));
        let outputs = block_on(step.process(record, host.clone())).expect("it answers");
        assert_eq!(Value::Object(outputs), json!({"text": format!("a {}", index + 1), "extra": extra}));
    }
    let error = block_on(step.process(fields(json!({"text": 1})), host.clone())).expect_err("it is no text");
    assert!(error.to_string().ends_with("do not fit: `text` must be a text"), "{error}");
    assert_eq!(error.exit(), Exit::Data);
    assert!(step.is_usable());
}

#[test]
fn each_misuse_of_a_step_is_one_error() {
    for (does, says) in [
        ("refuse to start", "does not start: there is no such filter:  [2Jsecret"),
        ("panic at start", "cannot start"),
        ("refuse", "refuses the record: hé is private"),
        ("panic", "cannot read hé"),
        ("loop", "it ran for more than 500 ms"),
        ("hoard", "it asked for more than 16777216 bytes of memory"),
        ("recurse", "its calls nest too deep for the stack"),
        ("give too much", "not those that it describes: there is no `more`"),
        ("give too little", "not those that it describes: `text` is missing"),
        ("give a number", "not those that it describes: `text` must be a text"),
        ("give a flood", ""),
        ("log a flood", "it wrote a note of 5000 bytes; there can be 4096"),
        ("hoard streams", "resource table has no free keys"),
        ("dance", "refuses the record: it cannot dance"),
    ] {
        let started = Instant::now();
        let error = outcome(does, GRANTED).err().unwrap_or_else(|| panic!("{does}: it is refused"));
        assert!(said(&error).contains(says), "{does}: {}", said(&error));
        assert!(started.elapsed() < Duration::from_secs(10), "{does}");
    }
}

#[test]
fn what_may_not_be_logged_is_not_shown() {
    let quiet = Granted { log_text: false, ..GRANTED };
    for does in ["refuse", "panic"] {
        let error = outcome(does, quiet).expect_err("it is refused");
        let (said, hint) = (said(&error), error.hint().unwrap_or_default());
        assert!(!said.contains("hé"), "{does}: {said}");
        assert!(does == "panic" || hint.contains("`log_text = true`"), "{does}: {hint}");
    }
    let host: Arc<Fake> = Arc::default();
    let mut step = block_on(probe().start(fields(json!({"does": "log"})), GRANTED, host.clone())).expect("it starts");
    block_on(step.process(fields(json!({"text": "hé"})), host.clone())).expect("it answers");
    assert_eq!(*host.log.lock().expect("no test panics with it"), ["saw hé [2J"]);
}

#[test]
fn an_instance_that_was_ended_takes_no_record_and_holds_nothing() {
    let host: Arc<Fake> = Arc::default();
    let start = |does: &str| block_on(probe().start(fields(json!({"does": does})), GRANTED, host.clone()));
    let mut step = start("panic").expect("it starts");
    block_on(step.process(fields(json!({"text": "a"})), host.clone())).expect_err("it panics");
    assert!(!step.is_usable());
    let mut step = start("hoard streams").expect("it starts");
    block_on(step.process(fields(json!({"text": "a"})), host.clone())).expect_err("there are too many");
    drop(step);
    assert_eq!(host.streams.load(Ordering::SeqCst), 0);
    assert_eq!(Arc::strong_count(&host), 1);
}

#[test]
fn another_file_than_the_one_named_is_refused_before_it_is_compiled() {
    let path = guest("examples/step_probe");
    let wrong = "0".repeat(64);
    let error = host().load_step(PluginFile { path: &path, sha256: Some(&wrong) }).err().expect("it is refused");
    assert!(matches!(&error, Error::OtherDigest { found, .. } if found.len() == 64), "{error}");
    let digest = probe().digest().to_uppercase();
    assert!(host().load_step(PluginFile { path: &path, sha256: Some(&digest) }).is_ok());
    let folder = tempfile::tempdir().expect("there is room");
    let garbage = folder.path().join("garbage.wasm");
    std::fs::write(&garbage, "not a component at all").expect("there is room");
    let error = host().load_step(PluginFile { path: &garbage, sha256: Some(&wrong) }).err().expect("it is refused");
    assert!(matches!(error, Error::OtherDigest { .. }), "{error}");
}

#[test]
fn a_plugin_of_another_world_is_refused() {
    let error = host().load_step(&guest("bert_plugin")).err().expect("it is refused").to_string();
    assert!(error.ends_with("is of the world `architecture`; one of the world `step` is needed"), "{error}");
    let error = host().load(&guest("examples/logits_probe")).err().expect("it is refused").to_string();
    assert!(
        error.ends_with("is of the world `logits-processor`; one of the world `architecture` is needed"),
        "{error}"
    );
}

fn scorer() -> LogitsPlugin {
    host().load_logits(&guest("examples/logits_probe")).expect("it loads")
}

/// What the probe makes of eight scores behind two texts.
fn scores(does: &str) -> Result<Vec<f32>, Error> {
    let host: Arc<Fake> = Arc::default();
    let mut processor = scorer().start(fields(json!({"does": does, "token": 3})), &[5], GRANTED, host)?;
    let mut row = vec![0.5, 2.0, -1.0, 4.0, 0.0, 3.0, 1.0, -2.0];
    processor.process(&[], &mut row)?;
    if does == "forget" {
        let mut row = vec![1.0; 8];
        processor.process(&[6, 7], &mut row)?;
        return Ok(row);
    }
    Ok(row)
}

#[test]
fn a_processor_changes_scores() {
    const OUT: f32 = f32::NEG_INFINITY;
    for (does, expected) in [
        ("nothing", [0.5, 2.0, -1.0, 4.0, 0.0, 3.0, 1.0, -2.0]),
        ("ban", [0.5, 2.0, -1.0, OUT, 0.0, 3.0, 1.0, -2.0]),
        ("keep", [OUT, OUT, OUT, 4.0, OUT, OUT, OUT, OUT]),
        ("ban the best", [0.5, 2.0, -1.0, OUT, 0.0, 3.0, 1.0, -2.0]),
        ("negate", [-0.5, -2.0, 1.0, -4.0, 0.0, -3.0, -1.0, 2.0]),
        ("forget", [1.0, 1.0, 1.0, 1.0, 1.0, OUT, OUT, OUT]),
    ] {
        assert_eq!(scores(does).unwrap_or_else(|error| panic!("{does}: {}", said(&error))), expected, "{does}");
    }
}

#[test]
fn each_misuse_of_scores_is_one_error() {
    for (does, says) in [
        ("refuse", "does not start: no"),
        ("nan", "made the score of token 3 NaN"),
        ("reach out", "it named token 8 of a vocabulary of 8"),
        ("read out", "it named 4294967295 tokens from 1 on, of a vocabulary of 8"),
        ("loop", "it ran for more than 500 ms"),
        ("panic", "no more"),
        ("spell", "it named token 116 of a vocabulary of 8"),
    ] {
        let error = scores(does).err().unwrap_or_else(|| panic!("{does}: it is refused"));
        assert!(said(&error).contains(says), "{does}: {}", said(&error));
    }
    let host: Arc<Fake> = Arc::default();
    let error = scorer().start(fields(json!({"token": 3})), &[], GRANTED, host).err().expect("`does` is missing");
    assert!(error.to_string().ends_with("do not fit: `does` is missing"), "{error}");
    assert!(matches!(scores("loop"), Err(Error::Trap { cause: Cause::Deadline { .. }, .. })));
}
