//! A ladder: rungs from cheap to dear, each answering only what it is sure of.

use std::time::Duration;

use runtime_pipeline::Accept;
use serde_json::Value;

use crate::label_chooser::LabelChooser;
use crate::{Error, ZeroShot};

/// The rungs of a ladder, ready to be asked.
pub(crate) struct Ladder {
    pub(crate) rungs: Vec<Rung>,
}

/// One rung.
pub(crate) struct Rung {
    pub(crate) name: String,
    pub(crate) asks: Asks,
    pub(crate) accept: Accept,
}

/// Who a rung asks.
pub(crate) enum Asks {
    /// A classifier.
    ZeroShot(ZeroShot),
    /// A language model.
    Llm(Box<LabelChooser>),
    /// A model that cannot be had: every text that comes here has this outcome.
    Nobody {
        /// The outcome.
        otherwise: String,
    },
}

/// What a ladder says of a text. All absent where no rung accepts.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) label: Option<String>,
    pub(crate) score: Option<f32>,
    /// The rung that answered, by its index.
    pub(crate) rung: Option<usize>,
    /// The time that models spent on it.
    pub(crate) time: Duration,
    /// Whether the text was cut off for one of them.
    pub(crate) truncated: bool,
}

impl Ladder {
    /// Asks one rung after the other until one accepts its own answer.
    pub(crate) async fn climb(&self, text: &str) -> Result<Verdict, Error> {
        let (mut time, mut truncated) = (Duration::ZERO, false);
        for (index, rung) in self.rungs.iter().enumerate() {
            let answered = Some(index);
            let found = match &rung.asks {
                Asks::Nobody { otherwise } => {
                    let label = Some(otherwise.clone());
                    return Ok(Verdict { label, score: None, rung: answered, time, truncated });
                }
                Asks::ZeroShot(classifier) => classifier.classify(text).await?,
                Asks::Llm(chooser) => chooser.choose(text).await?,
            };
            time += found.time;
            truncated |= found.truncated;
            let second = found.scores.get(1).map(|score| decimal(*score));
            if rung.accept.accepts(decimal(found.scores[0]), second) {
                let label = found.labels.into_iter().next();
                return Ok(Verdict { label, score: Some(found.scores[0]), rung: answered, time, truncated });
            }
        }
        Ok(Verdict { time, truncated, ..Verdict::default() })
    }
}

/// A score as the number that it is printed as, the shortest that stands for it in single precision, so that a
/// threshold in a file is compared with what a user sees.
pub(crate) fn decimal(score: f32) -> f64 {
    score.to_string().parse().unwrap_or_else(|_| f64::from(score))
}

/// A score in an output record.
pub(crate) fn number(score: f32) -> Value {
    Value::from(decimal(score))
}
