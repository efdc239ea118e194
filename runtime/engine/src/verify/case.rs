//! One recorded case.

use std::path::PathBuf;

use runtime_models::read_text;
use serde_json::{Map, Value};

/// Bytes of a case or of a list of cases, at most.
pub(super) const LARGEST_CASE: u64 = 256 << 20;

/// The name by which cases without a model are chosen.
pub(super) const NO_MODEL: &str = "no-model";

/// A case, of which only the head is read so far.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) id: String,
    pub(super) task: String,
    /// The model's folder, relative to the folder of the cases.
    pub(super) model: Option<String>,
    pub(super) file: PathBuf,
}

/// What a case is about.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) params: Map<String, Value>,
    pub(super) input: Map<String, Value>,
    pub(super) expected: Value,
    pub(super) tolerance: Tolerance,
}

/// `|x - y| <= atol + rtol * |x|`
#[derive(Clone, Copy, Debug)]
pub(super) struct Tolerance {
    pub(super) atol: f64,
    pub(super) rtol: f64,
}

impl Tolerance {
    pub(super) fn around(self, expected: f64) -> f64 {
        self.atol + self.rtol * expected.abs()
    }
}

impl Case {
    /// Reads the rest, or says what is wrong with the file.
    pub(super) fn read(&self) -> Result<Body, String> {
        let text = read_text(&self.file, LARGEST_CASE).map_err(|error| runtime_diagnostics::chain(&error))?;
        let value = serde_json::from_str(&text).map_err(|error| format!("the file is no JSON: {error}"))?;
        let Value::Object(mut fields) = value else { return Err("the file is no JSON object".to_owned()) };
        let number = |fields: &Map<String, Value>, name: &str| {
            let number = fields.get(name).and_then(Value::as_f64).filter(|number| *number >= 0.0);
            number.ok_or_else(|| format!("the case has no number `{name}`"))
        };
        let tolerance = Tolerance { atol: number(&fields, "atol")?, rtol: number(&fields, "rtol")? };
        let mut object = |name: &str| match fields.remove(name) {
            Some(Value::Object(object)) => Ok(object),
            _ => Err(format!("the case has no object `{name}`")),
        };
        let (params, input) = (object("params")?, object("input")?);
        let expected = object("expected")?;
        if expected.is_empty() {
            return Err("the case expects nothing".to_owned());
        }
        let expected = Value::Object(expected);
        Ok(Body { params, input, expected, tolerance })
    }
}

impl Body {
    /// Whether the call fails there.
    pub(super) fn expects_failure(&self) -> bool {
        self.expected.as_object().is_some_and(|fields| fields.len() == 1 && fields.contains_key("error"))
    }
}
