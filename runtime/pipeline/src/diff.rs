//! What an edit changed.

use std::collections::HashMap;
use std::fmt;

use serde_json::Value;

use crate::pipeline::Pipeline;

/// A setting that differs between two pipelines. Displays as one line, such as
/// `steps.triage.rungs.zero-shot.accept.threshold: 0.75 -> 0.6`.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The setting, as [`Pipeline::settings`] names it.
    pub key: String,
    /// Its value before; `None` where it is new.
    pub old: Option<Value>,
    /// Its value now; `None` where it is gone.
    pub new: Option<Value>,
}

/// The settings that differ: those of `new` in their order, then those that are gone. Comments, layout and the
/// difference between a default and the same value written out are no change.
pub fn diff(old: &Pipeline, new: &Pipeline) -> Vec<Change> {
    let (old, new) = (old.settings(), new.settings());
    let before: HashMap<&str, &Value> = old.iter().map(|(key, value)| (key.as_str(), value)).collect();
    let after: HashMap<&str, &Value> = new.iter().map(|(key, value)| (key.as_str(), value)).collect();
    let kept = new.iter().filter(|(key, value)| before.get(key.as_str()) != Some(&value));
    let gone = old.iter().filter(|(key, _)| !after.contains_key(key.as_str()));
    let changes = kept.chain(gone).map(|(key, _)| Change {
        key: key.clone(),
        old: before.get(key.as_str()).copied().cloned(),
        new: after.get(key.as_str()).copied().cloned(),
    });
    changes.collect()
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.key)?;
        match (&self.old, &self.new) {
            (Some(Value::Array(old)), Some(Value::Array(new))) => lists(f, old, new),
            (Some(old), Some(new)) => write!(f, "{old} -> {new}"),
            (None, Some(new)) => write!(f, "{new} (new)"),
            (Some(old), None) => write!(f, "{old} (gone)"),
            (None, None) => Ok(()),
        }
    }
}

/// What a list gained and lost, which says more than two long lists; or that its order alone is another.
fn lists(f: &mut fmt::Formatter<'_>, old: &[Value], new: &[Value]) -> fmt::Result {
    let gained = new.iter().filter(|item| !old.contains(item)).map(|item| format!("+ {item}"));
    let lost = old.iter().filter(|item| !new.contains(item)).map(|item| format!("- {item}"));
    let changes: Vec<String> = gained.chain(lost).collect();
    if changes.is_empty() {
        let list = |items: &[Value]| Value::Array(items.to_vec());
        return write!(f, "{} -> {}", list(old), list(new));
    }
    f.write_str(&changes.join(", "))
}
