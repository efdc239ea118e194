//! A pipeline step that generates: a record becomes a prompt, and a language model goes on from it or answers it.

use std::time::Duration;

use runtime_generation::{FinishReason, GenerationConfig};
use runtime_pipeline::{GenerateStep, PromptTemplate};
use serde_json::{Map, Value, json};

use crate::hosted::HostedWriter;
use crate::task::text_generation::{conversation, with_length};
use crate::{Adapters, Error, LanguageModel};

/// A model with the prompts of a step.
pub(crate) struct Writer {
    system: Option<PromptTemplate>,
    prompt: PromptTemplate,
    by: By,
}

/// Who writes.
enum By {
    Model(Box<Local>),
    Endpoint(Box<HostedWriter>),
}

/// A model that runs here.
struct Local {
    adapters: Adapters,
    adapter: Option<PromptTemplate>,
    chat: bool,
    config: GenerationConfig,
    clean_up: Option<bool>,
}

/// What was written.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) text: String,
    /// `None` where an endpoint does not say.
    pub(crate) tokens: Option<usize>,
    pub(crate) finish_reason: String,
    pub(crate) time: Duration,
}

impl Writer {
    /// # Errors
    /// Where the parameters do not go with those of the model, or a chat is asked of a model without a template.
    pub(crate) fn new(adapters: Adapters, step: &GenerateStep) -> Result<Self, Error> {
        let model = adapters.plain();
        let config = with_length(model.config().with_params(&step.options.generate)?);
        model.check(&config)?;
        if step.chat {
            // Told before the first record is read.
            model.template()?;
        }
        let adapter = step.adapter.as_ref().map(|adapter| adapter.value.clone());
        let clean_up = step.options.clean_up_tokenization_spaces;
        let local = Local { adapters, adapter, chat: step.chat, config, clean_up };
        Ok(Self { system: step.system.clone(), prompt: step.prompt.clone(), by: By::Model(Box::new(local)) })
    }

    /// One that asks an endpoint, in a conversation in any case.
    pub(crate) fn hosted(writer: HostedWriter, system: Option<PromptTemplate>, prompt: PromptTemplate) -> Self {
        Self { system, prompt, by: By::Endpoint(Box::new(writer)) }
    }

    /// # Errors
    /// Where the record lacks what a template needs, the prompt is too long, or the model fails.
    pub(crate) async fn write(&self, fields: &Map<String, Value>) -> Result<Written, Error> {
        let prompt = render("prompt", &self.prompt, fields)?;
        match &self.by {
            By::Endpoint(writer) => writer.write(messages(self.system.as_ref(), &prompt, fields)?).await,
            By::Model(local) => {
                let model = local.model(fields)?;
                let tokens = match local.chat {
                    true => {
                        let messages = messages(self.system.as_ref(), &prompt, fields)?;
                        model.chat_tokens(&conversation(&messages))?
                    }
                    false => model.tokens(&prompt)?,
                };
                local.write(model, tokens).await
            }
        }
    }
}

impl Local {
    /// The model with the adapter that is chosen for a record.
    fn model(&self, fields: &Map<String, Value>) -> Result<&LanguageModel, Error> {
        match &self.adapter {
            Some(template) => match render("adapter's name", template, fields)?.as_str() {
                // As a template writes a field that is null; no adapter can have the name.
                "None" => Ok(self.adapters.plain()),
                name => self.adapters.get(name),
            },
            None => Ok(self.adapters.plain()),
        }
    }

    async fn write(&self, model: &LanguageModel, tokens: Vec<u32>) -> Result<Written, Error> {
        // The prompts of a step begin alike, which need not be read again for each record.
        let generated = model.generate(tokens, self.config.clone(), true)?.finish().await?;
        let first = generated.sequences.into_iter().next();
        let first = first.ok_or(crate::ScheduleError::Gone)?;
        let text = model.decode_as(&first.tokens, self.clean_up)?;
        Ok(Written {
            text: before_stop(text, &self.config.stop_strings),
            tokens: Some(first.tokens.len()),
            finish_reason: if first.finish_reason == FinishReason::Length { "length" } else { "stop" }.to_owned(),
            time: generated.time,
        })
    }
}

/// A template's text; `what` names it in messages.
pub(crate) fn render(
    what: &'static str,
    template: &PromptTemplate,
    fields: &Map<String, Value>,
) -> Result<String, Error> {
    template.render(fields).map_err(|source| Error::Prompt { what, source })
}

/// The conversation that begins with what the model is told and asked.
pub(crate) fn messages(
    system: Option<&PromptTemplate>,
    prompt: &str,
    fields: &Map<String, Value>,
) -> Result<Vec<Value>, Error> {
    let system = system.map(|system| render("system prompt", system, fields)).transpose()?;
    let system = system.map(|content| json!({"role": "system", "content": content}));
    Ok(system.into_iter().chain([json!({"role": "user", "content": prompt})]).collect())
}

/// A text up to the first of `stops`, which is none of it.
pub(crate) fn before_stop(mut text: String, stops: &[String]) -> String {
    let end = stops.iter().filter_map(|stop| text.find(stop.as_str())).min();
    text.truncate(end.unwrap_or(text.len()));
    text
}
