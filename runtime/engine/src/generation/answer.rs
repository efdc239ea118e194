//! Answering one record.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Duration;

use runtime_diagnostics::{Exit, Explain};
use runtime_pipeline::{Output, Reference};
use runtime_tasks::InputType;
use serde_json::{Map, Value};

use super::{Answer, Does, Generation, Step};
use crate::ladder::number;
use crate::plugins::PluginRunner;
use crate::{Error, Fields};

/// Why a record is not answered.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// A field that the pipeline reads is not there.
    #[error("the record has no field `{field}`")]
    Missing {
        /// The field.
        field: String,
        /// The fields that it has.
        has: Vec<String>,
    },
    /// A field that the pipeline reads is no text.
    #[error("the field `{field}` is not a text but {found}")]
    NoText {
        /// The field.
        field: String,
        /// What it is.
        found: &'static str,
    },
    /// A list that the pipeline reads holds what is no text.
    #[error("the field `{field}` is a list with {found}, which is not a text")]
    NoTexts {
        /// The field.
        field: String,
        /// What is in it.
        found: &'static str,
    },
    /// A field that the pipeline reads holds nothing.
    #[error("the field `{field}` is empty")]
    Empty {
        /// The field.
        field: String,
    },
    /// A field of the input would be overwritten.
    #[error("the record has a field `{field}` already, which the pipeline's output would replace")]
    Taken {
        /// The field.
        field: String,
    },
    /// A step read the output of one that had none.
    #[error("`{output}` has no value, since its step found nothing in the text or no rung accepted it")]
    NoValue {
        /// The step and its output.
        output: String,
    },
    /// A model failed.
    #[error(transparent)]
    Model(#[from] Error),
}

impl Explain for RecordError {
    fn exit(&self) -> Exit {
        match self {
            Self::Model(error) => error.exit(),
            _ => Exit::Data,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { has, field } => {
                let nearest = runtime_diagnostics::nearest(field, has.iter().map(String::as_str));
                nearest.map(|nearest| format!("did you mean `{nearest}`?"))
            }
            Self::Taken { .. } => Some("give the output another name in the pipeline's `[output]`".to_owned()),
            Self::Model(error) => error.hint(),
            _ => None,
        }
    }
}

/// What the steps so far have put out, by step and output.
type Outputs<'a> = HashMap<(&'a str, Cow<'a, str>), Value>;

impl Generation {
    /// Runs the steps on a record.
    ///
    /// # Errors
    /// Where a field is missing, empty, no text, or taken by the output; or a model fails.
    pub async fn answer(&self, record: &Map<String, Value>) -> Result<Answer, RecordError> {
        if let Some(output) = self.pipeline.output.iter().find(|output| record.contains_key(&output.field)) {
            return Err(RecordError::Taken { field: output.field.clone() });
        }
        let mut outputs = Outputs::new();
        let mut rungs = Vec::new();
        let mut cost = Cost::default();
        for step in &self.steps {
            let inputs = step
                .inputs
                .iter()
                .map(|(field, holds, from)| Ok((field.clone(), value(from, *holds, record, &outputs)?)));
            let inputs = inputs.collect::<Result<Map<String, Value>, RecordError>>()?;
            if let Does::Plugin(runner) = &step.does {
                let fields = given(runner, record, &outputs)?;
                let (given, time) = runner.process(fields).await.map_err(Error::from)?;
                cost.time += time;
                outputs.extend(given.into_iter().map(|(output, value)| ((&*step.name, Cow::Owned(output)), value)));
                continue;
            }
            step.run(record, &inputs, &mut outputs, &mut rungs, &mut cost).await?;
        }
        let fields = self.pipeline.output.iter().map(|Output { field, step, output }| {
            let value = output_of(step.as_str(), output, &outputs);
            (field.clone(), value.cloned().unwrap_or_default())
        });
        Ok(Answer { outputs: fields.collect(), rungs, time: cost.time, truncated: cost.truncated })
    }
}

/// What a record has cost.
#[derive(Debug, Default)]
struct Cost {
    /// The time that models spent on it.
    time: Duration,
    /// Texts that were cut off.
    truncated: usize,
}

impl Step {
    /// Puts out what the step says of its inputs.
    async fn run<'a>(
        &'a self,
        record: &Map<String, Value>,
        inputs: &Map<String, Value>,
        outputs: &mut Outputs<'a>,
        rungs: &mut Vec<(String, Option<String>)>,
        cost: &mut Cost,
    ) -> Result<(), Error> {
        let fields = Fields::new(inputs);
        if let Does::Generate(writer) = &self.does {
            let written = writer.write(&read(record, outputs)).await?;
            outputs.insert((&self.name, "text".into()), Value::from(written.text));
            outputs.insert((&self.name, "tokens".into()), written.tokens.map_or(Value::Null, Value::from));
            outputs.insert((&self.name, "finish_reason".into()), Value::from(written.finish_reason));
            cost.time += written.time;
            return Ok(());
        }
        let mut put = |output: &'static str, value| outputs.insert((&*self.name, output.into()), value);
        match &self.does {
            Does::Ladder(ladder) => {
                let verdict = ladder.climb(fields.text("text")?).await?;
                let rung = verdict.rung.map(|index| ladder.rungs[index].name.clone());
                put("label", verdict.label.map_or(Value::Null, Value::from));
                put("score", verdict.score.map_or(Value::Null, number));
                put("rung", rung.clone().map_or(Value::Null, Value::from));
                rungs.push((self.name.clone(), rung));
                cost.time += verdict.time;
                cost.truncated += usize::from(verdict.truncated);
            }
            Does::ZeroShot(classifier) => {
                let found = classifier.classify(fields.text("text")?).await?;
                put("label", Value::from(&*found.labels[0]));
                put("score", number(found.scores[0]));
                put("labels", Value::from(found.labels));
                put("scores", found.scores.into_iter().map(number).collect());
                cost.time += found.time;
                cost.truncated += usize::from(found.truncated);
            }
            Does::Generate(_) | Does::Plugin(_) => {}
            Does::Task(kind, task) => {
                let found = task.run(fields).await?;
                for ((output, _), value) in kind.outputs().iter().zip(kind.output_values(&found.result)) {
                    put(output, value);
                }
                cost.time += found.time;
                cost.truncated += found.truncated;
            }
        }
        Ok(())
    }
}

/// What templates read: the record, and the outputs of each step under its name.
fn read(record: &Map<String, Value>, outputs: &Outputs<'_>) -> Map<String, Value> {
    let mut fields = record.clone();
    for ((step, output), value) in outputs {
        let step = fields.entry(*step).or_insert_with(|| Value::Object(Map::new()));
        if !step.is_object() {
            *step = Value::Object(Map::new());
        }
        if let Some(outputs) = step.as_object_mut() {
            outputs.insert(output.to_string(), value.clone());
        }
    }
    fields
}

/// What a plugin reads: whatever is there.
fn given(
    runner: &PluginRunner,
    record: &Map<String, Value>,
    outputs: &Outputs<'_>,
) -> Result<Map<String, Value>, RecordError> {
    let mut given = Map::new();
    for (name, required, from) in &runner.inputs {
        let found = match from {
            Reference::Field(field) => record.get(field),
            Reference::Output { step, output } => output_of(step.as_str(), output, outputs),
        };
        match (found, from) {
            (Some(value), _) => drop(given.insert(name.clone(), value.clone())),
            (None, Reference::Field(field)) if *required => {
                return Err(RecordError::Missing { field: field.clone(), has: record.keys().cloned().collect() });
            }
            (None, _) => {}
        }
    }
    Ok(given)
}

/// An output of a step that has run.
fn output_of<'o>(step: &str, output: &str, outputs: &'o Outputs<'_>) -> Option<&'o Value> {
    outputs.iter().find(|((by, name), _)| *by == step && name == output).map(|(_, value)| value)
}

/// What a step reads: a text that is not empty, or whatever a task takes for a list of texts.
fn value(
    reference: &Reference,
    holds: InputType,
    record: &Map<String, Value>,
    outputs: &Outputs<'_>,
) -> Result<Value, RecordError> {
    let value = match reference {
        Reference::Field(field) => record
            .get(field)
            .ok_or_else(|| RecordError::Missing { field: field.clone(), has: record.keys().cloned().collect() })?,
        Reference::Output { step, output } => output_of(step.as_str(), output, outputs).unwrap_or(&Value::Null),
    };
    let named = || reference.to_string();
    match value {
        Value::String(text) if text.trim().is_empty() => Err(RecordError::Empty { field: named() }),
        Value::String(_) => Ok(value.clone()),
        Value::Null if matches!(reference, Reference::Output { .. }) => Err(RecordError::NoValue { output: named() }),
        Value::Array(items) if holds == InputType::Texts => match items.iter().find(|item| !item.is_string()) {
            Some(other) => Err(RecordError::NoTexts { field: named(), found: type_name(other) }),
            None if items.is_empty() => Err(RecordError::Empty { field: named() }),
            None => Ok(value.clone()),
        },
        other => Err(RecordError::NoText { field: named(), found: type_name(other) }),
    }
}

/// As messages call a value of this type.
pub fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
