//! One sequence, as text and as JSON.

use std::sync::Arc;

use runtime_engine::{Error, GeneratedSequence, LanguageModel, NewToken};
use runtime_generation::{FinishReason, TextStream, TokenLogProb};
use serde_json::{Map, Value, json};

/// One of the sequences that come of a request.
pub(crate) struct Sequence {
    stream: TextStream,
    /// All that can be shown of it so far: no special tokens, and nothing of a stop string.
    pub(crate) text: String,
    pub(crate) tokens: Vec<u32>,
    pub(crate) finish: Finish,
    /// Of a search with beams.
    score: Option<f32>,
    log_probs: Vec<(TokenLogProb, Vec<TokenLogProb>)>,
}

/// Why a sequence has ended, in the words of OpenAI's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    /// By an end token or a stop string.
    Stop,
    /// By its length.
    Length,
    /// By the user.
    Interrupted,
}

impl Sequence {
    /// One that goes on from `shown`, or stands alone where that is empty; `bytes` are the tokens that are single bytes.
    pub(crate) fn behind(shown: &[u32], stops: &[String], bytes: Arc<[u32]>) -> Self {
        Self {
            stream: TextStream::new(stops).with_bytes(bytes).behind(shown),
            text: String::new(),
            tokens: Vec::new(),
            finish: Finish::Interrupted,
            score: None,
            log_probs: Vec::new(),
        }
    }

    /// Adds a token; the text that can be shown now.
    pub(super) fn push(&mut self, model: &LanguageModel, token: NewToken) -> Result<String, Error> {
        self.log_probs.extend(token.log_probs);
        self.add(model, &[token.token])
    }

    /// Adds what has not come as tokens, and why it ended.
    pub(super) fn end(&mut self, model: &LanguageModel, generated: GeneratedSequence) -> Result<String, Error> {
        let GeneratedSequence { tokens, finish_reason, score } = generated;
        self.score = score;
        self.finish = match finish_reason {
            FinishReason::EndToken | FinishReason::StopString(_) | FinishReason::Complete => Finish::Stop,
            FinishReason::Length => Finish::Length,
        };
        self.add(model, tokens.get(self.tokens.len()..).unwrap_or_default())
    }

    /// The text that was held back.
    pub(super) fn finish(&mut self, model: &LanguageModel) -> Result<String, Error> {
        let text = self.stream.finish(|tokens| model.decode(tokens, true))?;
        self.text.push_str(&text);
        Ok(text)
    }

    fn add(&mut self, model: &LanguageModel, tokens: &[u32]) -> Result<String, Error> {
        let mut new = String::new();
        for token in tokens {
            self.tokens.push(*token);
            new.push_str(&self.stream.push(*token, |tokens| model.decode(tokens, true))?);
        }
        self.text.push_str(&new);
        Ok(new)
    }

    /// What JSON Lines have of it.
    ///
    /// # Errors
    /// Where a token of `logprobs` has no text.
    pub(crate) fn json(&self, model: &LanguageModel) -> Result<Value, Error> {
        let finish = match self.finish {
            Finish::Stop => "stop",
            Finish::Length => "length",
            Finish::Interrupted => "interrupted",
        };
        let mut fields = Map::new();
        let mut set = |name: &str, value: Value| fields.insert(name.to_owned(), value);
        set("text", self.text.as_str().into());
        set("tokens", self.tokens.as_slice().into());
        set("finish_reason", finish.into());
        if let Some(score) = self.score {
            set("score", number(score));
        }
        if !self.log_probs.is_empty() {
            let one = |of: &TokenLogProb| -> Result<Map<String, Value>, Error> {
                let text = model.decode(&[of.token], false)?;
                let fields = [("token", json!(of.token)), ("text", text.into()), ("logprob", number(of.log_prob))];
                Ok(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
            };
            let all = self.log_probs.iter().map(|(chosen, top)| {
                let mut fields = one(chosen)?;
                let top = top.iter().map(|of| Ok(one(of)?.into())).collect::<Result<Vec<Value>, Error>>()?;
                if !top.is_empty() {
                    fields.insert("top".to_owned(), top.into());
                }
                Ok(Value::Object(fields))
            });
            set("logprobs", all.collect::<Result<Vec<Value>, Error>>()?.into());
        }
        Ok(Value::Object(fields))
    }
}

/// In as many digits as a single needs; what is infinite is null.
fn number(number: f32) -> Value {
    number.to_string().parse::<f64>().map_or(Value::Null, Value::from)
}
