//! What a text must be.

use serde_json::Value;

/// A rule that the whole of a generated text follows; what it allows next is up to whoever compiles it.
#[derive(Clone, Debug, PartialEq)]
pub enum Constraint {
    /// JSON that is valid by this schema.
    JsonSchema(Value),
    /// A text that this regular expression matches from end to end.
    Regex(String),
    /// One of these texts.
    Choices(Vec<String>),
    /// A text of this grammar, in the Lark syntax of `llguidance`.
    Grammar(String),
}

impl Constraint {
    /// The names of the parameters that give one, in the order of the variants.
    pub const NAMES: [&str; 4] = ["json_schema", "regex", "choices", "grammar"];

    /// The parameter that gives it.
    pub fn name(&self) -> &'static str {
        let [json_schema, regex, choices, grammar] = Self::NAMES;
        match self {
            Self::JsonSchema(_) => json_schema,
            Self::Regex(_) => regex,
            Self::Choices(_) => choices,
            Self::Grammar(_) => grammar,
        }
    }
}
