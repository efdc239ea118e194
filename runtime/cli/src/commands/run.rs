//! `runtime run`: every record of an input through a pipeline; with `--watch` again after each change.

mod serve;

use std::sync::Arc;

use futures::StreamExt;
use futures::channel::mpsc::Receiver;
use futures::executor::block_on;
use runtime_diagnostics::{Exit, Explain, Problem};
use runtime_engine::{Answer, Generation, Options, RecordError, Registry, dependencies};
use runtime_pipeline::Pipeline;

use crate::ahead::{self, Load, Threads};
use crate::args::{Format, Run};
use crate::commands::devices;
use crate::failure::{Failure, IoError, complain};
use crate::input::{DataError, Input, Item, Limits, Record};
use crate::output::{Output, Sink, SinkError, Summary, say};
use crate::progress::Progress;
use crate::project::Project;
use crate::spare::Spared;
use serve::Live;

/// What limits the length of a record, as messages call it.
const MAX_RECORD_BYTES: &str = "`input.max_record_bytes`";

/// Bytes of results that each model remembers under `--watch`, so that an edit asks only what is new; a classifier's
/// result takes about 80.
const MEMO: usize = 16 << 20;

pub(crate) fn run(options: &Run) -> Result<Exit, Failure> {
    let memo = if options.watch { MEMO } else { 0 };
    let registry = Registry::new(Options { memo, ..devices::options(&options.device) });
    let project = Project::from(&options.pipeline);
    if options.watch {
        return serve::watch(options, &project, registry);
    }
    let generation = Arc::new(project.build(project.read_without_tests()?, &registry)?);
    let pass = Pass::new(options, &project, generation.pipeline())?;
    let summary = pass.run(&Live::new(generation))?;
    Ok(summary.map_or(Exit::Ok, |summary| summary.exit()))
}

/// One reading of the input, all that is fixed for it.
struct Pass {
    input: Input,
    output: Output,
    format: Format,
    limits: Limits,
}

/// What became of an item.
enum Outcome {
    Answered(Record, Answer),
    Refused(Record, RecordError),
    Bad { line: usize, error: DataError },
    Failed(IoError),
}

/// Why a pass ends early.
enum Stop {
    /// Nobody reads the answers any more.
    Unread,
    Failed(Failure),
}

impl Pass {
    fn new(options: &Run, project: &Project, pipeline: &Pipeline) -> Result<Self, Failure> {
        let input = match (&options.input, &pipeline.input.file) {
            (Some(path), _) => Input::new(path),
            (None, Some(path)) => Input::File(project.base().join(&path.value).components().collect()),
            (None, None) => {
                let message = format!("`{}` has no example input", project.file().display());
                return Err(Problem::new(Exit::Usage, message).hint("name one with `--input FILE`").into());
            }
        };
        let output = Output::new(&options.output);
        if let Output::File(output) = &output {
            let named = dependencies(pipeline, project.base());
            let spared = Spared { pipeline: Some(project.file()), named, by: "pipeline" };
            spared.from(output, Some(&input))?;
        }
        let format = output.format(options.format);
        let records = options.limit.unwrap_or(usize::MAX);
        let limits = Limits { record_bytes: pipeline.input.max_record_bytes, setting: MAX_RECORD_BYTES, records };
        Ok(Self { input, output, format, limits })
    }

    /// Reads the whole input and writes its answers; what it came to, or `None` where nobody reads the answers.
    fn run(&self, live: &Live) -> Result<Option<Summary>, Failure> {
        let items = self.input.read(self.limits)?;
        let first = live.current();
        let mut sink = self.output.open(self.format, first.pipeline())?;
        let quiet = matches!(self.output, Output::Stdout) && self.format != Format::Table;
        // How far the input has been read says nothing where only its beginning is wanted.
        let bytes = self.input.len().filter(|_| self.limits.records == usize::MAX);
        let progress = Progress::new(bytes, quiet);
        let serving = || if self.may_change() { live.current() } else { Arc::clone(&first) };
        let mut summary = Summary::new();
        let answered = block_on(self.answer(items, serving, &mut *sink, &progress, &mut summary));
        progress.finish();
        // Whatever ends a pass, what was answered until then is written and counted.
        let finished = sink.finish().map_err(|error| self.unwritable(error));
        let ended = answered.and(finished);
        if matches!(ended, Err(Stop::Unread)) {
            return Ok(None);
        }
        say(&summary.text(&serving()));
        match ended {
            Err(Stop::Failed(failure)) => Err(failure),
            _ => Ok(Some(summary)),
        }
    }

    /// Whether another generation may take over in the middle: a table and CSV have a header, to which the outputs of
    /// an edited pipeline need not fit.
    fn may_change(&self) -> bool {
        self.format == Format::Jsonl
    }

    async fn answer(
        &self,
        items: Receiver<Item>,
        serving: impl Fn() -> Arc<Generation>,
        sink: &mut dyn Sink,
        progress: &Progress,
        summary: &mut Summary,
    ) -> Result<(), Stop> {
        let threads = Threads::new().map_err(|error| {
            Stop::Failed(Problem::new(Exit::Internal, format!("cannot start threads: {error}")).into())
        })?;
        let reads: Vec<String> = serving().pipeline().fields().map(str::to_owned).collect();
        let load = |item: &Item| Load::of(item, |field| reads.iter().any(|read| read == field));
        let outcomes = ahead::answers(items, load, |item| threads.spawn(answer(serving(), item)));
        let mut outcomes = std::pin::pin!(outcomes);
        while let Some(outcome) = outcomes.next().await {
            match outcome {
                Outcome::Answered(record, answer) => {
                    match sink.write(&record, &answer) {
                        Ok(()) => summary.answer(&answer),
                        Err(SinkError::Io(error)) => return Err(self.unwritable(error)),
                        Err(error) => summary.bad(self.complain(progress, record.line, &error)),
                    }
                    progress.at(record.end);
                }
                Outcome::Refused(record, error) => summary.bad(self.complain(progress, record.line, &error)),
                Outcome::Bad { line, error } => summary.bad(self.complain(progress, line, &error)),
                Outcome::Failed(error) => return Err(Stop::Failed(error.into())),
            }
        }
        Ok(())
    }

    /// Tells what is wrong with a record; the exit code that it leads to.
    fn complain(&self, progress: &Progress, line: usize, error: &impl Explain) -> Exit {
        progress.suspend(|| complain(&format!("{}:{line}: ", self.input.name()), error));
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

/// The record is answered by the generation that serves when it is taken up.
async fn answer(generation: Arc<Generation>, item: Item) -> Outcome {
    match item {
        Item::Record(record) => match generation.answer(&record.fields).await {
            Ok(answer) => Outcome::Answered(record, answer),
            Err(error) => Outcome::Refused(record, error),
        },
        Item::Bad { line, error } => Outcome::Bad { line, error },
        Item::Failed(error) => Outcome::Failed(error),
    }
}
