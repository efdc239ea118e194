//! A processor of scores that marks what a language model writes: tokens that a secret key calls green, behind the token
//! before, are a little more likely. Whoever has the key can tell such a text, see [`Green::z_score`].

mod green;
#[cfg(test)]
mod tests;

use runtime_plugin_sdk::logits::{Description, LogitsProcessor, Row};
use runtime_plugin_sdk::serde_json::Value;
use runtime_plugin_sdk::{Fields, Kind, Slot};

pub use green::Green;

runtime_plugin_sdk::export_logits_processor!(Watermark);

/// The mark of one text.
struct Watermark {
    green: Green,
    bias: f32,
    last: Option<u32>,
}

impl LogitsProcessor for Watermark {
    fn describe() -> Description {
        Description::new(
            "watermark",
            env!("CARGO_PKG_VERSION"),
            "marks texts so that whoever has the key can tell them",
        )
        .parameter(Slot::required("key", Kind::Text, "a secret text"))
        .parameter(Slot::optional("share", Kind::Number, "how many tokens are favoured; 0.25 by default"))
        .parameter(Slot::optional("bias", Kind::Number, "what is added to their scores; 2 by default"))
    }

    fn start(parameters: &Fields, prompt: &[u32]) -> Result<Self, String> {
        let number = |name: &str, default| parameters.get(name).and_then(Value::as_f64).unwrap_or(default);
        let key = parameters["key"].as_str().filter(|key| !key.is_empty()).ok_or("`key` is empty")?;
        let share = number("share", 0.25);
        if !(share > 0.0 && share < 1.0) {
            return Err(format!("`share` is {share}; it must be between 0 and 1"));
        }
        let bias = number("bias", 2.0);
        if !(0.0..=100.0).contains(&bias) {
            return Err(format!("`bias` is {bias}; it can be 0 to 100"));
        }
        #[expect(clippy::cast_possible_truncation, reason = "scores are in single precision")]
        let bias = bias as f32;
        Ok(Self { green: Green::new(key, share), bias, last: prompt.last().copied() })
    }

    fn process(&mut self, tokens: &[u32], row: &mut dyn Row) {
        self.last = tokens.last().copied().or(self.last);
        // The first token of an empty prompt has none before it.
        if let Some(last) = self.last {
            row.add_all(&self.green.tokens(last, row.len()), self.bias);
        }
    }
}
