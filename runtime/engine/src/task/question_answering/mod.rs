//! `question-answering`: finds the answer to a question in a text, as the pipeline of transformers 4 does.
//!
//! Question and context become windows that the model takes, it scores each token as start and as end of the answer, and
//! what follows is computed from these alone: `spans` finds the best spans of a window, `answers` their texts.

mod answers;
mod spans;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use runtime_models::{EncodeOptions, Encoding, Error as ModelError, Side, Special, Text, Truncation};
use runtime_tasks::{ParamError, QuestionAnswering as Options};
use serde_json::{Value, json};

use super::encode::sequence;
use super::scores::{check_finite, number};
use super::{Fields, TaskAnswer};
use crate::Error;
use crate::registry::LoadedModel;
use crate::scheduler::Answers;
use answers::{Answer, Layout, answers};

/// Tokens of a window where neither the parameters nor the model say.
const WINDOW: usize = 384;

/// Tokens by which windows overlap, at most, where the parameters do not say.
const OVERLAP: usize = 128;

/// A model that finds answers.
pub struct QuestionAnswering {
    model: Arc<LoadedModel>,
    options: Options,
    layout: Layout,
    /// Tokens of a window, and by how many windows overlap.
    window: usize,
    stride: usize,
}

impl QuestionAnswering {
    /// What `model` finds. A long context is read in windows, so that nothing is ever cut off.
    ///
    /// # Errors
    /// Where windows overlap by more than they hold.
    pub fn new(model: Arc<LoadedModel>, options: &Options) -> Result<Self, Error> {
        let loaded = &model.model;
        let window = options.max_seq_len.unwrap_or(loaded.max_tokens.min(WINDOW));
        let stride = options.doc_stride.unwrap_or((window / 2).min(OVERLAP));
        let room = window.saturating_sub(loaded.tokenizer.num_special(false));
        if stride > room {
            let message = format!("`doc_stride` is {stride}, and a window of {window} tokens has {room} for the text");
            let hint = Some("windows overlap by `doc_stride` tokens, and have to advance".to_owned());
            return Err(ParamError { key: "doc_stride".to_owned(), message, hint }.into());
        }
        let layout = Layout {
            question_first: loaded.tokenizer.padding_side() == Side::Right,
            class_token: loaded.tokenizer.special(Special::Class),
        };
        Ok(Self { options: options.clone(), layout, window, stride, model })
    }

    /// The answer to `question` in `context`; a list where there are several, or none.
    ///
    /// # Errors
    /// Where a field is missing or wrong, the question leaves no room for the context, or the model fails.
    pub async fn run(&self, input: Fields<'_>) -> Result<TaskAnswer, Error> {
        let (question, context) = (input.text("question")?, input.text("context")?);
        let windows = self.windows(question, context)?;
        let tokenizer = &self.model.model.tokenizer;
        let sequences = windows.iter().map(|window| sequence(tokenizer, window)).collect();
        let Answers { rows, time } = self.model.scheduler.run(sequences).await?;
        rows.iter().try_for_each(|logits| check_finite(&logits.data))?;
        let found = answers(&windows, &rows, context, self.layout, &self.options);
        let result = match &found[..] {
            [answer] => json(answer),
            several => several.iter().map(json).collect(),
        };
        Ok(TaskAnswer { result, time, tokens: windows.iter().map(Encoding::len).sum(), truncated: 0 })
    }

    fn windows(&self, question: &str, context: &str) -> Result<Vec<Encoding>, Error> {
        let (question, context) = (Text::Whole(question), Text::Whole(context));
        let (text, pair, truncation) = match self.layout.question_first {
            true => (question, context, Truncation::OnlySecond),
            false => (context, question, Truncation::OnlyFirst),
        };
        let tokenizer = &self.model.model.tokenizer;
        let options = EncodeOptions {
            truncation,
            max_length: Some(self.window),
            stride: self.stride,
            ..EncodeOptions::default()
        };
        let windows = tokenizer.encode(text, Some(pair), &options).map_err(|error| self.no_room(question, error))?;
        let limit = self.model.model.max_positions.unwrap_or(usize::MAX);
        let longest = windows.iter().map(Encoding::len).max().unwrap_or(0);
        if longest > limit {
            let message = format!("a window has {longest} tokens, and the model takes {limit}");
            let hint = Some(format!("`max_seq_len` can be at most {limit}"));
            return Err(ParamError { key: "max_seq_len".to_owned(), message, hint }.into());
        }
        Ok(windows)
    }

    /// Why there are no windows: mostly since the question fills them.
    fn no_room(&self, question: Text<'_>, error: ModelError) -> Error {
        let tokenizer = &self.model.model.tokenizer;
        let plain = EncodeOptions { special_tokens: false, ..EncodeOptions::default() };
        let Ok(alone) = tokenizer.encode_first(question, None, &plain) else { return error.into() };
        let (tokens, window, stride) = (alone.len(), self.window, self.stride);
        match window.saturating_sub(tokens + tokenizer.num_special(true)) {
            room if room <= stride => Error::QuestionTooLong { tokens, room, window, stride },
            _ => error.into(),
        }
    }
}

fn json(answer: &Answer<'_>) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "the sum of few scores in f32 is no more exact than one")]
    let score = number(answer.score as f32);
    json!({"score": score, "start": answer.start, "end": answer.end, "answer": answer.text})
}
