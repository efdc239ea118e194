//! What the plugin is set up with, checked.

use runtime_plugin_sdk::Fields;
use runtime_plugin_sdk::serde_json::Value;

use crate::fold::folded;

/// Words, and characters of each, at most: what is compared in each step grows with both.
const MOST: (usize, usize) = (1000, 64);

/// Checked parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// In the form of [`folded`], none twice.
    pub(crate) words: Vec<String>,
    /// Whether `ass` is left in `class`.
    pub(crate) whole: bool,
}

impl Settings {
    /// # Errors
    /// What is wrong with the parameters.
    pub(crate) fn of(parameters: &Fields) -> Result<Self, String> {
        let listed = parameters.get("words").and_then(Value::as_array).ok_or("`words` must be a list of texts")?;
        if listed.is_empty() || listed.len() > MOST.0 {
            return Err(format!("`words` has {}; there can be 1 to {}", listed.len(), MOST.0));
        }
        let mut words: Vec<String> = Vec::new();
        for word in listed {
            let word = word.as_str().ok_or_else(|| format!("`words` has {word}, which is no text"))?;
            let folded = folded(word.trim());
            let ends = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
            if !ends(folded.chars().next()) || !ends(folded.chars().next_back()) {
                return Err(format!("`words` has \"{word}\", which does not begin and end with a letter or digit"));
            }
            if folded.chars().count() > MOST.1 {
                return Err(format!("`words` has one of more than {} characters", MOST.1));
            }
            if !words.contains(&folded) {
                words.push(folded);
            }
        }
        Ok(Self { words, whole: parameters.get("whole").and_then(Value::as_bool).unwrap_or(true) })
    }
}

#[cfg(test)]
mod tests {
    use runtime_plugin_sdk::serde_json::json;

    use super::*;

    #[test]
    fn what_cannot_be_is_refused() {
        for (words, said) in [
            (json!("a"), "a list of texts"),
            (json!([]), "1 to 1000"),
            (json!([1]), "has 1, which is no text"),
            (json!([" "]), "a letter or digit"),
            (json!(["a!"]), "a letter or digit"),
            (json!(["a".repeat(65)]), "64 characters"),
        ] {
            let refused = Settings::of(&Fields::from_iter([("words".to_owned(), words)])).expect_err("it is wrong");
            assert!(refused.contains(said), "{refused}");
        }
        let words = json!([" Bad ", "bad", "Straße 5"]);
        let settings = Settings::of(&Fields::from_iter([("words".to_owned(), words)]));
        assert_eq!(settings.map(|settings| settings.words), Ok(vec!["bad".to_owned(), "straße 5".to_owned()]));
    }
}
