//! What a pipeline is, once read and checked.

use std::fmt;
use std::path::PathBuf;

use runtime_diagnostics::{Problem, Source, Span};
use serde_json::{Map, Value};

use crate::name::Name;
use crate::spanned::Spanned;

/// A checked pipeline: its names are unique, its references lead somewhere, its numbers are in range.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Pipeline {
    /// What it is called.
    pub name: String,
    /// What it does, for people.
    pub description: Option<String>,
    /// Where records come from.
    pub input: Input,
    /// The models that steps name, as the file orders them.
    pub models: Vec<Model>,
    /// The steps in the order they run; at least one.
    pub steps: Vec<Step>,
    /// The fields of an output record; without `[output]`, the last step's outputs under their own names.
    pub output: Vec<Output>,
    /// The pipeline's own tests.
    pub tests: Vec<Test>,
    /// What is legal but cannot be meant, such as a model that no step names.
    pub warnings: Vec<Problem>,
}

/// `[input]`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Input {
    /// The file that is read where the command line names none, relative to the pipeline's folder.
    pub file: Option<Spanned<PathBuf>>,
    /// The longest record that is accepted, in bytes.
    pub max_record_bytes: usize,
}

impl Input {
    /// 256 KiB: some hundred pages of text, far beyond what a classifier reads, and small enough that a file which
    /// is no JSON Lines at all is refused at once.
    pub const DEFAULT_MAX_RECORD_BYTES: usize = 256 * 1024;
}

impl Default for Input {
    fn default() -> Self {
        Self { file: None, max_record_bytes: Self::DEFAULT_MAX_RECORD_BYTES }
    }
}

/// `[models.NAME]`.
#[derive(Clone, Debug)]
pub struct Model {
    /// What steps call it.
    pub name: Name,
    /// `./folder` or `org/name[@revision]`, as written.
    pub source: Spanned<String>,
    /// A sandboxed architecture to use instead of a built-in one, relative to the pipeline's folder.
    pub plugin: Option<Spanned<PathBuf>>,
}

/// `[[steps]]`.
#[derive(Clone, Debug)]
pub struct Step {
    /// What later steps and `[output]` call it.
    pub name: Name,
    /// What it does.
    pub kind: StepKind,
}

/// What a step does.
#[derive(Clone, Debug)]
pub enum StepKind {
    /// Asks one rung after the other until one accepts its own answer.
    Ladder(Ladder),
    /// Scores every label.
    ZeroShot(ZeroShot),
}

impl StepKind {
    pub(crate) const LADDER: &str = "ladder";
    pub(crate) const ZERO_SHOT: &str = "zero-shot-classification";
    pub(crate) const KINDS: [&str; 2] = [Self::LADDER, Self::ZERO_SHOT];

    /// As `kind` names it in the file.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ladder(_) => Self::LADDER,
            Self::ZeroShot(_) => Self::ZERO_SHOT,
        }
    }

    /// The text that it reads.
    pub fn text(&self) -> &Reference {
        match self {
            Self::Ladder(ladder) => &ladder.text,
            Self::ZeroShot(step) => &step.text,
        }
    }

    /// The labels that it chooses from.
    pub fn labels(&self) -> &Labels {
        match self {
            Self::Ladder(ladder) => &ladder.labels,
            Self::ZeroShot(step) => &step.labels,
        }
    }

    /// The names of its outputs.
    pub fn outputs(&self) -> impl Iterator<Item = &'static str> {
        outputs_of(self.name()).iter().map(|(name, _)| *name)
    }
}

/// The type of a step's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutputType {
    Text,
    Number,
    List,
}

/// The outputs of a step of this kind; none for a kind that does not exist.
pub(crate) fn outputs_of(kind: &str) -> &'static [(&'static str, OutputType)] {
    use OutputType::{List, Number, Text};
    match kind {
        StepKind::LADDER => &[("label", Text), ("score", Number), ("rung", Text)],
        StepKind::ZERO_SHOT => &[("label", Text), ("score", Number), ("labels", List), ("scores", List)],
        _ => &[],
    }
}

/// `kind = "ladder"`. Outputs `label`, `score` and `rung`; all three are null where no rung accepts.
#[derive(Clone, Debug)]
pub struct Ladder {
    /// What is classified.
    pub text: Reference,
    /// What it can be.
    pub labels: Labels,
    /// At least one, cheapest first.
    pub rungs: Vec<Rung>,
}

/// `kind = "zero-shot-classification"`. Outputs `label`, `score`, `labels` and `scores`, the last two best first.
#[derive(Clone, Debug)]
pub struct ZeroShot {
    /// What is classified.
    pub text: Reference,
    /// What it can be.
    pub labels: Labels,
    /// What scores the labels.
    pub classifier: Classifier,
}

/// A model that scores labels by entailment: does the text imply the hypothesis made of the label?
#[derive(Clone, Debug)]
pub struct Classifier {
    /// A declared model.
    pub model: Spanned<Name>,
    /// A sentence with exactly one `{}`, where the label goes, and no other brace.
    pub hypothesis_template: String,
    /// Whether labels are scored apart, so that several can be likely at once.
    pub multi_label: bool,
}

impl Classifier {
    /// The default of `ZeroShotClassificationPipeline` in Hugging Face's transformers.
    pub const DEFAULT_HYPOTHESIS_TEMPLATE: &str = "This example is {}.";
}

/// Where the labels are.
#[derive(Clone, Debug)]
pub enum Labels {
    /// In the pipeline: at least one, none twice.
    Inline(Vec<String>),
    /// In a file relative to the pipeline's folder, whose text [`parse_labels`](crate::parse_labels) reads.
    File(Spanned<PathBuf>),
}

/// `[[steps.rungs]]`.
#[derive(Clone, Debug)]
pub struct Rung {
    /// What the step's output `rung` says.
    pub name: Name,
    /// Who is asked.
    pub kind: RungKind,
    /// Which answers are final; always the empty rule for an LLM.
    pub accept: Accept,
}

/// Who is asked on a rung.
#[derive(Clone, Debug)]
pub enum RungKind {
    /// A zero-shot classifier.
    ZeroShot(Classifier),
    /// A language model, which always answers.
    Llm {
        /// A declared model.
        model: Spanned<Name>,
        /// The label of a record where the model cannot be had.
        otherwise: String,
    },
}

impl RungKind {
    pub(crate) const ZERO_SHOT: &str = StepKind::ZERO_SHOT;
    pub(crate) const LLM: &str = "llm";
    pub(crate) const KINDS: [&str; 2] = [Self::ZERO_SHOT, Self::LLM];

    /// As `kind` names it in the file.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ZeroShot(_) => Self::ZERO_SHOT,
            Self::Llm { .. } => Self::LLM,
        }
    }

    /// The model that is asked.
    pub fn model(&self) -> &Spanned<Name> {
        match self {
            Self::ZeroShot(classifier) => &classifier.model,
            Self::Llm { model, .. } => model,
        }
    }
}

/// When a rung's answer is final.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Accept {
    /// The least score of the best label, 0 to 1.
    pub threshold: Option<f64>,
    /// The least lead of the best label over the second, 0 to 1.
    pub margin: Option<f64>,
}

impl Accept {
    /// Whether an answer with these scores is final. Every rule that is set must hold, equality included; the empty
    /// rule accepts all. Where there is no second label, any lead is wide enough.
    pub fn accepts(&self, best: f64, second: Option<f64>) -> bool {
        self.threshold.is_none_or(|threshold| best >= threshold)
            && self.margin.is_none_or(|margin| second.is_none_or(|second| best - second >= margin))
    }

    /// Whether no answer can be refused.
    pub fn is_empty(&self) -> bool {
        self.threshold.is_none() && self.margin.is_none()
    }
}

impl fmt::Display for Accept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.threshold, self.margin) {
            (None, None) => f.write_str("any answer"),
            (Some(threshold), None) => write!(f, "score ≥ {threshold}"),
            (None, Some(margin)) => write!(f, "lead ≥ {margin}"),
            (Some(threshold), Some(margin)) => write!(f, "score ≥ {threshold}, lead ≥ {margin}"),
        }
    }
}

/// Where a step's text comes from. Displays as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// A field of the record.
    Field(String),
    /// A text that an earlier step put out.
    Output {
        /// The earlier step.
        step: Name,
        /// One of its outputs.
        output: String,
    },
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(field) => f.write_str(field),
            Self::Output { step, output } => write!(f, "{step}.{output}"),
        }
    }
}

/// A field of the output record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The field's name.
    pub field: String,
    /// The step that fills it.
    pub step: Name,
    /// With which of its outputs.
    pub output: String,
}

/// `[[tests]]`: a record and what must come of it.
#[derive(Clone, Debug)]
pub struct Test {
    /// What it shows; no other test has it.
    pub name: String,
    /// The record.
    pub input: Map<String, Value>,
    /// What is expected of fields of the output record; at least one.
    pub expect: Vec<(String, Expectation)>,
    /// Where the test stands, for reporting its failure.
    pub place: (Source, Span),
}

/// What is expected of a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Expectation {
    /// This value; numbers by what they are worth, so `1` is `1.0`.
    Equals(Value),
    /// A number between two bounds, both included; at least one is set.
    Range {
        /// The least.
        min: Option<f64>,
        /// The greatest.
        max: Option<f64>,
    },
}

impl Expectation {
    /// Whether `value` is as expected.
    pub fn holds(&self, value: &Value) -> bool {
        match self {
            Self::Equals(expected) => equal(expected, value),
            Self::Range { min, max } => value
                .as_f64()
                .is_some_and(|value| min.is_none_or(|min| value >= min) && max.is_none_or(|max| value <= max)),
        }
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Equals(value) => value.fmt(f),
            Self::Range { min: Some(min), max: None } => write!(f, "at least {min}"),
            Self::Range { min: None, max: Some(max) } => write!(f, "at most {max}"),
            Self::Range { min, max } => {
                write!(f, "from {} to {}", min.unwrap_or(f64::NEG_INFINITY), max.unwrap_or(f64::INFINITY))
            }
        }
    }
}

/// JSON equality, except that numbers compare by what they are worth at any depth.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_is_final_when_every_rule_holds() {
        let rule = |threshold, margin| Accept { threshold, margin };
        assert!(rule(None, None).accepts(0.0, Some(0.0)), "the empty rule accepts all");
        assert!(rule(Some(0.75), None).accepts(0.75, Some(0.7)), "equality is enough");
        assert!(!rule(Some(0.75), None).accepts(0.749, None));
        assert!(rule(None, Some(0.25)).accepts(0.5, Some(0.25)), "equality is enough");
        assert!(!rule(None, Some(0.25)).accepts(0.5, Some(0.375)));
        assert!(rule(None, Some(1.0)).accepts(0.1, None), "no second label to lead over");
        assert!(!rule(Some(0.75), Some(0.25)).accepts(0.75, Some(0.625)), "one of two is not enough");
        assert!(!rule(Some(0.75), Some(0.25)).accepts(0.5, Some(0.0)), "nor the other");
        assert!(!rule(Some(0.0), None).accepts(f64::NAN, None), "a broken score is never sure");
    }

    #[test]
    fn expectations_compare_by_worth() {
        assert!(Expectation::Equals(json!(1)).holds(&json!(1.0)));
        assert!(Expectation::Equals(json!({"a": [1, "x"]})).holds(&json!({"a": [1.0, "x"]})));
        assert!(!Expectation::Equals(json!("1")).holds(&json!(1)));
        assert!(!Expectation::Equals(json!({"a": 1})).holds(&json!({"a": 1, "b": 2})));
        let range = Expectation::Range { min: Some(0.5), max: Some(0.75) };
        assert!(range.holds(&json!(0.5)) && range.holds(&json!(0.75)), "bounds are included");
        assert!(!range.holds(&json!(0.76)) && !range.holds(&json!(0.49)));
        assert!(!range.holds(&json!("0.6")) && !range.holds(&Value::Null), "only a number can be in a range");
    }
}
