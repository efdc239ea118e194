//! What a request asks for, under the names of transformers' `generate`.
//!
//! Defaults are those of `GenerationConfig._get_default_generation_params` of transformers 5. Over them goes the model's
//! `generation_config.json`, over it what a call gives. Files are read leniently, as transformers reads them: what is
//! unknown there is passed over, and limits of sampling are checked when they act. Calls are read strictly.

mod check;
mod constraint;
mod keys;
mod reader;

use serde_json::{Map, Value};

use crate::{Constraint, Error};
use keys::Keys;

/// A request's parameters. Tokens are ids; numbers that are off are those of [`GenerationConfig::default`].
#[derive(Clone, Debug, PartialEq)]
pub struct GenerationConfig {
    /// New tokens, at most; goes before `max_length`.
    pub max_new_tokens: Option<usize>,
    /// New tokens before the sequence may end; goes before `min_length`.
    pub min_new_tokens: Option<usize>,
    /// Tokens of the whole sequence, at most.
    pub max_length: Option<usize>,
    /// Tokens of the whole sequence before it may end.
    pub min_length: usize,
    /// Seconds after which the loop ends a request.
    pub max_time: Option<f64>,
    /// Texts with which a sequence ends.
    pub stop_strings: Vec<String>,
    /// What the text must be.
    pub constraint: Option<Constraint>,

    /// Whether tokens are drawn instead of chosen.
    pub do_sample: bool,
    /// What draws follow from; without it they differ from call to call.
    pub seed: Option<u64>,
    /// Scores are divided by it.
    pub temperature: f64,
    /// Share of the entropy that is kept (0 to 1).
    pub top_h: Option<f64>,
    /// Tokens that are kept; 0 keeps all.
    pub top_k: usize,
    /// Probability that is kept, the likeliest tokens first.
    pub top_p: f64,
    /// Probability, in shares of the highest, below which tokens go.
    pub min_p: Option<f64>,
    /// Probability that is kept, the most typical tokens first.
    pub typical_p: f64,
    /// Probability below which tokens go; 0 keeps all.
    pub epsilon_cutoff: f64,
    /// The same, lower where the distribution is wide.
    pub eta_cutoff: f64,

    /// Divides the scores of tokens that are in the sequence.
    pub repetition_penalty: f64,
    /// Multiplies the scores of tokens that are in the encoder's input.
    pub encoder_repetition_penalty: f64,
    /// Taken from the scores of tokens that were generated (OpenAI).
    pub presence_penalty: f64,
    /// The same, for each time that one was generated (OpenAI).
    pub frequency_penalty: f64,
    /// N-grams of this size do not come twice; 0 is off.
    pub no_repeat_ngram_size: usize,
    /// N-grams of this size do not come from the encoder's input; 0 is off.
    pub encoder_no_repeat_ngram_size: usize,
    /// Sequences that do not come.
    pub bad_words_ids: Vec<Vec<u32>>,
    /// What is added to the score of the last token of a sequence behind the others of it.
    pub sequence_bias: Vec<SequenceBias>,
    /// What is added to the scores of single tokens (OpenAI).
    pub logit_bias: Vec<(u32, f64)>,
    /// Tokens that do not come.
    pub suppress_tokens: Vec<u32>,
    /// Tokens that do not come first.
    pub begin_suppress_tokens: Vec<u32>,
    /// The token behind a start token.
    pub forced_bos_token_id: Option<u32>,
    /// The tokens that may come at the last place.
    pub forced_eos_token_id: Vec<u32>,
    /// After how many new tokens the end gets likelier, and the factor for each.
    pub exponential_decay_length_penalty: Option<(usize, f64)>,
    /// Whether NaN and infinite scores are made finite.
    pub remove_invalid_values: bool,
    /// Whether scores become logarithms of probabilities at the end.
    pub renormalize_logits: bool,

    /// Sequences that are followed at once.
    pub num_beams: usize,
    /// Sequences that are returned.
    pub num_return_sequences: usize,
    /// Power of the length by which the score of a sequence is divided.
    pub length_penalty: f64,
    /// When a search with beams is over.
    pub early_stopping: EarlyStopping,

    /// Tokens that are guessed from the sequence itself; `None` guesses nothing.
    pub prompt_lookup_num_tokens: Option<usize>,
    /// Longest n-gram by which they are looked up.
    pub max_matching_ngram_size: Option<usize>,

    /// Likeliest tokens that are told beside each token, with logarithms of probabilities; `None` tells none at all.
    pub logprobs: Option<usize>,

    /// The token that starts a text.
    pub bos_token_id: Option<u32>,
    /// The tokens that end a sequence.
    pub eos_token_id: Vec<u32>,
    /// The token that fills a batch.
    pub pad_token_id: Option<u32>,
    /// The token with which a decoder of an encoder-decoder starts.
    pub decoder_start_token_id: Option<u32>,
}

/// What is added to the score of a token.
#[derive(Clone, Debug, PartialEq)]
pub struct SequenceBias {
    /// The last of these, where the others are the end of the sequence.
    pub tokens: Vec<u32>,
    /// What is added.
    pub bias: f64,
}

/// When a search with beams is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EarlyStopping {
    /// When there are as many sequences as beams and the best running beam, at its present length, is no better.
    False,
    /// When there are as many sequences as beams.
    True,
    /// When no running beam can become better, at any length.
    Never,
}

/// How tokens are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The best token.
    Greedy,
    /// A draw.
    Sample,
    /// The best sequences of several.
    Beam,
    /// Several sequences, whose continuations are drawn.
    BeamSample,
}

impl Default for GenerationConfig {
    fn default() -> Self {
        Self {
            max_new_tokens: None,
            min_new_tokens: None,
            max_length: None,
            min_length: 0,
            max_time: None,
            stop_strings: Vec::new(),
            constraint: None,
            do_sample: false,
            seed: None,
            temperature: 1.0,
            top_h: None,
            top_k: 50,
            top_p: 1.0,
            min_p: None,
            typical_p: 1.0,
            epsilon_cutoff: 0.0,
            eta_cutoff: 0.0,
            repetition_penalty: 1.0,
            encoder_repetition_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            no_repeat_ngram_size: 0,
            encoder_no_repeat_ngram_size: 0,
            bad_words_ids: Vec::new(),
            sequence_bias: Vec::new(),
            logit_bias: Vec::new(),
            suppress_tokens: Vec::new(),
            begin_suppress_tokens: Vec::new(),
            forced_bos_token_id: None,
            forced_eos_token_id: Vec::new(),
            exponential_decay_length_penalty: None,
            remove_invalid_values: false,
            renormalize_logits: false,
            num_beams: 1,
            num_return_sequences: 1,
            length_penalty: 1.0,
            early_stopping: EarlyStopping::False,
            prompt_lookup_num_tokens: None,
            max_matching_ngram_size: None,
            logprobs: None,
            bos_token_id: None,
            eos_token_id: Vec::new(),
            pad_token_id: None,
            decoder_start_token_id: None,
        }
    }
}

impl GenerationConfig {
    /// The model's own, of the fields of its `generation_config.json`; of a model without that file, from none.
    ///
    /// # Errors
    /// Where a value has the wrong type, is out of range, or asks for what is not done here.
    pub fn from_file(fields: &Map<String, Value>) -> Result<Self, Error> {
        Self::of_file("generation_config.json", fields)
    }

    fn of_file(file: &'static str, fields: &Map<String, Value>) -> Result<Self, Error> {
        let mut config = Self::default();
        let mut keys = Keys::of_file(fields);
        let read = config.read(&mut keys).and_then(|()| keys.unsupported()).and_then(|()| config.check(|_| false));
        read.map_err(|error| error.of_file(file))?;
        Ok(config)
    }

    /// That of a model without `generation_config.json`: older ones have these fields in `config.json`, or in its part for
    /// the decoder (`GenerationConfig.from_model_config`). What only this program knows is passed over there.
    ///
    /// # Errors
    /// Where a value has the wrong type, is out of range, or asks for what is not done here.
    pub fn from_model_config(fields: &Map<String, Value>) -> Result<Self, Error> {
        let decoder = ["decoder", "generator", "text_config"].iter().find_map(|part| fields.get(*part)?.as_object());
        let given = decoder.into_iter().chain([fields]).flatten();
        let given = given.filter(|(key, value)| !value.is_null() && !keys::OURS.contains(&key.as_str()));
        let fields: Map<String, Value> = given.map(|(key, value)| (key.clone(), value.clone())).collect();
        Self::of_file("config.json", &fields)
    }

    /// These, and over them what a call gives. `null` turns a parameter off.
    ///
    /// # Errors
    /// Where one is unknown, of the wrong type, out of range, or asks for what is not done here, or two contradict
    /// each other.
    pub fn with_params(&self, params: &Map<String, Value>) -> Result<Self, Error> {
        let mut config = self.clone();
        let mut keys = Keys::of_call(params);
        config.read(&mut keys)?;
        keys.unsupported()?;
        keys.unknown()?;
        config.check(|key| keys.gives(key))?;
        Ok(config)
    }

    /// The names of all parameters.
    pub fn names() -> Vec<&'static str> {
        let none = Map::new();
        let mut keys = Keys::of_call(&none);
        // What is absent is never wrong, so that each is asked for.
        let _absent = Self::default().read(&mut keys);
        keys.asked().to_vec()
    }

    /// How tokens are chosen.
    pub fn mode(&self) -> Mode {
        match (self.num_beams > 1, self.do_sample) {
            (false, false) => Mode::Greedy,
            (false, true) => Mode::Sample,
            (true, false) => Mode::Beam,
            (true, true) => Mode::BeamSample,
        }
    }

    /// The token that fills a row behind its end: `pad_token_id`, else the first end token. A search with beams takes
    /// the end token for a padding token of id 0 too, as transformers does.
    pub fn fill_token(&self) -> Option<u32> {
        let end = self.eos_token_id.first().copied();
        match self.pad_token_id {
            Some(0) if self.num_beams > 1 && end.is_some() => end,
            Some(pad) => Some(pad),
            None => end,
        }
    }

    /// The token with which a decoder of an encoder-decoder starts.
    pub fn start_token(&self) -> Option<u32> {
        self.decoder_start_token_id.or(self.bos_token_id)
    }
}

#[cfg(test)]
mod tests;
