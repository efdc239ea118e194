//! Fields of records, and what a plugin says of them.

use serde_json::{Map, Number, Value};

use crate::wit::step::inference::runtime::records;

/// Values by name, as JSON has them.
pub type Fields = Map<String, Value>;

/// What a value must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    Text,
    /// A number.
    Number,
    /// True or false.
    Boolean,
    /// Anything but null.
    Any,
}

/// A value that a plugin reads, is set up with, or gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) required: bool,
    pub(crate) summary: String,
}

impl Slot {
    /// One that must be there; `summary` says what it is, for people.
    pub fn required(name: &str, kind: Kind, summary: &str) -> Self {
        Self { name: name.to_owned(), kind, required: true, summary: summary.to_owned() }
    }

    /// One that may be absent, or null.
    pub fn optional(name: &str, kind: Kind, summary: &str) -> Self {
        Self { required: false, ..Self::required(name, kind, summary) }
    }
}

/// What it says, for people; so that `?` does in functions whose errors are texts, such as those of a step.
impl From<records::Failure> for String {
    fn from(failure: records::Failure) -> Self {
        match failure {
            records::Failure::NotGranted(why)
            | records::Failure::UsedUp(why)
            | records::Failure::Wrong(why)
            | records::Failure::Failed(why) => why,
        }
    }
}

/// Integers below are exact in double precision, and no other integer becomes one of them.
const EXACT: f64 = 9_007_199_254_740_992.0;

pub(crate) fn to_host(fields: Fields) -> Vec<records::Field> {
    fields.into_iter().map(|(name, value)| records::Field { name, value: value_to_host(value) }).collect()
}

fn value_to_host(value: Value) -> records::Value {
    match value {
        Value::Null => records::Value::None,
        Value::Bool(value) => records::Value::Boolean(value),
        Value::Number(number) => match number.as_f64().filter(|double| number.is_f64() || double.abs() < EXACT) {
            Some(double) => records::Value::Number(double),
            None => records::Value::Json(number.to_string()),
        },
        Value::String(text) => records::Value::Text(text),
        composed => records::Value::Json(composed.to_string()),
    }
}

pub(crate) fn from_host(fields: Vec<records::Field>) -> Fields {
    fields.into_iter().map(|records::Field { name, value }| (name, value_from_host(value))).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "whole, and within the integers that a double holds exactly")]
fn value_from_host(value: records::Value) -> Value {
    match value {
        records::Value::None => Value::Null,
        records::Value::Boolean(value) => Value::Bool(value),
        records::Value::Number(number) if number.fract() == 0.0 && number.abs() < EXACT => Value::from(number as i64),
        records::Value::Number(number) => Number::from_f64(number).map_or(Value::Null, Value::Number),
        records::Value::Text(text) => Value::String(text),
        // The host writes JSON.
        records::Value::Json(text) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
    }
}

impl From<Slot> for records::Slot {
    fn from(Slot { name, kind, required, summary }: Slot) -> Self {
        let kind = match kind {
            Kind::Text => records::Kind::Text,
            Kind::Number => records::Kind::Number,
            Kind::Boolean => records::Kind::Boolean,
            Kind::Any => records::Kind::Any,
        };
        Self { name, kind, required, summary }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_come_back_as_they_were() {
        for value in [
            json!(null),
            json!(true),
            json!(3),
            json!(-0.5),
            json!(9_007_199_254_740_993_i64),
            json!(u64::MAX),
            json!("é"),
            json!([{"a": 1}]),
        ] {
            assert_eq!(value_from_host(value_to_host(value.clone())), value);
        }
    }
}
