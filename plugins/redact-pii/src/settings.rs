//! What the plugin is set up with, checked.

use runtime_plugin_sdk::Fields;
use runtime_plugin_sdk::serde_json::Value;

use crate::kind::Kind;

/// Digits of a card that may be kept, at most: as many as PCI DSS lets receipts show.
const MOST_KEPT: u64 = 4;

/// Checked parameters.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    pub(crate) kinds: Vec<Kind>,
    /// Stands where a find was; `{kind}` is its kind.
    pub(crate) placeholder: String,
    pub(crate) numbered: bool,
    pub(crate) keep_last: usize,
    /// How sure the model must be.
    pub(crate) min_score: f64,
}

impl Settings {
    /// # Errors
    /// What is wrong with the parameters.
    pub(crate) fn of(parameters: &Fields) -> Result<Self, String> {
        let given = |name: &str| parameters.get(name).filter(|value| !value.is_null());
        let kinds = match given("kinds") {
            Some(value) => kinds(value)?,
            None => Kind::ALL.into_iter().filter(|kind| !kind.is_of_model()).collect(),
        };
        let placeholder = given("placeholder").and_then(Value::as_str).unwrap_or("[{kind}]").to_owned();
        let numbered = given("numbered").and_then(Value::as_bool).unwrap_or_default();
        let keep_last = match given("keep_last").map(|value| (value, value.as_u64())) {
            None => 0,
            Some((_, Some(digits @ 0..=MOST_KEPT))) => usize::try_from(digits).unwrap_or_default(),
            Some((value, _)) => return Err(format!("`keep_last` is {value}; it can be 0 to {MOST_KEPT}")),
        };
        if !placeholder.contains("{kind}") && (numbered || keep_last > 0) {
            return Err("`placeholder` has no `{kind}`, which is where a number and the last digits go".to_owned());
        }
        let min_score = given("min_score").and_then(Value::as_f64).unwrap_or(0.5);
        if !(0.0..=1.0).contains(&min_score) {
            return Err(format!("`min_score` is {min_score}; it can be 0 to 1"));
        }
        Ok(Self { kinds, placeholder, numbered, keep_last, min_score })
    }

    /// Whether the model is asked.
    pub(crate) fn asks_model(&self) -> bool {
        self.kinds.iter().any(|kind| kind.is_of_model())
    }
}

fn kinds(value: &Value) -> Result<Vec<Kind>, String> {
    let known = || Kind::ALL.map(|kind| format!("`{}`", kind.name())).join(", ");
    let names = value.as_array().filter(|names| !names.is_empty());
    let names = names.ok_or_else(|| format!("`kinds` must be a list of some of {}", known()))?;
    let mut kinds = Vec::new();
    for name in names {
        let kind = Kind::ALL.into_iter().find(|kind| name.as_str() == Some(kind.name()));
        let kind = kind.ok_or_else(|| format!("`kinds` has {name}; there are {}", known()))?;
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    Ok(kinds)
}

#[cfg(test)]
mod tests {
    use runtime_plugin_sdk::serde_json::json;

    use super::*;

    fn settings(parameters: &Value) -> Result<Settings, String> {
        Settings::of(parameters.as_object().expect("an object"))
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        for (parameters, said) in [
            (json!({"kinds": []}), "`kinds` must be a list of some of `email`"),
            (json!({"kinds": "email"}), "`kinds` must be a list"),
            (json!({"kinds": ["mail"]}), "`kinds` has \"mail\"; there are `email`, `phone`"),
            (json!({"keep_last": 5}), "`keep_last` is 5; it can be 0 to 4"),
            (json!({"keep_last": -1}), "`keep_last` is -1"),
            (json!({"keep_last": 1.5}), "`keep_last` is 1.5"),
            (json!({"placeholder": "X", "numbered": true}), "`placeholder` has no `{kind}`"),
            (json!({"min_score": 2}), "`min_score` is 2"),
        ] {
            let refused = settings(&parameters).expect_err("it is wrong");
            assert!(refused.contains(said), "{parameters}: {refused}");
        }
    }

    #[test]
    fn the_model_is_asked_only_for_what_it_finds() -> Result<(), String> {
        let plain = settings(&json!({"numbered": null}))?;
        assert_eq!((plain.kinds.len(), plain.asks_model(), plain.placeholder.as_str()), (6, false, "[{kind}]"));
        let named = settings(&json!({"kinds": ["person", "email", "person"]}))?;
        assert_eq!((named.kinds.clone(), named.asks_model()), (vec![Kind::Person, Kind::Email], true));
        Ok(())
    }
}
