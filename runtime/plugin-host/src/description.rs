//! What a plugin says of itself, and the rules for it.

use runtime_graph::Head;

use crate::text;

/// What a plugin says of itself; checked when it is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The architecture's name, such as `bert`.
    pub name: String,
    /// The plugin's own version.
    pub version: String,
    /// The values of `model_type` in `config.json` that it is for, at least one.
    pub model_types: Vec<String>,
    /// The prefix of the base model's tensors, for [`Catalog::new`](runtime_graph::Catalog::new); may be empty.
    pub base_prefix: String,
    /// The heads it can build, at least one.
    pub heads: Vec<Head>,
}

/// Bytes of each text, at most.
const TEXT: usize = 64;

/// Model types, at most.
const MODEL_TYPES: usize = 64;

impl Description {
    /// The rule that is broken, if any.
    pub(crate) fn check(&self) -> Result<(), String> {
        let texts = [("name", &self.name), ("version", &self.version)].into_iter();
        for (what, value) in texts.chain(self.model_types.iter().map(|model_type| ("model type", model_type))) {
            if value.is_empty() {
                return Err(format!("the {what} is empty"));
            }
            check_text(what, value)?;
        }
        check_text("base prefix", &self.base_prefix)?;
        if self.model_types.is_empty() || self.model_types.len() > MODEL_TYPES {
            return Err(format!("it has {} model types; there can be 1 to {MODEL_TYPES}", self.model_types.len()));
        }
        if self.heads.is_empty() || self.heads.len() > Head::ALL.len() {
            return Err(format!("it has {} heads; there can be 1 to {}", self.heads.len(), Head::ALL.len()));
        }
        Ok(())
    }
}

fn check_text(what: &str, value: &str) -> Result<(), String> {
    if value.len() > TEXT {
        return Err(format!("the {what} has {} bytes; there can be {TEXT}", value.len()));
    }
    if !text::is_printable(value) || value.contains('`') {
        return Err(format!("the {what} is not printable"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Description {
        Description {
            name: "bert".to_owned(),
            version: "0.1.0".to_owned(),
            model_types: vec!["bert".to_owned()],
            base_prefix: String::new(),
            heads: vec![Head::Base],
        }
    }

    #[test]
    fn each_rule_is_checked() {
        assert_eq!(good().check(), Ok(()));
        for (wrong, said) in [
            (Description { name: String::new(), ..good() }, "the name is empty"),
            (Description { version: "\u{1b}[2J".to_owned(), ..good() }, "the version is not printable"),
            (Description { model_types: Vec::new(), ..good() }, "it has 0 model types; there can be 1 to 64"),
            (
                Description { model_types: vec!["a".repeat(65)], ..good() },
                "the model type has 65 bytes; there can be 64",
            ),
            (Description { base_prefix: "a\nb".to_owned(), ..good() }, "the base prefix is not printable"),
            (Description { heads: Vec::new(), ..good() }, "it has 0 heads; there can be 1 to 7"),
        ] {
            assert_eq!(wrong.check(), Err(said.to_owned()));
        }
    }
}
