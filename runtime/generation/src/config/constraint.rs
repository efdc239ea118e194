//! The parameters that say what the text must be, of which a call gives one.

use serde_json::Value;

use super::keys::Keys;
use super::reader::texts;
use crate::{Constraint, Error};

/// Reads them over `place`. They are parameters of this program alone, and so none of a model's file.
pub(super) fn read(keys: &mut Keys<'_>, place: &mut Option<Constraint>) -> Result<(), Error> {
    if keys.is_of_file() {
        return Ok(());
    }
    let [json_schema, regex, choices, grammar] = Constraint::NAMES;
    // What was given before stays under its name, unless `null` turns it off.
    let mut found = Constraint::NAMES.map(|name| place.clone().filter(|before| before.name() == name));
    let [schema_at, regex_at, choices_at, grammar_at] = &mut found;
    if let Some(Value::String(text)) = keys.value(json_schema)
        && let Err(error) = serde_json::from_str::<Value>(text)
    {
        return Err(not_json(&error));
    }
    let expected = "a JSON schema: an object, or its text";
    keys.set(json_schema, schema_at, None, expected, |value| schema(value).map(Constraint::JsonSchema).map(Some))?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    keys.set(regex, regex_at, None, "a text", |value| text(value).map(Constraint::Regex).map(Some))?;
    let expected = "a text or a list of texts";
    keys.set(choices, choices_at, None, expected, |value| texts(value).map(Constraint::Choices).map(Some))?;
    keys.set(grammar, grammar_at, None, "a text", |value| text(value).map(Constraint::Grammar).map(Some))?;
    let mut new = found.iter().flatten().filter(|found| keys.gives(found.name()));
    *place = match (new.next(), new.next()) {
        (Some(first), Some(second)) => {
            let message = format!("`{}` does not go with `{}`", second.name(), first.name());
            return Err(Error::hinted(second.name(), message, "leave one of the two out"));
        }
        // What a call gives replaces what it goes over, whatever the kind of that.
        (Some(one), None) => Some(one.clone()),
        (None, _) => found.into_iter().flatten().next(),
    };
    match place {
        Some(Constraint::Choices(choices)) if choices.is_empty() => {
            Err(Error::hinted("choices", "`choices` is empty", "give at least one text"))
        }
        Some(Constraint::Choices(choices)) if choices.iter().any(String::is_empty) => {
            Err(Error::param("choices", "`choices` has an empty text"))
        }
        _ => Ok(()),
    }
}

/// What is wrong with the text of a schema.
fn not_json(error: &serde_json::Error) -> Error {
    let told = error.to_string();
    match told.strip_prefix("recursion limit exceeded") {
        Some(place) => {
            let message = format!("`json_schema` is nested more than 127 levels deep{place}");
            Error::hinted("json_schema", message, "put inner parts under `$defs`, and name them by `$ref`")
        }
        None => Error::param("json_schema", format!("`json_schema` is a text that is not JSON: {told}")),
    }
}

/// A schema as it is, or its text, which is how a command line or a file may have it.
fn schema(value: &Value) -> Option<Value> {
    let parsed: Value = match value {
        Value::String(text) => serde_json::from_str(text).ok()?,
        other => other.clone(),
    };
    Some(parsed).filter(|schema| schema.is_object() || schema.is_boolean())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::GenerationConfig;

    fn with(config: &GenerationConfig, params: &Value) -> Result<GenerationConfig, Error> {
        config.with_params(params.as_object().expect("an object"))
    }

    fn constraint(params: &Value) -> Result<Option<Constraint>, Error> {
        with(&GenerationConfig::default(), params).map(|config| config.constraint)
    }

    #[test]
    fn each_parameter_gives_its_constraint() {
        let schema = json!({"type": "integer"});
        let of_schema = Some(Constraint::JsonSchema(schema.clone()));
        assert_eq!(constraint(&json!({"json_schema": schema})), Ok(of_schema.clone()));
        assert_eq!(constraint(&json!({"json_schema": "{\"type\": \"integer\"}"})), Ok(of_schema));
        assert_eq!(constraint(&json!({"regex": "a+"})), Ok(Some(Constraint::Regex("a+".to_owned()))));
        let choices = Some(Constraint::Choices(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(constraint(&json!({"choices": ["a", "b"]})), Ok(choices));
        assert_eq!(
            constraint(&json!({"grammar": "start: /a/"})),
            Ok(Some(Constraint::Grammar("start: /a/".to_owned())))
        );
        assert_eq!(constraint(&json!({})), Ok(None));
    }

    #[test]
    fn what_is_wrong_is_told_by_name() {
        let message = |params: Value| constraint(&params).expect_err("it is refused").to_string();
        assert_eq!(message(json!({"choices": []})), "`choices` is empty");
        assert_eq!(message(json!({"choices": ["a", ""]})), "`choices` has an empty text");
        assert_eq!(message(json!({"regex": "a", "choices": ["a"]})), "`choices` does not go with `regex`");
        assert_eq!(
            message(json!({"json_schema": 3})),
            "`json_schema` must be a JSON schema: an object, or its text, not `3`"
        );
        assert_eq!(
            message(json!({"json_schema": "{\"type\": "})),
            "`json_schema` is a text that is not JSON: EOF while parsing a value at line 1 column 9"
        );
        let deep = format!("{}true{}", "{\"not\":".repeat(200), "}".repeat(200));
        assert_eq!(
            message(json!({"json_schema": deep})),
            "`json_schema` is nested more than 127 levels deep at line 1 column 890"
        );
        assert_eq!(message(json!({"regex": ["a"]})), "`regex` must be a text, not `[\"a\"]`");
    }

    #[test]
    fn a_call_goes_over_what_was_given_before() -> Result<(), Error> {
        let config = with(&GenerationConfig::default(), &json!({"regex": "a"}))?;
        assert_eq!(with(&config, &json!({}))?.constraint, Some(Constraint::Regex("a".to_owned())));
        assert_eq!(with(&config, &json!({"regex": null}))?.constraint, None);
        assert_eq!(with(&config, &json!({"grammar": null}))?.constraint, Some(Constraint::Regex("a".to_owned())));
        let replaced = with(&config, &json!({"choices": ["b"]}))?.constraint;
        assert_eq!(replaced, Some(Constraint::Choices(vec!["b".to_owned()])));
        Ok(())
    }

    #[test]
    fn a_models_file_gives_none() -> Result<(), Error> {
        let file = json!({"regex": "a", "choices": 3});
        assert_eq!(GenerationConfig::from_file(file.as_object().expect("an object"))?.constraint, None);
        Ok(())
    }
}
