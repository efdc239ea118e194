//! What an author of plugins needs: a folder to begin with, the component that is built from it, and the comparison of an
//! architecture with its original, activation by activation.

mod building;
mod check;
mod error;
mod scaffold;
mod sdk;

pub use building::{Built, build};
pub use check::{Agreement, Check, Difference, Layer, Properties, Report, check};
pub use error::Error;
pub use scaffold::{Scaffold, scaffold};
