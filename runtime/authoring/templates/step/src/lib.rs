//! {{name}}: a step of pipelines.
//!
//! What stands here shortens a text to some words. A step reads fields of a record and gives others; models, tokenizers
//! and generation are called through `runtime_plugin_sdk::{model, tokenizer, generate}`, once the step describes that it
//! asks for them and the pipeline file grants them.

use runtime_plugin_sdk::step::{Description, Step};
use runtime_plugin_sdk::{Fields, Kind, Slot};

runtime_plugin_sdk::export_step!(Shortener);

/// The step, set up.
struct Shortener {
    most: usize,
}

impl Step for Shortener {
    fn describe() -> Description {
        Description::new("{{name}}", env!("CARGO_PKG_VERSION"), "shortens a text to some words")
            .input(Slot::required("text", Kind::Text, "what is shortened"))
            .output(Slot::required("text", Kind::Text, "its first words"))
            .output(Slot::required("left_out", Kind::Number, "how many words are left out"))
            .parameter(Slot::optional("most", Kind::Number, "how many words are kept; 8 by default"))
    }

    fn start(parameters: &Fields) -> Result<Self, String> {
        let most = match parameters.get("most").filter(|most| !most.is_null()) {
            None => 8,
            Some(most) => {
                let whole = most.as_u64().and_then(|most| usize::try_from(most).ok());
                whole.ok_or_else(|| format!("`most` is {most}, and it is a number of words"))?
            }
        };
        Ok(Self { most })
    }

    fn process(&mut self, record: &Fields) -> Result<Fields, String> {
        let words: Vec<&str> = record["text"].as_str().unwrap_or_default().split_whitespace().collect();
        let kept = &words[..words.len().min(self.most)];
        Ok(Fields::from_iter([
            ("text".to_owned(), kept.join(" ").into()),
            ("left_out".to_owned(), (words.len() - kept.len()).into()),
        ]))
    }
}

#[cfg(test)]
mod tests {
    use runtime_plugin_sdk::serde_json::json;

    use super::*;

    #[test]
    fn what_is_too_long_is_cut_between_words() {
        let parameters = Fields::from_iter([("most".to_owned(), json!(2))]);
        let mut step = Shortener::start(&parameters).expect("the parameters are right");
        for (text, kept, left_out) in [("one  two three", "one two", 1), ("one", "one", 0), ("", "", 0)] {
            let outputs = step.process(&Fields::from_iter([("text".to_owned(), json!(text))])).expect("it has outputs");
            assert_eq!((&outputs["text"], &outputs["left_out"]), (&json!(kept), &json!(left_out)));
        }
    }

    #[test]
    fn a_wrong_parameter_is_refused() {
        for wrong in [json!(-1), json!("two"), json!(0.5)] {
            let refused = Shortener::start(&Fields::from_iter([("most".to_owned(), wrong)])).err();
            assert!(refused.is_some_and(|why| why.contains("`most`")));
        }
    }
}
