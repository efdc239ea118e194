//! Plugins that are steps of pipelines.
//!
//! ```
//! use runtime_plugin_sdk::step::{Description, Step};
//! use runtime_plugin_sdk::{Fields, Kind, Slot};
//!
//! /// Counts words.
//! struct Words;
//!
//! impl Step for Words {
//!     fn describe() -> Description {
//!         Description::new("words", env!("CARGO_PKG_VERSION"), "counts words")
//!             .input(Slot::required("text", Kind::Text, "what is counted"))
//!             .output(Slot::required("words", Kind::Number, "how many there are"))
//!     }
//!
//!     fn start(_: &Fields) -> Result<Self, String> {
//!         Ok(Self)
//!     }
//!
//!     fn process(&mut self, record: &Fields) -> Result<Fields, String> {
//!         let text = record["text"].as_str().unwrap_or_default();
//!         Ok(Fields::from_iter([("words".to_owned(), text.split_whitespace().count().into())]))
//!     }
//! }
//!
//! runtime_plugin_sdk::export_step!(Words);
//!
//! let record = Fields::from_iter([("text".to_owned(), "two words".into())]);
//! assert_eq!(Words.process(&record).map(|outputs| outputs["words"].clone()), Ok(2.into()));
//! ```

use crate::records::{Fields, Slot, to_host};
use crate::wit::step::exports::inference::runtime::step_processing as wit;

pub use wit::Task;

/// A step of pipelines. The host makes instances as it needs them, and calls each for many records, one at a time.
pub trait Step: Sized {
    /// What the step is.
    fn describe() -> Description;

    /// An instance, set up with the parameters of the pipeline file, which fit what the step describes.
    ///
    /// # Errors
    /// What is wrong with them.
    fn start(parameters: &Fields) -> Result<Self, String>;

    /// The outputs for the inputs of a record, which fit what the step describes.
    ///
    /// # Errors
    /// Why there are none.
    fn process(&mut self, record: &Fields) -> Result<Fields, String>;
}

/// What a step says of itself.
#[derive(Clone, Debug)]
pub struct Description(wit::Description);

impl Description {
    /// A step without inputs and outputs yet; `summary` says what it does, for people.
    pub fn new(name: &str, version: &str, summary: &str) -> Self {
        Self(wit::Description {
            name: name.to_owned(),
            version: version.to_owned(),
            summary: summary.to_owned(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            parameters: Vec::new(),
            models: Vec::new(),
            tokenizers: Vec::new(),
        })
    }

    /// One more thing that it reads of a record.
    pub fn input(mut self, slot: Slot) -> Self {
        self.0.inputs.push(slot.into());
        self
    }

    /// One more thing that it gives.
    pub fn output(mut self, slot: Slot) -> Self {
        self.0.outputs.push(slot.into());
        self
    }

    /// One more thing that it is set up with.
    pub fn parameter(mut self, slot: Slot) -> Self {
        self.0.parameters.push(slot.into());
        self
    }

    /// A model that it calls, for a task with parameters; the pipeline file says which model `name` is.
    pub fn model(mut self, name: &str, task: Task, parameters: Fields) -> Self {
        let parameters = to_host(parameters);
        self.0.models.push(wit::ModelNeed { name: name.to_owned(), task, parameters, required: true });
        self
    }

    /// A tokenizer that it calls; the pipeline file says of which model.
    pub fn tokenizer(mut self, name: &str) -> Self {
        self.0.tokenizers.push(wit::TokenizerNeed { name: name.to_owned(), required: true });
        self
    }

    /// The same for a model that it does without where it is not granted.
    pub fn optional_model(self, name: &str, task: Task, parameters: Fields) -> Self {
        let mut described = self.model(name, task, parameters);
        described.0.models.iter_mut().next_back().into_iter().for_each(|need| need.required = false);
        described
    }

    /// The same for a tokenizer that it does without where it is not granted.
    pub fn optional_tokenizer(self, name: &str) -> Self {
        let mut described = self.tokenizer(name);
        described.0.tokenizers.iter_mut().next_back().into_iter().for_each(|need| need.required = false);
        described
    }
}

/// Makes a [`Step`] what this `cdylib` exports.
#[macro_export]
macro_rules! export_step {
    ($step:ty) => {
        const _: () = {
            struct Plugin;

            ::std::thread_local! {
                static STEP: ::std::cell::RefCell<Option<$step>> = const { ::std::cell::RefCell::new(None) };
            }

            impl $crate::wit::step::exports::inference::runtime::step_processing::Guest for Plugin {
                fn describe() -> $crate::wit::step::exports::inference::runtime::step_processing::Description {
                    $crate::step::carried::described::<$step>()
                }

                fn start(parameters: Vec<$crate::wit::step::inference::runtime::records::Field>) -> Result<(), String> {
                    let step = $crate::step::carried::started::<$step>(parameters)?;
                    STEP.set(Some(step));
                    Ok(())
                }

                fn process(
                    record: Vec<$crate::wit::step::inference::runtime::records::Field>,
                ) -> Result<Vec<$crate::wit::step::inference::runtime::records::Field>, String> {
                    STEP.with_borrow_mut(|step| $crate::step::carried::processed(step.as_mut(), record))
                }
            }

    $crate::wit::step::export_step!(Plugin with_types_in $crate::wit::step);
        };
    };
}

#[doc(hidden)]
pub mod carried {
    //! What [`export_step`](crate::export_step) calls.

    use super::{Step, wit};
    use crate::records::{from_host, to_host};
    use crate::wit::step::inference::runtime::records::Field;

    pub fn described<S: Step>() -> wit::Description {
        S::describe().0
    }

    pub fn started<S: Step>(parameters: Vec<Field>) -> Result<S, String> {
        S::start(&from_host(parameters))
    }

    pub fn processed<S: Step>(step: Option<&mut S>, record: Vec<Field>) -> Result<Vec<Field>, String> {
        let step = step.ok_or("the step was not started")?;
        Ok(to_host(step.process(&from_host(record))?))
    }
}
