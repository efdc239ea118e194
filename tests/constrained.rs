//! Generation under constraints, with models of random weights: whatever they would write, they write what is asked for.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use futures::future::join_all;
use runtime_engine::{Error, Generated, LanguageModel, Options, Registry};
use runtime_generation::FinishReason;
use runtime_models::ModelFolder;
use runtime_tests::{Floats, Tensors, copy_folder, golden_model, root};
use serde_json::{Value, json};

/// Vocabularies of several kinds: byte-level, and of SentencePiece with bytes for what it lacks.
const MODELS: [&str; 4] = ["gpt2-f16", "llama-f16", "gemma2-f16", "phi3-f16"];

const LABELS: [&str; 4] = ["billing", "bug", "bug report", "accès refusé"];

fn load(folder: impl AsRef<Path>) -> LanguageModel {
    let folder = ModelFolder::new(folder.as_ref());
    LanguageModel::load(&Registry::new(Options::default()), &folder, None).expect("it loads")
}

fn decoder(name: &str) -> LanguageModel {
    load(root().join("tests/gguf/models").join(name))
}

fn ask(model: &LanguageModel, text: &str, params: &Value) -> Result<Generated, Error> {
    let config = model.config().with_params(params.as_object().expect("an object"))?;
    block_on(model.generate(model.tokens(text)?, config, false)?.finish())
}

/// The new text of each sequence, and why it ended.
fn texts(model: &LanguageModel, text: &str, params: &Value) -> Vec<(String, FinishReason)> {
    let generated = ask(model, text, params).unwrap_or_else(|error| panic!("{params}: {error}"));
    let prompt = if model.is_encoder_decoder() { Vec::new() } else { model.tokens(text).expect("tokens") };
    let before = model.decode(&prompt, true).expect("a text").chars().count();
    let new = |tokens: &[u32]| -> String {
        model.decode(&[&prompt, tokens].concat(), true).expect("a text").chars().skip(before).collect()
    };
    generated.sequences.iter().map(|sequence| (new(&sequence.tokens), sequence.finish_reason)).collect()
}

/// Ways of choosing tokens.
fn modes(seed: u64) -> [Value; 5] {
    [
        json!({"do_sample": false}),
        json!({"do_sample": true, "seed": seed, "temperature": 3.0, "top_k": 0, "num_return_sequences": 3}),
        json!({"do_sample": false, "num_beams": 3, "num_return_sequences": 2}),
        json!({"do_sample": true, "seed": seed, "num_beams": 3}),
        json!({"do_sample": false, "prompt_lookup_num_tokens": 3, "repetition_penalty": 1.5}),
    ]
}

fn with(mode: &Value, more: &Value) -> Value {
    let mut params = mode.clone();
    let all = params.as_object_mut().expect("an object");
    all.insert("max_new_tokens".to_owned(), json!(120));
    all.extend(more.as_object().expect("an object").clone());
    params
}

/// A model whose encoder reads the prompt: a family's, with as many tokens as a tokenizer has.
fn encoder_decoder() -> (tempfile::TempDir, LanguageModel) {
    let folder = tempfile::tempdir().expect("a folder");
    copy_folder(&root().join("tests/families/t5-conditionalgeneration"), folder.path());
    fs::copy(golden_model("t5").join("tokenizer.json"), folder.path().join("tokenizer.json")).expect("a copy");
    let (config, weights) = (folder.path().join("config.json"), folder.path().join("model.safetensors"));
    let text = fs::read_to_string(&config).expect("a file");
    let mut fields: Value = serde_json::from_str(&text).expect("JSON");
    let (few, many) = (usize::try_from(fields["vocab_size"].as_u64().expect("a number")).expect("small"), 392);
    fields["vocab_size"] = json!(many);
    fields["decoder_start_token_id"] = json!(0);
    fs::write(&config, fields.to_string()).expect("a file");
    let mut tensors = Tensors::read(&weights);
    for (shape, numbers) in tensors.0.values_mut().filter(|(shape, _)| shape[0] == few) {
        let width = numbers.len() / few;
        // Rows of others, in another order, are as random as those.
        let row = |row: usize| (0..width).map(move |place| (row % few * width) + (place * (1 + row / few)) % width);
        *numbers = (0..many).flat_map(row).map(|place| numbers[place]).collect();
        shape[0] = many;
    }
    tensors.write(&weights, Floats::F32);
    let model = load(folder.path());
    (folder, model)
}

#[test]
fn what_is_written_is_one_of_the_choices() {
    let (_folder, translator) = encoder_decoder();
    let choices = |model: &LanguageModel, labels: &[&str], name: &str| {
        let mut seen = BTreeSet::new();
        for seed in 0..12 {
            for mode in modes(seed) {
                let params = with(&mode, &json!({"choices": labels}));
                for (text, reason) in texts(model, &format!("Ticket {seed}: it does not work."), &params) {
                    assert!(labels.contains(&text.as_str()), "{name}: `{text}` with {params}");
                    assert!(matches!(reason, FinishReason::Complete | FinishReason::EndToken), "{name}: {reason:?}");
                    seen.insert(text);
                }
            }
        }
        assert!(seen.len() > 1, "{name}: always {seen:?}");
    };
    for name in MODELS {
        choices(&decoder(name), &LABELS, name);
    }
    choices(&translator, &LABELS[..3], "t5");
}

#[test]
fn what_is_written_is_json_of_the_schema() {
    let schema = json!({
        "type": "object",
        "properties": {
            "label": {"enum": LABELS},
            "score": {"type": "integer", "minimum": 0, "maximum": 100},
            "words": {"type": "array", "items": {"type": "string", "maxLength": 3}, "minItems": 1, "maxItems": 2},
        },
        "required": ["label", "score", "words"],
        "additionalProperties": false,
    });
    for name in MODELS {
        let model = decoder(name);
        let mut complete = 0;
        for seed in 0..8 {
            for mode in modes(seed) {
                let params = with(&mode, &json!({"json_schema": schema}));
                for (text, reason) in texts(&model, &format!("Ticket {seed}: it does not work."), &params) {
                    if reason == FinishReason::Length {
                        // What was cut off is told, and is no whole value.
                        assert!(serde_json::from_str::<Value>(&text).is_err(), "{name}: `{text}` is whole");
                        continue;
                    }
                    let value: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("`{text}`: {error}"));
                    let fields = value.as_object().expect("an object");
                    let label = value["label"].as_str().is_some_and(|label| LABELS.contains(&label));
                    let score = value["score"].as_u64().is_some_and(|score| score <= 100);
                    let short = |word: &Value| word.as_str().is_some_and(|word| word.chars().count() <= 3);
                    let words =
                        value["words"].as_array().is_some_and(|words| words.iter().all(short) && words.len() <= 2);
                    assert!(fields.len() == 3 && label && score && words, "{name}: {value} with {params}");
                    complete += 1;
                }
            }
        }
        assert!(complete > 30, "{name}: {complete} came to their end");
    }
}

#[test]
fn what_is_written_matches_the_expression_or_the_grammar() {
    let dated = |text: &str| {
        let parts: Vec<&str> = text.split('-').collect();
        let digits = |part: &&str| part.chars().all(|char| char.is_ascii_digit());
        parts.iter().map(|part| part.len()).collect::<Vec<_>>() == [4, 2, 2] && parts.iter().all(digits)
    };
    let params = [
        json!({"regex": "[0-9]{4}-[0-9]{2}-[0-9]{2}"}),
        json!({"grammar": "start: D D D D \"-\" D D \"-\" D D\nD: /[0-9]/"}),
    ];
    for name in MODELS {
        let model = decoder(name);
        for (seed, more) in (0..6).flat_map(|seed| params.iter().map(move |more| (seed, more))) {
            for mode in modes(seed) {
                for (text, reason) in texts(&model, "The date is", &with(&mode, more)) {
                    assert!(
                        dated(&text) && reason == FinishReason::Complete,
                        "{name}: `{text}`, {reason:?} by {mode} {more}"
                    );
                }
            }
        }
    }
}

#[test]
fn what_ends_early_is_told() {
    let model = decoder("llama-f16");
    let [greedy, .., beams, _, _] = modes(0);
    for mode in [&greedy, &beams] {
        let cut = with(mode, &json!({"regex": "(ab|cd){30}", "max_new_tokens": 5}));
        for (text, reason) in texts(&model, "One", &cut) {
            assert!(reason == FinishReason::Length && text.len() < 60, "`{text}` {reason:?}");
        }
    }
    // A stop string comes before the end that the constraint asks for.
    let stopped = with(&greedy, &json!({"regex": "[ab]{3}=[cd]{40}", "stop_strings": ["="]}));
    let [(text, reason)] = &texts(&model, "One", &stopped)[..] else { panic!("there is one") };
    assert!(text.contains('=') && text.len() < 12 && *reason == FinishReason::StopString(0), "`{text}` {reason:?}");
}

#[test]
fn forced_tokens_are_no_part_of_the_text() {
    let (_folder, model) = encoder_decoder();
    // A language token in front, as the translators have it, and an end where the length is reached.
    let unknown = 2;
    let forced = json!({"choices": ["bug report", "billing"], "forced_bos_token_id": unknown, "num_beams": 2});
    let generated = ask(&model, "it does not work", &with(&json!({"do_sample": false}), &forced)).expect("an answer");
    let tokens = &generated.sequences[0].tokens;
    assert_eq!(tokens[0], unknown);
    let text = model.decode(&tokens[1..], true).expect("a text");
    assert!(text == "bug report" || text == "billing", "`{text}`");
    let end = model.config().eos_token_id[0];
    for beams in [1, 2] {
        let forced = json!({"regex": "[ab]{40}", "forced_eos_token_id": end, "max_new_tokens": 6, "num_beams": beams});
        let generated = ask(&model, "it", &with(&json!({"do_sample": false}), &forced)).expect("an answer");
        let [sequence] = &generated.sequences[..] else { panic!("there is one") };
        assert_eq!((sequence.tokens.last(), sequence.finish_reason), (Some(&end), FinishReason::Length));
    }
}

#[test]
fn wrong_constraints_are_refused_before_anything_is_written() {
    let model = decoder("llama-f16");
    for (params, told) in [
        (json!({"json_schema": {"type": "integer", "minimum": 5, "maximum": 3}}), "no text satisfies `json_schema`"),
        (json!({"json_schema": {"type": "thing"}}), "`json_schema` cannot be used"),
        (json!({"regex": "(a"}), "`regex` cannot be used"),
        (json!({"grammar": "start: nothing"}), "`grammar` cannot be used"),
        (json!({"choices": []}), "`choices` is empty"),
        (json!({"choices": ["a"], "regex": "a"}), "does not go with"),
    ] {
        let config = model.config().with_params(params.as_object().expect("an object")).map_err(Error::from);
        let stream = config.and_then(|config| model.generate(model.tokens("a")?, config, false));
        let error = stream.expect_err("it is refused").to_string();
        assert!(error.contains(told), "{params}: {error}");
    }
    // What only shows while it is written.
    let all: Vec<usize> = (0..model.loaded().model().width).collect();
    for beams in [1, 3] {
        let params = json!({"do_sample": false, "choices": ["a"], "suppress_tokens": all, "num_beams": beams});
        let error = ask(&model, "a", &params).expect_err("nothing is left");
        assert_eq!(
            error.to_string(),
            "no token is left to choose from: other parameters rule out all that `choices` allows"
        );
    }
    // The worker counts a request out after it has answered it.
    let held = model.loaded().generator().expect("it generates");
    let until = Instant::now() + Duration::from_secs(10);
    while held.requests() > 0 && Instant::now() < until {
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!((held.requests(), held.blocks_held()), (0, 0));
}

#[test]
fn neighbours_do_not_change_what_is_written() {
    let model = decoder("llama-f16");
    let requests: Vec<Value> = (0..60)
        .map(|index| {
            let [greedy, sampled, beams, ..] = modes(index);
            match index % 5 {
                0 => with(&greedy, &json!({"choices": LABELS})),
                1 => with(
                    &sampled,
                    &json!({"json_schema": {"type": "array", "items": {"type": "boolean"}, "maxItems": 4}}),
                ),
                2 => with(&beams, &json!({"regex": "[a-z]{2,6}( [a-z]{2,6})?"})),
                3 => with(&sampled, &json!({"max_new_tokens": 10})),
                _ => with(&greedy, &json!({"max_new_tokens": 10})),
            }
        })
        .collect();
    let tokens = |generated: &Generated| -> Vec<Vec<u32>> {
        generated.sequences.iter().map(|sequence| sequence.tokens.clone()).collect()
    };
    let alone: Vec<_> = requests.iter().map(|params| tokens(&ask(&model, "Ticket", params).expect("alone"))).collect();
    let streams = requests.iter().map(|params| {
        let config = model.config().with_params(params.as_object().expect("an object")).expect("parameters");
        model.generate(model.tokens("Ticket").expect("tokens"), config, false).expect("it is taken")
    });
    let together = block_on(join_all(streams.map(runtime_engine::GenerationStream::finish).collect::<Vec<_>>()));
    for ((params, alone), together) in requests.iter().zip(alone).zip(together) {
        assert_eq!(tokens(&together.expect("an answer")), alone, "{params}");
    }
}
