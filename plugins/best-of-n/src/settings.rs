//! What the plugin is set up with, checked.

use runtime_plugin_sdk::Fields;
use runtime_plugin_sdk::serde_json::{Value, json};

/// Completions, at most.
const MOST: u64 = 64;

/// Checked parameters.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    pub(crate) n: usize,
    pub(crate) seed: u64,
    /// Whether the prompt is a user's message, in the model's chat template, or goes on as it is.
    pub(crate) chat: bool,
    /// The power of the length by which log-probabilities are divided.
    pub(crate) length_penalty: f64,
    /// How much a text loses that says everything twice.
    pub(crate) repetition: f64,
    /// The tokens of a phrase that counts as repeated.
    pub(crate) ngram: usize,
    /// How much a text gains that says what all others say; `None` where it only counts if the model is granted.
    pub(crate) consistency: Option<f64>,
    /// For `generate`, without seed and number.
    pub(crate) sampling: Fields,
}

impl Settings {
    /// # Errors
    /// What is wrong with the parameters.
    pub(crate) fn of(parameters: &Fields) -> Result<Self, String> {
        let given = |name: &str| parameters.get(name).filter(|value| !value.is_null());
        let whole =
            |name: &str, from: u64, to: u64, default: u64| match given(name).map(|value| (value, value.as_u64())) {
                None => Ok(default),
                Some((_, Some(number))) if (from..=to).contains(&number) => Ok(number),
                Some((value, _)) => Err(format!("`{name}` is {value}; it can be a whole number from {from} to {to}")),
            };
        let number = |name: &str, to: f64| match given(name).map(|value| (value, value.as_f64())) {
            None => Ok(None),
            Some((_, Some(number))) if (0.0..=to).contains(&number) => Ok(Some(number)),
            Some((value, _)) => Err(format!("`{name}` is {value}; it can be 0 to {to}")),
        };
        let small = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let temperature = number("temperature", 100.0)?.unwrap_or(0.8);
        if temperature == 0.0 {
            return Err("`temperature` is 0, with which all completions are the same".to_owned());
        }
        let mut sampling = Fields::from_iter([
            ("do_sample".to_owned(), json!(true)),
            ("temperature".to_owned(), json!(temperature)),
            ("max_new_tokens".to_owned(), json!(whole("max_new_tokens", 1, 1 << 20, 64)?)),
        ]);
        if let Some(top_p) = number("top_p", 1.0)? {
            sampling.insert("top_p".to_owned(), json!(top_p));
        }
        if let Some(stops) = given("stop_strings") {
            let texts = stops.as_array().is_some_and(|stops| {
                !stops.is_empty() && stops.iter().all(|stop| stop.as_str().is_some_and(|stop| !stop.is_empty()))
            });
            if !texts {
                return Err(format!("`stop_strings` is {stops}; it must be a list of texts"));
            }
            sampling.insert("stop_strings".to_owned(), stops.clone());
        }
        Ok(Self {
            n: small(whole("n", 1, MOST, 4)?),
            seed: whole("seed", 0, 1 << 53, 0)?,
            chat: given("chat").and_then(Value::as_bool).unwrap_or(true),
            length_penalty: number("length_penalty", 10.0)?.unwrap_or(1.0),
            repetition: number("repetition", 1000.0)?.unwrap_or(1.0),
            ngram: small(whole("ngram", 1, 64, 3)?),
            consistency: number("consistency", 1000.0)?,
            sampling,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        for (name, value, said) in [
            ("n", json!(0), "from 1 to 64"),
            ("n", json!(2.5), "`n` is 2.5"),
            ("seed", json!(-1), "`seed` is -1"),
            ("temperature", json!(0), "all completions are the same"),
            ("temperature", json!(-1), "`temperature` is -1"),
            ("top_p", json!(1.5), "0 to 1"),
            ("repetition", json!(-0.5), "`repetition` is -0.5"),
            ("stop_strings", json!("x"), "a list of texts"),
            ("stop_strings", json!([""]), "a list of texts"),
            ("ngram", json!(0), "`ngram` is 0"),
        ] {
            let refused = Settings::of(&Fields::from_iter([(name.to_owned(), value)])).expect_err("it is wrong");
            assert!(refused.contains(said), "{refused}");
        }
    }
}
