//! `runtime task`: one task with one model, on one text or on every record of an input.

mod given;
pub(crate) mod tally;

use std::io::{IsTerminal, stdout};
use std::sync::Arc;

use futures::StreamExt;
use futures::executor::block_on;
use futures::future::{self, FutureExt};
use runtime_diagnostics::{Exit, Explain, Problem};
use runtime_engine::{Error, Fields, LoadOptions, PluginFile, Registry, Task as Engine, TaskAnswer};
use runtime_hub::ModelSource;
use runtime_tasks::{TaskKind, TaskOptions};

use crate::ahead::{self, Load, Threads};
use crate::args::{Format, Task};
use crate::commands::devices;
use crate::commands::model::source;
use crate::failure::{Failure, IoError, complain};
use crate::input::{DataError, Input, Item, Limits, Record, just};
use crate::output::{Output, SinkError, TaskSink};
use crate::progress::Progress;
use crate::spare::Spared;
use given::Given;
use tally::Tally;

/// The longest record, in bytes: some hundred pages of text and what belongs to it.
const MAX_RECORD_BYTES: usize = 1 << 20;

pub(crate) fn run(options: &Task) -> Result<Exit, Failure> {
    let given = Given::of(options)?;
    let task_options = TaskOptions::read(options.task, &given.params).map_err(Error::from)?;
    let input = options.input.as_deref().map(Input::new);
    let output = Output::new(&options.output);
    let model = source(&options.model.model)?;
    if let Output::File(file) = &output {
        let mut named: Vec<_> = options.model.plugin.iter().cloned().collect();
        if let ModelSource::Folder(folder) = &model {
            named.push(folder.clone());
        }
        Spared { pipeline: None, named, by: "command" }.from(file, input.as_ref())?;
    }
    let registry = Registry::new(devices::options(&options.model.device));
    let folder = registry.folder(&model)?;
    let plugin = options.model.plugin.as_deref().map(|name| registry.named_plugin(name)).transpose()?;
    let how = LoadOptions {
        plugin: plugin.as_ref().map(PluginFile::from),
        dtype: options.model.dtype,
        adapter: options.model.only_adapter(NAMED)?,
        device: None,
    };
    let task = Engine::load(&registry, &folder, how, &task_options, !options.no_truncate)?;
    let format = output.format(options.format);
    let pass = Pass { kind: options.task, input, output, format, limit: options.limit.unwrap_or(usize::MAX), given };
    pass.run(&Arc::new(task))
}

/// What does choose.
const NAMED: &str = "`runtime generate --input` and the steps of a pipeline choose; here give one folder alone";

/// One reading of the input.
struct Pass {
    kind: TaskKind,
    /// `None` where the command line has the only record.
    input: Option<Input>,
    output: Output,
    format: Format,
    limit: usize,
    given: Given,
}

/// What became of an item.
enum Outcome {
    Answered(Record, TaskAnswer),
    Refused { line: usize, end: u64, error: Refusal },
    Bad { line: usize, error: DataError },
    Failed(IoError),
}

/// Why a record is not answered.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("the record has a field `{field}` already, which the command line gives")]
    Given { field: &'static str },
    #[error(transparent)]
    Task(#[from] Error),
}

impl Explain for Refusal {
    fn exit(&self) -> Exit {
        match self {
            Self::Given { .. } => Exit::Data,
            // The model and its parameters have been accepted, so that it is the record that is wrong.
            Self::Task(error) => match error.exit() {
                Exit::Config | Exit::Usage => Exit::Data,
                other => other,
            },
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Task(error) => error.hint(),
            _ => None,
        }
    }
}

/// Why a pass ends early.
enum Stop {
    /// Nobody reads the answers any more.
    Unread,
    Failed(Failure),
}

impl Pass {
    fn run(&self, task: &Arc<Engine>) -> Result<Exit, Failure> {
        let limits = Limits { record_bytes: MAX_RECORD_BYTES, setting: "the most that is read", records: self.limit };
        let items = match (&self.input, self.given.nameless) {
            (None, _) => just(Record { line: 1, fields: self.given.fields.clone(), json: None, end: 0 }),
            (Some(input), Some(field)) => input.read_texts(field, limits)?,
            (Some(input), None) if input.holds_texts() => {
                let message = format!("`{}` has texts, and there is no field for them", input.name());
                return Err(Problem::new(Exit::Usage, message).hint("leave out the argument that gives it").into());
            }
            (Some(input), None) => input.read(limits)?,
        };
        let threads = Threads::new();
        let threads =
            threads.map_err(|error| Problem::new(Exit::Internal, format!("cannot start threads: {error}")))?;
        let mut sink = TaskSink::open(&self.output, self.format, self.kind, self.input.is_none())?;
        // A bar would be drawn into what is written to the same terminal.
        let quiet = self.input.is_none() || (matches!(self.output, Output::Stdout) && stdout().is_terminal());
        let bytes = self.input.as_ref().and_then(Input::len).filter(|_| self.limit == usize::MAX);
        let progress = Progress::new(bytes, quiet);
        let mut tally = Tally::new();
        let start = |item| match item {
            Item::Record(record) => threads.spawn(self.answer(record, task)),
            Item::Bad { line, error } => future::ready(Outcome::Bad { line, error }).boxed(),
            Item::Failed(error) => future::ready(Outcome::Failed(error)).boxed(),
        };
        let outcomes = ahead::answers(items, |item| Load::of(item, |field| self.reads(field)), start);
        let answered = block_on(self.write(outcomes, &mut sink, &progress, &mut tally));
        progress.finish();
        let finished = sink.finish().map_err(|error| self.unwritable(error));
        let ended = answered.and(finished);
        if matches!(ended, Err(Stop::Unread)) {
            return Ok(Exit::Ok);
        }
        tally.tell(self.input.is_some());
        match ended {
            Err(Stop::Failed(failure)) => Err(failure),
            _ => Ok(tally.exit()),
        }
    }

    /// Answers a record.
    fn answer(&self, mut record: Record, task: &Arc<Engine>) -> impl Future<Output = Outcome> + Send + use<> {
        let (line, end, task) = (record.line, record.end, Arc::clone(task));
        let flags = if self.input.is_some() { self.given.flags.clone() } else { Vec::new() };
        // For people, what a flag gives is shown like what a record has.
        let shown = self.format == Format::Table;
        async move {
            if let Some((field, _)) = flags.iter().find(|(field, _)| record.fields.contains_key(*field)) {
                return Outcome::Refused { line, end, error: Refusal::Given { field } };
            }
            let answer = if flags.is_empty() {
                task.run(Fields::new(&record.fields)).await
            } else {
                let mut fields = record.fields.clone();
                fields.extend(flags.into_iter().map(|(field, value)| (field.to_owned(), value)));
                let answer = task.run(Fields::new(&fields)).await;
                if shown {
                    record.fields = fields;
                }
                answer
            };
            match answer {
                Ok(answer) => Outcome::Answered(record, answer),
                Err(error) => Outcome::Refused { line, end, error: error.into() },
            }
        }
    }

    fn reads(&self, field: &str) -> bool {
        self.kind.inputs().iter().any(|input| input.name == field) || matches!(field, "texts" | "sequences")
    }

    async fn write(
        &self,
        outcomes: impl futures::Stream<Item = Outcome>,
        sink: &mut TaskSink,
        progress: &Progress,
        tally: &mut Tally,
    ) -> Result<(), Stop> {
        let mut outcomes = std::pin::pin!(outcomes);
        while let Some(outcome) = outcomes.next().await {
            match outcome {
                Outcome::Answered(record, answer) => {
                    let (tokens, truncated) = (answer.tokens, answer.truncated);
                    match sink.write(&record, answer) {
                        Ok(()) => tally.answered(tokens, truncated),
                        Err(SinkError::Io(error)) => return Err(self.unwritable(error)),
                        Err(error) => tally.bad(self.complain(progress, record.line, &error)),
                    }
                    progress.at(record.end);
                }
                Outcome::Refused { line, end, error } => {
                    tally.bad(self.complain(progress, line, &error));
                    progress.at(end);
                }
                Outcome::Bad { line, error } => tally.bad(self.complain(progress, line, &error)),
                Outcome::Failed(error) => return Err(Stop::Failed(error.into())),
            }
        }
        Ok(())
    }

    /// Tells what is wrong with a record; the exit code that it leads to.
    fn complain(&self, progress: &Progress, line: usize, error: &impl Explain) -> Exit {
        let place =
            self.input.as_ref().map_or_else(|| "error: ".to_owned(), |input| format!("{}:{line}: ", input.name()));
        progress.suspend(|| complain(&place, error));
        error.exit()
    }

    /// A reader that has gone away has seen enough; all else is an error.
    fn unwritable(&self, source: std::io::Error) -> Stop {
        match source.kind() {
            std::io::ErrorKind::BrokenPipe => Stop::Unread,
            _ => Stop::Failed(IoError::Write { name: self.output.name(), source }.into()),
        }
    }
}
