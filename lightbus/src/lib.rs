#![doc = include_str!("../../README.md")]
//!
//! # Where things are
//! [`Bus`] connects, serves and closes. [`Call`] and [`CallError`] are what a client's methods give. [`Subscription`] listens, [`EventPublisher`]
//! publishes. [`Task`] puts work on a queue, for a provider to do in the background; [`TaskHandle`] tells what became of it, and cancels it. [`Context`] tells a handler about its message. [`Retry`] says what becomes of an event
//! that fails, [`DeadLetters`] what became of it. [`Schedule`] has a [`Task`] recur. [`DedupStore`] keeps a listener from handling a message twice. [`health`] tells how a bus is. [`api`] documents the macro.
//!
//! # Features
//! Both halves are on by default. A contract crate depends on lightbus with `default-features = false`; an app that only calls may do with
//! `client`, one that only serves with `server`, and compiles no more than that.
//!
//! `testing` adds a bus for each test: see `lightbus::testing`.
//!
//! `sqlite` and `postgres` add `SqlStore` (what listeners have handled, in the app's own database) and `Outbox` (events published by a transaction of
//! that database), over sqlx 0.9, which needs Rust 1.94.

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;

#[cfg(feature = "testing")]
pub mod testing;

#[cfg(feature = "testing")]
pub use lightbus_macros::test;
pub use lightbus_macros::{api, event, key, rpc, task};
pub use lightbus_runtime::{
    Begun, Bus, BusBuilder, Call, CallError, CallFailure, CheckpointError, Claim, Context, Counts,
    DeadLetter, DeadLetters, DeadReason, DedupStore, Enqueue, EnqueueError, EnqueueFlow,
    EnqueueMany, Enqueueing, EnqueueingFlow, Error, Event, EventKey, EventPublisher, EventStream,
    FailedStep, Flow, HandlerError, HandlerResult, Input, IntoFlow, KeyFilter, Listener,
    MemoryStore, Missed, Output, Overlap, Priority, Publish, PublishError, Received, Retry,
    RunOutcome, Schedule, ScheduleStatus, Scheduled, ScheduledOccurrence, ScheduledRun, Schedules,
    Serve, Service, Serving, SetUp, StoreError, StoreFuture, Subscription, Task, TaskError,
    TaskFailure, TaskHandle, TaskId, TaskProgress, TaskResult, TaskStatus, TaskUpdates,
    enqueue_many, group, health,
};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use lightbus_runtime::{
    Outbox, OutboxCounts, OutboxError, OutboxPublish, Refused, Relay, SqlDatabase, SqlStore,
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

/// The pages of `docs/`, so that what they show compiles.
#[cfg(doctest)]
mod docs {
    #[doc = include_str!("../../docs/coming-from-celery.md")]
    mod coming_from_celery {}
    #[doc = include_str!("../../docs/testing-your-app.md")]
    mod testing_your_app {}
}
