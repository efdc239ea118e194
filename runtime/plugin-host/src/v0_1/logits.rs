//! The world `logits-processor` over a row of scores.

use wasmtime::component::{Component, HasSelf, Linker, Resource, ResourceAny};
use wasmtime::{Result, Store};

use crate::error::Cause;
use crate::host::TextHost;
use crate::logits_processor::LogitsDescription;
use crate::records::Fields;
use crate::state::Serving;

use super::shared;

#[expect(unreachable_pub, reason = "generated")]
mod bindings {
    /// The one row that there is during a call.
    pub enum Row {}

    wasmtime::component::bindgen!({
        path: "../../wit/v0.1",
        world: "logits-processor",
        with: {
            "inference:runtime/logits.row": crate::v0_1::logits::bindings::Row,
            "inference:runtime/records": crate::v0_1::step::bindings::inference::runtime::records,
            "inference:runtime/tokenizer": crate::v0_1::step::bindings::inference::runtime::tokenizer,
            "inference:runtime/logging": crate::v0_1::step::bindings::inference::runtime::logging,
        },
        imports: { default: trappable },
    });
}

use bindings::inference::runtime::logits;
use bindings::{LogitsProcessor, LogitsProcessorPre, Row};

/// The data of a processor's store: the scores of the next token during a call, else none.
pub(crate) type State = Serving<dyn TextHost, Vec<f32>>;

/// Gives `linker` all that the world imports.
pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    LogitsProcessor::add_to_linker::<_, HasSelf<_>>(linker, |state| state)
}

/// A component that fits the world.
pub(crate) struct Interface(LogitsProcessorPre<State>);

impl Interface {
    pub(crate) fn new(linker: &Linker<State>, component: &Component) -> Result<Self> {
        Ok(Self(LogitsProcessorPre::new(linker.instantiate_pre(component)?)?))
    }

    pub(crate) fn instantiate(&self, store: &mut Store<State>) -> Result<Instance> {
        Ok(Instance(self.0.instantiate(store)?))
    }
}

/// A component in a store.
pub(crate) struct Instance(LogitsProcessor);

/// A text that is being generated, in the guest.
pub(crate) type Sequence = ResourceAny;

impl Instance {
    pub(crate) fn describe(&self, store: &mut Store<State>) -> Result<LogitsDescription> {
        let description = self.0.inference_runtime_logits_processing().call_describe(store)?;
        let bindings::exports::inference::runtime::logits_processing::Description {
            name,
            version,
            summary,
            parameters,
        } = description;
        Ok(LogitsDescription { name, version, summary, parameters: shared::slots(parameters) })
    }

    pub(crate) fn start(
        &self,
        store: &mut Store<State>,
        parameters: Fields,
        prompt: &[u32],
    ) -> Result<std::result::Result<Sequence, String>> {
        let parameters = shared::to_plugin(parameters);
        let sequence = self.0.inference_runtime_logits_processing().sequence();
        sequence.call_start(store, &parameters, prompt)
    }

    pub(crate) fn process(&self, store: &mut Store<State>, sequence: Sequence, tokens: &[u32]) -> Result<()> {
        let row = Resource::new_own(0);
        self.0.inference_runtime_logits_processing().sequence().call_process(store, sequence, tokens, row)
    }
}

impl State {
    fn place(&self, token: u32) -> Result<usize, Cause> {
        let index = usize::try_from(token).unwrap_or(usize::MAX);
        let rule = || Cause::Rule(format!("it named token {token} of a vocabulary of {}", self.own.len()));
        if index < self.own.len() { Ok(index) } else { Err(rule()) }
    }

    fn span(&self, first: u32, count: usize) -> Result<std::ops::Range<usize>, Cause> {
        let start = usize::try_from(first).unwrap_or(usize::MAX);
        let end = start.saturating_add(count);
        let rule = || {
            let len = self.own.len();
            Cause::Rule(format!("it named {count} tokens from {first} on, of a vocabulary of {len}"))
        };
        if end <= self.own.len() { Ok(start..end) } else { Err(rule()) }
    }
}

impl logits::Host for State {}

impl logits::HostRow for State {
    fn len(&mut self, _: Resource<Row>) -> Result<u32> {
        Ok(u32::try_from(self.own.len()).unwrap_or(u32::MAX))
    }

    fn get(&mut self, _: Resource<Row>, token: u32) -> Result<f32> {
        Ok(self.own[self.place(token)?])
    }

    fn top(&mut self, _: Resource<Row>, count: u32) -> Result<Vec<(u32, f32)>> {
        let count = usize::try_from(count).unwrap_or(usize::MAX).min(self.own.len());
        let mut scored: Vec<(u32, f32)> = (0..).zip(self.own.iter().copied()).collect();
        let order = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if count > 0 && count < scored.len() {
            scored.select_nth_unstable_by(count - 1, order);
        }
        scored.truncate(count);
        scored.sort_unstable_by(order);
        Ok(scored)
    }

    fn read(&mut self, _: Resource<Row>, first: u32, count: u32) -> Result<Vec<f32>> {
        let span = self.span(first, usize::try_from(count).unwrap_or(usize::MAX))?;
        Ok(self.own[span].to_vec())
    }

    fn write(&mut self, _: Resource<Row>, first: u32, scores: Vec<f32>) -> Result<()> {
        let span = self.span(first, scores.len())?;
        self.own[span].copy_from_slice(&scores);
        Ok(())
    }

    fn add(&mut self, _: Resource<Row>, changes: Vec<(u32, f32)>) -> Result<()> {
        for (token, amount) in changes {
            let place = self.place(token)?;
            self.own[place] += amount;
        }
        Ok(())
    }

    fn add_all(&mut self, _: Resource<Row>, tokens: Vec<u32>, amount: f32) -> Result<()> {
        for token in tokens {
            let place = self.place(token)?;
            self.own[place] += amount;
        }
        Ok(())
    }

    fn keep(&mut self, _: Resource<Row>, tokens: Vec<u32>) -> Result<()> {
        let mut kept = vec![f32::NEG_INFINITY; self.own.len()];
        for token in tokens {
            let place = self.place(token)?;
            kept[place] = self.own[place];
        }
        self.own = kept;
        Ok(())
    }

    fn drop(&mut self, _: Resource<Row>) -> Result<()> {
        Ok(())
    }
}
