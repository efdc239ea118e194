//! A validator for the keywords that the examples use, and the examples.

use regex::Regex;
use serde_json::{Value, json};

/// Schemas of bounded texts, so that random walks come to their end.
pub(crate) fn examples() -> Vec<Value> {
    vec![
        json!({"type": "boolean"}),
        json!({"type": "integer", "minimum": -20, "maximum": 1234}),
        json!({"type": "number", "exclusiveMinimum": 0, "maximum": 1}),
        json!({"type": "string", "minLength": 2, "maxLength": 6}),
        json!({"enum": ["low", "high", 3, null, {"a": [1]}]}),
        json!({"type": "string", "pattern": "^[A-Z]{2}-[0-9]{1,3}$"}),
        json!({
            "type": "object",
            "properties": {
                "label": {"enum": ["billing", "bug report", "other"]},
                "urgent": {"type": "boolean"},
                "score": {"type": "integer", "minimum": 0, "maximum": 100},
                "words": {"type": "array", "items": {"type": "string", "maxLength": 4}, "minItems": 1, "maxItems": 3}
            },
            "required": ["label", "urgent", "words"],
            "additionalProperties": false
        }),
        json!({
            "type": "array",
            "items": {"anyOf": [{"$ref": "#/$defs/point"}, {"type": "null"}]},
            "minItems": 1,
            "maxItems": 2,
            "$defs": {"point": {
                "type": "object",
                "properties": {"x": {"type": "integer", "minimum": 0, "maximum": 9}, "y": {"const": "é\"\\"}},
                "required": ["x", "y"],
                "additionalProperties": false
            }}
        }),
    ]
}

/// What is wrong with a value, if anything is. `root` is what references start from.
pub(crate) fn why_not(root: &Value, schema: &Value, value: &Value) -> Option<String> {
    let known = [
        "type",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "minLength",
        "maxLength",
        "enum",
        "const",
        "pattern",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "minItems",
        "maxItems",
        "anyOf",
        "$ref",
        "$defs",
    ];
    let fields = schema.as_object().expect("a schema is an object");
    for (key, rule) in fields {
        assert!(known.contains(&key.as_str()), "the validator does not know `{key}`");
        let length = || value.as_str().map(|text| text.chars().count() as u64);
        let count = || value.as_array().map(|items| items.len() as u64);
        let number = rule.as_f64();
        let holds = match key.as_str() {
            "type" => match rule.as_str().expect("a type") {
                "boolean" => value.is_boolean(),
                "integer" => value.as_i64().is_some(),
                "number" => value.is_number(),
                "string" => value.is_string(),
                "object" => value.is_object(),
                "array" => value.is_array(),
                "null" => value.is_null(),
                other => panic!("the validator does not know `{other}`"),
            },
            "minimum" => value.as_f64() >= number,
            "maximum" => value.as_f64() <= number,
            "exclusiveMinimum" => value.as_f64() > number,
            "minLength" => length() >= rule.as_u64(),
            "maxLength" => length() <= rule.as_u64(),
            "minItems" => count() >= rule.as_u64(),
            "maxItems" => count() <= rule.as_u64(),
            "enum" => rule.as_array().expect("a list").contains(value),
            "const" => rule == value,
            "pattern" => {
                let regex = Regex::new(rule.as_str().expect("a text")).expect("a regular expression");
                value.as_str().is_none_or(|text| regex.is_match(text))
            }
            "required" => {
                let names = rule.as_array().expect("a list");
                names.iter().all(|name| value.get(name.as_str().expect("a name")).is_some())
            }
            "additionalProperties" => {
                assert_eq!(*rule, false);
                let named = schema["properties"].as_object().expect("properties");
                value.as_object().is_none_or(|fields| fields.keys().all(|key| named.contains_key(key)))
            }
            "properties" => {
                let named = rule.as_object().expect("properties");
                let wrong = |(key, rule): (&String, &Value)| why_not(root, rule, value.get(key)?);
                named.iter().find_map(wrong).is_none()
            }
            "items" => {
                value.as_array().is_none_or(|items| items.iter().all(|item| why_not(root, rule, item).is_none()))
            }
            "anyOf" => rule.as_array().expect("a list").iter().any(|rule| why_not(root, rule, value).is_none()),
            "$ref" => {
                let place = rule.as_str().and_then(|place| place.strip_prefix('#')).expect("a place in the schema");
                why_not(root, root.pointer(place).expect("it is there"), value).is_none()
            }
            _ => true,
        };
        if !holds {
            return Some(format!("`{key}` does not hold for {value}"));
        }
    }
    None
}
