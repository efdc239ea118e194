//! Has a model behind an endpoint write a text.

use std::sync::Arc;

use runtime_generation::{Constraint, GenerationConfig};
use runtime_provider::{ChatRequest, Finish};
use runtime_tasks::Generation;
use serde_json::{Map, Value};

use super::Hosted;
use super::named::{named, schema};
use crate::Error;
use crate::writer::{Written, before_stop};

/// A model behind an endpoint with the parameters of a step.
pub(crate) struct HostedWriter {
    hosted: Arc<Hosted>,
    /// All but the messages.
    request: ChatRequest,
    constraint: Option<Constraint>,
}

impl HostedWriter {
    /// The parameters are those that a pipeline may have for such a model.
    ///
    /// # Errors
    /// Where one is out of range.
    pub(crate) fn new(hosted: Arc<Hosted>, options: &Generation) -> Result<Self, Error> {
        let given = &options.generate;
        let config = GenerationConfig::default().with_params(given)?;
        let written = |name: &str| given.get(name).filter(|value| !value.is_null());
        let greedy = written("do_sample").is_some() && !config.do_sample;
        let penalties = ["presence_penalty", "frequency_penalty"].into_iter();
        let request = ChatRequest {
            temperature: match greedy {
                true => Some(0.0),
                false => written("temperature").map(|_| config.temperature),
            },
            top_p: written("top_p").map(|_| config.top_p),
            max_tokens: config.max_new_tokens,
            seed: config.seed,
            stop: config.stop_strings,
            json_schema: match &config.constraint {
                Some(Constraint::JsonSchema(schema)) => Some(schema.clone()),
                Some(Constraint::Choices(choices)) => Some(schema(choices)),
                _ => None,
            },
            extra: Map::from_iter(penalties.filter_map(|name| Some((name.to_owned(), written(name)?.clone())))),
            ..ChatRequest::default()
        };
        Ok(Self { hosted, request, constraint: config.constraint })
    }

    /// # Errors
    /// Where no answer comes, or one that the constraint does not allow.
    pub(crate) async fn write(&self, messages: Vec<Value>) -> Result<Written, Error> {
        let reply = self.hosted.ask(ChatRequest { messages, ..self.request.clone() }).await?;
        let mut text = before_stop(reply.text, &self.request.stop);
        // What is cut off is told as such, as it is of models that run here.
        if reply.finish != Finish::Length {
            text = self.constrained(text)?;
        }
        let finish_reason = match reply.finish {
            Finish::Length => "length".to_owned(),
            Finish::ContentFilter => "content_filter".to_owned(),
            Finish::Other(word) if !word.is_empty() => word,
            Finish::Stop | Finish::Other(_) => "stop".to_owned(),
        };
        let tokens = reply.usage.and_then(|usage| usize::try_from(usage.completion_tokens).ok());
        Ok(Written { text, tokens, finish_reason, time: reply.time })
    }

    /// The text that the constraint allows: an endpoint may have passed over it.
    fn constrained(&self, text: String) -> Result<String, Error> {
        let unlike = |name| Error::Unlike { model: self.hosted.model().to_owned(), name };
        match &self.constraint {
            Some(Constraint::Choices(choices)) => {
                let found = named(&text, choices).ok_or_else(|| unlike("choices"))?;
                Ok(choices[found.label].clone())
            }
            Some(Constraint::JsonSchema(_)) if serde_json::from_str::<Value>(&text).is_err() => {
                Err(unlike("json_schema"))
            }
            _ => Ok(text),
        }
    }
}
