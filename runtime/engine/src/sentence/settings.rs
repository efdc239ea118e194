//! `config_sentence_transformers.json` and `sentence_bert_config.json`.

use runtime_models::ModelFolder;
use serde_json::Value;

use super::SentenceError;
use super::fields::JsonFile;
use crate::{Error, type_name};

/// How a model is used, as `config_sentence_transformers.json` says.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    /// Texts that are put in front, by name.
    prompts: Vec<(String, String)>,
    default_prompt_name: Option<String>,
    /// How its vectors are compared.
    pub(crate) similarity: Option<String>,
    /// Numbers of a vector that are kept.
    pub(crate) truncate_dim: Option<usize>,
    /// The class of what a cross-encoder makes of its scores.
    pub(crate) activation: Option<String>,
}

impl Settings {
    /// Those of a folder; none without the file.
    ///
    /// # Errors
    /// Where a field is wrong.
    pub(crate) fn read(folder: &ModelFolder) -> Result<Self, Error> {
        let file = JsonFile::read(folder, "config_sentence_transformers.json")?;
        let mut prompts = Vec::new();
        match file.get("prompts") {
            None => {}
            Some(Value::Object(given)) => {
                for (name, prompt) in given {
                    match prompt {
                        Value::Null => {}
                        Value::String(text) => prompts.push((name.clone(), text.clone())),
                        other => {
                            return Err(file.wrong(&format!("prompts.{name}"), other, "a text").into());
                        }
                    }
                }
            }
            Some(other) => {
                let found = type_name(other);
                return Err(file.wrong("prompts", &found.into(), "an object of texts").into());
            }
        }
        Ok(Self {
            prompts,
            default_prompt_name: file.text("default_prompt_name")?.map(str::to_owned),
            similarity: file.text("similarity_fn_name")?.map(str::to_owned),
            truncate_dim: file.size("truncate_dim")?,
            activation: file.text("activation_fn")?.map(str::to_owned),
        })
    }

    /// The text that is put in front of each: the one that is given, else that of the name that is given, else that of
    /// the folder's default. An empty one is none.
    ///
    /// # Errors
    /// Where a prompt is asked for that there is not.
    pub(crate) fn prompt(&self, given: Option<&str>, name: Option<&str>) -> Result<Option<String>, SentenceError> {
        let of = |name: &str| self.prompts.iter().find(|(known, _)| known == name).map(|(_, text)| text.as_str());
        let prompt = match (given, name) {
            (Some(given), _) => Some(given),
            // Every model has these two, empty unless its files say otherwise.
            (None, Some("query" | "document")) if name.and_then(of).is_none() => None,
            (None, Some(name)) => Some(of(name).ok_or_else(|| SentenceError::Prompt {
                name: name.to_owned(),
                has: self.prompts.iter().map(|(name, _)| name.clone()).collect(),
            })?),
            (None, None) => self.default_prompt_name.as_deref().and_then(of),
        };
        Ok(prompt.filter(|prompt| !prompt.is_empty()).map(str::to_owned))
    }
}

/// How a transformer reads texts, as `sentence_bert_config.json` beside its files says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TransformerSettings {
    /// Tokens of the longest sequence.
    pub(crate) max_seq_length: Option<usize>,
    /// Whether texts are lowercased first.
    pub(crate) lower_case: bool,
}

/// Its names, of which the later ones are those of old versions.
const FILES: [&str; 7] = [
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
];

impl TransformerSettings {
    /// Those of a transformer's folder; none without the file.
    ///
    /// # Errors
    /// Where a field is wrong.
    pub(crate) fn read(folder: &ModelFolder) -> Result<Self, Error> {
        for name in FILES {
            let file = JsonFile::read(folder, name)?;
            if !file.is_empty() {
                return Ok(Self {
                    max_seq_length: file.size("max_seq_length")?,
                    lower_case: file.boolean("do_lower_case")?.unwrap_or(false),
                });
            }
        }
        Ok(Self::default())
    }

    /// The text as the tokenizer gets it.
    pub(crate) fn prepare(self, text: &str) -> String {
        if self.lower_case {
            // Character by character, as the normalizer does that sentence-transformers puts first.
            text.chars().flat_map(char::to_lowercase).collect()
        } else {
            text.to_owned()
        }
    }
}

/// The class of an activation that is torch's own, such as `torch.nn.modules.activation.Tanh`.
pub(crate) fn activation_name(class: &str) -> Option<&str> {
    class.strip_prefix("torch.")?.rsplit('.').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_prompt_wins_and_an_empty_one_is_none() {
        let settings = Settings {
            prompts: vec![("query".to_owned(), "query: ".to_owned()), ("none".to_owned(), String::new())],
            default_prompt_name: Some("query".to_owned()),
            ..Settings::default()
        };
        let prompt = |given, name| settings.prompt(given, name).map_err(|error| error.to_string());
        assert_eq!(prompt(None, None), Ok(Some("query: ".to_owned())));
        assert_eq!(prompt(Some("x: "), Some("other")), Ok(Some("x: ".to_owned())));
        assert_eq!(prompt(None, Some("none")), Ok(None));
        assert_eq!(prompt(Some(""), None), Ok(None));
        assert_eq!(prompt(None, Some("document")), Ok(None));
        assert_eq!(prompt(None, Some("other")), Err("the model has no prompt `other`".to_owned()));
        assert_eq!(Settings::default().prompt(None, None).map_err(|error| error.to_string()), Ok(None));
    }

    #[test]
    fn only_activations_of_torch_have_a_name() {
        assert_eq!(activation_name("torch.nn.modules.activation.Tanh"), Some("Tanh"));
        assert_eq!(activation_name("custom.Tanh"), None);
    }
}
