//! What changes the scores of the next token by what the sequence holds so far, in the order of
//! `GenerationMixin._get_logits_processor` of transformers 5.

mod bias;
mod length;
mod ngrams;
mod repetition;

use crate::numbers::{index, narrow};
use crate::{Error, GenerationConfig, Lengths, SequenceBias};
use bias::Phrases;
use ngrams::{EncoderNgrams, ban_repeated};
use repetition::Penalties;

/// What a request starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prompt<'a> {
    /// Tokens before the first new one: of decoders the prompt, of encoder-decoders the start token.
    pub length: usize,
    /// Tokens of padding that transformers would put in front of the prompt, and that the sequence does not hold; they
    /// count in `max_length` and `min_length` alone. 0 where a result shall not hang on its neighbours in a batch.
    pub padding: usize,
    /// The input of the encoder, of encoder-decoders; decoders give their prompt.
    pub encoder_input: Option<&'a [u32]>,
    /// Limits of `length + padding`.
    pub lengths: Lengths,
}

/// The processors of one request, for all of its beams.
#[derive(Clone, Debug)]
pub struct Processors {
    /// Those that act, in order.
    steps: Vec<Step>,
    padding: usize,
}

#[derive(Clone, Debug)]
enum Step {
    SequenceBias(Phrases),
    LogitBias(Vec<(usize, f32)>),
    Penalties(Penalties),
    NoRepeatNgrams(usize),
    EncoderNgrams(EncoderNgrams),
    BadWords(Phrases),
    /// Bans tokens in sequences that are shorter.
    NotBefore {
        length: usize,
        tokens: Vec<usize>,
    },
    /// Leaves only these in sequences that are as long.
    Force {
        length: usize,
        tokens: Vec<usize>,
    },
    Finite,
    Decay {
        start: usize,
        factor: f64,
        tokens: Vec<usize>,
    },
    Suppress(Vec<usize>),
    /// Bans tokens in sequences that are as long.
    SuppressAt {
        length: usize,
        tokens: Vec<usize>,
    },
}

impl Processors {
    /// Those that `config` asks for, of a model that gives `vocabulary` scores.
    ///
    /// # Errors
    /// Where a bias or a forced token is none of the vocabulary. Tokens that are banned need not be.
    pub fn new(config: &GenerationConfig, prompt: Prompt<'_>, vocabulary: usize) -> Result<Self, Error> {
        let (eos, lengths) = (places(&config.eos_token_id), prompt.lengths);
        let start = prompt.length + prompt.padding;
        let inside = |key: &'static str, tokens: &[u32]| match tokens.iter().find(|token| index(**token) >= vocabulary)
        {
            Some(token) => Err(Error::OutsideVocabulary { key, token: *token, last: vocabulary.saturating_sub(1) }),
            None => Ok(places(tokens)),
        };
        let mut steps = Vec::new();
        let mut add = |acts: bool, step: Step| {
            if acts {
                steps.push(step);
            }
        };

        for SequenceBias { tokens, .. } in &config.sequence_bias {
            inside("sequence_bias", tokens)?;
        }
        add(!config.sequence_bias.is_empty(), Step::SequenceBias(Phrases::biased(&config.sequence_bias)));
        let biased: Vec<u32> = config.logit_bias.iter().map(|(token, _)| *token).collect();
        let biases = inside("logit_bias", &biased)?.into_iter().zip(config.logit_bias.iter().map(|(_, bias)| *bias));
        let biases: Vec<(usize, f32)> = biases.map(|(token, bias)| (token, narrow(bias))).collect();
        add(!biases.is_empty(), Step::LogitBias(biases));

        let penalties = Penalties::new(config, prompt.length, prompt.encoder_input);
        add(penalties.act(), Step::Penalties(penalties));
        add(config.no_repeat_ngram_size > 0, Step::NoRepeatNgrams(config.no_repeat_ngram_size));
        if let Some(input) = prompt.encoder_input {
            let size = config.encoder_no_repeat_ngram_size;
            add(size > 0, Step::EncoderNgrams(EncoderNgrams::new(size, input)));
        }
        for tokens in &config.bad_words_ids {
            inside("bad_words_ids", tokens)?;
        }
        let bad = Phrases::banned(&config.bad_words_ids, &config.eos_token_id);
        add(!bad.is_empty(), Step::BadWords(bad));

        // `min_new_tokens` is in `lengths` already, where transformers has a processor for each.
        let not_before = Step::NotBefore { length: lengths.min_length, tokens: eos.clone() };
        add(lengths.min_length > 0 && !eos.is_empty(), not_before);
        let bos: Vec<u32> = config.forced_bos_token_id.into_iter().collect();
        let first = Step::Force { length: 1, tokens: inside("forced_bos_token_id", &bos)? };
        add(!bos.is_empty(), first);
        let forced = inside("forced_eos_token_id", &config.forced_eos_token_id)?;
        add(!forced.is_empty(), Step::Force { length: lengths.max_length - 1, tokens: forced });
        add(config.remove_invalid_values, Step::Finite);
        if let Some((after, factor)) = config.exponential_decay_length_penalty {
            add(true, Step::Decay { start: start + after, factor, tokens: eos });
        }
        let suppressed = places(&config.suppress_tokens);
        add(!suppressed.is_empty(), Step::Suppress(suppressed));
        let at_begin = places(&config.begin_suppress_tokens);
        // A forced first token comes before what begins.
        let begin = if start > 1 || bos.is_empty() { start } else { start + 1 };
        add(!at_begin.is_empty(), Step::SuppressAt { length: begin, tokens: at_begin });
        Ok(Self { steps, padding: prompt.padding })
    }

    /// Whether there is nothing to do, so that scores can be used where they are.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether the token that follows a sequence of `tokens` is forced, whatever the text is.
    pub fn forces(&self, tokens: usize) -> bool {
        let length = tokens + self.padding;
        self.steps.iter().any(|step| matches!(step, Step::Force { length: at, .. } if *at == length))
    }

    /// Whether any changes the scores of the token that follows a sequence of `tokens`, whatever the text is.
    pub fn act_at(&self, tokens: usize) -> bool {
        let length = tokens + self.padding;
        self.steps.iter().any(|step| step.acts_at(length))
    }

    /// Changes the scores of the token that follows `sequence`: prompt and new tokens, without padding. For beams the
    /// scores are log-probabilities.
    pub fn apply(&mut self, sequence: &[u32], scores: &mut [f32]) {
        let length = sequence.len() + self.padding;
        for step in self.steps.iter_mut().filter(|step| step.acts_at(length)) {
            match step {
                Step::SequenceBias(phrases) | Step::BadWords(phrases) => phrases.apply(sequence, scores),
                Step::LogitBias(biases) => {
                    for (token, bias) in biases {
                        scores[*token] += *bias;
                    }
                }
                Step::Penalties(penalties) => penalties.apply(sequence, scores),
                Step::NoRepeatNgrams(size) => ban_repeated(*size, sequence, scores),
                Step::EncoderNgrams(ngrams) => ngrams.ban(sequence, scores),
                Step::Force { tokens, .. } => length::force(tokens, scores),
                Step::Finite => length::make_finite(scores),
                Step::Decay { start, factor, tokens } => length::decay(tokens, *factor, length - *start, scores),
                Step::NotBefore { tokens, .. } | Step::Suppress(tokens) | Step::SuppressAt { tokens, .. } => {
                    length::ban(tokens, scores);
                }
            }
        }
    }
}

impl Step {
    /// Whether it acts behind sequences of a length.
    fn acts_at(&self, length: usize) -> bool {
        match self {
            Self::NotBefore { length: least, .. } => length < *least,
            Self::Force { length: at, .. } | Self::SuppressAt { length: at, .. } => length == *at,
            Self::Decay { start, .. } => length > *start,
            Self::SequenceBias(_)
            | Self::LogitBias(_)
            | Self::Penalties(_)
            | Self::NoRepeatNgrams(_)
            | Self::EncoderNgrams(_)
            | Self::BadWords(_)
            | Self::Finite
            | Self::Suppress(_) => true,
        }
    }
}

/// Tokens as places among the scores.
fn places(tokens: &[u32]) -> Vec<usize> {
    tokens.iter().copied().map(index).collect()
}
