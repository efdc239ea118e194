//! Penalties of tokens that are there already.
//!
//! The repetition penalty of transformers divides positive scores and multiplies the others, once for each token of the
//! sequence. The penalties of OpenAI are subtracted, and count generated tokens alone
//! (<https://platform.openai.com/docs/api-reference/chat/create>):
//! `score -= presence + frequency * (times that it was generated)`.

use crate::GenerationConfig;
use crate::numbers::{index, narrow};

/// The penalties of a request.
#[derive(Clone, Debug)]
pub(super) struct Penalties {
    encoder: f32,
    encoder_input: Vec<usize>,
    repetition: f32,
    presence: f32,
    frequency: f32,
    prompt: usize,
    /// New scores of the tokens of the sequence; kept for its memory.
    scores: Vec<f32>,
    /// Generated tokens, sorted; kept for its memory.
    generated: Vec<u32>,
}

impl Penalties {
    pub(super) fn new(config: &GenerationConfig, prompt: usize, encoder_input: Option<&[u32]>) -> Self {
        let mut input: Vec<usize> = encoder_input.unwrap_or_default().iter().copied().map(index).collect();
        input.sort_unstable();
        input.dedup();
        Self {
            encoder: narrow(1.0 / config.encoder_repetition_penalty),
            encoder_input: input,
            repetition: narrow(config.repetition_penalty),
            presence: narrow(config.presence_penalty),
            frequency: narrow(config.frequency_penalty),
            prompt,
            scores: Vec::new(),
            generated: Vec::new(),
        }
    }

    fn encoder_acts(&self) -> bool {
        self.encoder != 1.0 && !self.encoder_input.is_empty()
    }

    fn counts_act(&self) -> bool {
        self.presence != 0.0 || self.frequency != 0.0
    }

    pub(super) fn act(&self) -> bool {
        self.encoder_acts() || self.repetition != 1.0 || self.counts_act()
    }

    pub(super) fn apply(&mut self, sequence: &[u32], scores: &mut [f32]) {
        if self.encoder_acts() {
            for token in &self.encoder_input {
                if let Some(score) = scores.get_mut(*token) {
                    *score = penalized(*score, self.encoder);
                }
            }
        }
        if self.repetition != 1.0 {
            // All are read before any is written, so that a token counts once however often it is there.
            let read = |token: &u32| scores.get(index(*token)).map_or(0.0, |score| penalized(*score, self.repetition));
            self.scores.clear();
            self.scores.extend(sequence.iter().map(read));
            for (token, new) in sequence.iter().zip(&self.scores) {
                if let Some(score) = scores.get_mut(index(*token)) {
                    *score = *new;
                }
            }
        }
        if self.counts_act() {
            self.generated.clear();
            self.generated.extend_from_slice(sequence.get(self.prompt..).unwrap_or_default());
            self.generated.sort_unstable();
            for same in self.generated.chunk_by(|a, b| a == b) {
                if let Some(score) = same.first().and_then(|token| scores.get_mut(index(*token))) {
                    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^24 tokens")]
                    let times = same.len() as f32;
                    *score -= self.presence + self.frequency * times;
                }
            }
        }
    }
}

fn penalized(score: f32, penalty: f32) -> f32 {
    if score < 0.0 { score * penalty } else { score / penalty }
}
