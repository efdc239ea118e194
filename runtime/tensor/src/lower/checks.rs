//! What is checked of a batch before it is run.

use super::step::Step;
use super::{Lowered, Output, Program, Tables};
use crate::stage::Reading;
use crate::{Batch, Error, PlanAdapter};

impl<P> Lowered<P> {
    /// Refuses a batch that cannot be run: sequences that are too long, indices outside of their tables, adapters of other
    /// plans.
    pub(crate) fn check(&self, program: &Program, batch: &Batch, tables: &Tables) -> Result<(), Error> {
        let other =
            |adapter: &Option<PlanAdapter>| adapter.as_ref().is_some_and(|adapter| !adapter.is_of(&self.products));
        if let Some(sequence) = batch.adapters().iter().position(other) {
            return Err(Error::OtherAdapter { sequence });
        }
        for (sequence, span) in batch.spans().enumerate() {
            let tokens = batch.past(sequence) + span.len();
            if let Some(limit) = self.max_sequence.filter(|limit| tokens > *limit as usize) {
                return Err(Error::TooLong { sequence, tokens, limit });
            }
        }
        let outside = |operator, ids: &[u32], count: usize| match ids.iter().find(|id| **id as usize >= count) {
            Some(index) => Err(Error::Index { operator, index: *index, count }),
            None => Ok(()),
        };
        for step in &program.steps {
            match step {
                Step::LookUp { parts, .. } => {
                    for part in parts {
                        outside("rows", tables.ids(batch, part.ids), self.constants.tables[part.table].rows)?;
                    }
                }
                Step::Select { .. } => outside("select-rows", batch.rows(), batch.tokens())?,
                _ => {}
            }
        }
        Ok(())
    }

    /// As [`check_sources`].
    pub(crate) fn check_sources(&self, batch: &Batch) -> Result<(), Error> {
        check_sources(self.sources.is_some(), batch)
    }

    /// As [`check_alone`].
    pub(crate) fn check_alone(&self, batch: &Batch) -> Result<(), Error> {
        check_alone(self.sources.is_some(), batch)
    }

    /// The steps for texts or for sources, with what they give.
    pub(crate) fn part(&self, reading: Reading) -> Result<(&Program, &[Output]), Error> {
        match reading {
            Reading::Texts => Ok((&self.texts, &self.outputs)),
            Reading::Sources => Ok((self.sources.as_ref().ok_or(Error::NoSources)?, &self.source_outputs)),
        }
    }

    /// The steps that read sources, for a batch of whole ones.
    pub(crate) fn sources_of(&self, batch: &Batch) -> Result<&Program, Error> {
        check_whole_sources(self.sources.is_some(), batch)?;
        self.sources.as_ref().ok_or(Error::NoSources)
    }
}

/// Refuses sequences without sources where the plan reads such, and sequences with sources elsewhere.
pub(crate) fn check_sources(reads_sources: bool, batch: &Batch) -> Result<(), Error> {
    let sequences = batch.sequences();
    let with = batch.sources().iter().filter(|source| source.tokens > 0).count();
    match reads_sources {
        true if with < sequences => Err(Error::NeedsSources { with, sequences }),
        false if !batch.sources().is_empty() => Err(Error::NoSources),
        _ => Ok(()),
    }
}

/// Refuses a batch that does not go on from what is kept, where it is to.
pub(crate) fn check_pasts(batch: &Batch) -> Result<(), Error> {
    let (with, sequences) = (batch.pasts().len(), batch.sequences());
    if with == sequences { Ok(()) } else { Err(Error::Pasts { with, sequences }) }
}

/// Refuses sequences that were shortened to where there is no state to go on from.
pub(crate) fn check_states(batch: &Batch) -> Result<(), Error> {
    match batch.pasts().iter().position(|past| past.rewound) {
        Some(sequence) => Err(Error::Rewound { sequence, tokens: batch.pasts()[sequence].tokens }),
        None => Ok(()),
    }
}

/// Refuses a batch that is not run for itself.
pub(crate) fn check_alone(reads_sources: bool, batch: &Batch) -> Result<(), Error> {
    if !batch.pasts().is_empty() {
        return Err(Error::Pasts { with: batch.pasts().len(), sequences: batch.sequences() });
    }
    match reads_sources {
        true => Err(Error::NeedsSources { with: 0, sequences: batch.sequences() }),
        false => Ok(()),
    }
}

/// Refuses a batch that is not one of whole sources for a plan that reads such.
pub(crate) fn check_whole_sources(reads_sources: bool, batch: &Batch) -> Result<(), Error> {
    if !reads_sources || !batch.sources().is_empty() {
        return Err(Error::NoSources);
    }
    check_pasts(batch)?;
    match batch.pasts().iter().enumerate().find(|(_, past)| past.tokens > 0) {
        Some((sequence, past)) => Err(Error::SourceInParts { sequence, tokens: past.tokens }),
        None => Ok(()),
    }
}
