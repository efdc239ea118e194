//! What happens to the scores of the next token, and the search over them: pure code, without a device, a model or files.
//!
//! A request holds its own objects, so that requests of one batch share nothing and can join and leave at any step:
//!
//! 1. [`GenerationConfig`] reads `generation_config.json` and what a call asks for over it.
//! 2. [`Processors`] change a row of scores by what the sequence holds so far (penalties, bans, forced tokens), in the
//!    order of transformers.
//! 3. [`argmax`] chooses greedily; [`Warpers`] leave what may be sampled, of which a [`Sampler`] draws; [`BeamSearch`]
//!    follows several sequences at once.
//! 4. [`Stopping`] and [`StopStrings`] say when a sequence ends, [`TextStream`] what of its text can be shown already.
//! 5. [`PromptLookup`] guesses tokens that a model can check several at a time.
//!
//! Scores are logits as the model gives them, one `f32` for each token of the vocabulary; `-inf` is what cannot be chosen.
//! Where the greatest of them suffice to choose the same token ([`Needs`]), a [`Shortlist`] takes their place.

mod argmax;
mod beam;
mod beam_draw;
mod config;
mod constraint;
mod error;
mod lengths;
mod logprobs;
mod numbers;
mod passes;
mod processors;
mod prompt_lookup;
mod sampler;
mod shortlist;
mod stopping;
mod text_stream;
mod top;
mod warpers;

pub use argmax::argmax;
pub use beam::{BeamOptions, BeamSearch, Continuation, Hypothesis};
pub use config::{EarlyStopping, GenerationConfig, Mode, SequenceBias};
pub use constraint::Constraint;
pub use error::Error;
pub use lengths::Lengths;
pub use logprobs::{TokenLogProb, log_softmax, token_log_probs};
pub use processors::{Processors, Prompt};
pub use prompt_lookup::{PromptLookup, accepted};
pub use sampler::Sampler;
pub use shortlist::{Needs, Shortlist};
pub use stopping::{FinishReason, StopStrings, Stopping};
pub use text_stream::TextStream;
pub use warpers::{Candidate, Warpers};
