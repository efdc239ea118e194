//! A processor of scores that does what its parameter `does` says, well or badly.

use std::hint;

use runtime_plugin_sdk::logits::{Description, LogitsProcessor, Row, TOKENIZER};
use runtime_plugin_sdk::{Fields, Kind, Slot, tokenizer};

runtime_plugin_sdk::export_logits_processor!(Probe);

struct Probe {
    does: String,
    token: u32,
    seen: Vec<u32>,
}

impl LogitsProcessor for Probe {
    fn describe() -> Description {
        Description::new("logits-probe", env!("CARGO_PKG_VERSION"), "does as it is told")
            .parameter(Slot::required("does", Kind::Text, "what it is to do"))
            .parameter(Slot::optional("token", Kind::Number, "with which token"))
    }

    fn start(parameters: &Fields, prompt: &[u32]) -> Result<Self, String> {
        let does = parameters["does"].as_str().unwrap_or_default().to_owned();
        if does == "refuse" {
            return Err("no".to_owned());
        }
        let token = parameters.get("token").and_then(|token| token.as_u64()?.try_into().ok()).unwrap_or(0);
        Ok(Self { does, token, seen: prompt.to_vec() })
    }

    fn process(&mut self, tokens: &[u32], row: &mut dyn Row) {
        self.seen.extend(tokens);
        match self.does.as_str() {
            "nothing" => {}
            "ban" => row.add_all(&[self.token], f32::NEG_INFINITY),
            "keep" => row.keep(&[self.token]),
            // What was seen is never written again.
            "forget" => row.add_all(&self.seen, f32::NEG_INFINITY),
            "ban the best" => {
                let best = row.top(1);
                row.add_all(&[best[0].0], f32::NEG_INFINITY);
            }
            "negate" => {
                let negated: Vec<f32> = row.read(0, row.len()).iter().map(|score| -score).collect();
                row.write(0, &negated);
            }
            "spell" => {
                let tokens = tokenizer::encode(TOKENIZER, "the", false).expect("it is granted");
                row.keep(&tokens.iter().map(|token| token.id).collect::<Vec<_>>());
            }
            "nan" => row.add_all(&[self.token], f32::NAN),
            "ban all" => row.keep(&[]),
            "reach out" => row.add_all(&[row.len()], 1.0),
            "read out" => drop(row.read(1, u32::MAX)),
            "loop" => while hint::black_box(true) {},
            "panic" => panic!("no more"),
            other => unreachable!("{other}"),
        }
    }
}
