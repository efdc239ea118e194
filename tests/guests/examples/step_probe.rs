//! A step that does what its parameter `does` says, well or badly.

use std::hint;

use runtime_plugin_sdk::serde_json::{Value, json};
use runtime_plugin_sdk::step::{Description, Step, Task};
use runtime_plugin_sdk::{Fields, Kind, Level, Message, Prompt, Role, Slot, generate, log, model, tokenizer};

runtime_plugin_sdk::export_step!(Probe);

struct Probe {
    does: String,
    hoard: Vec<Vec<u8>>,
    records: usize,
}

impl Step for Probe {
    fn describe() -> Description {
        Description::new("step-probe", env!("CARGO_PKG_VERSION"), "does as it is told")
            .input(Slot::required("text", Kind::Text, "what it is given"))
            .input(Slot::optional("extra", Kind::Any, "what else"))
            .output(Slot::required("text", Kind::Text, "what it gives"))
            .output(Slot::optional("extra", Kind::Any, "what it was given beside"))
            .parameter(Slot::required("does", Kind::Text, "what it is to do"))
            .model("judge", Task::TextClassification, Fields::new())
            .optional_model("writer", Task::TextGeneration, Fields::new())
            .optional_model("embedder", Task::SentenceEmbedding, Fields::new())
            .optional_tokenizer("words")
    }

    fn start(parameters: &Fields) -> Result<Self, String> {
        let does = parameters["does"].as_str().unwrap_or_default().to_owned();
        match does.as_str() {
            "refuse to start" => Err("there is no such filter: \u{1b}[2Jsecret".to_owned()),
            "panic at start" => panic!("cannot start"),
            _ => Ok(Self { does, hoard: Vec::new(), records: 0 }),
        }
    }

    fn process(&mut self, record: &Fields) -> Result<Fields, String> {
        self.records += 1;
        let text = record["text"].as_str().unwrap_or_default();
        let extra = record.get("extra").cloned().unwrap_or_default();
        let given = |text: String| Ok(fields(json!({"text": text, "extra": extra})));
        match self.does.as_str() {
            "count" => given(format!("{text} {}", self.records)),
            "refuse" => Err(format!("{text} is private")),
            "panic" => panic!("cannot read {text}"),
            "loop" => {
                while hint::black_box(true) {}
                given(String::new())
            }
            "hoard" => loop {
                self.hoard.push(vec![1; 1 << 20]);
            },
            "recurse" => given(descend(0).to_string()),
            "give too much" => Ok(fields(json!({"text": text, "more": 1}))),
            "give too little" => Ok(Fields::new()),
            "give a number" => Ok(fields(json!({"text": 1}))),
            "give a flood" => given("x".repeat(32 << 20)),
            "log" => {
                log(Level::Warning, &format!("saw {text}\u{1b}[2J"));
                given(text.to_owned())
            }
            "log a flood" => {
                log(Level::Info, &"x".repeat(5000));
                given(text.to_owned())
            }
            "tokens" => {
                let tokens = tokenizer::encode("words", text, false).map_err(|failure| format!("{failure:?}"))?;
                let ids: Vec<u32> = tokens.iter().map(|token| token.id).collect();
                given(tokenizer::decode("words", &ids, true).map_err(|failure| format!("{failure:?}"))?)
            }
            "vocabulary" => given(said(tokenizer::vocabulary("words").map(|vocabulary| {
                let written = vocabulary.iter().find(|(_, bytes)| *bytes == "é".as_bytes()).map(|(token, _)| token);
                format!(
                    "{} tokens, {} adds é, {} is special, of {} numbers",
                    vocabulary.iter().count(),
                    written.unwrap_or_default(),
                    vocabulary.special().last().copied().unwrap_or_default(),
                    vocabulary.len()
                )
            }))),
            "classify" => given(said(model::classify("judge", text, None).map(|scores| {
                scores.iter().map(|score| format!("{} {}", score.label, score.score)).collect::<Vec<_>>().join(", ")
            }))),
            "embed" => given(said(model::embed("embedder", &[text]).map(|rows| format!("{rows:?}")))),
            "run" => given(said(model::run("judge", fields(json!({"text": text}))).map(|result| result.to_string()))),
            "not described" => given(said(model::classify("other", text, None).map(|_| String::new()))),
            "write" => {
                let prompt = Prompt::Chat(vec![Message { role: Role::User, content: text.to_owned() }]);
                let parameters = fields(json!({"max_new_tokens": 4, "do_sample": false}));
                given(said(generate::complete("writer", &prompt, parameters).map(|completions| {
                    completions.into_iter().map(|completion| completion.text).collect::<Vec<_>>().join("|")
                })))
            }
            "write for ever" => {
                let prompt = Prompt::Text(text.to_owned());
                loop {
                    let parameters = fields(json!({"max_new_tokens": 4}));
                    if let Err(failure) = generate::complete("writer", &prompt, parameters) {
                        return given(format!("{failure:?}"));
                    }
                }
            }
            "stream" => {
                let prompt = Prompt::Text(text.to_owned());
                let pieces = generate::stream("writer", &prompt, fields(json!({"max_new_tokens": 4})));
                let pieces = pieces.map_err(|failure| format!("{failure:?}"))?;
                given(said(pieces.collect::<Result<Vec<String>, _>>().map(|pieces| pieces.join(""))))
            }
            "hoard streams" => {
                let prompt = Prompt::Text(text.to_owned());
                let mut held = Vec::new();
                loop {
                    match generate::stream("writer", &prompt, fields(json!({"max_new_tokens": 1}))) {
                        Ok(pieces) => held.push(pieces),
                        Err(failure) => return given(format!("{} {failure:?}", held.len())),
                    }
                }
            }
            "score" => {
                let prompt = Prompt::Text(text.to_owned());
                given(said(generate::score("writer", &prompt, &["yes", "no"]).map(|scores| format!("{scores:?}"))))
            }
            other => Err(format!("it cannot {other}")),
        }
    }
}

fn fields(value: Value) -> Fields {
    if let Value::Object(fields) = value { fields } else { Fields::new() }
}

fn said<E: std::fmt::Debug>(answer: Result<String, E>) -> String {
    answer.unwrap_or_else(|failure| format!("{failure:?}"))
}

#[inline(never)]
fn descend(depth: u64) -> u64 {
    if hint::black_box(depth) == u64::MAX { 0 } else { hint::black_box(descend(depth + 1)) + 1 }
}
