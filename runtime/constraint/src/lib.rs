//! What a text must be, token by token: a JSON schema, a regular expression, a list of choices or a grammar.
//!
//! 1. A [`Vocabulary`] knows the bytes of a model's tokens; it is made once for each model.
//! 2. [`check`] says what is wrong with a [`Constraint`] for any model, in terms of what was written.
//! 3. A vocabulary compiles it to a [`Matcher`]: what nothing satisfies is refused here, before anything is generated.
//! 4. In each step a matcher rules out the tokens that the text cannot go on with, and is told which one was chosen. The
//!    tokens that end a text are left in where it may end. A matcher is cloned where a search forks.
//!
//! The work is done by the `llguidance` crate: a parser over a lexer whose automaton grows as it is used, walked along the
//! trie of all tokens. Tokens are not forced where the text leaves only one way of going on: the model chooses how it is
//! cut in tokens.

mod error;
mod grammar;
mod matcher;
mod reason;
mod regex;
mod schema;
mod vocabulary;

pub use error::Error;
pub use matcher::Matcher;
pub use runtime_generation::Constraint;
pub use vocabulary::{Vocabulary, check};
