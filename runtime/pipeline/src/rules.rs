//! The two rules that a pipeline states about values: which answers are final, and what a test expects.

use std::fmt;

use serde_json::Value;

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
    /// A text with this one in it, or a list that has it as an item. Capital letters are as small ones.
    Contains(String),
}

impl Expectation {
    /// Whether `value` is as expected.
    pub fn holds(&self, value: &Value) -> bool {
        match self {
            Self::Equals(expected) => equal(expected, value),
            Self::Range { min, max } => value
                .as_f64()
                .is_some_and(|value| min.is_none_or(|min| value >= min) && max.is_none_or(|max| value <= max)),
            Self::Contains(part) => match value {
                Value::String(text) => text.to_lowercase().contains(&part.to_lowercase()),
                Value::Array(items) => {
                    items.iter().filter_map(Value::as_str).any(|item| item.to_lowercase() == part.to_lowercase())
                }
                _ => false,
            },
        }
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Equals(value) => value.fmt(f),
            Self::Contains(part) => write!(f, "what contains {part:?}"),
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
        let contains = Expectation::Contains("Ferry".to_owned());
        assert!(contains.holds(&json!("the ferry is late")) && contains.holds(&json!(["bus", "ferry"])));
        assert!(
            !contains.holds(&json!("the bus")) && !contains.holds(&json!(["ferryman"])) && !contains.holds(&json!(1))
        );
    }
}
