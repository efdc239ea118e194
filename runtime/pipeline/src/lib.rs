//! Pipelines: what a TOML file says, checked, before anything is opened.
//!
//! [`parse`] takes a file's text and the `--set` overrides of the command line through four steps:
//!
//! 1. `tree`: the text becomes a tree in which every value knows its place; every syntax error is kept.
//! 2. [`Override`]s replace or add values, each of which then points at the command line.
//! 3. `decode`: the tree becomes a [`Pipeline`]. It gathers every problem instead of stopping at the first: unknown
//!    keys with the nearest valid one, wrong types, missing keys, values out of range, references to nothing.
//! 4. What is legal but cannot be meant ends in [`Pipeline::warnings`].
//!
//! The result can be [drawn](draw), [listed](Pipeline::settings) and [compared](diff) with an edited version.
//!
//! Left out on purpose: files, network and devices. Paths stay as they were written, for the caller to resolve
//! against the pipeline's folder; whether a model's `source` names something that exists is its loader's to say,
//! and [`Spanned::problem`] lets it say so at the right line. A label file is read by the caller too, its text by
//! [`parse_labels`].

mod decode;
mod diff;
mod draw;
mod labels;
mod name;
mod overrides;
mod pipeline;
mod plugin;
mod prompt;
mod rules;
mod settings;
mod spanned;
mod template;
mod tree;

use runtime_diagnostics::{Problems, Source};

pub use diff::{Change, diff};
pub use draw::{Format, draw};
pub use labels::parse_labels;
pub use name::{Name, NameError};
pub use overrides::Override;
pub use pipeline::{
    AdapterChoice, Classifier, Endpoint, GenerateStep, Input, Labels, Ladder, Model, Output, Pipeline, Provider,
    Reference, Rung, RungKind, Step, StepInput, StepKind, TaskStep, Test, ZeroShot,
};
pub use plugin::{Grants, LogitsProcessor, Plugin, PluginSource, PluginStep};
pub use prompt::{PromptError, PromptTemplate};
pub use rules::{Accept, Expectation};
pub use spanned::Spanned;
pub use template::{Template, TemplateError};

/// Reads a pipeline's text, with `overrides` applied in their order.
///
/// ```
/// use runtime_diagnostics::Source;
/// use runtime_pipeline::parse;
///
/// let text = r#"
///     name = "mood"
///     [models.nli]
///     source = "./models/nli"
///     [[steps]]
///     name = "mood"
///     kind = "zero-shot-classification"
///     text = "text"
///     model = "nli"
///     labels = ["good", "bad"]
/// "#;
/// let pipeline = parse(&Source::new("mood.toml", text), &["labels=['fine']".parse()?])?;
/// assert_eq!(pipeline.output.len(), 4, "no `[output]`: all that the last step gives");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// All that is wrong, at once. Where the text is not TOML, what could be recovered of it is still checked, except
/// for what may only seem to be missing.
pub fn parse(source: &Source, overrides: &[Override]) -> Result<Pipeline, Problems> {
    read(source, overrides, decode::Tests::Read)
}

/// Reads a pipeline's text as [`parse`] does, but for its `[[tests]]`: [`Pipeline::tests`] is empty. They are written
/// for the pipeline as the file has it, and need not fit one that `overrides` change, which runs all the same.
///
/// # Errors
/// As [`parse`], except for what is wrong within a test.
pub fn parse_without_tests(source: &Source, overrides: &[Override]) -> Result<Pipeline, Problems> {
    read(source, overrides, decode::Tests::PassedOver)
}

fn read(source: &Source, overrides: &[Override], tests: decode::Tests) -> Result<Pipeline, Problems> {
    let (mut root, mut problems) = tree::parse(source);
    let partial = !problems.is_empty();
    // Half a tree may lack the very key that an override names.
    if !partial {
        for given in overrides {
            if let Err(problem) = given.apply(&mut root) {
                problems.push(problem);
            }
        }
    }
    decode::pipeline(&root, problems, partial, tests)
}
