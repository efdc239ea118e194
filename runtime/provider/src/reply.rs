//! What is answered.

use std::time::Duration;

use serde_json::Value;

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub struct ChatReply {
    /// Its text.
    pub text: String,
    /// Why it ended.
    pub finish: Finish,
    /// What it took, where the endpoint says.
    pub usage: Option<Usage>,
    /// Of each token of the text, where they were asked for and are told.
    pub logprobs: Option<Vec<TokenLogProb>>,
    /// How often it was asked for.
    pub attempts: u32,
    /// From the request to the answer, all attempts included.
    pub time: Duration,
}

/// Why an answer ended (`finish_reason`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finish {
    /// It is complete, or a stop string came.
    Stop,
    /// It is as long as it may become.
    Length,
    /// It, or a part of it, was kept back.
    ContentFilter,
    /// Another word of the endpoint, or none.
    Other(String),
}

/// Tokens of a request and its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the messages.
    pub prompt_tokens: u64,
    /// Tokens of the answer.
    pub completion_tokens: u64,
}

/// A token and its probability.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenLogProb {
    /// Its text.
    pub token: String,
    /// The logarithm of its probability.
    pub logprob: f64,
    /// The likeliest tokens at its place, with theirs.
    pub top: Vec<(String, f64)>,
}

/// What an answer says, or why it is none.
pub(crate) enum Said {
    Reply {
        text: String,
        finish: Finish,
        usage: Option<Usage>,
        logprobs: Option<Vec<TokenLogProb>>,
    },
    /// The model refuses, with these words.
    Refusal(String),
}

/// Reads an answer.
///
/// # Errors
/// What it lacks.
pub(crate) fn read(body: &Value) -> Result<Said, &'static str> {
    let choice = body.pointer("/choices/0").ok_or("it has no `choices`")?;
    let message = choice.get("message").ok_or("its choice has no `message`")?;
    if let Some(refusal) = message.get("refusal").and_then(Value::as_str) {
        return Ok(Said::Refusal(refusal.to_owned()));
    }
    let text = match message.get("content") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => parts.iter().filter_map(|part| part.get("text")?.as_str()).collect(),
        _ => return Err("its message has no `content`"),
    };
    let finish = match choice.get("finish_reason").and_then(Value::as_str) {
        Some("stop") => Finish::Stop,
        Some("length") => Finish::Length,
        Some("content_filter") => Finish::ContentFilter,
        other => Finish::Other(other.unwrap_or_default().to_owned()),
    };
    let count = |key: &str| body.pointer("/usage").and_then(|usage| usage.get(key)).and_then(Value::as_u64);
    let usage = count("prompt_tokens").zip(count("completion_tokens"));
    let usage = usage.map(|(prompt_tokens, completion_tokens)| Usage { prompt_tokens, completion_tokens });
    let logprobs = choice.pointer("/logprobs/content").and_then(Value::as_array);
    let logprobs = logprobs.map(|tokens| tokens.iter().map(token).collect::<Option<Vec<_>>>());
    let logprobs = logprobs.map(|tokens| tokens.ok_or("its `logprobs` are none")).transpose()?;
    Ok(Said::Reply { text, finish, usage, logprobs })
}

fn token(value: &Value) -> Option<TokenLogProb> {
    let pair = |value: &Value| Some((value.get("token")?.as_str()?.to_owned(), value.get("logprob")?.as_f64()?));
    let (token, logprob) = pair(value)?;
    let top = value.get("top_logprobs").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    Some(TokenLogProb { token, logprob, top: top.iter().map(pair).collect::<Option<_>>()? })
}
