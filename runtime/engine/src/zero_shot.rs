//! Zero-shot classification with the semantics of the pipeline of that name in transformers: each label becomes a
//! hypothesis, a natural-language-inference model says whether the text entails it.

use std::sync::Arc;
use std::time::Duration;

use runtime_models::{Pieces, Sequence};
use runtime_pipeline::Template;

use crate::Error;
use crate::registry::LoadedModel;
use crate::scheduler::Answers;

/// What a zero-shot classifier is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct ZeroShotOptions {
    /// `candidate_labels`
    pub labels: Vec<String>,
    /// `hypothesis_template`
    pub template: Template,
    /// Whether each label is scored for itself, instead of all competing.
    pub multi_label: bool,
}

/// A classifier over fixed labels, whose hypotheses are tokenized once.
pub struct ZeroShot {
    model: Arc<LoadedModel>,
    labels: Vec<String>,
    hypotheses: Vec<Pieces>,
    multi_label: bool,
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
}

/// The labels of a text with commas between them.
pub fn split_labels(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|label| !label.is_empty()).map(str::to_owned).collect()
}

impl ZeroShot {
    /// A classifier that asks `model`.
    ///
    /// # Errors
    /// Where there is no label, or a hypothesis cannot be tokenized.
    pub fn new(model: Arc<LoadedModel>, options: ZeroShotOptions) -> Result<Self, Error> {
        let ZeroShotOptions { labels, template, multi_label } = options;
        if labels.is_empty() {
            return Err(Error::NoLabels);
        }
        let tokenizer = &model.model.tokenizer;
        let hypotheses = labels.iter().map(|label| tokenizer.pieces(&template.render(label), usize::MAX));
        let hypotheses = hypotheses.collect::<Result<_, _>>()?;
        Ok(Self { model, labels, hypotheses, multi_label })
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
        let sequences = self.sequences(text)?;
        let Answers { rows, time } = self.model.scheduler.run(sequences).await?;
        if let Some(score) = rows.iter().flat_map(|row| &row.data).find(|score| !score.is_finite()) {
            return Err(Error::NoNumber { score: *score });
        }
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
        })
    }

    /// The text paired with each hypothesis.
    fn sequences(&self, text: &str) -> Result<Vec<Sequence>, Error> {
        let model = &self.model.model;
        let text = model.tokenizer.pieces(text, model.max_tokens)?;
        let pair = |(hypothesis, label): (&Pieces, &String)| {
            let sequence = model.tokenizer.pair(&text, hypothesis, model.max_tokens)?;
            sequence.ok_or_else(|| Error::HypothesisTooLong { label: label.clone(), limit: model.max_tokens })
        };
        self.hypotheses.iter().zip(&self.labels).map(pair).collect()
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

fn softmax(logits: &[f32]) -> Vec<f32> {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let terms: Vec<f32> = logits.iter().map(|logit| (logit - highest).exp()).collect();
    let total: f32 = terms.iter().sum();
    terms.into_iter().map(|term| term / total).collect()
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

    #[test]
    fn labels_come_as_a_text_with_commas_too() {
        assert_eq!(split_labels("sports, politics, science ,"), ["sports", "politics", "science"]);
        assert!(split_labels(" ,, ").is_empty());
    }
}
