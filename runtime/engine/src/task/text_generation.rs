//! `text-generation`: goes on from a text or a conversation.

use std::time::Duration;

use futures::future::try_join_all;
use runtime_chat::Chat;
use runtime_generation::GenerationConfig;
use runtime_tasks::Generation as Options;
use serde_json::{Map, Value, json};

use crate::task::{Fields, TaskAnswer};
use crate::{Error, GeneratedSequence, LanguageModel};

/// New tokens where nothing says how many, as in the pipeline of transformers.
pub(crate) const DEFAULT_NEW_TOKENS: usize = 256;

/// Text generation over a loaded model.
pub struct TextGeneration {
    model: LanguageModel,
    config: GenerationConfig,
    options: Options,
    /// Whether texts may be longer than the model was trained for, as they may be in transformers.
    beyond: bool,
}

/// What is gone on from.
#[derive(Clone, Copy)]
enum Prompt<'a> {
    Text(&'a str),
    Chat(&'a [Value]),
}

impl TextGeneration {
    /// # Errors
    /// Where the parameters do not go with those of the model.
    pub(crate) fn new(model: LanguageModel, options: &Options) -> Result<Self, Error> {
        let config = model.configured(&options.generate)?;
        model.check(&config)?;
        Ok(Self { model, config, options: options.clone(), beyond: false })
    }

    /// What recorded cases hold of an input.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub(crate) async fn recorded(&self, input: Fields<'_>) -> Result<Value, Error> {
        let (model, config, options) = (self.model.clone(), self.config.clone(), self.options.clone());
        Ok(json!({"result": Self { model, config, options, beyond: true }.run(input).await?.result}))
    }

    /// Goes on from `text`, a text or a list of them, or from `messages`, a conversation.
    ///
    /// # Errors
    /// Where the input has neither or both, is too long, or the model fails.
    pub async fn run(&self, input: Fields<'_>) -> Result<TaskAnswer, Error> {
        let mut answer = TaskAnswer { result: Value::Null, time: Duration::ZERO, tokens: 0, truncated: 0 };
        if let Some(messages) = input.messages()? {
            answer.result = self.of(Prompt::Chat(messages), &mut answer).await?;
            return Ok(answer);
        }
        let texts = input.texts("text")?;
        if input.get("text").is_some_and(Value::is_string) {
            answer.result = self.of(Prompt::Text(texts[0]), &mut answer).await?;
            return Ok(answer);
        }
        // All of them at once, so that they share runs.
        let all = try_join_all(texts.into_iter().map(|text| async move {
            let mut part = TaskAnswer { result: Value::Null, time: Duration::ZERO, tokens: 0, truncated: 0 };
            part.result = self.of(Prompt::Text(text), &mut part).await?;
            Ok::<_, Error>(part)
        }));
        let parts = all.await?;
        answer.time = parts.iter().map(|part| part.time).sum();
        answer.tokens = parts.iter().map(|part| part.tokens).sum();
        answer.result = parts.into_iter().map(|part| part.result).collect();
        Ok(answer)
    }

    async fn of(&self, prompt: Prompt<'_>, answer: &mut TaskAnswer) -> Result<Value, Error> {
        let tokens = match prompt {
            Prompt::Text(text) => self.model.tokens(text)?,
            Prompt::Chat(messages) => self.model.chat_tokens(&conversation(messages))?,
        };
        let (prompt_tokens, config) = (tokens.clone(), self.config.clone());
        let stream = match self.beyond {
            true => self.model.generate_as_recorded(prompt_tokens, tokens.clone(), config)?,
            false => self.model.generate(prompt_tokens, config, false)?,
        };
        let generated = stream.finish().await?;
        answer.time += generated.time;
        answer.tokens += generated.prompt_tokens;
        let mut results = Vec::new();
        for GeneratedSequence { tokens: new, .. } in &generated.sequences {
            answer.tokens += new.len();
            results.push(self.result(prompt, &tokens, new)?);
        }
        Ok(Value::Array(results))
    }

    fn result(&self, prompt: Prompt<'_>, tokens: &[u32], new: &[u32]) -> Result<Value, Error> {
        if self.options.return_tensors {
            return Ok(json!({"generated_token_ids": tokens.iter().chain(new).collect::<Vec<_>>()}));
        }
        // Alone, as transformers does it: a space that a decoder drops at the beginning of a text is not there.
        let new = self.model.decode_as(new, self.options.clean_up_tokenization_spaces)?;
        let full = self.options.return_full_text.unwrap_or(true);
        Ok(match prompt {
            _ if !full => json!({"generated_text": new}),
            Prompt::Text(text) => json!({"generated_text": format!("{text}{new}")}),
            Prompt::Chat(messages) => json!({"generated_text": with_answer(messages, &new)}),
        })
    }
}

/// A conversation that the model is to answer; where the last message is its own, it goes on with that.
pub(crate) fn conversation(messages: &[Value]) -> Chat<'_> {
    let own = ends_with_answer(messages);
    Chat { messages, add_generation_prompt: !own, continue_final_message: own.then_some("content"), ..Chat::default() }
}

fn ends_with_answer(messages: &[Value]) -> bool {
    messages.last().is_some_and(|message| message["role"] == "assistant")
}

fn with_answer(messages: &[Value], new: &str) -> Vec<Value> {
    let mut messages = messages.to_vec();
    match messages
        .last_mut()
        .and_then(Value::as_object_mut)
        .filter(|last| last.get("role") == Some(&json!("assistant")))
    {
        Some(last) => {
            let before = last.get("content").and_then(Value::as_str).unwrap_or_default();
            let content = format!("{before}{new}");
            last.insert("content".to_owned(), Value::from(content));
        }
        None => {
            let answer = [("role", "assistant"), ("content", new)].map(|(key, text)| (key.to_owned(), text.into()));
            messages.push(Value::Object(Map::from_iter(answer)));
        }
    }
    messages
}

/// The same, with a limit of new tokens where there is none.
pub(crate) fn with_length(config: GenerationConfig) -> GenerationConfig {
    match (config.max_new_tokens, config.max_length) {
        (None, None) => GenerationConfig { max_new_tokens: Some(DEFAULT_NEW_TOKENS), ..config },
        _ => config,
    }
}
