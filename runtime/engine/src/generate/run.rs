//! One run of a model that keeps keys and values.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use runtime_graph::Head;
use runtime_tensor::{Batch, Cache, Cached, Plan, PlanAdapter, Shortlist, Wanted};

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
    /// What is wanted of the rows of scores behind the last of them.
    pub(super) wanted: Vec<Wanted>,
}

/// Scores of the next tokens of all parts of a run, as the plan gives them: there may be gigabytes, which are not copied.
pub(super) struct Scores(runtime_tensor::Rows);

/// Scores of the next token.
pub(super) enum Row<'a> {
    /// One for each token of the vocabulary.
    Whole(&'a mut [f32]),
    /// The greatest, where no more are wanted.
    Short(&'a Shortlist),
}

/// Scores of the next tokens, row by row.
pub(super) type Rows<'a> = Vec<Row<'a>>;

impl Scores {
    /// Row by row, those of the first part first.
    pub(super) fn rows(&mut self) -> impl Iterator<Item = Row<'_>> {
        let runtime_tensor::Rows { whole, shortlists } = &mut self.0;
        // Where nothing is said of any row, all are whole.
        let lists = shortlists.iter().map(Option::as_ref);
        let all = std::iter::repeat_n(None, if shortlists.is_empty() { whole.rows } else { 0 });
        let mut whole = whole.data.chunks_exact_mut(whole.width.max(1));
        lists.chain(all).map_while(move |list| match list {
            Some(list) => Some(Row::Short(list)),
            None => whole.next().map(Row::Whole),
        })
    }

    /// The rows, all of which were wanted whole.
    pub(super) fn whole(&mut self) -> impl Iterator<Item = &mut [f32]> {
        self.rows().filter_map(|row| match row {
            Row::Whole(row) => Some(row),
            Row::Short(_) => None,
        })
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
            for (row, wanted) in (batch.tokens() - part.wanted.len()..).zip(&part.wanted) {
                batch.ask(u32::try_from(row).unwrap_or(u32::MAX), *wanted);
            }
        }
        let outputs = guarded(|| self.plan.run_after(&batch, &mut self.cache))?;
        let name = self.head.output();
        let scores = outputs.into_rows(name).ok_or(ScheduleError::NoOutput { output: name })?;
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
