//! A step that takes personal data out of a text before any model sees it.
//!
//! What has a form is found by rules: addresses of mail and of the internet, telephone numbers, cards, bank accounts, US
//! social security numbers. Names of people, places and organisations are found by a model, where the pipeline grants
//! one. The outputs hold the text with placeholders, and where something was; never what it was.

mod card;
mod digits;
mod email;
mod find;
mod iban;
mod ip;
mod kind;
mod phone;
mod replace;
mod settings;
mod ssn;
#[cfg(test)]
mod tests;

use runtime_plugin_sdk::serde_json::{Value, json};
use runtime_plugin_sdk::step::{Description, Step, Task};
use runtime_plugin_sdk::{Failure, Fields, Kind as Type, Slot, model};

use find::{Find, apart, by_rules};
use kind::Kind;
use replace::{characters, replaced};
use settings::Settings;

runtime_plugin_sdk::export_step!(RedactPii);

/// The step, set up.
struct RedactPii(Settings);

/// What the plugin calls the model that finds names.
const NER: &str = "ner";

impl Step for RedactPii {
    fn describe() -> Description {
        // Words are kept whole, and a text that is longer than the model is read in parts: nothing behind its end may stay.
        let whole = [("aggregation_strategy", json!("first")), ("stride", json!(16))];
        let whole = whole.map(|(name, value)| (name.to_owned(), value));
        Description::new("redact-pii", env!("CARGO_PKG_VERSION"), "puts placeholders in the place of personal data")
            .input(Slot::required("text", Type::Text, "what is redacted"))
            .output(Slot::required("text", Type::Text, "the text with placeholders, such as `[EMAIL]`"))
            .output(Slot::required("entities", Type::Any, "a list of {kind, start, end}, in characters of the input"))
            .output(Slot::required("found", Type::Number, "how many there are"))
            .parameter(Slot::optional(
                "kinds",
                Type::Any,
                "a list: email, phone, card, iban, ip, ssn; person, place, organisation need the model",
            ))
            .parameter(Slot::optional("placeholder", Type::Text, "what stands there instead; `[{kind}]` by default"))
            .parameter(Slot::optional("numbered", Type::Boolean, "whether each value has a number: `[EMAIL_1]`"))
            .parameter(Slot::optional("keep_last", Type::Number, "digits of a card that are kept, 0 to 4"))
            .parameter(Slot::optional("min_score", Type::Number, "how sure the model must be, 0 to 1; 0.5 by default"))
            .optional_model(NER, Task::TokenClassification, Fields::from_iter(whole))
    }

    fn start(parameters: &Fields) -> Result<Self, String> {
        Settings::of(parameters).map(Self)
    }

    fn process(&mut self, record: &Fields) -> Result<Fields, String> {
        let text = record["text"].as_str().unwrap_or_default();
        let mut finds = by_rules(text, &self.0.kinds);
        // A model has nothing to say of a text without words, and refuses it.
        if self.0.asks_model() && text.contains(char::is_alphanumeric) {
            finds.extend(self.by_model(text)?);
        }
        let finds = apart(finds);
        let offsets = characters(text, finds.iter().flat_map(|find| [find.range.start, find.range.end]));
        let entity = |(find, offsets): (&Find, &[usize])| json!({"kind": find.kind.name(), "start": offsets[0], "end": offsets[1]});
        let entities: Vec<Value> = finds.iter().zip(offsets.chunks_exact(2)).map(entity).collect();
        Ok(Fields::from_iter([
            ("text".to_owned(), replaced(text, &finds, &self.0).into()),
            ("found".to_owned(), entities.len().into()),
            ("entities".to_owned(), Value::Array(entities)),
        ]))
    }
}

impl RedactPii {
    /// Where the model finds names.
    ///
    /// # Errors
    /// Where it cannot be asked, or says what is no entity: a text is not passed on half redacted.
    fn by_model(&self, text: &str) -> Result<Vec<Find>, String> {
        let input = Fields::from_iter([("text".to_owned(), text.into())]);
        let entities = model::run(NER, input).map_err(|failure| match failure {
            Failure::NotGranted(why) => format!("`kinds` has some that only a model finds, and {why}"),
            other => other.into(),
        })?;
        let bytes: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let offset = |value: &Value| bytes.get(usize::try_from(value.as_u64()?).ok()?).copied();
        let mut finds = Vec::new();
        for entity in entities.as_array().ok_or("the model `ner` gives no list of entities")? {
            let label = entity.get("entity_group").or_else(|| entity.get("entity")).and_then(Value::as_str);
            let Some(kind) = label.and_then(Kind::of_label).filter(|kind| self.0.kinds.contains(kind)) else {
                continue;
            };
            if entity["score"].as_f64().is_some_and(|score| score < self.0.min_score) {
                continue;
            }
            let range = offset(&entity["start"]).zip(offset(&entity["end"])).filter(|(start, end)| start <= end);
            let (start, end) = range.ok_or("the model `ner` does not say where an entity stands")?;
            finds.push(Find { kind, range: start..end });
        }
        Ok(finds)
    }
}
