//! Asks a language model for one of several labels.
//!
//! Nothing is generated: the model says how likely each label is as its answer, end included, and the labels share what
//! that makes together. So the answer is a label in any case, and its score is a probability.
//!
//! Small models favour some labels whatever the text is. What each label would get for no text at all is taken off, as in
//! "Calibrate Before Use" (<https://arxiv.org/abs/2102.09690>).

use std::time::Duration;

use runtime_pipeline::PromptTemplate;
use serde_json::{Map, Value, json};
use tokio::sync::OnceCell;

use crate::task::scores::{check_finite, softmax};
use crate::task::text_generation::conversation;
use crate::writer::{messages, render};
use crate::{Classification, Error, LanguageModel};

/// What a model is told and asked where the pipeline does not say.
const SYSTEM: &str = "You sort texts. Answer with exactly one of the given labels and nothing else.";
const PROMPT: &str =
    "Which of these labels fits the text best?\n\nLabels: {{ labels | join(', ') }}\n\nText: {{ text }}";
/// What follows the prompt of a model that is no chat model.
const ANSWER: &str = "\n\nLabel:";

/// Texts that say nothing.
const NOTHING: [&str; 2] = ["N/A", "..."];
/// The least that a label is taken to get for them together.
const LEAST_SHARE: f32 = 1e-4;

/// What a model was asked of a text.
struct Asked {
    /// For each label the logarithm of its probability.
    log_probs: Vec<f32>,
    tokens: usize,
    time: Duration,
}

/// What a model is told and asked: as the pipeline says, else the default. A prompt of one's own is all that it is asked.
pub(crate) fn prompts(
    system: Option<PromptTemplate>,
    prompt: Option<PromptTemplate>,
) -> Result<(Option<PromptTemplate>, PromptTemplate), Error> {
    let default = |text: &str| text.parse().map_err(|source| Error::Prompt { what: "prompt", source });
    let system = match (&system, &prompt) {
        (None, None) => Some(default(SYSTEM)?),
        _ => system,
    };
    Ok((system, prompt.map_or_else(|| default(PROMPT), Ok)?))
}

/// What the templates are given: the text, and the labels.
pub(crate) fn fields(text: &str, labels: &[String]) -> Map<String, Value> {
    let fields = [("text", Value::from(text)), ("labels", json!(labels))];
    Map::from_iter(fields.map(|(name, value)| (name.to_owned(), value)))
}

/// A language model with the labels that it may answer.
pub(crate) struct LabelChooser {
    model: LanguageModel,
    labels: Vec<String>,
    system: Option<PromptTemplate>,
    prompt: PromptTemplate,
    /// The logarithms of how likely the labels are for no text.
    priors: OnceCell<Vec<f32>>,
}

impl LabelChooser {
    /// # Errors
    /// Where there is no label, or the model does not go on from a prompt.
    pub(crate) fn new(
        model: LanguageModel,
        labels: Vec<String>,
        system: Option<PromptTemplate>,
        prompt: Option<PromptTemplate>,
    ) -> Result<Self, Error> {
        if labels.is_empty() {
            return Err(Error::NoLabels);
        }
        let (system, prompt) = prompts(system, prompt)?;
        Ok(Self { model, labels, system, prompt, priors: OnceCell::new() })
    }

    /// The labels by how well they fit `text`.
    ///
    /// # Errors
    /// Where the prompt cannot be made or is too long, or the model fails.
    pub(crate) async fn choose(&self, text: &str) -> Result<Classification, Error> {
        let priors = self.priors.get_or_try_init(|| self.without_text()).await?;
        let Asked { mut log_probs, tokens, time } = self.ask(text).await?;
        log_probs.iter_mut().zip(priors).for_each(|(log_prob, prior)| *log_prob -= prior);
        let mut found: Vec<(&String, f32)> = self.labels.iter().zip(softmax(&log_probs)).collect();
        found.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        let (labels, scores) = found.into_iter().map(|(label, score)| (label.clone(), score)).unzip();
        Ok(Classification { labels, scores, time, tokens, truncated: false })
    }

    /// The logarithms of how likely the labels are for texts that say nothing, on average.
    async fn without_text(&self) -> Result<Vec<f32>, Error> {
        let mut sums = vec![0.0; self.labels.len()];
        for text in NOTHING {
            let shares = softmax(&self.ask(text).await?.log_probs);
            sums.iter_mut().zip(shares).for_each(|(sum, share)| *sum += share);
        }
        // A label that is all but impossible shall not win by that.
        Ok(sums.iter().map(|sum| sum.max(LEAST_SHARE).ln()).collect())
    }

    async fn ask(&self, text: &str) -> Result<Asked, Error> {
        let fields = fields(text, &self.labels);
        let prompt = render("prompt", &self.prompt, &fields)?;
        let chat = self.model.is_chat();
        let prompt = match chat {
            true => self.model.render(&conversation(&messages(self.system.as_ref(), &prompt, &fields)?))?,
            false => prompt + ANSWER,
        };
        let tokens = self.model.encode(&prompt, !chat)?;
        let answers = self.labels.iter().map(|label| self.answer(&prompt, &tokens, label, chat));
        let answers = answers.collect::<Result<Vec<_>, _>>()?;
        let read = tokens.len() + answers.iter().map(Vec::len).sum::<usize>();
        let scored = self.model.score(tokens, answers).await?;
        let log_probs: Vec<f32> = scored.log_probs.iter().map(|log_probs| log_probs.iter().sum()).collect();
        check_finite(&log_probs)?;
        Ok(Asked { log_probs, tokens: read, time: scored.time })
    }

    /// The tokens of a label behind the prompt, and the one that ends the answer.
    fn answer(&self, prompt: &str, tokens: &[u32], label: &str, chat: bool) -> Result<Vec<u32>, Error> {
        let label = if chat { label.to_owned() } else { format!(" {label}") };
        let whole = self.model.encode(&format!("{prompt}{label}"), !chat)?;
        // Tokens may reach over the end of the prompt; then the label is taken for itself.
        let mut answer = match whole.strip_prefix(tokens) {
            Some(rest) if !rest.is_empty() => rest.to_vec(),
            _ => self.model.encode(&label, false)?,
        };
        answer.extend(self.model.config().eos_token_id.first().filter(|_| chat));
        Ok(answer)
    }
}
