//! Texts by language models, for plugins.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use runtime_chat::Chat;
use runtime_generation::{FinishReason, GenerationConfig, TextStream};
use runtime_plugin_host::{Answer, Completion, CompletionStream, Failure, Fields, Prompt};
use serde_json::{Value, json};

use crate::task::text_generation::conversation;
use crate::writer::before_stop;
use crate::{Error, GeneratedSequence, GenerationStream, LanguageModel};

/// The tokens that a record may still have generated.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    granted: usize,
    left: Arc<AtomicUsize>,
}

impl Budget {
    pub(super) fn new(granted: usize) -> Self {
        Self { granted, left: Arc::new(AtomicUsize::new(granted)) }
    }

    /// # Errors
    /// Where less is left.
    fn take(&self, tokens: usize) -> Result<Taken, Failure> {
        let take = |left: usize| left.checked_sub(tokens);
        match self.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, take) {
            Ok(_) => Ok(Taken { budget: self.clone(), tokens }),
            Err(left) => Err(Failure::UsedUp(format!(
                "up to {tokens} tokens were asked for; `generated_tokens` grants {} for each record, of which {left} are left",
                self.granted
            ))),
        }
    }
}

/// Tokens that may be generated; what is not is given back.
struct Taken {
    budget: Budget,
    tokens: usize,
}

impl Taken {
    fn spend(&mut self, tokens: usize) {
        self.tokens = self.tokens.saturating_sub(tokens);
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.budget.left.fetch_add(self.tokens, Ordering::AcqRel);
    }
}

pub(super) fn failure(error: &Error) -> Failure {
    use runtime_diagnostics::{Exit, Explain};
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let said = causes.fold(error.to_string(), |said, cause| format!("{said}: {cause}"));
    match error.exit() {
        Exit::Usage | Exit::Data | Exit::Config => Failure::Wrong(said),
        _ => Failure::Failed(said),
    }
}

/// A prompt with its configuration, for a model.
struct Asked {
    tokens: Vec<u32>,
    config: GenerationConfig,
    taken: Taken,
}

fn tokens(model: &LanguageModel, prompt: Prompt) -> Result<Vec<u32>, Failure> {
    let tokens = match prompt {
        Prompt::Text(text) => model.tokens(&text),
        Prompt::Chat(turns) => {
            let turn =
                |(role, content): (runtime_plugin_host::Role, String)| json!({"role": role.name(), "content": content});
            let messages: Vec<Value> = turns.into_iter().map(turn).collect();
            let chat: Chat<'_> = conversation(&messages);
            model.chat_tokens(&chat)
        }
    };
    tokens.map_err(|error| failure(&error))
}

fn ask(model: &LanguageModel, prompt: Prompt, parameters: &Fields, budget: &Budget) -> Result<Asked, Failure> {
    let config = model.configured(parameters).map_err(|error| failure(&error))?;
    let tokens = tokens(model, prompt)?;
    let new = config.max_new_tokens.or_else(|| Some(config.max_length?.saturating_sub(tokens.len())));
    let longest = new.unwrap_or(usize::MAX).saturating_mul(config.num_return_sequences.max(config.num_beams));
    let taken = budget.take(longest)?;
    Ok(Asked { tokens, config, taken })
}

fn start(model: &LanguageModel, asked: &Asked) -> Result<GenerationStream, Failure> {
    model.generate(asked.tokens.clone(), asked.config.clone(), true).map_err(|error| failure(&error))
}

/// All completions of a prompt.
pub(super) async fn complete(
    model: &LanguageModel,
    prompt: Prompt,
    parameters: Fields,
    budget: &Budget,
) -> Result<Vec<Completion>, Failure> {
    let mut asked = ask(model, prompt, &parameters, budget)?;
    let generated = start(model, &asked)?.finish().await.map_err(|error| failure(&error))?;
    let written = generated.sequences.iter().map(|sequence| sequence.tokens.len());
    asked.taken.spend(written.sum::<usize>().saturating_mul(asked.config.num_beams.max(1)));
    let continuations = generated.sequences.iter().map(|sequence| sequence.tokens.clone()).collect();
    let log_probabilities = likely(model, asked.tokens, continuations).await?;
    let completion = |(sequence, log_probability): (GeneratedSequence, f64)| {
        let text = model.decode_as(&sequence.tokens, None).map_err(|error| failure(&error))?;
        Ok(Completion {
            text: before_stop(text, &asked.config.stop_strings),
            cut_off: sequence.finish_reason == FinishReason::Length,
            tokens: sequence.tokens,
            log_probability,
        })
    };
    generated.sequences.into_iter().zip(log_probabilities).map(completion).collect()
}

/// How likely the model goes on from a prompt with texts.
pub(super) async fn score(
    model: &LanguageModel,
    prompt: Prompt,
    continuations: Vec<String>,
) -> Result<Vec<f64>, Failure> {
    let prompt = tokens(model, prompt)?;
    let continuations = continuations.iter().map(|text| model.encode(text, false));
    let continuations = continuations.collect::<Result<_, _>>().map_err(|error| failure(&error))?;
    likely(model, prompt, continuations).await
}

async fn likely(model: &LanguageModel, prompt: Vec<u32>, texts: Vec<Vec<u32>>) -> Result<Vec<f64>, Failure> {
    if model.is_encoder_decoder() {
        return Err(Failure::Wrong("an encoder-decoder does not go on from a prompt".to_owned()));
    }
    let scored = model.score(prompt, texts).await.map_err(|error| failure(&error))?;
    Ok(scored.log_probs.iter().map(|log_probs| log_probs.iter().copied().map(f64::from).sum()).collect())
}

/// One completion, as it comes.
pub(super) struct Pieces {
    model: LanguageModel,
    generation: Option<GenerationStream>,
    text: TextStream,
    taken: Taken,
}

impl Pieces {
    pub(super) fn start(
        model: &LanguageModel,
        prompt: Prompt,
        parameters: &Fields,
        budget: &Budget,
    ) -> Result<Self, Failure> {
        let asked = ask(model, prompt, parameters, budget)?;
        if asked.config.num_beams > 1 || asked.config.num_return_sequences > 1 {
            return Err(Failure::Wrong("a stream is of one completion, without beams".to_owned()));
        }
        let text = TextStream::new(&asked.config.stop_strings).with_bytes(model.byte_tokens());
        Ok(Self { generation: Some(start(model, &asked)?), model: model.clone(), text, taken: asked.taken })
    }

    async fn piece(&mut self) -> Result<Option<String>, Failure> {
        let model = self.model.clone();
        let decode = |tokens: &[u32]| model.decode(tokens, true);
        let said = |error: Error| failure(&error);
        while let Some(generation) = &mut self.generation {
            let text = match generation.next().await {
                Some(Ok(token)) => {
                    self.taken.spend(1);
                    self.text.push(token.token, decode).map_err(said)?
                }
                ended => {
                    self.generation = None;
                    if let Some(Err(Err(error))) = ended {
                        return Err(failure(&error));
                    }
                    self.text.finish(decode).map_err(said)?
                }
            };
            if !text.is_empty() {
                return Ok(Some(text));
            }
        }
        Ok(None)
    }
}

impl CompletionStream for Pieces {
    fn next(&mut self) -> Answer<'_, Option<String>> {
        Box::pin(self.piece())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_generated_is_given_back() -> Result<(), Failure> {
        let budget = Budget::new(10);
        let mut taken = budget.take(8)?;
        let refused = budget.take(3).err();
        assert!(matches!(refused, Some(Failure::UsedUp(said)) if said.contains("of which 2 are left")));
        taken.spend(5);
        drop(taken);
        assert!(budget.take(5).is_ok_and(|taken| taken.tokens == 5));
        assert!(budget.take(6).is_err());
        Ok(())
    }
}
