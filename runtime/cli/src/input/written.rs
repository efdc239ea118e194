//! The fields of a JSON object as they are written, numbers of any precision included.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// Names and values, in the order of the text. A name that stands twice has the value of the last.
pub(crate) struct Written<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Written<'a> {
    /// The text of a field's value.
    pub(crate) fn get(&self, field: &str) -> Option<&'a str> {
        self.0.iter().rev().find(|(name, _)| name == field).map(|(_, value)| value.get())
    }

    /// The fields as values; `null` for one that a [`Value`] cannot hold, such as `1e400`.
    pub(crate) fn values(&self) -> Map<String, Value> {
        let value = |value: &RawValue| serde_json::from_str(value.get()).unwrap_or(Value::Null);
        self.0.iter().map(|(name, written)| (name.clone(), value(written))).collect()
    }
}

impl<'de> Deserialize<'de> for Written<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Written<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Written(fields))
            }
        }

        deserializer.deserialize_map(Fields)
    }
}
