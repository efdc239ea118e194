//! One run of a model that keeps keys and values.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use runtime_graph::Head;
use runtime_tensor::{Batch, Cache, Cached, Matrix, Plan, PlanAdapter};

use super::search::Source;
use crate::ScheduleError;

/// A model with its cache.
pub(super) struct Machine {
    pub(super) plan: Arc<dyn Plan>,
    pub(super) head: Head,
    pub(super) cache: Cache,
}

/// Tokens of a run that follow what is kept.
pub(super) struct Part<'a> {
    pub(super) cached: &'a mut Cached,
    /// What is kept of the source that they attend to, of encoder-decoders.
    pub(super) source: Option<&'a Cached>,
    pub(super) adapter: Option<&'a PlanAdapter>,
    pub(super) tokens: Vec<u32>,
    /// How many rows of scores are asked for, behind the last of them.
    pub(super) rows: usize,
}

/// Scores of the next tokens of all parts of a run, `[rows, vocabulary]`, as the plan gives them: there may be gigabytes,
/// which are not copied.
pub(super) struct Scores(Matrix);

/// Scores of the next token, `[rows, vocabulary]`.
pub(super) type Rows<'a> = Vec<&'a mut [f32]>;

impl Scores {
    /// Row by row, those of the first part first.
    pub(super) fn rows(&mut self) -> impl Iterator<Item = &mut [f32]> {
        self.0.data.chunks_exact_mut(self.0.width.max(1))
    }
}

impl Machine {
    /// The scores that the parts ask for; their tokens are kept.
    pub(super) fn run(&mut self, parts: &mut [Part<'_>]) -> Result<Scores, ScheduleError> {
        let mut batch = Batch::new();
        for part in parts.iter_mut() {
            self.cache.reserve(part.cached, part.tokens.len())?;
            match part.source {
                Some(source) => batch.push_after_source(part.cached, source, &part.tokens),
                None => batch.push_after(part.cached, &part.tokens),
            }
            if let Some(adapter) = part.adapter {
                batch.adapt(adapter);
            }
            (batch.tokens() - part.rows..batch.tokens())
                .for_each(|row| batch.ask_row(u32::try_from(row).unwrap_or(u32::MAX)));
        }
        let outputs = guarded(|| self.plan.run_after(&batch, &mut self.cache))?;
        let name = self.head.output();
        let scores = outputs.into_result(name).ok_or(ScheduleError::NoOutput { output: name })?;
        parts.iter_mut().for_each(|part| part.cached.advance(part.tokens.len()));
        Ok(Scores(scores))
    }

    /// Reads sources, and keeps what is attended to of them.
    pub(super) fn read(&mut self, sources: &mut [(&mut Source, Option<&PlanAdapter>)]) -> Result<(), ScheduleError> {
        let mut batch = Batch::new();
        for (source, adapter) in sources.iter_mut() {
            self.cache.reserve(&mut source.cached, source.tokens.len())?;
            batch.push_after(&source.cached, &source.tokens);
            if let Some(adapter) = adapter {
                batch.adapt(adapter);
            }
        }
        guarded(|| self.plan.read_sources(&batch, &mut self.cache))?;
        sources.iter_mut().for_each(|(source, _)| source.cached.advance(source.tokens.len()));
        Ok(())
    }
}

/// What a run gives, its panic told as an error.
fn guarded<T>(run: impl FnOnce() -> Result<T, runtime_tensor::Error>) -> Result<T, ScheduleError> {
    let result = catch_unwind(AssertUnwindSafe(run));
    let result = result.map_err(|panic| ScheduleError::of_panic(&*panic))?;
    result.map_err(|error| ScheduleError::Plan(Arc::new(error)))
}
