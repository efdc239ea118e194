//! Chat templates: a conversation as the text that a model was trained on.
//!
//! A model comes with a Jinja template, and Hugging Face transformers renders it in Python. This crate renders the same
//! text with minijinja, which is close to Jinja; what Python adds is here: methods of strings and mappings (`methods`),
//! slices and the `generation` tag, which are rewritten before a template is parsed (`rewrite`), filters (`filters`),
//! `tojson` as `json.dumps` writes it (`json`), `str` of values (`python`), and `strftime_now` (`date`).
//!
//! Steps: `folder` finds the templates and special tokens of a model; `chat` prepares the conversation as transformers
//! does, `template` renders it, `resume` cuts the text where the last message is to go on. Tokens are not made here.
//!
//! A template is untrusted: its steps, its recursion and the length of its text are bounded. What is not bounded is the
//! size of a single value that `~` and `+` make of large ones.

mod blocks;
mod budget;
mod cases;
mod chat;
mod date;
mod environment;
mod error;
mod expression;
mod filters;
mod folder;
mod json;
mod markup;
mod methods;
mod objects;
mod operand;
mod operators;
mod printf;
mod python;
mod resume;
mod rewrite;
mod sorting;
mod strings;
mod template;
mod tests;
mod text;
mod tokens;
mod turns;
mod written;

pub use chat::Chat;
pub use error::Error;
pub use template::ChatTemplate;
