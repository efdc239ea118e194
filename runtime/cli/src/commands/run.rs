//! `runtime run`: every record of an input through a pipeline; with `--watch` again after each change.

mod progress;
mod serve;

use std::path::Path;
use std::sync::Arc;

use futures::StreamExt;
use futures::channel::mpsc::Receiver;
use futures::executor::block_on;
use runtime_diagnostics::{Exit, Explain, Problem};
use runtime_engine::{Answer, Generation, Options, RecordError, Registry};
use runtime_pipeline::Pipeline;

use crate::args::{Format, Run};
use crate::failure::{Failure, IoError};
use crate::input::{Input, Item, Limits, Record};
use crate::output::{Output, Sink, Summary, say};
use crate::project::Project;
use progress::Progress;
use serve::Live;

/// Records under way at once: enough to fill batches while answers are written in order.
const WINDOW: usize = 64;

/// Results remembered under `--watch`, so that an edit asks the models only what is new: some 20 MB.
const MEMO: usize = 1 << 16;

pub(crate) fn run(options: &Run) -> Result<Exit, Failure> {
    let memo = if options.watch { MEMO } else { 0 };
    let registry = Registry::new(Options { memo, progress: true, ..Options::default() });
    let project = Project::from(&options.pipeline);
    if options.watch {
        return serve::watch(options, &project, registry);
    }
    let generation = Arc::new(project.build(&registry)?);
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
    Bad { line: usize, message: String },
    Failed(IoError),
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
        if let (Input::File(input), Output::File(output)) = (&input, &output)
            && same_file(input, output)
        {
            let message = format!("`{}` is both input and output, and would be lost", output.display());
            return Err(Problem::new(Exit::Usage, message).hint("write to another file").into());
        }
        let format = output.format(options.format);
        let records = options.limit.unwrap_or(usize::MAX);
        let limits = Limits { record_bytes: pipeline.input.max_record_bytes, records };
        Ok(Self { input, output, format, limits })
    }

    /// Reads the whole input and writes its answers; what it came to, or `None` where nobody reads the answers.
    fn run(&self, live: &Live) -> Result<Option<Summary>, Failure> {
        let items = self.input.read(self.limits)?;
        let mut sink = self.output.open(self.format, live.current().pipeline())?;
        let quiet = matches!(self.output, Output::Stdout) && self.format != Format::Table;
        // How far the input has been read says nothing where only its beginning is wanted.
        let bytes = self.input.len().filter(|_| self.limits.records == usize::MAX);
        let progress = Progress::new(bytes, quiet);
        let summary = block_on(self.answer(items, live, &mut *sink, &progress))?;
        progress.finish();
        let Some(summary) = summary else { return Ok(None) };
        if let Err(error) = sink.finish() {
            return self.unwritable(error).map(|()| None);
        }
        say(&summary.text(&live.current()));
        Ok(Some(summary))
    }

    async fn answer(
        &self,
        items: Receiver<Item>,
        live: &Live,
        sink: &mut dyn Sink,
        progress: &Progress,
    ) -> Result<Option<Summary>, Failure> {
        let mut summary = Summary::new();
        let mut outcomes = items.map(|item| answer(live.current(), item)).buffered(WINDOW);
        while let Some(outcome) = outcomes.next().await {
            match outcome {
                Outcome::Answered(record, answer) => {
                    summary.answer(&answer);
                    if let Err(error) = sink.write(&record, &answer) {
                        return self.unwritable(error).map(|()| None);
                    }
                    progress.at(record.end);
                }
                Outcome::Refused(record, error) => {
                    let hint = error.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
                    self.complain(progress, record.line, &format!("{error}{hint}"));
                    summary.bad(error.exit());
                }
                Outcome::Bad { line, message } => {
                    self.complain(progress, line, &message);
                    summary.bad(Exit::Data);
                }
                Outcome::Failed(error) => return Err(error.into()),
            }
        }
        Ok(Some(summary))
    }

    fn complain(&self, progress: &Progress, line: usize, message: &str) {
        progress.suspend(|| say(&format!("{}:{line}: {message}\n", self.input.name())));
    }

    /// A reader that has gone away has seen enough; all else is an error.
    fn unwritable(&self, source: std::io::Error) -> Result<(), Failure> {
        match source.kind() {
            std::io::ErrorKind::BrokenPipe => Ok(()),
            _ => Err(IoError::Write { name: self.output.name(), source }.into()),
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
        Item::Bad { line, error } => Outcome::Bad { line, message: error.to_string() },
        Item::Failed(error) => Outcome::Failed(error),
    }
}

fn same_file(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}
