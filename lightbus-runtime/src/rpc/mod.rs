//! Calls: the caller's side and the provider's side.

mod call;
pub(crate) mod caller;
pub(crate) mod cancel;
mod clocks;
pub(crate) mod failure;
mod in_progress;
mod own_queue;
pub(crate) mod pending;
pub(crate) mod replies;
mod request;
mod server;

#[cfg(any(test, fuzzing))]
pub(crate) use replies::read as read_reply;

pub use call::{Call, CallSpec, Client};
pub(crate) use server::{Calls, RunningCalls, serve};
