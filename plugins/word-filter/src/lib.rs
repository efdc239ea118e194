//! A processor of scores that never lets a language model write any of some words, however it splits them into tokens.

mod filter;
mod fold;
mod settings;
#[cfg(test)]
mod tests;

use runtime_plugin_sdk::logits::{Description, LogitsProcessor, Row, TOKENIZER};
use runtime_plugin_sdk::{Fields, Kind, Slot, tokenizer};

use filter::Filter;
use settings::Settings;

runtime_plugin_sdk::export_logits_processor!(WordFilter);

/// The filter of one text.
struct WordFilter {
    filter: Filter,
    /// The last tokens of the text.
    recent: Vec<u32>,
    /// How many of them are looked at: a token has at least a byte of a word.
    most: usize,
}

impl LogitsProcessor for WordFilter {
    fn describe() -> Description {
        Description::new("word-filter", env!("CARGO_PKG_VERSION"), "never writes any of some words")
            .parameter(Slot::required("words", Kind::Any, "a list of words; capitals are no matter"))
            .parameter(Slot::optional("whole", Kind::Boolean, "whether only whole words are meant; true by default"))
    }

    fn start(parameters: &Fields, prompt: &[u32]) -> Result<Self, String> {
        let settings = Settings::of(parameters)?;
        // Special tokens have no text, and a token that is one may stand anywhere.
        let most = 16 + settings.words.iter().map(String::len).max().unwrap_or_default();
        let mut filter = Filter::new(settings);
        let vocabulary = tokenizer::vocabulary(TOKENIZER)?;
        for (token, bytes) in vocabulary.iter() {
            filter.add(token, &String::from_utf8_lossy(bytes));
        }
        let mut started = Self { filter, recent: Vec::new(), most };
        started.push(prompt);
        Ok(started)
    }

    fn process(&mut self, tokens: &[u32], row: &mut dyn Row) {
        self.push(tokens);
        let Self { filter, recent, .. } = self;
        let decode = |tokens: &[u32]| tokenizer::decode(TOKENIZER, tokens, true).expect("it decodes its own tokens");
        let before = decode(recent);
        // A tokenizer may have tokens that the model has no scores for.
        let is_scored = |token: &u32| *token < row.len();
        let ruled_out = filter.ruled_out(&before).into_iter().filter(is_scored);
        let completing = filter.doubtful(&before).iter().copied().filter(is_scored).filter(|token| {
            recent.push(*token);
            let after = decode(recent);
            recent.pop();
            filter.completes(&before, &after)
        });
        let all: Vec<u32> = ruled_out.chain(completing).collect();
        row.add_all(&all, f32::NEG_INFINITY);
    }
}

impl WordFilter {
    fn push(&mut self, tokens: &[u32]) {
        self.recent.extend(&tokens[tokens.len().saturating_sub(self.most)..]);
        self.recent.drain(..self.recent.len().saturating_sub(self.most));
    }
}
