//! How this program says that something is wrong: problems with places and hints, exit codes, rendering.
//!
//! A crate keeps its own typed error and implements [`Explain`] for it; a file that a user wrote is complained
//! about with [`Problem`]s, which point at the text. Both end in [`render`]. Nothing here prints or exits.

mod exit;
mod problem;
mod render;
mod suggest;
mod text;

pub use exit::Exit;
pub use problem::{Label, Problem, Problems, Source, Span};
pub use render::{Style, render};
pub use suggest::nearest;
pub use text::{chain, is_steering, panic_message, printable};

/// An error that knows its exit code and what to do about it.
pub trait Explain: std::error::Error {
    /// The exit code of a process that ends for this reason.
    fn exit(&self) -> Exit;

    /// What the user can do, as a sentence; kept apart from the message.
    fn hint(&self) -> Option<String> {
        None
    }
}
