//! Compares this program with what Hugging Face transformers computed: a folder of recorded cases, each a model, a task,
//! parameters, an input and the result, is run case by case.
//!
//! A folder holds `index.json`, a list of `{id, model, task, file}`; without it, every file in `cases` is a case. The
//! models' places are relative to the folder. `tests/goldens/README.md` describes the schema, `tests/record.py` writes
//! such folders. Cases of one model are run together, so that each model is loaded once for each head and only one is
//! held at a time.

mod case;
mod causal;
mod chat;
mod compare;
mod generate;
mod hidden_states;
mod logits_process;
mod run;
mod seq2seq;
mod set;

pub use run::Outcome;
pub use set::{CaseSet, VerifyError};
