//! Zero-shot classification with the semantics of the pipeline of that name in transformers: each label becomes a
//! hypothesis, a natural-language-inference model says whether the text entails it.

use std::sync::Arc;
use std::time::Duration;

use runtime_models::{Pieces, Sequence};
use runtime_pipeline::Template;

use crate::Error;
use crate::registry::LoadedModel;
use crate::scheduler::Answers;
use crate::task::scores::{check_finite, softmax};

/// What a zero-shot classifier is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct ZeroShotOptions {
    /// `candidate_labels`
    pub labels: Vec<String>,
    /// `hypothesis_template`
    pub template: Template,
    /// Whether each label is scored for itself, instead of all competing.
    pub multi_label: bool,
    /// Whether a text that is longer than the model takes is cut off, instead of being an error.
    pub truncate: bool,
}

/// A classifier over fixed labels, whose hypotheses are tokenized once.
pub struct ZeroShot {
    model: Arc<LoadedModel>,
    labels: Vec<String>,
    hypotheses: Vec<Pieces>,
    multi_label: bool,
    truncate: bool,
}

/// Labels with their scores, the best first.
#[derive(Clone, Debug, PartialEq)]
pub struct Classification {
    /// The labels.
    pub labels: Vec<String>,
    /// Their scores, between 0 and 1.
    pub scores: Vec<f32>,
    /// The time that the model spent on it.
    pub time: Duration,
    /// The tokens that the model read.
    pub tokens: usize,
    /// Whether the end of the text was cut off.
    pub truncated: bool,
}

impl ZeroShot {
    /// A classifier that asks `model`.
    ///
    /// # Errors
    /// Where there is no label, or a hypothesis cannot be tokenized.
    pub fn new(model: Arc<LoadedModel>, options: ZeroShotOptions) -> Result<Self, Error> {
        let ZeroShotOptions { labels, template, multi_label, truncate } = options;
        if labels.is_empty() {
            return Err(Error::NoLabels);
        }
        if labels.iter().any(|label| label.trim().is_empty()) {
            return Err(Error::EmptyLabel);
        }
        // They would share the probability of one label, which nobody wants.
        if let Some((_, label)) = labels.iter().enumerate().find(|(index, label)| labels[..*index].contains(label)) {
            return Err(Error::RepeatedLabel { label: label.clone() });
        }
        let tokenizer = &model.model.tokenizer;
        let hypotheses = labels.iter().map(|label| tokenizer.pieces(&template.render(label), usize::MAX));
        let hypotheses = hypotheses.collect::<Result<_, _>>()?;
        Ok(Self { model, labels, hypotheses, multi_label, truncate })
    }

    /// The class that means entailment.
    pub fn entailment(&self) -> usize {
        self.model.model.labels.entailment(self.model.model.width)
    }

    /// Scores every label for `text`, of which the end is cut off where it is too long for the model.
    ///
    /// # Errors
    /// Where the text cannot be tokenized, a hypothesis leaves no place for it, or the model fails.
    pub async fn classify(&self, text: &str) -> Result<Classification, Error> {
        let (sequences, truncated) = self.sequences(text)?;
        let tokens = sequences.iter().map(|sequence| sequence.token_ids.len()).sum();
        let Answers { rows, time } = self.model.scheduler.run(sequences).await?;
        rows.iter().try_for_each(|row| check_finite(&row.data))?;
        let logits: Vec<&[f32]> = rows.iter().map(|row| row.row(0)).collect();
        let scores = scores(&logits, self.entailment(), self.multi_label);
        let mut order: Vec<usize> = (0..scores.len()).collect();
        // As numpy sorts them there: ascending, equal ones in order, then reversed.
        order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
        order.reverse();
        Ok(Classification {
            labels: order.iter().map(|index| self.labels[*index].clone()).collect(),
            scores: order.iter().map(|index| scores[*index]).collect(),
            time,
            tokens,
            truncated,
        })
    }

    /// The text paired with each hypothesis, and whether some of it is missing.
    fn sequences(&self, whole: &str) -> Result<(Vec<Sequence>, bool), Error> {
        let model = &self.model.model;
        let limit = model.max_tokens;
        // One more than can be taken shows that some is left over.
        let text = model.tokenizer.pieces(whole, limit.saturating_add(1))?;
        let longest = self.hypotheses.iter().map(Pieces::len).max().unwrap_or(0) + model.tokenizer.num_special(true);
        let tokens = text.len().saturating_add(longest);
        if tokens > limit && !self.truncate {
            let tokens = model.tokenizer.pieces(whole, usize::MAX)?.len().saturating_add(longest);
            return Err(Error::TooLong { tokens, limit });
        }
        let pair = |(hypothesis, label): (&Pieces, &String)| {
            let sequence = model.tokenizer.pair(&text, hypothesis, model.max_tokens)?;
            sequence.ok_or_else(|| Error::HypothesisTooLong { label: label.clone(), limit: model.max_tokens })
        };
        let sequences: Result<_, Error> = self.hypotheses.iter().zip(&self.labels).map(pair).collect();
        Ok((sequences?, tokens > limit))
    }
}

/// The score of each label from its row of logits.
fn scores(logits: &[&[f32]], entailment: usize, multi_label: bool) -> Vec<f32> {
    if multi_label || logits.len() == 1 {
        let score = |row: &&[f32]| {
            let contradiction = if entailment == 0 { row.len() - 1 } else { 0 };
            softmax(&[row[contradiction], row[entailment]])[1]
        };
        logits.iter().map(score).collect()
    } else {
        softmax(&logits.iter().map(|row| row[entailment]).collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_compete_unless_each_is_asked_for_itself() {
        let logits: [&[f32]; 2] = [&[1.0, 0.5, 3.0], &[0.0, 9.0, 2.0]];
        let competing = scores(&logits, 2, false);
        assert!((competing[0] - 1.0 / (1.0 + (-1.0f32).exp())).abs() < 1e-6, "{competing:?}");
        let alone = scores(&logits, 2, true);
        assert!((alone[0] - 1.0 / (1.0 + (-2.0f32).exp())).abs() < 1e-6, "{alone:?}");
        // With entailment as class 0, contradiction is the last.
        let first = scores(&logits[..1], 0, false);
        assert!((first[0] - 1.0 / (1.0 + 2.0f32.exp())).abs() < 1e-6, "{first:?}");
    }
}
