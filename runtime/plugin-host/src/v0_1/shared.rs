//! What the worlds that see records and texts share: values, tokenizers, the log.

use serde_json::{Map, Number, Value};
use wasmtime::Result;

use crate::error::Cause;
use crate::host::{Failure, Level, TextHost, Token, Vocabulary};
use crate::records::{Fields, Kind, Slot};
use crate::state::Serving;
use crate::text;

use super::step::bindings::inference::runtime::{logging, records, tokenizer};

/// Bytes of a note, at most.
const NOTE: usize = 4096;

/// Integers below are exact in double precision, and no other integer becomes one of them.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Fields for a plugin.
pub(super) fn to_plugin(fields: Fields) -> Vec<records::Field> {
    fields.into_iter().map(|(name, value)| records::Field { name, value: value_to_plugin(value) }).collect()
}

fn value_to_plugin(value: Value) -> records::Value {
    match value {
        Value::Null => records::Value::None,
        Value::Bool(value) => records::Value::Boolean(value),
        Value::Number(number) => match number.as_f64().filter(|double| is_exact(&number, *double)) {
            Some(double) => records::Value::Number(double),
            // No digit of an integer is lost.
            None => records::Value::Json(number.to_string()),
        },
        Value::String(text) => records::Value::Text(text),
        composed => records::Value::Json(composed.to_string()),
    }
}

fn is_exact(number: &Number, double: f64) -> bool {
    number.is_f64() || double.abs() < EXACT
}

/// Fields from a plugin.
///
/// # Errors
/// Where two have one name, or a value is none.
pub(super) fn from_plugin(fields: Vec<records::Field>) -> std::result::Result<Fields, String> {
    let mut read = Map::new();
    for records::Field { name, value } in fields {
        let shown = text::printable(&name);
        let value = value_from_plugin(value).map_err(|reason| format!("the field `{shown}` {reason}"))?;
        if read.insert(name, value).is_some() {
            return Err(format!("there are two fields `{shown}`"));
        }
    }
    Ok(read)
}

fn value_from_plugin(value: records::Value) -> std::result::Result<Value, String> {
    Ok(match value {
        records::Value::None => Value::Null,
        records::Value::Boolean(value) => Value::Bool(value),
        records::Value::Number(number) => Value::Number(integer(number).map_or_else(
            || Number::from_f64(number).ok_or_else(|| format!("is {number}, which JSON has not")),
            |integer| Ok(Number::from(integer)),
        )?),
        records::Value::Text(text) => Value::String(text),
        records::Value::Json(text) => serde_json::from_str(&text).map_err(|error| format!("is no JSON: {error}"))?,
    })
}

/// A whole number as people write it.
#[expect(clippy::cast_possible_truncation, reason = "whole, and within the integers that a double holds exactly")]
fn integer(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() < EXACT).then_some(number as i64)
}

pub(super) fn slots(slots: Vec<records::Slot>) -> Vec<Slot> {
    slots.into_iter().map(Slot::from).collect()
}

impl From<records::Slot> for Slot {
    fn from(records::Slot { name, kind, required, summary }: records::Slot) -> Self {
        let kind = match kind {
            records::Kind::Text => Kind::Text,
            records::Kind::Number => Kind::Number,
            records::Kind::Boolean => Kind::Boolean,
            records::Kind::Any => Kind::Any,
        };
        Self { name, kind, required, summary }
    }
}

impl From<Failure> for records::Failure {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NotGranted(said) => Self::NotGranted(said),
            Failure::UsedUp(said) => Self::UsedUp(said),
            Failure::Wrong(said) => Self::Wrong(said),
            Failure::Failed(said) => Self::Failed(said),
        }
    }
}

impl<H: ?Sized, O> records::Host for Serving<H, O> {}

impl<H: TextHost + ?Sized, O> tokenizer::Host for Serving<H, O> {
    fn encode(
        &mut self,
        tokenizer: String,
        text: String,
        special: bool,
    ) -> Result<std::result::Result<Vec<tokenizer::Token>, records::Failure>> {
        let tokens = self.host()?.encode(&tokenizer, &text, special);
        let token = |Token { id, start, end }| tokenizer::Token { id, start, end };
        Ok(tokens.map(|tokens| tokens.into_iter().map(token).collect()).map_err(Into::into))
    }

    fn decode(
        &mut self,
        tokenizer: String,
        ids: Vec<u32>,
        skip_special: bool,
    ) -> Result<std::result::Result<String, records::Failure>> {
        Ok(self.host()?.decode(&tokenizer, &ids, skip_special).map_err(Into::into))
    }

    fn id(&mut self, tokenizer: String, token: String) -> Result<std::result::Result<Option<u32>, records::Failure>> {
        Ok(self.host()?.token_id(&tokenizer, &token).map_err(Into::into))
    }

    fn vocabulary(
        &mut self,
        tokenizer: String,
    ) -> Result<std::result::Result<tokenizer::TokenBytes, records::Failure>> {
        let vocabulary = self.host()?.vocabulary(&tokenizer);
        let given = |Vocabulary { bytes, ends, special }| tokenizer::TokenBytes { bytes, ends, special };
        Ok(vocabulary.map(given).map_err(Into::into))
    }
}

impl<H: TextHost + ?Sized, O> logging::Host for Serving<H, O> {
    fn log(&mut self, level: logging::Level, message: String) -> Result<()> {
        let host = self.host()?;
        if message.len() > NOTE {
            let said = format!("it wrote a note of {} bytes; there can be {NOTE}", message.len());
            return Err(Cause::Rule(said).into());
        }
        let level = match level {
            logging::Level::Debug => Level::Debug,
            logging::Level::Info => Level::Info,
            logging::Level::Warning => Level::Warning,
        };
        host.log(level, &text::printable(&message));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_come_back_as_they_were() {
        let values = [
            json!(null),
            json!(true),
            json!(3),
            json!(-0.5),
            json!(9_007_199_254_740_993_i64),
            json!(u64::MAX),
            json!("é"),
            json!(["a", {"b": [1, 2.5]}]),
        ];
        for value in values {
            assert_eq!(value_from_plugin(value_to_plugin(value.clone())), Ok(value));
        }
    }

    #[test]
    fn what_is_no_json_is_told() {
        let field = |name: &str, value| records::Field { name: name.to_owned(), value };
        let said = |fields| from_plugin(fields).err();
        assert_eq!(
            said(vec![field("a", records::Value::Number(f64::NAN))]).as_deref(),
            Some("the field `a` is NaN, which JSON has not")
        );
        let json = said(vec![field("a", records::Value::Json("[1".to_owned()))]);
        assert!(json.is_some_and(|json| json.starts_with("the field `a` is no JSON: EOF")));
        let twice = vec![field("a", records::Value::None), field("a", records::Value::None)];
        assert_eq!(said(twice).as_deref(), Some("there are two fields `a`"));
        let nested = "[".repeat(100_000);
        assert!(said(vec![field("a", records::Value::Json(nested))]).is_some());
    }
}
