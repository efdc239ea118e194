//! One generation as a command shows it: its text as it comes, what it came to, and its end by Ctrl-C.

mod interrupts;
mod sequence;
mod stats;
mod voice;

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use futures::future::{Either, select};
use runtime_diagnostics::Exit;
use runtime_engine::{
    Adapters, Error, Generated, GenerationStream, LanguageModel, LoadOptions, LogitsProcessor, NewToken, PluginFile,
    Registry,
};
use runtime_generation::GenerationConfig;
use serde_json::{Map, Value};

use crate::args::{self, AdapterArgs, LogitsProcessorArg, ModelArgs};
use crate::commands::devices;
use crate::commands::model::source;
use crate::failure::{Failure, IoError};

pub(crate) use interrupts::Interrupts;
pub(crate) use sequence::{Finish, Sequence};
pub(crate) use stats::Stats;
pub(crate) use voice::{Voice, aside};

/// What is asked.
pub(crate) struct Asked {
    pub(crate) tokens: Vec<u32>,
    pub(crate) config: GenerationConfig,
    /// Whether the new text goes on from the prompt's, instead of standing alone.
    pub(crate) goes_on: bool,
    /// Whether keys and values are kept, for a prompt that begins with the same tokens.
    pub(crate) keep: bool,
}

/// What came of it.
pub(crate) struct Told {
    pub(crate) sequences: Vec<Sequence>,
    pub(crate) stats: Stats,
    /// Whether the user has ended it.
    pub(crate) interrupted: bool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stop {
    #[error(transparent)]
    Engine(#[from] Error),
    /// What was said cannot be written.
    #[error(transparent)]
    Unwritten(#[from] io::Error),
}

impl Stop {
    /// How the command ends. A listener that has gone away has heard enough.
    pub(crate) fn exit(self) -> Result<Exit, Failure> {
        match self {
            Self::Engine(error) => Err(error.into()),
            Self::Unwritten(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Ok),
            Self::Unwritten(source) => Err(IoError::Write { name: "stdout".to_owned(), source }.into()),
        }
    }
}

/// Loads a model that generates, once it is sure that `params` are known, with what changes its scores and the adapters
/// that have names.
pub(crate) fn load(
    chosen: &ModelArgs,
    how: &args::Generated,
    params: &Map<String, Value>,
) -> Result<Adapters, Failure> {
    let (adapter, named) = match chosen.adapters()? {
        AdapterArgs::All(adapter) => (adapter, Vec::new()),
        AdapterArgs::Named(named) => (None, named),
    };
    let registry = Registry::new(devices::options(&chosen.device));
    let folder = registry.folder(&source(&chosen.model)?)?;
    let config = LanguageModel::defaults(&folder)?.with_params(params).map_err(Error::from)?;
    if config.num_beams > 1 && !how.logits_processors.is_empty() {
        return Err(Error::PluginBeams.into());
    }
    // What cannot be had or does not fit is told before weights are read.
    let find = |LogitsProcessorArg { plugin, parameters }: &LogitsProcessorArg| {
        Ok((registry.named_logits_plugin(plugin, parameters)?, parameters.clone()))
    };
    let processors = how.logits_processors.iter().map(find).collect::<Result<Vec<_>, Error>>()?;
    let plugin = chosen.plugin.as_deref().map(|name| registry.named_plugin(name)).transpose()?;
    let options =
        LoadOptions { plugin: plugin.as_ref().map(PluginFile::from), dtype: chosen.dtype, adapter, device: None };
    let mut model = LanguageModel::load(&registry, &folder, options)?;
    for (plugin, parameters) in processors {
        let processor = LogitsProcessor::of_command(&registry, plugin, parameters, &model).map_err(Error::from)?;
        model = model.with_processor(processor);
    }
    let mut adapters = Adapters::none(model);
    for (name, folder) in named {
        adapters.add(name, folder)?;
    }
    Ok(adapters)
}

/// Asks a model. `hear` is given each piece of text as soon as it is sure, with the number of its sequence.
///
/// # Errors
/// Where the request does not fit the model, the model fails, or `hear` does.
pub(crate) async fn generate(
    model: &LanguageModel,
    asked: Asked,
    mut interrupts: Option<&mut Interrupts>,
    mut hear: impl FnMut(usize, &str) -> io::Result<()>,
) -> Result<Told, Stop> {
    let Asked { tokens, config, goes_on, keep } = asked;
    let shown = if goes_on { tokens.as_slice() } else { &[] };
    let (bytes, stops) = (model.byte_tokens(), &config.stop_strings);
    let mut sequences: Vec<Sequence> =
        (0..config.num_return_sequences).map(|_| Sequence::behind(shown, stops, Arc::clone(&bytes))).collect();
    let mut stats = Stats::new(tokens.len(), config.max_new_tokens);
    let start = Instant::now();
    let mut stream = model.generate(tokens, config, keep)?;
    let done = loop {
        match next(&mut stream, interrupts.as_deref_mut()).await {
            None => break None,
            Some(Ok(token)) => {
                stats.first_token.get_or_insert_with(|| start.elapsed());
                let place = token.sequence;
                let text = sequences[place].push(model, token)?;
                hear(place, &text)?;
            }
            Some(Err(done)) => break Some(done?),
        }
    };
    // The model need not go on for nobody.
    drop(stream);
    let interrupted = done.is_none();
    if let Some(done) = done {
        stats.cached_tokens = done.cached_tokens;
        for (place, (sequence, generated)) in sequences.iter_mut().zip(done.sequences).enumerate() {
            let text = sequence.end(model, generated)?;
            hear(place, &text)?;
        }
    }
    for (place, sequence) in sequences.iter_mut().enumerate() {
        let text = sequence.finish(model)?;
        hear(place, &text)?;
    }
    stats.new_tokens = sequences.iter().map(|sequence| sequence.tokens.len()).sum();
    let cut = sequences.iter().filter(|sequence| sequence.finish == Finish::Length);
    stats.cut_at = cut.map(|sequence| sequence.tokens.len()).max();
    stats.time = start.elapsed();
    Ok(Told { sequences, stats, interrupted })
}

/// The next token or the end; `None` where the user ends it.
async fn next(
    stream: &mut GenerationStream,
    interrupts: Option<&mut Interrupts>,
) -> Option<Result<NewToken, Result<Generated, Error>>> {
    let Some(interrupts) = interrupts else { return stream.next().await };
    match select(pin!(stream.next()), pin!(interrupts.next())).await {
        Either::Left((event, _)) => event,
        Either::Right(_) => None,
    }
}
