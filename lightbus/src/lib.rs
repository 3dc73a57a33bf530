#![doc = include_str!("../README.md")]
//!
//! # Where things are
//! [`Bus`] connects, serves and closes. [`Call`] and [`CallError`] are what a client's methods give. [`Subscription`] listens, [`EventPublisher`]
//! publishes. [`Context`] tells a handler about its message. [`Retry`] says what becomes of an event
//! that fails, [`DeadLetters`] what became of it. [`health`] tells how a bus is. [`api`] documents the macro.
//!
//! # Features
//! Both halves are on by default. A contract crate depends on lightbus with `default-features = false`; an app that only calls may do with
//! `client`, one that only serves with `server`, and compiles no more than that.

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;

pub use lightbus_macros::{api, event, key, rpc};
pub use lightbus_runtime::{
    Bus, BusBuilder, Call, CallError, CallFailure, Context, Counts, DeadLetter, DeadLetters,
    DeadReason, Error, Event, EventKey, EventPublisher, EventStream, HandlerError, HandlerResult,
    KeyFilter, Listener, Publish, PublishError, Received, Retry, Serve, Service, Serving,
    Subscription, health,
};

/// Keeps or drops the client half of generated code. The decision is this crate's features', not those of the crate with the trait.
#[doc(hidden)]
#[macro_export]
#[cfg(feature = "client")]
macro_rules! __if_client {
    ($($generated:tt)*) => { $($generated)* };
}

#[doc(hidden)]
#[macro_export]
#[cfg(not(feature = "client"))]
macro_rules! __if_client {
    ($($generated:tt)*) => {};
}

/// Keeps or drops the provider's half of generated code.
#[doc(hidden)]
#[macro_export]
#[cfg(feature = "server")]
macro_rules! __if_server {
    ($($generated:tt)*) => { $($generated)* };
}

#[doc(hidden)]
#[macro_export]
#[cfg(not(feature = "server"))]
macro_rules! __if_server {
    ($($generated:tt)*) => {};
}
