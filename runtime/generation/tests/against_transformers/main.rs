//! Compares with what transformers computed; `record.py` beside this folder writes `recorded`.

mod draws;
mod lookups;
mod processors;
mod searches;
mod stops;
mod table;

use serde_json::Value;

/// The cases of a recorded file.
fn cases(recorded: &str) -> Vec<Value> {
    recorded.lines().map(|line| serde_json::from_str(line).expect("a case is JSON")).collect()
}

fn tokens(value: &Value) -> Vec<u32> {
    let token = |token: &Value| u32::try_from(token.as_u64().expect("a token")).expect("a token");
    value.as_array().expect("a list of tokens").iter().map(token).collect()
}

fn size(value: &Value) -> usize {
    usize::try_from(value.as_u64().expect("a whole number")).expect("a small number")
}

/// Minus infinity is `null`.
fn floats(value: &Value) -> Vec<f32> {
    let float = |value: &Value| {
        #[expect(clippy::cast_possible_truncation, reason = "scores are recorded from this type")]
        let float = value.as_f64().unwrap_or(f64::NEG_INFINITY) as f32;
        float
    };
    value.as_array().expect("a list of numbers").iter().map(float).collect()
}

fn close(found: f32, recorded: f32) -> bool {
    found == recorded || (found - recorded).abs() <= 1e-6 + 2e-5 * recorded.abs()
}
