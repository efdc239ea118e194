//! Answers every record of an input. Many are under way at once, so that their tokens share the model's runs.

use std::io::{BufWriter, ErrorKind, Write, stdout};
use std::path::Path;
use std::sync::Arc;

use futures::executor::block_on;
use futures::{FutureExt, StreamExt, future};
use runtime_diagnostics::{Exit, Explain, Problem};
use runtime_engine::{Adapters, Error, Fields, LanguageModel};
use runtime_generation::GenerationConfig;
use serde_json::Value;

use super::{Prompt, is_chat, tokens};
use crate::ahead::{self, Load, Threads};
use crate::args::Generate;
use crate::commands::task::tally::Tally;
use crate::failure::{Failure, IoError, complain};
use crate::generating::{Asked, Stop, generate};
use crate::input::{DataError, Input, Item, Limits, Record};
use crate::output::{SinkError, write_joined};

/// The longest record, in bytes.
const MAX_RECORD_BYTES: usize = 1 << 20;

/// What became of an item.
enum Outcome {
    Answered(Record, Value, usize),
    Refused(usize, Stop),
    Bad(usize, DataError),
    Failed(IoError),
}

pub(super) fn run(
    adapters: &Adapters,
    config: GenerationConfig,
    input: &Path,
    options: &Generate,
) -> Result<Exit, Failure> {
    let input = Input::new(input);
    let limits = Limits { record_bytes: MAX_RECORD_BYTES, setting: "the most that is read", records: usize::MAX };
    let items = input.read_texts("text", limits)?;
    let threads =
        Threads::new().map_err(|error| Problem::new(Exit::Internal, format!("cannot start threads: {error}")))?;
    let is_encoder_decoder = adapters.plain().is_encoder_decoder();
    let config = Arc::new(config);
    let start = |item| match item {
        Item::Record(record) => {
            let asked =
                chosen(&record, adapters).and_then(|model| Ok((model.clone(), prompt(&record, model, options)?)));
            let goes_on =
                !is_chat(options) && Fields::new(&record.fields).get("messages").is_none() && !is_encoder_decoder;
            threads.spawn(answer(record, asked, goes_on, Arc::clone(&config)))
        }
        Item::Bad { line, error } => future::ready(Outcome::Bad(line, error)).boxed(),
        Item::Failed(error) => future::ready(Outcome::Failed(error)).boxed(),
    };
    let load = |item: &Item| Load::of(item, |field| matches!(field, "text" | "messages"));
    let mut outcomes = std::pin::pin!(ahead::answers(items, load, start));
    let mut out = BufWriter::new(stdout().lock());
    let mut tally = Tally::new();
    while let Some(outcome) = block_on(outcomes.next()) {
        match outcome {
            Outcome::Answered(record, result, tokens) => match write_joined(&mut out, &record, result) {
                Ok(()) => tally.answered(tokens, 0),
                Err(SinkError::Io(error)) if error.kind() == ErrorKind::BrokenPipe => return Ok(Exit::Ok),
                Err(SinkError::Io(source)) => {
                    return Err(IoError::Write { name: "stdout".to_owned(), source }.into());
                }
                Err(error) => tally.bad(refuse(&input, record.line, &error)),
            },
            Outcome::Refused(line, Stop::Engine(error)) => tally.bad(refuse(&input, line, &error)),
            Outcome::Refused(_, stop) => return stop.exit(),
            Outcome::Bad(line, error) => tally.bad(refuse(&input, line, &error)),
            Outcome::Failed(error) => return Err(error.into()),
        }
    }
    let _written = out.flush();
    tally.tell(true);
    Ok(tally.exit())
}

/// Tells what is wrong with a record; the exit code that it leads to.
fn refuse(input: &Input, line: usize, error: &impl Explain) -> Exit {
    complain(&format!("{}:{line}: ", input.name()), error);
    match error.exit() {
        // The model and its parameters have been accepted, so that it is the record that is wrong.
        Exit::Config | Exit::Usage => Exit::Data,
        other => other,
    }
}

/// The model with the adapter that a record names, where there are adapters with names.
fn chosen<'a>(record: &Record, adapters: &'a Adapters) -> Result<&'a LanguageModel, Error> {
    match record.fields.get("adapter").filter(|_| adapters.names().next().is_some()) {
        None | Some(Value::Null) => Ok(adapters.plain()),
        Some(Value::String(name)) => adapters.get(name),
        Some(other) => adapters.get(&other.to_string()),
    }
}

/// The tokens of a record.
fn prompt(record: &Record, model: &LanguageModel, options: &Generate) -> Result<Vec<u32>, Error> {
    let fields = Fields::new(&record.fields);
    let prompt = match fields.messages()? {
        Some(messages) => Prompt::Messages(messages),
        None => Prompt::Text(fields.text("text")?),
    };
    tokens(model, prompt, options)
}

async fn answer(
    record: Record,
    asked: Result<(LanguageModel, Vec<u32>), Error>,
    goes_on: bool,
    config: Arc<GenerationConfig>,
) -> Outcome {
    let answer = async {
        let (model, tokens) = asked?;
        let asked = Asked { tokens, config: GenerationConfig::clone(&config), goes_on, keep: false };
        let told = generate(&model, asked, None, |_, _| Ok(())).await?;
        let results = told.sequences.iter().map(|sequence| sequence.json(&model)).collect::<Result<Value, _>>()?;
        Ok((results, told.stats.prompt_tokens + told.stats.new_tokens))
    };
    match answer.await {
        Ok((result, tokens)) => Outcome::Answered(record, result, tokens),
        Err(error) => Outcome::Refused(record.line, error),
    }
}
