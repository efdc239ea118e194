//! What is asked for, and what comes of it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use runtime_constraint::Matcher;
use runtime_generation::{FinishReason, GenerationConfig, TokenLogProb};
use runtime_tensor::PlanAdapter;

use crate::{Error, LogitsProcessor};

/// Gives the text of tokens as it stands, special tokens included.
pub type Decode = Arc<dyn Fn(&[u32]) -> Result<String, Error> + Send + Sync>;

/// A prompt, and how to go on from it.
#[derive(Clone)]
pub struct GenerateRequest {
    /// The tokens that the encoder of an encoder-decoder reads.
    pub source: Option<Vec<u32>>,
    /// The tokens to go on from: of decoders the prompt, of encoder-decoders the start token.
    pub prompt: Vec<u32>,
    /// How.
    pub config: GenerationConfig,
    /// Tokens of padding that transformers would put in front of the prompt in a batch. They count in limits of the whole
    /// length alone; 0 but where a result is compared.
    pub padding: usize,
    /// What processors of the encoder's input see instead of source or prompt: those with the padding of such a batch.
    pub encoder_input: Option<Vec<u32>>,
    /// The adapter that it is computed with.
    pub adapter: Option<PlanAdapter>,
    /// Tokens that prompt and result may have together; at most what the model can run.
    pub limit: Option<usize>,
    /// Whether its keys and values are kept, for a request that begins with the same tokens.
    pub keep: bool,
    /// By which stop strings are found.
    pub decode: Decode,
    /// Plugins that change scores, in their order.
    pub plugins: Vec<LogitsProcessor>,
    /// What the new tokens' text must be, from its start.
    pub matcher: Option<Matcher>,
}

impl fmt::Debug for GenerateRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GenerateRequest").field("prompt", &self.prompt.len()).finish_non_exhaustive()
    }
}

/// A token that was just chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct NewToken {
    /// Which of `num_return_sequences` it belongs to.
    pub sequence: usize,
    /// The token.
    pub token: u32,
    /// Where `logprobs` asks for it: of the token, and of the likeliest, by the model's own scores.
    pub log_probs: Option<(TokenLogProb, Vec<TokenLogProb>)>,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Generated {
    /// `num_return_sequences` of them.
    pub sequences: Vec<GeneratedSequence>,
    /// Tokens of the prompt, or of the source.
    pub prompt_tokens: usize,
    /// Those of them that were known from a request before.
    pub cached_tokens: usize,
    /// Tokens that were guessed and held.
    pub guessed_tokens: usize,
    /// The request's share of the time that its runs took, by tokens.
    pub time: Duration,
    /// From the request's arrival to its first token.
    pub first_token: Duration,
}

/// One sequence of a request.
#[derive(Clone, Debug, PartialEq)]
pub struct GeneratedSequence {
    /// The new tokens, the one that ends it included.
    pub tokens: Vec<u32>,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// The score of a search with beams.
    pub score: Option<f32>,
}

/// Logarithms of probabilities of several continuations of a prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// For each continuation, of each of its tokens.
    pub log_probs: Vec<Vec<f32>>,
    /// The time that it took.
    pub time: Duration,
}

/// # Errors
/// Where there is no prompt, or it leaves no room for `new` tokens.
pub(super) fn check_prompt(prompt: &[u32], new: usize, max_positions: Option<usize>) -> Result<(), Error> {
    if prompt.is_empty() {
        return Err(Error::EmptyPrompt);
    }
    match max_positions {
        Some(limit) if prompt.len() + new > limit => Err(Error::PromptTooLong { tokens: prompt.len(), new, limit }),
        _ => Ok(()),
    }
}
