//! Whether a JSON value is what was recorded: numbers within a tolerance, all else equal.

use std::fmt::Write as _;

use serde_json::{Map, Number, Value};

use super::case::Tolerance;

/// A number that is further off than allowed.
#[derive(Debug)]
struct Difference {
    path: String,
    expected: f64,
    found: f64,
}

/// Compares what was computed with what was recorded; of the top level, only the fields that were recorded.
///
/// # Errors
/// What does not fit, in a sentence: something else than numbers where there is such, else the number that is furthest
/// off among those that are too far off.
pub(super) fn compare(expected: &Value, found: &Value, tolerance: Tolerance) -> Result<(), String> {
    let found = match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            let recorded = found.iter().filter(|(name, _)| expected.contains_key(*name));
            &Value::Object(recorded.map(|(name, value)| (name.clone(), value.clone())).collect())
        }
        _ => found,
    };
    let mut walk = Walk { tolerance, path: Vec::new(), worst: None };
    walk.value(expected, found)?;
    let Some(Difference { path, expected, found }) = walk.worst else { return Ok(()) };
    let (by, allowed) = ((expected - found).abs(), tolerance.around(expected));
    Err(format!("`{path}` is {found}, recorded {expected}: off by {by:.1e} where {allowed:.1e} is allowed"))
}

struct Walk<'a> {
    tolerance: Tolerance,
    path: Vec<Step<'a>>,
    /// The largest of the differences that are not allowed.
    worst: Option<Difference>,
}

enum Step<'a> {
    Field(&'a str),
    Index(usize),
}

impl<'a> Walk<'a> {
    fn value(&mut self, expected: &'a Value, found: &Value) -> Result<(), String> {
        match (expected, found) {
            (Value::Array(expected), Value::Array(found)) => self.list(expected, found),
            (Value::Object(expected), Value::Object(found)) => self.object(expected, found),
            (Value::Number(expected), Value::Number(found)) => self.number(expected, found),
            _ if expected == found => Ok(()),
            _ => Err(format!("{} is {}, recorded {}", self.place(), shown(found), shown(expected))),
        }
    }

    fn list(&mut self, expected: &'a [Value], found: &[Value]) -> Result<(), String> {
        if expected.len() != found.len() {
            return Err(format!("{} has {} items, recorded {}", self.place(), found.len(), expected.len()));
        }
        for (index, (expected, found)) in expected.iter().zip(found).enumerate() {
            self.path.push(Step::Index(index));
            self.value(expected, found)?;
            self.path.pop();
        }
        Ok(())
    }

    fn object(&mut self, expected: &'a Map<String, Value>, found: &Map<String, Value>) -> Result<(), String> {
        if let Some(name) = found.keys().find(|name| !expected.contains_key(*name)) {
            return Err(format!("{} has `{name}`, which was not recorded", self.place()));
        }
        for (name, expected) in expected {
            let found = found.get(name).ok_or_else(|| format!("{} has no `{name}`", self.place()))?;
            self.path.push(Step::Field(name));
            self.value(expected, found)?;
            self.path.pop();
        }
        Ok(())
    }

    /// Whole numbers on both sides are ids, counts and places, which must be equal.
    fn number(&mut self, expected: &Number, found: &Number) -> Result<(), String> {
        if !expected.is_f64() && !found.is_f64() {
            let equal = expected == found;
            return if equal { Ok(()) } else { Err(format!("{} is {found}, recorded {expected}", self.place())) };
        }
        let (Some(expected), Some(found)) = (expected.as_f64(), found.as_f64()) else {
            return Err(format!("{} is {found}, recorded {expected}", self.place()));
        };
        let by = (expected - found).abs();
        let largest = self.worst.as_ref().is_none_or(|worst| by > (worst.expected - worst.found).abs());
        if by > self.tolerance.around(expected) && largest {
            self.worst = Some(Difference { path: self.written(), expected, found });
        }
        Ok(())
    }

    fn place(&self) -> String {
        if self.path.is_empty() { "the result".to_owned() } else { format!("`{}`", self.written()) }
    }

    fn written(&self) -> String {
        let mut text = String::new();
        for step in &self.path {
            // Writing to a text does not fail.
            let _ok = match step {
                Step::Field(name) if text.is_empty() => write!(text, "{name}"),
                Step::Field(name) => write!(text, ".{name}"),
                Step::Index(index) => write!(text, "[{index}]"),
            };
        }
        text
    }
}

/// A value in a few words.
fn shown(value: &Value) -> String {
    const LONGEST: usize = 80;
    let text = value.to_string();
    if text.chars().count() <= LONGEST { text } else { text.chars().take(LONGEST).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(expected: &Value, found: &Value) -> Option<String> {
        compare(expected, found, Tolerance { atol: 1e-3, rtol: 1e-2 }).err()
    }

    #[test]
    fn numbers_may_be_off_by_the_tolerance_around_what_was_recorded() {
        assert_eq!(told(&json!({"x": [10.0, 0.0]}), &json!({"x": [10.1, -0.001]})), None);
        let wrong = told(&json!({"r": [{"s": 10.0}, {"s": 0.5}]}), &json!({"r": [{"s": 10.05}, {"s": 0.75}]}));
        assert_eq!(wrong.as_deref(), Some("`r[1].s` is 0.75, recorded 0.5: off by 2.5e-1 where 6.0e-3 is allowed"));
        // Of several, the largest; the one that is allowed does not count, though it is larger.
        let wrong = told(&json!({"x": [100.0, 1.0, 1.0]}), &json!({"x": [100.9, 1.1, 1.2]}));
        assert_eq!(wrong.as_deref(), Some("`x[2]` is 1.2, recorded 1: off by 2.0e-1 where 1.1e-2 is allowed"));
        // A number that happens to be whole is a number; two whole ones are ids.
        assert_eq!(told(&json!({"x": 1}), &json!({"x": 1.001})), None);
        assert_eq!(told(&json!({"x": 100}), &json!({"x": 101})).as_deref(), Some("`x` is 101, recorded 100"));
        // Minus infinity.
        assert_eq!(told(&json!({"x": [null]}), &json!({"x": [null]})), None);
        assert_eq!(told(&json!({"x": [null]}), &json!({"x": [0.0]})).as_deref(), Some("`x[0]` is 0.0, recorded null"));
    }

    #[test]
    fn all_else_must_be_equal() {
        let wrong = told(&json!({"l": ["a", "b"]}), &json!({"l": ["b", "a"]}));
        assert_eq!(wrong.as_deref(), Some("`l[0]` is \"b\", recorded \"a\""));
        let wrong = told(&json!({"l": [1.0, 2.0]}), &json!({"l": [1.0]}));
        assert_eq!(wrong.as_deref(), Some("`l` has 1 items, recorded 2"));
        let wrong = told(&json!({"o": {"a": 1}}), &json!({"o": {"a": 1, "b": 2}}));
        assert_eq!(wrong.as_deref(), Some("`o` has `b`, which was not recorded"));
        let wrong = told(&json!({"o": {"a": 1}}), &json!({"o": {}}));
        assert_eq!(wrong.as_deref(), Some("`o` has no `a`"));
        assert_eq!(told(&json!({"a": 1}), &json!({"b": 1})).as_deref(), Some("the result has no `a`"));
        // What was not recorded at all is not compared.
        assert_eq!(told(&json!({"a": 1}), &json!({"a": 1, "b": 1})), None);
    }
}
