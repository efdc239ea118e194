//! `runtime generate`: goes on from one text, or from every record of a file.

mod prompt;
mod records;

use std::io::{IsTerminal, stderr};

use futures::executor::block_on;
use runtime_chat::Chat;
use runtime_diagnostics::{Exit, Problem};
use runtime_engine::{Error, LanguageModel};
use serde_json::{Value, json};

use crate::args::{Generate, GeneratedFormat};
use crate::failure::Failure;
use crate::generating::{Asked, Interrupts, Sequence, Stats, Stop, Voice, aside, generate, load};

pub(crate) fn run(options: &Generate) -> Result<Exit, Failure> {
    let params = options.how.params()?;
    check(options)?;
    if let Some(input) = &options.input {
        let adapters = load(&options.model, &options.how, &params)?;
        let config = adapters.plain().configured(&params)?;
        return records::run(&adapters, config, input, options);
    }
    let prompt = prompt::read(options.prompt.as_deref())?;
    options
        .model
        .only_adapter("records of `--input` choose by their field `adapter`; for one text give one folder alone")?;
    let model = load(&options.model, &options.how, &params)?.plain().clone();
    let config = model.configured(&params)?;
    let tokens = tokens(&model, Prompt::Text(&prompt), options)?;
    let goes_on = !is_chat(options) && !model.is_encoder_decoder();
    let voice = Voice::new();
    let json = options.format == Some(GeneratedFormat::Jsonl);
    let streams = !json && (options.stream || voice.is_terminal() && !options.no_stream);
    let several = config.num_return_sequences;
    let mut interrupts = Interrupts::take()?;
    interrupts.begin();
    let mut said = false;
    let asked = Asked { tokens, config, goes_on, keep: false };
    let told = block_on(generate(&model, asked, Some(&mut interrupts), |place, text| {
        // Those beside the first wait until it is whole.
        if !streams || place > 0 || text.is_empty() {
            return Ok(());
        }
        if !said && several > 1 {
            voice.say(&mark(0, several))?;
        }
        said = true;
        voice.say(text)
    }));
    interrupts.end();
    let told = match told {
        Ok(told) => told,
        Err(stop) => {
            if said {
                // So that the error begins a line.
                let _unheard = voice.say("\n");
            }
            return stop.exit();
        }
    };
    let written = match json {
        true => write_json(&voice, &model, &told.sequences),
        false => write_texts(&voice, &told.sequences, said),
    };
    if options.stats || stderr().is_terminal() {
        tell(&told.stats);
    }
    match written {
        Err(stop) => stop.exit(),
        Ok(()) if told.interrupted => Ok(Exit::Interrupted),
        Ok(()) => Ok(Exit::Ok),
    }
}

/// What is gone on from or answered.
#[derive(Clone, Copy)]
enum Prompt<'a> {
    Text(&'a str),
    Messages(&'a [Value]),
}

fn is_chat(options: &Generate) -> bool {
    options.chat || options.system.is_some()
}

/// The tokens of a prompt, as the command line has it asked.
fn tokens(model: &LanguageModel, prompt: Prompt<'_>, options: &Generate) -> Result<Vec<u32>, Error> {
    let mut messages: Vec<Value> = Vec::new();
    if let Some(system) = &options.system {
        messages.push(json!({"role": "system", "content": system}));
    }
    match prompt {
        Prompt::Text(text) if !is_chat(options) => return model.tokens(text),
        Prompt::Text(text) => messages.push(json!({"role": "user", "content": text})),
        Prompt::Messages(given) => messages.extend(given.iter().cloned()),
    }
    let own = messages.last().is_some_and(|message| message["role"] == "assistant");
    let continue_final_message = own.then_some("content");
    model.chat_tokens(&Chat {
        messages: &messages,
        add_generation_prompt: !own,
        continue_final_message,
        ..Chat::default()
    })
}

/// Refuses flags that contradict each other.
fn check(options: &Generate) -> Result<(), Problem> {
    let contradiction = |message: &str| Err(Problem::new(Exit::Usage, message).hint("leave one of them out"));
    let json = options.format == Some(GeneratedFormat::Jsonl);
    match &options.input {
        Some(_) if options.stream => contradiction("`--stream` writes one text as it comes, and `--input` has many"),
        Some(_) if options.format == Some(GeneratedFormat::Text) => {
            contradiction("the answers of `--input` are JSON Lines, and `--format text` asks for texts")
        }
        None if options.stream && json => {
            contradiction("`--stream` writes a text as it comes, and JSON Lines hold whole ones")
        }
        _ => Ok(()),
    }
}

/// A line above one of several texts.
fn mark(place: usize, several: usize) -> String {
    format!("--- {} of {several} ---\n", place + 1)
}

/// Writes the texts, but for the first where it has been `said` already.
fn write_texts(voice: &Voice, sequences: &[Sequence], said: bool) -> Result<(), Stop> {
    for (place, sequence) in sequences.iter().enumerate() {
        let mark = if sequences.len() > 1 { mark(place, sequences.len()) } else { String::new() };
        match said && place == 0 {
            true => voice.say("\n")?,
            false => voice.say(&format!("{mark}{}\n", sequence.text))?,
        }
    }
    Ok(())
}

fn write_json(voice: &Voice, model: &LanguageModel, sequences: &[Sequence]) -> Result<(), Stop> {
    for sequence in sequences {
        voice.say(&format!("{}\n", sequence.json(model)?))?;
    }
    Ok(())
}

fn tell(stats: &Stats) {
    aside(&stats.line());
    if let Some(why) = stats.why_cut() {
        aside(&format!("{why}; `--max-new-tokens N` sets another"));
    }
}
