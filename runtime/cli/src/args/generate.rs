//! `runtime generate`, and what it shares with `runtime chat`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args as ClapArgs, ValueEnum};
use runtime_diagnostics::{Exit, Problem};
use runtime_tasks::Dtype;
use serde_json::{Map, Value};

use super::DeviceArg;
use super::adapter::AdapterArg;
use super::task::{Param, parse_dtype};

#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER)]
pub(crate) struct Generate {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// The text to go on from; `-` or none is standard input
    #[arg(conflicts_with = "input")]
    pub(crate) prompt: Option<String>,
    #[command(flatten)]
    pub(crate) how: Generated,
    /// Ask with the model's chat template, as the user of a conversation, instead of going on from the text
    #[arg(long)]
    pub(crate) chat: bool,
    /// The system message of the conversation; brings `--chat`
    #[arg(long, value_name = "TEXT")]
    pub(crate) system: Option<String>,
    /// Write the text as it comes [default: on a terminal]
    #[arg(long, conflicts_with = "no_stream")]
    pub(crate) stream: bool,
    /// Write the text when it is whole
    #[arg(long)]
    pub(crate) no_stream: bool,
    /// Tell tokens and their rates on stderr [default: on a terminal]
    #[arg(long)]
    pub(crate) stats: bool,
    /// Answer every record of a file, with a `text` or `messages`, and where there are several the name of an `adapter`: JSON Lines, CSV or lines of text (`.txt`) by the
    /// ending; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,
    /// How it is written [default: the text alone; JSON Lines with `--input`]
    #[arg(long)]
    pub(crate) format: Option<GeneratedFormat>,
}

const AFTER: &str = "Parameters are those of `generate` of Hugging Face transformers, over the model's generation_config.json: \
                     `--param top_p=0.9`, `--param num_beams=4`, `--param repetition_penalty=1.1`, \
                     `--param 'stop_strings=[\"\\n\"]'`, `--param num_return_sequences=3`, `--param logprobs=5`. Without \
                     a length there are 256 new tokens at most.";

/// A model, and how it is loaded.
#[derive(Debug, ClapArgs)]
pub(crate) struct ModelArgs {
    /// The model: `./folder`, `./file.gguf` or `org/name[@revision]`
    #[arg(long)]
    pub(crate) model: String,
    /// A plugin that describes the model, instead of a built-in architecture: a file, `org/name:FILE` of the hub, or
    /// `oci://REGISTRY/NAME:TAG`
    #[arg(long, value_name = "PLUGIN")]
    pub(crate) plugin: Option<PathBuf>,
    /// The folder of a LoRA adapter for the model; with names, several share its weights, and requests choose
    #[arg(long = "adapter", value_name = "[NAME=]FOLDER")]
    pub(crate) adapters: Vec<AdapterArg>,
    /// What weights are computed in: `f32`, `bf16` (half the memory) or `int8` (a quarter, and faster)
    #[arg(long, value_name = "TYPE", default_value = "f32", value_parser = parse_dtype)]
    pub(crate) dtype: Dtype,
    #[command(flatten)]
    pub(crate) device: DeviceArg,
}

/// How tokens are chosen.
#[derive(Debug, ClapArgs)]
pub(crate) struct Generated {
    /// A parameter of the generation, such as `top_p=0.9`; the value is JSON, or else a text
    #[arg(long = "param", value_name = "NAME=VALUE")]
    pub(crate) params: Vec<Param>,
    /// A plugin that changes the scores of each token, with its parameters: `filter.wasm={"words": ["refund"]}`; several
    /// follow one another
    #[arg(long = "logits-processor", value_name = "PLUGIN[=JSON]")]
    pub(crate) logits_processors: Vec<LogitsProcessorArg>,
    /// New tokens, at most
    #[arg(long, value_name = "N")]
    pub(crate) max_new_tokens: Option<u64>,
    /// Draw tokens, with scores divided by X; 0 takes the likeliest each time
    #[arg(long, value_name = "X", allow_negative_numbers = true, value_parser = finite)]
    pub(crate) temperature: Option<f64>,
    /// What draws follow from, so that they can be repeated
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
}

/// `PLUGIN`, or `PLUGIN={...}` with its parameters.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LogitsProcessorArg {
    pub(crate) plugin: PathBuf,
    pub(crate) parameters: Map<String, Value>,
}

impl FromStr for LogitsProcessorArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (plugin, parameters) = match text.split_once("={") {
            Some((plugin, inner)) => {
                let parameters = serde_json::from_str(&format!("{{{inner}"));
                (plugin, parameters.map_err(|error| format!("the parameters are no JSON object: {error}"))?)
            }
            None if text.contains(".wasm=") || text.contains(".wasm =") => {
                return Err("the parameters are a JSON object: `PLUGIN={\"name\": value}`".to_owned());
            }
            None => (text, Map::new()),
        };
        if plugin.trim().is_empty() {
            return Err("no plugin is named".to_owned());
        }
        Ok(Self { plugin: plugin.into(), parameters })
    }
}

/// How generated texts are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum GeneratedFormat {
    /// The text alone
    Text,
    /// A JSON object for each sequence, with text, tokens and why it ended
    Jsonl,
}

impl Generated {
    /// All of them as parameters; of several with one name the last.
    ///
    /// # Errors
    /// Where a flag and a parameter give the same.
    pub(crate) fn params(&self) -> Result<Map<String, Value>, Problem> {
        let mut params: Map<String, Value> =
            self.params.iter().map(|param| (param.name.clone(), param.value.clone())).collect();
        let mut give = |flag: &str, name: &str, value: Value| {
            if params.contains_key(name) {
                let message = format!("`{flag}` and `--param {name}=...` give the same");
                return Err(Problem::new(Exit::Usage, message).hint("leave one of them out"));
            }
            params.insert(name.to_owned(), value);
            Ok(())
        };
        if let Some(count) = self.max_new_tokens {
            give("--max-new-tokens", "max_new_tokens", count.into())?;
        }
        if let Some(seed) = self.seed {
            give("--seed", "seed", seed.into())?;
        }
        match self.temperature {
            None => {}
            // As most programs have it; transformers would divide by it.
            Some(0.0) => give("--temperature 0", "do_sample", false.into())?,
            Some(temperature) => {
                give("--temperature", "temperature", temperature.into())?;
                params.entry("do_sample").or_insert(true.into());
            }
        }
        Ok(params)
    }
}

fn finite(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "it is no number".to_owned())?;
    if number.is_finite() { Ok(number) } else { Err("it must be finite".to_owned()) }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use crate::args::{Args, Command};

    use super::*;

    fn params(arguments: &str) -> Result<Value, String> {
        let all = ["runtime", "generate", "--model", "m", "hi"].into_iter().chain(arguments.split_whitespace());
        match Args::try_parse_from(all).map_err(|error| error.to_string())?.command {
            Command::Generate(options) => {
                options.how.params().map(Value::Object).map_err(|problem| problem.to_string())
            }
            _ => panic!("another command"),
        }
    }

    #[test]
    fn a_processor_has_its_parameters_behind_it() {
        let parsed = |text: &str| text.parse().map(|LogitsProcessorArg { plugin, parameters }| (plugin, parameters));
        let named =
            |plugin: &str, parameters: Value| Ok((plugin.into(), parameters.as_object().cloned().expect("one")));
        assert_eq!(parsed("a.wasm"), named("a.wasm", json!({})));
        assert_eq!(parsed("a=b.wasm={\"x\": [\"={\"]}"), named("a=b.wasm", json!({"x": ["={"]})));
        assert_eq!(parsed("oci://a/b@sha256:0={}"), named("oci://a/b@sha256:0", json!({})));
        assert!(parsed("a.wasm={x}").is_err_and(|said| said.starts_with("the parameters are no JSON object")));
        for text in ["={}", "", "a.wasm=", "a.wasm=[1]", "a.wasm = {}"] {
            assert!(parsed(text).is_err(), "{text}");
        }
    }

    #[test]
    fn flags_are_parameters_by_another_name() {
        assert_eq!(params(""), Ok(json!({})));
        assert_eq!(params("--max-new-tokens 3 --seed 7"), Ok(json!({"max_new_tokens": 3, "seed": 7})));
        assert_eq!(params("--temperature 0.5"), Ok(json!({"temperature": 0.5, "do_sample": true})));
        assert_eq!(params("--temperature 0"), Ok(json!({"do_sample": false})));
        assert_eq!(params("--temperature -1"), Ok(json!({"temperature": -1.0, "do_sample": true})));
        let given = params("--temperature 2 --param do_sample=false --param top_k=3");
        assert_eq!(given, Ok(json!({"do_sample": false, "top_k": 3, "temperature": 2.0})));
        let twice = params("--seed 1 --param seed=2").expect_err("both");
        assert!(twice.contains("`--seed` and `--param seed=...` give the same"), "{twice}");
        assert!(params("--stream --no-stream").is_err());
    }
}
