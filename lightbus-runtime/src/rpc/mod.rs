//! Calls: the caller's side and the provider's side.

mod call;
pub(crate) mod failure;
pub(crate) mod pending;
mod replies;
mod request;
mod server;

#[cfg(any(test, fuzzing))]
pub(crate) use replies::read as read_reply;

pub use call::{Call, CallSpec, Client};
pub use server::{Serve, Serving};
