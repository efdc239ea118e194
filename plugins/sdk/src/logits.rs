//! Plugins that change the scores of the next token.
//!
//! ```
//! use runtime_plugin_sdk::logits::{Description, LogitsProcessor, Row};
//! use runtime_plugin_sdk::{Fields, Kind, Slot};
//!
//! /// Never writes one token.
//! struct Without(u32);
//!
//! impl LogitsProcessor for Without {
//!     fn describe() -> Description {
//!         Description::new("without", env!("CARGO_PKG_VERSION"), "rules a token out")
//!             .parameter(Slot::required("token", Kind::Number, "its number"))
//!     }
//!
//!     fn start(parameters: &Fields, _: &[u32]) -> Result<Self, String> {
//!         let token = parameters["token"].as_u64().and_then(|token| u32::try_from(token).ok());
//!         Ok(Self(token.ok_or("`token` is no token")?))
//!     }
//!
//!     fn process(&mut self, _: &[u32], row: &mut dyn Row) {
//!         row.add_all(&[self.0], f32::NEG_INFINITY);
//!     }
//! }
//!
//! runtime_plugin_sdk::export_logits_processor!(Without);
//!
//! let mut scores = vec![0.5, 0.25, 1.0];
//! Without(2).process(&[], &mut scores);
//! assert_eq!(scores, [0.5, 0.25, f32::NEG_INFINITY]);
//! ```

use crate::records::{Fields, Slot};
use crate::wit::logits::exports::inference::runtime::logits_processing as wit;
use crate::wit::logits::inference::runtime::logits as host;

/// What the model's tokenizer is called; any other name is as good.
pub const TOKENIZER: &str = "model";

/// Changes the scores of the next token of one text.
pub trait LogitsProcessor: Sized {
    /// What the processor is.
    fn describe() -> Description;

    /// Begins a text behind the tokens of a prompt, with parameters that fit what the processor describes.
    ///
    /// # Errors
    /// What is wrong with them.
    fn start(parameters: &Fields, prompt: &[u32]) -> Result<Self, String>;

    /// Changes the scores of the token behind `tokens`, those chosen since the last call.
    fn process(&mut self, tokens: &[u32], row: &mut dyn Row);
}

/// The score of each token of the vocabulary. In tests it is a vector.
pub trait Row {
    /// Tokens in the vocabulary.
    fn len(&self) -> u32;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The score of a token.
    fn get(&self, token: u32) -> f32;

    /// The tokens of the highest scores, highest first; of equal ones the lowest first.
    fn top(&self, count: u32) -> Vec<(u32, f32)>;

    /// `count` scores from that of token `first` on.
    fn read(&self, first: u32, count: u32) -> Vec<f32>;

    /// Replaces scores from that of token `first` on.
    fn write(&mut self, first: u32, scores: &[f32]);

    /// Adds to the scores of tokens; negative infinity rules a token out.
    fn add(&mut self, changes: &[(u32, f32)]);

    /// Adds the same to the scores of tokens.
    fn add_all(&mut self, tokens: &[u32], amount: f32);

    /// Rules out every token but these.
    fn keep(&mut self, tokens: &[u32]);
}

fn place(token: u32) -> usize {
    usize::try_from(token).unwrap_or(usize::MAX)
}

impl Row for Vec<f32> {
    fn len(&self) -> u32 {
        u32::try_from(self.as_slice().len()).unwrap_or(u32::MAX)
    }

    fn get(&self, token: u32) -> f32 {
        self[place(token)]
    }

    fn top(&self, count: u32) -> Vec<(u32, f32)> {
        let mut scored: Vec<(u32, f32)> = (0..).zip(self.iter().copied()).collect();
        scored.sort_by(|a, b| b.1.total_cmp(&a.1));
        scored.truncate(place(count));
        scored
    }

    fn read(&self, first: u32, count: u32) -> Vec<f32> {
        self[place(first)..place(first) + place(count)].to_vec()
    }

    fn write(&mut self, first: u32, scores: &[f32]) {
        self[place(first)..][..scores.len()].copy_from_slice(scores);
    }

    fn add(&mut self, changes: &[(u32, f32)]) {
        for (token, amount) in changes {
            self[place(*token)] += amount;
        }
    }

    fn add_all(&mut self, tokens: &[u32], amount: f32) {
        for token in tokens {
            self[place(*token)] += amount;
        }
    }

    fn keep(&mut self, tokens: &[u32]) {
        for (token, score) in (0..).zip(self.iter_mut()) {
            if !tokens.contains(&token) {
                *score = f32::NEG_INFINITY;
            }
        }
    }
}

impl Row for &host::Row {
    fn len(&self) -> u32 {
        host::Row::len(self)
    }

    fn get(&self, token: u32) -> f32 {
        host::Row::get(self, token)
    }

    fn top(&self, count: u32) -> Vec<(u32, f32)> {
        host::Row::top(self, count)
    }

    fn read(&self, first: u32, count: u32) -> Vec<f32> {
        host::Row::read(self, first, count)
    }

    fn write(&mut self, first: u32, scores: &[f32]) {
        host::Row::write(self, first, scores);
    }

    fn add(&mut self, changes: &[(u32, f32)]) {
        host::Row::add(self, changes);
    }

    fn add_all(&mut self, tokens: &[u32], amount: f32) {
        host::Row::add_all(self, tokens, amount);
    }

    fn keep(&mut self, tokens: &[u32]) {
        host::Row::keep(self, tokens);
    }
}

/// What a processor says of itself.
#[derive(Clone, Debug)]
pub struct Description(wit::Description);

impl Description {
    /// A processor without parameters yet; `summary` says what it does, for people.
    pub fn new(name: &str, version: &str, summary: &str) -> Self {
        let (name, version, summary) = (name.to_owned(), version.to_owned(), summary.to_owned());
        Self(wit::Description { name, version, summary, parameters: Vec::new() })
    }

    /// One more thing that it is set up with.
    pub fn parameter(mut self, slot: Slot) -> Self {
        self.0.parameters.push(slot.into());
        self
    }
}

/// Makes a [`LogitsProcessor`] what this `cdylib` exports.
#[macro_export]
macro_rules! export_logits_processor {
    ($processor:ty) => {
        const _: () = {
            struct Plugin;

            impl $crate::wit::logits::exports::inference::runtime::logits_processing::Guest for Plugin {
                type Sequence = $crate::logits::carried::Text<$processor>;

                fn describe() -> $crate::wit::logits::exports::inference::runtime::logits_processing::Description {
                    $crate::logits::carried::described::<$processor>()
                }
            }

    $crate::wit::logits::export_logits_processor!(Plugin with_types_in $crate::wit::logits);
        };
    };
}

#[doc(hidden)]
pub mod carried {
    //! What [`export_logits_processor`](crate::export_logits_processor) names.

    use std::cell::RefCell;

    use super::{LogitsProcessor, host, wit};
    use crate::records::from_host;
    use crate::wit::step::inference::runtime::records::Field;

    pub struct Text<P>(RefCell<P>);

    impl<P: LogitsProcessor + 'static> wit::GuestSequence for Text<P> {
        fn start(parameters: Vec<Field>, prompt: Vec<u32>) -> Result<wit::Sequence, String> {
            let processor = P::start(&from_host(parameters), &prompt)?;
            Ok(wit::Sequence::new(Self(RefCell::new(processor))))
        }

        fn process(&self, tokens: Vec<u32>, row: &host::Row) {
            self.0.borrow_mut().process(&tokens, &mut { row });
        }
    }

    pub fn described<P: LogitsProcessor>() -> wit::Description {
        P::describe().0
    }
}
