//! Models behind an endpoint that speaks as OpenAI's chat completions do.
//!
//! An [`Endpoint`] says where it is; a [`ChatClient`] over it is shared by all that ask. [`ChatClient::chat`] blocks its
//! thread; [`ChatClient::ask`] is a future for any executor, which holds a thread of its own while it waits, and stops
//! trying when it is dropped. What is passing is tried again: connections that fail, and the statuses 408, 429 and 5xx, after
//! the time that the endpoint names or a growing one. What takes longer than the limit is not.
//!
//! The key is read from the environment, and shown nowhere: not in messages, not where a client is printed, and not where
//! an endpoint repeats it. Left out: streams, tools, images.

mod client;
mod endpoint;
mod error;
mod key;
mod reply;
mod request;
mod retry;

pub use client::ChatClient;
pub use endpoint::Endpoint;
pub use error::Error;
pub use reply::{ChatReply, Finish, TokenLogProb, Usage};
pub use request::ChatRequest;
