//! Prompts: minijinja templates over the fields of a record and what earlier steps put out.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Rest, ValueOrKwargs};
use minijinja::{Environment, State, UndefinedBehavior};
use serde_json::{Map, Value};

/// A template of a prompt.
///
/// ```
/// use runtime_pipeline::PromptTemplate;
/// use serde_json::json;
///
/// let template: PromptTemplate = "Hello {{ name }}.".parse()?;
/// let fields = json!({"name": "Ada"});
/// assert_eq!(template.render(fields.as_object().unwrap())?, "Hello Ada.");
/// assert!("Hello {{ name".parse::<PromptTemplate>().is_err());
/// # Ok::<(), runtime_pipeline::PromptError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptTemplate {
    text: String,
    /// What it reads: `field`, or `step.output`.
    variables: BTreeSet<String>,
}

/// Why a template is none, or makes no prompt of a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PromptError {
    /// It is no template.
    #[error("the template is wrong in line {line}: {reason}")]
    Syntax {
        /// Where.
        line: usize,
        /// Why.
        reason: String,
    },
    /// It needs what there is not.
    #[error("the template needs `{}`, and there is no such field", .missing.join("` and `"))]
    Missing {
        /// What.
        missing: Vec<String>,
    },
    /// It fails.
    #[error("the template fails in line {line}: {reason}")]
    Fails {
        /// Where.
        line: usize,
        /// Why.
        reason: String,
    },
}

/// The name that messages of the library would give it.
const NAME: &str = "prompt";
/// Steps of a template, at most: what a loop over a long record takes, and no endless one.
const FUEL: u64 = 10_000_000;

impl PromptTemplate {
    /// The prompt for `fields`.
    ///
    /// # Errors
    /// Where it needs what there is not, or fails.
    pub fn render(&self, fields: &Map<String, Value>) -> Result<String, PromptError> {
        let environment = environment();
        let template = environment.template_from_named_str(NAME, &self.text).map_err(|error| syntax(&error))?;
        template.render(object(fields)).map_err(|error| {
            let missing = self.variables.iter().filter(|name| !has(fields, name)).cloned().collect::<Vec<_>>();
            match error.kind() {
                minijinja::ErrorKind::UndefinedError if !missing.is_empty() => PromptError::Missing { missing },
                _ => PromptError::Fails { line: error.line().unwrap_or(1), reason: reason(&error) },
            }
        })
    }

    /// What it reads: `field`, or `step.output`.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.variables.iter().map(String::as_str)
    }

    /// The template as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for PromptTemplate {
    type Err = PromptError;

    fn from_str(text: &str) -> Result<Self, PromptError> {
        let environment = environment();
        let template = environment.template_from_named_str(NAME, text).map_err(|error| syntax(&error))?;
        let variables = template.undeclared_variables(true).into_iter().collect();
        Ok(Self { text: text.to_owned(), variables })
    }
}

impl fmt::Display for PromptTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    // As chat templates have it: a line that holds a block alone leaves no line.
    if let Ok(syntax) = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build() {
        environment.set_syntax(syntax);
    }
    environment.set_fuel(Some(FUEL));
    environment.add_filter("format", format);
    environment
}

/// minijinja's filter, without formats that fill up a place to more than a prompt can be long.
fn format(
    state: &mut State<'_, '_>,
    text: &minijinja::Value,
    values: Rest<ValueOrKwargs>,
) -> Result<minijinja::Value, minijinja::Error> {
    let wide = |place: &str| {
        let digits: String = place.chars().take_while(|char| "-+ #0123456789.*".contains(*char)).collect();
        // `%*d` takes its width from the values.
        digits.contains('*')
            || digits.split(['.', '-', '+', ' ', '#']).any(|digits| digits.trim_start_matches('0').len() > 5)
    };
    if text.as_str().is_some_and(|text| text.split('%').skip(1).any(wide)) {
        let message = "a place of a format is filled up to less than 100000 characters, and to no value's";
        return Err(minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, message));
    }
    minijinja::filters::format(state, text, values)
}

fn object(fields: &Map<String, Value>) -> minijinja::Value {
    minijinja::Value::from_pairs(fields.iter().map(|(name, item)| (name.as_str(), value(item))))
}

fn value(json: &Value) -> minijinja::Value {
    match json {
        Value::Null => minijinja::Value::from(()),
        Value::Bool(is) => minijinja::Value::from(*is),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => minijinja::Value::from(number),
            (None, Some(number)) => minijinja::Value::from(number),
            (None, None) => minijinja::Value::from(number.as_f64()),
        },
        Value::String(text) => minijinja::Value::from(text.as_str()),
        Value::Array(items) => minijinja::Value::from(items.iter().map(value).collect::<Vec<_>>()),
        Value::Object(fields) => object(fields),
    }
}

/// Whether there is a value at a path.
fn has(fields: &Map<String, Value>, path: &str) -> bool {
    let mut parts = path.split('.');
    let first = parts.next().and_then(|name| fields.get(name));
    parts.try_fold(first, |value, name| value.map(|value| value.get(name))).flatten().is_some()
}

fn syntax(error: &minijinja::Error) -> PromptError {
    PromptError::Syntax { line: error.line().unwrap_or(1), reason: reason(error) }
}

fn reason(error: &minijinja::Error) -> String {
    error.detail().map_or_else(|| error.kind().to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rendered(template: &str, fields: &Value) -> Result<String, String> {
        let template: PromptTemplate = template.parse().map_err(|error: PromptError| error.to_string())?;
        template.render(fields.as_object().expect("an object")).map_err(|error| error.to_string())
    }

    #[test]
    fn a_prompt_is_made_of_fields_and_outputs() {
        let fields = json!({"text": "a {{ b }}", "n": 3, "tags": ["x", "y"], "triage": {"label": "bug"}});
        assert_eq!(rendered("{{ text }} {{ n }}", &fields), Ok("a {{ b }} 3".to_owned()));
        assert_eq!(rendered("{{ triage.label }}: {{ tags | join(', ') }}", &fields), Ok("bug: x, y".to_owned()));
        assert_eq!(rendered("{{ nothing | default('-') }}", &fields), Ok("-".to_owned()));
        let template: PromptTemplate = "{{ text }}{{ triage.label }}".parse().expect("a template");
        assert_eq!(template.variables().collect::<Vec<_>>(), ["text", "triage.label"]);
    }

    #[test]
    fn what_is_missing_is_named() {
        let missing = Err("the template needs `subject`, and there is no such field".to_owned());
        assert_eq!(rendered("{{ text }} {{ subject }}", &json!({"text": "a"})), missing);
        assert!(rendered("a\n{{ text", &json!({})).is_err_and(|error| error.contains("in line 2")));
        assert!(rendered("{% for i in range(9999999) %}{{ i }}{% endfor %}", &json!({})).is_err());
        let wide =
            ["{{ '%1000000000s' | format(1) }}", "{{ '%.900000f' | format(1.5) }}", "{{ '%*d' | format(900000, 1) }}"];
        assert_eq!(wide.map(|template| rendered(template, &json!({})).is_ok()), [false; 3]);
        assert_eq!(
            rendered("{{ '%5.1f%% of 20261121' | format(2) }}", &json!({})),
            Ok("  2.0% of 20261121".to_owned())
        );
    }
}
