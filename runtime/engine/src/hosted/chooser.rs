//! Asks a model behind an endpoint for one of several labels.
//!
//! Unlike a model that runs here it writes an answer, which need not name a label. It is asked for JSON with one of them,
//! and for the probabilities of its tokens; an endpoint that refuses either is asked in words alone from then on.

use std::sync::Arc;
use std::time::Duration;

use runtime_pipeline::PromptTemplate;
use runtime_provider::ChatRequest;

use super::named::{named, probability, schema};
use super::{Choice, Hosted, digest};
use crate::Error;
use crate::label_chooser::{fields, prompts};
use crate::writer::{messages, render};

/// A model behind an endpoint with the labels that it may answer.
pub(crate) struct HostedChooser {
    hosted: Arc<Hosted>,
    labels: Vec<String>,
    system: Option<PromptTemplate>,
    prompt: PromptTemplate,
}

impl HostedChooser {
    /// # Errors
    /// Where there is no label.
    pub(crate) fn new(
        hosted: Arc<Hosted>,
        labels: Vec<String>,
        system: Option<PromptTemplate>,
        prompt: Option<PromptTemplate>,
    ) -> Result<Self, Error> {
        if labels.is_empty() {
            return Err(Error::NoLabels);
        }
        let (system, prompt) = prompts(system, prompt)?;
        Ok(Self { hosted, labels, system, prompt })
    }

    /// What the model chooses for `text`, and the time that it took.
    ///
    /// # Errors
    /// Where the prompt cannot be made, or no answer comes.
    pub(crate) async fn choose(&self, text: &str) -> Result<(Choice, Duration), Error> {
        let request = self.request(text)?;
        let key = digest(&request);
        if let Some(choice) = self.hosted.remembered(&key) {
            return Ok((choice, Duration::ZERO));
        }
        let (choice, time) = match self.hosted.ask_in_form(request).await {
            Ok(reply) => {
                let found = named(&reply.text, &self.labels);
                let score = found
                    .as_ref()
                    .and_then(|found| probability(&reply.text, reply.logprobs.as_deref(), found.place.clone()));
                (Choice { label: found.map(|found| self.labels[found.label].clone()), score }, reply.time)
            }
            // It has been asked, and names no label.
            Err(Error::Hosted { source: runtime_provider::Error::Refusal { .. }, .. }) => {
                (Choice { label: None, score: None }, Duration::ZERO)
            }
            Err(error) => return Err(error),
        };
        self.hosted.remember(key, &choice);
        Ok((choice, time))
    }

    fn request(&self, text: &str) -> Result<ChatRequest, Error> {
        let fields = fields(text, &self.labels);
        let mut prompt = render("prompt", &self.prompt, &fields)?;
        let mut templates = self.system.iter().chain([&self.prompt]);
        // A model that runs here need not be told the labels, since it is asked how likely each is.
        if !templates.any(|template| template.variables().any(|name| name == "labels")) {
            prompt += &format!("\n\nAnswer with one of these labels: {}", self.labels.join(", "));
        }
        Ok(ChatRequest {
            messages: messages(self.system.as_ref(), &prompt, &fields)?,
            temperature: Some(0.0),
            json_schema: Some(schema(&self.labels)),
            logprobs: Some(0),
            ..ChatRequest::default()
        })
    }
}
