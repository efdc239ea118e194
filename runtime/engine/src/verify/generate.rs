//! The cases of `generate` and `next-token-distribution`.

use runtime_generation::{Lengths, Processors, Prompt, Warpers};
use runtime_models::{Side, Special};
use runtime_tensor::{Batch, Cached};
use serde_json::{Map, Value, json};

use crate::task::scores::number;
use crate::{Error, Fields, GeneratedSequence, LanguageModel, ScheduleError};

/// A batch of texts, padded to the longest as transformers does it.
struct Padded {
    prompts: Vec<Vec<u32>>,
    longest: usize,
    pad: u32,
    left: bool,
}

/// What transformers' `generate` returns for a batch.
pub(super) async fn generate(
    model: &LanguageModel,
    params: &Map<String, Value>,
    input: Fields<'_>,
) -> Result<Value, Error> {
    let (mut params, side) = arguments(params);
    params.entry("do_sample").or_insert(Value::Bool(false));
    let config = model.config().with_params(&params)?;
    let padded = Padded::new(model, side, input)?;
    let mut streams = Vec::new();
    for (index, prompt) in padded.prompts.iter().enumerate() {
        streams.push(model.generate_as_recorded(prompt.clone(), padded.row(index), config.clone())?);
    }
    let mut rows = Vec::new();
    for (index, stream) in streams.into_iter().enumerate() {
        rows.extend(stream.finish().await?.sequences.into_iter().map(|sequence| (index, sequence)));
    }
    let longest = rows.iter().map(|(_, row)| row.tokens.len()).max().unwrap_or(0);
    let fill = config.fill_token().unwrap_or(padded.pad);
    let (mut sequences, mut texts) = (Vec::new(), Vec::new());
    for (index, GeneratedSequence { tokens, .. }) in &rows {
        let mut sequence = match (model.is_encoder_decoder(), config.start_token()) {
            (true, Some(start)) => vec![start],
            _ => padded.row(*index),
        };
        let before = sequence.len();
        sequence.extend_from_slice(tokens);
        sequence.resize(before + longest, fill);
        // Those of an encoder-decoder begin with its start token.
        let shown = if model.is_encoder_decoder() { 0 } else { before };
        texts.push(model.decode(&sequence[shown..], true)?);
        sequences.push(sequence);
    }
    let mut found = padded.fields();
    found.insert("sequences".to_owned(), json!(sequences));
    found.insert("texts".to_owned(), json!(texts));
    if config.num_beams > 1 {
        let scores = rows.iter().map(|(_, row)| row.score.map_or(Value::Null, number));
        found.insert("sequences_scores".to_owned(), scores.collect());
    }
    Ok(Value::Object(found))
}

/// What may be drawn as the first new token, and with which probability.
pub(super) async fn next_token_distribution(
    model: &LanguageModel,
    params: &Map<String, Value>,
    input: Fields<'_>,
) -> Result<Value, Error> {
    let (params, side) = arguments(params);
    let config = model.config().with_params(&params)?;
    let padded = Padded::new(model, side, input)?;
    let plan = &model.loaded().model.plan;
    let mut rows = Vec::new();
    for prompt in &padded.prompts {
        let failed = |error| Error::from(ScheduleError::Plan(std::sync::Arc::new(error)));
        let mut cache = plan.cache(prompt.len()).map_err(failed)?;
        let mut cached = Cached::new();
        cache.reserve(&mut cached, prompt.len()).map_err(ScheduleError::from)?;
        let mut batch = Batch::new();
        batch.push_after(&cached, prompt);
        batch.ask_row(u32::try_from(prompt.len() - 1).unwrap_or(u32::MAX));
        let outputs = plan.run_after(&batch, &mut cache).map_err(failed)?;
        let output = model.loaded().model.head.output();
        let mut scores = outputs.get(output).ok_or(ScheduleError::NoOutput { output })?.data.clone();
        let padding = padded.longest - prompt.len();
        let lengths = Lengths::new(&config, padded.longest, None)?;
        let start = Prompt { length: prompt.len(), padding, encoder_input: Some(prompt), lengths };
        Processors::new(&config, start, scores.len())?.apply(prompt, &mut scores);
        let mut warpers = Warpers::new(&config);
        let kept = warpers.distribution(&scores)?;
        let ids: Vec<u32> = kept.iter().map(|candidate| candidate.id).collect();
        let probs: Vec<Value> = kept.iter().map(|candidate| number(candidate.prob)).collect();
        rows.push(json!({"kept": ids, "probs": probs}));
    }
    Ok(json!({"input_ids": padded.fields()["input_ids"], "rows": rows}))
}

/// Those of `generate`, and the side that a batch is padded on.
fn arguments(params: &Map<String, Value>) -> (Map<String, Value>, Option<bool>) {
    let mut params = params.clone();
    let side = params.remove("padding_side");
    params.retain(|key, _| key != "adapter" && key != "merge");
    (params, side.map(|side| side == "left"))
}

impl Padded {
    fn new(model: &LanguageModel, left: Option<bool>, input: Fields<'_>) -> Result<Self, Error> {
        let tokenizer = &model.loaded().model.tokenizer;
        let texts = input.texts("texts")?;
        let prompts = texts.into_iter().map(|text| model.tokens(text)).collect::<Result<Vec<_>, _>>()?;
        let longest = prompts.iter().map(Vec::len).max().unwrap_or(0);
        let pad = tokenizer.special(Special::Padding).or_else(|| tokenizer.special(Special::End)).unwrap_or(0);
        // A decoder goes on at the end of a row, where no padding may be.
        let left = left.unwrap_or(!model.is_encoder_decoder() || tokenizer.padding_side() == Side::Left);
        Ok(Self { prompts, longest, pad, left })
    }

    /// The tokens of a text, with padding.
    fn row(&self, index: usize) -> Vec<u32> {
        self.fill(&self.prompts[index], self.pad)
    }

    fn fill(&self, tokens: &[u32], with: u32) -> Vec<u32> {
        let padding = vec![with; self.longest - tokens.len()];
        if self.left { [&padding, tokens].concat() } else { [tokens, &padding].concat() }
    }

    fn fields(&self) -> Map<String, Value> {
        let ids: Vec<_> = (0..self.prompts.len()).map(|index| self.row(index)).collect();
        let mask: Vec<_> = self.prompts.iter().map(|prompt| self.fill(&vec![1; prompt.len()], 0)).collect();
        [("input_ids", json!(ids)), ("attention_mask", json!(mask))]
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }
}
