//! Running graphs of one model, with the results of any of their values.

use std::collections::HashMap;
use std::sync::Arc;

use runtime_graph::{Graph, Node, ValueId};
use runtime_models::ModelFolder;
use runtime_tensor::{Batch, Cache, Cached, Device, Matrix, Outputs, Plan, Precision, compile};

use super::probe::{result, with_results};
use super::sources::{encoder, is_of_source};
use crate::Error;

/// A text, behind a source where the model reads one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'a> {
    pub(super) source: Option<&'a [u32]>,
    pub(super) tokens: &'a [u32],
}

impl<'a> Text<'a> {
    /// Its first tokens, and as large a part of its source: at least one of each.
    pub(super) fn part(self, of: usize) -> Self {
        let part = |tokens: &'a [u32]| &tokens[..tokens.len().div_ceil(of)];
        Self { source: self.source.map(part), tokens: part(self.tokens) }
    }
}

/// Runs graphs of one model.
pub(super) struct Runner<'a> {
    pub(super) folder: &'a ModelFolder,
}

/// What is kept between runs of texts.
pub(super) struct Kept {
    cache: Cache,
    sources: Vec<Cached>,
    pasts: Vec<Cached>,
}

impl Runner<'_> {
    pub(super) fn compile(&self, graph: &Graph) -> Result<Arc<dyn Plan>, Error> {
        let checkpoint = self.folder.checkpoint()?;
        compile(graph, &checkpoint, Device::Cpu, Precision::F32).map_err(|source| self.failed(source))
    }

    /// The results of texts, with all of their rows.
    pub(super) fn run(&self, plan: &dyn Plan, texts: &[Text<'_>]) -> Result<Outputs, Error> {
        let tokens: Vec<&[u32]> = texts.iter().map(|text| text.tokens).collect();
        if texts.iter().any(|text| text.source.is_some()) {
            let mut kept = self.begin(plan, texts)?;
            return self.go_on(plan, &mut kept, &tokens);
        }
        let mut batch = Batch::new();
        tokens.iter().for_each(|tokens| batch.push(tokens, &[]));
        ask_all(&mut batch);
        plan.run(&batch).map_err(|source| self.failed(source))
    }

    /// Makes room for texts, and reads their sources.
    pub(super) fn begin(&self, plan: &dyn Plan, texts: &[Text<'_>]) -> Result<Kept, Error> {
        let failed = |source| self.failed(source);
        // Room for each in blocks of any size.
        let room = texts.iter().map(|text| text.tokens.len() + text.source.map_or(0, <[u32]>::len) + 2).sum();
        let mut cache = plan.cache(room).map_err(failed)?;
        let pasts = texts.iter().map(|_| Cached::new()).collect();
        let mut sources = Vec::new();
        let mut batch = Batch::new();
        for source in texts.iter().filter_map(|text| text.source) {
            let mut cached = Cached::new();
            cache.reserve(&mut cached, source.len())?;
            batch.push_after(&cached, source);
            sources.push((cached, source.len()));
        }
        if !sources.is_empty() {
            plan.read_sources(&batch, &mut cache).map_err(failed)?;
        }
        sources.iter_mut().for_each(|(cached, tokens)| cached.advance(*tokens));
        Ok(Kept { cache, sources: sources.into_iter().map(|(cached, _)| cached).collect(), pasts })
    }

    /// The results of what follows in each text, with all of their rows.
    pub(super) fn go_on(&self, plan: &dyn Plan, kept: &mut Kept, tokens: &[&[u32]]) -> Result<Outputs, Error> {
        let mut batch = Batch::new();
        for (index, (past, tokens)) in kept.pasts.iter_mut().zip(tokens).enumerate() {
            kept.cache.reserve(past, tokens.len())?;
            match kept.sources.get(index) {
                Some(source) => batch.push_after_source(past, source, tokens),
                None => batch.push_after(past, tokens),
            }
        }
        ask_all(&mut batch);
        let outputs = plan.run_after(&batch, &mut kept.cache).map_err(|source| self.failed(source))?;
        kept.pasts.iter_mut().zip(tokens).for_each(|(past, tokens)| past.advance(tokens.len()));
        Ok(outputs)
    }

    /// Values of a graph for a text. Those of the source come from a graph of the encoder alone: a plan gives no results of
    /// what it reads.
    pub(super) fn values(
        &self,
        graph: &Graph,
        values: impl IntoIterator<Item = ValueId>,
        text: Text<'_>,
    ) -> Result<HashMap<ValueId, Matrix>, Error> {
        let (of_source, of_text): (Vec<ValueId>, Vec<ValueId>) =
            values.into_iter().partition(|value| is_of_source(graph.node(*value)));
        let mut found = HashMap::new();
        let mut take = |outputs: &Outputs, values: &[ValueId]| {
            let matrix = |value: &ValueId| Some((*value, outputs.get(&result(*value))?.clone()));
            found.extend(values.iter().filter_map(matrix));
        };
        if let Some(source) = text.source.filter(|_| !of_source.is_empty()) {
            let encoder = encoder(graph, &of_source);
            let text = Text { source: None, tokens: source };
            take(&self.run(&*self.compile(&encoder)?, &[text])?, &of_source);
        }
        let probed = with_results(graph, of_text.iter().copied());
        take(&self.run(&*self.compile(&probed)?, &[text])?, &of_text);
        Ok(found)
    }

    fn failed(&self, source: runtime_tensor::Error) -> Error {
        Error::Run { folder: self.folder.path().to_owned(), source }
    }
}

/// Whether a graph reads sources.
pub(super) fn reads_sources(graph: &Graph) -> bool {
    graph.nodes.iter().any(|node: &Node| is_of_source(node))
}

fn ask_all(batch: &mut Batch) {
    (0..batch.tokens()).filter_map(|row| u32::try_from(row).ok()).for_each(|row| batch.ask_row(row));
}
