//! What the host does for steps and processors, and how tests stand in for it.
//!
//! In a component the functions of [`tokenizer`], [`model`], [`generate`] and [`log`] call the host. Compiled for another
//! target they call what [`testing::with_host`] was given, so that a plugin's tests run natively, with `cargo test`.

use crate::Fields;
use crate::wit::step::inference::runtime::{generate as wit_generate, logging, model as wit_model, records};

pub use crate::vocabulary::Vocabulary;
pub use crate::wit::step::inference::runtime::tokenizer::Token;
pub use logging::Level;
pub use records::Failure;
pub use wit_generate::{Completion, FinishReason, Message, Prompt, Role};
pub use wit_model::Score;

/// The pieces of a text that is being generated.
pub type Pieces = Box<dyn Iterator<Item = Result<String, Failure>>>;

/// What a plugin can call. A stand-in for tests implements what its plugin needs; the rest is not granted.
pub trait Host {
    /// See [`tokenizer::encode`].
    fn encode(&self, tokenizer: &str, _text: &str, _special: bool) -> Result<Vec<Token>, Failure> {
        Err(not_granted(tokenizer))
    }

    /// See [`tokenizer::decode`].
    fn decode(&self, tokenizer: &str, _ids: &[u32], _skip_special: bool) -> Result<String, Failure> {
        Err(not_granted(tokenizer))
    }

    /// See [`tokenizer::id`].
    fn token_id(&self, tokenizer: &str, _token: &str) -> Result<Option<u32>, Failure> {
        Err(not_granted(tokenizer))
    }

    /// See [`tokenizer::vocabulary`].
    fn vocabulary(&self, tokenizer: &str) -> Result<Vocabulary, Failure> {
        Err(not_granted(tokenizer))
    }

    /// See [`model::classify`].
    fn classify(&self, model: &str, _text: &str, _pair: Option<&str>) -> Result<Vec<Score>, Failure> {
        Err(not_granted(model))
    }

    /// See [`model::embed`].
    fn embed(&self, model: &str, _texts: &[&str]) -> Result<Vec<Vec<f32>>, Failure> {
        Err(not_granted(model))
    }

    /// See [`model::run`].
    fn run(&self, model: &str, _input: Fields) -> Result<serde_json::Value, Failure> {
        Err(not_granted(model))
    }

    /// See [`generate::complete`].
    fn complete(&self, model: &str, _prompt: &Prompt, _parameters: Fields) -> Result<Vec<Completion>, Failure> {
        Err(not_granted(model))
    }

    /// See [`generate::stream`].
    fn stream(&self, model: &str, _prompt: &Prompt, _parameters: Fields) -> Result<Pieces, Failure> {
        Err(not_granted(model))
    }

    /// See [`generate::score`].
    fn score(&self, model: &str, _prompt: &Prompt, _continuations: &[&str]) -> Result<Vec<f64>, Failure> {
        Err(not_granted(model))
    }

    /// See [`log`].
    fn log(&self, _level: Level, _message: &str) {}
}

fn not_granted(name: &str) -> Failure {
    Failure::NotGranted(format!("`{name}` is not granted"))
}

/// Texts as tokens, with the tokenizers that the step describes and the pipeline grants.
pub mod tokenizer {
    use super::{Failure, Token, Vocabulary, with};

    /// The tokens of a text; `special` says whether those are added that the model expects around a text.
    ///
    /// # Errors
    /// Where the tokenizer is not granted, or fails.
    pub fn encode(tokenizer: &str, text: &str, special: bool) -> Result<Vec<Token>, Failure> {
        with(|host| host.encode(tokenizer, text, special))
    }

    /// The text of tokens; `skip_special` says whether special ones are left out.
    ///
    /// # Errors
    /// Where the tokenizer is not granted, or fails.
    pub fn decode(tokenizer: &str, ids: &[u32], skip_special: bool) -> Result<String, Failure> {
        with(|host| host.decode(tokenizer, ids, skip_special))
    }

    /// The number of a token by its name in the vocabulary.
    ///
    /// # Errors
    /// Where the tokenizer is not granted.
    pub fn id(tokenizer: &str, token: &str) -> Result<Option<u32>, Failure> {
        with(|host| host.token_id(tokenizer, token))
    }

    /// What each token of the vocabulary adds in the midst of a text.
    ///
    /// # Errors
    /// Where the tokenizer is not granted, or its vocabulary does not say it, as WordPiece does not.
    pub fn vocabulary(tokenizer: &str) -> Result<Vocabulary, Failure> {
        with(|host| host.vocabulary(tokenizer))
    }
}

/// What models say of texts: those that the step describes and the pipeline grants.
pub mod model {
    use serde_json::Value;

    use super::{Failure, Score, with};
    use crate::Fields;

    /// The scores of a text or of a pair, best first.
    ///
    /// # Errors
    /// Where the model is not granted or does another task, or fails.
    pub fn classify(model: &str, text: &str, pair: Option<&str>) -> Result<Vec<Score>, Failure> {
        with(|host| host.classify(model, text, pair))
    }

    /// A vector for each text.
    ///
    /// # Errors
    /// Where the model is not granted or does another task, or fails.
    pub fn embed(model: &str, texts: &[&str]) -> Result<Vec<Vec<f32>>, Failure> {
        with(|host| host.embed(model, texts))
    }

    /// The result of a task that does not generate: fields and result as `runtime task` has them.
    ///
    /// # Errors
    /// Where the model is not granted, the input lacks a field, or the model fails.
    pub fn run(model: &str, input: Fields) -> Result<Value, Failure> {
        with(|host| host.run(model, input))
    }
}

/// Texts by language models; their tokens count against what the pipeline grants for each record.
pub mod generate {
    use super::{Completion, Failure, Pieces, Prompt, with};
    use crate::Fields;

    /// Completions of a prompt, as many as the parameter `num_return_sequences` says.
    ///
    /// # Errors
    /// Where the model is not granted, a parameter is wrong, the granted tokens are used up, or the model fails.
    pub fn complete(model: &str, prompt: &Prompt, parameters: Fields) -> Result<Vec<Completion>, Failure> {
        with(|host| host.complete(model, prompt, parameters))
    }

    /// One completion, piece by piece.
    ///
    /// # Errors
    /// As [`complete`]; also in between.
    pub fn stream(model: &str, prompt: &Prompt, parameters: Fields) -> Result<Pieces, Failure> {
        with(|host| host.stream(model, prompt, parameters))
    }

    /// The logarithm of the probability that the model goes on from a prompt with each of these texts.
    ///
    /// # Errors
    /// As [`complete`].
    pub fn score(model: &str, prompt: &Prompt, continuations: &[&str]) -> Result<Vec<f64>, Failure> {
        with(|host| host.score(model, prompt, continuations))
    }
}

/// Writes a note, of at most 4096 bytes, to the host's log, where the pipeline grants `log_text`.
pub fn log(level: Level, message: &str) {
    with(|host| host.log(level, message));
}

#[cfg(target_arch = "wasm32")]
fn with<T>(call: impl FnOnce(&dyn Host) -> T) -> T {
    call(&component::Component)
}

#[cfg(not(target_arch = "wasm32"))]
fn with<T>(call: impl FnOnce(&dyn Host) -> T) -> T {
    let host = testing::HOST.with_borrow(Clone::clone);
    call(&*host.expect("outside of a component a test calls the plugin in `testing::with_host`"))
}

#[cfg(target_arch = "wasm32")]
mod component {
    use serde_json::Value;

    use super::{Completion, Failure, Fields, Host, Level, Pieces, Prompt, Score, Token, Vocabulary};
    use crate::records::to_host;
    use crate::wit::step::inference::runtime::{generate, logging, model, tokenizer};

    /// The host that runs the component.
    pub(super) struct Component;

    impl Host for Component {
        fn encode(&self, name: &str, text: &str, special: bool) -> Result<Vec<Token>, Failure> {
            tokenizer::encode(name, text, special)
        }

        fn decode(&self, name: &str, ids: &[u32], skip_special: bool) -> Result<String, Failure> {
            tokenizer::decode(name, ids, skip_special)
        }

        fn token_id(&self, name: &str, token: &str) -> Result<Option<u32>, Failure> {
            tokenizer::id(name, token)
        }

        fn vocabulary(&self, name: &str) -> Result<Vocabulary, Failure> {
            tokenizer::vocabulary(name).map(Vocabulary::from_host)
        }

        fn classify(&self, name: &str, text: &str, pair: Option<&str>) -> Result<Vec<Score>, Failure> {
            model::classify(name, text, pair)
        }

        fn embed(&self, name: &str, texts: &[&str]) -> Result<Vec<Vec<f32>>, Failure> {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            model::embed(name, &texts)
        }

        fn run(&self, name: &str, input: Fields) -> Result<Value, Failure> {
            let result = model::run(name, &to_host(input))?;
            serde_json::from_str(&result).map_err(|error| Failure::Failed(error.to_string()))
        }

        fn complete(&self, name: &str, prompt: &Prompt, parameters: Fields) -> Result<Vec<Completion>, Failure> {
            generate::complete(name, prompt, &to_host(parameters))
        }

        fn stream(&self, name: &str, prompt: &Prompt, parameters: Fields) -> Result<Pieces, Failure> {
            let stream = generate::stream(name, prompt, &to_host(parameters))?;
            Ok(Box::new(std::iter::from_fn(move || stream.next().transpose())))
        }

        fn score(&self, name: &str, prompt: &Prompt, continuations: &[&str]) -> Result<Vec<f64>, Failure> {
            let continuations: Vec<String> = continuations.iter().map(|text| (*text).to_owned()).collect();
            generate::score(name, prompt, &continuations)
        }

        fn log(&self, level: Level, message: &str) {
            logging::log(level, message);
        }
    }
}

/// Calling plugins in tests, without a host.
#[cfg(not(target_arch = "wasm32"))]
pub mod testing {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::Host;

    thread_local! {
        pub(super) static HOST: RefCell<Option<Rc<dyn Host>>> = const { RefCell::new(None) };
    }

    /// Runs a test with a stand-in for the host.
    pub fn with_host<T>(host: impl Host + 'static, test: impl FnOnce() -> T) -> T {
        struct Restore(Option<Rc<dyn Host>>);
        impl Drop for Restore {
            fn drop(&mut self) {
                HOST.set(self.0.take());
            }
        }
        let _restore = Restore(HOST.replace(Some(Rc::new(host))));
        test()
    }
}
