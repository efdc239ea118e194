//! {{name}}: a rule for what a language model writes.
//!
//! What stands here rules out that a text repeats its last tokens at once. The host has an instance for each text, and
//! calls it before each token is chosen.

use runtime_plugin_sdk::logits::{Description, LogitsProcessor, Row};
use runtime_plugin_sdk::{Fields, Kind, Slot};

runtime_plugin_sdk::export_logits_processor!(NoRepeats);

/// The rule, for one text.
struct NoRepeats {
    last: usize,
    recent: Vec<u32>,
}

impl LogitsProcessor for NoRepeats {
    fn describe() -> Description {
        Description::new("{{name}}", env!("CARGO_PKG_VERSION"), "never writes one of the last tokens again")
            .parameter(Slot::optional("last", Kind::Number, "how many tokens are remembered; 1 by default"))
    }

    fn start(parameters: &Fields, prompt: &[u32]) -> Result<Self, String> {
        let last = match parameters.get("last").filter(|last| !last.is_null()) {
            None => 1,
            Some(last) => {
                let whole = last.as_u64().and_then(|last| usize::try_from(last).ok());
                whole.ok_or_else(|| format!("`last` is {last}, and it is a number of tokens"))?
            }
        };
        let mut rule = Self { last, recent: Vec::new() };
        rule.remember(prompt);
        Ok(rule)
    }

    fn process(&mut self, tokens: &[u32], row: &mut dyn Row) {
        self.remember(tokens);
        row.add_all(&self.recent, f32::NEG_INFINITY);
    }
}

impl NoRepeats {
    fn remember(&mut self, tokens: &[u32]) {
        self.recent.extend(tokens);
        self.recent.drain(..self.recent.len().saturating_sub(self.last));
    }
}

#[cfg(test)]
mod tests {
    use runtime_plugin_sdk::serde_json::json;

    use super::*;

    #[test]
    fn the_last_tokens_are_ruled_out_and_no_others() {
        let parameters = Fields::from_iter([("last".to_owned(), json!(2))]);
        let mut rule = NoRepeats::start(&parameters, &[0, 1]).expect("the parameters are right");
        let mut scores = vec![0.5; 4];
        rule.process(&[3], &mut scores);
        assert_eq!(scores, [0.5, f32::NEG_INFINITY, 0.5, f32::NEG_INFINITY]);
    }

    #[test]
    fn a_wrong_parameter_is_refused() {
        for wrong in [json!(-1), json!("two"), json!(0.5)] {
            let refused = NoRepeats::start(&Fields::from_iter([("last".to_owned(), wrong)]), &[]).err();
            assert!(refused.is_some_and(|why| why.contains("`last`")));
        }
    }
}
