//! The runtime behind `lightbus`: a trait's calls and events, mapped onto AMQP. Use the facade crate; generated
//! code stands on this one.
//!
//! # Map
//! - `bus`, `config`, `signal`: the handle, its settings, its end.
//! - `rpc`, `service`: calls, from both sides. `event`: publishing and listening. `context`: what a handler knows of its message.
//! - `manifest`: what a bus knows of itself.
//! - `task`: background work. `schedule`: tasks that recur.
//! - `topology`: every name on the broker. `wire`: every property and header. `codec`, `args`, `msgpack`: payloads.
//! - `idempotence`: messages that are handled once. `outbox`: events published by the app's own transaction. `sql`: what both of them keep in its database.
//! - `connection`: two supervised connections on a thread of their own. `delivery`: handlers and acknowledgements.
//!
//! # Invariants
//! Names on the broker are made in `topology` alone. No lapin type is public. Nothing here knows the macro or the embedded broker. No std lock is
//! held across an `.await`. Every wait has a deadline, or ends with the bus.

mod args;
mod attempts;
mod boxed;
mod budget;
mod bus;
mod clock;
mod codec;
mod config;
mod connection;
mod context;
mod counters;
mod dead_letters;
mod decode;
mod delivery;
mod error;
mod event;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod grammar;
pub mod health;
mod idempotence;
mod json;
mod manifest;
mod msgpack;
mod observer;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod outbox;
mod publishing;
mod remains;
mod retry;
mod rpc;
mod schedule;
mod serve;
mod service;
mod signal;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod sql;
mod task;
mod topology;
mod upkeep;
mod wire;

pub use bus::Bus;
pub use config::BusBuilder;
pub use context::Context;
pub use counters::Counts;
pub use dead_letters::{DeadLetter, DeadLetters, DeadReason};
pub use error::{CallError, CallFailure, Error, PublishError};
pub use event::{
    Event, EventKey, EventPublisher, EventSet, EventStream, HandlerResult, KeyFilter, Listener,
    Publish, Received, Subscription,
};
pub use idempotence::{Begun, Claim, DedupStore, MemoryStore, StoreError, StoreFuture};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use outbox::{Outbox, OutboxCounts, OutboxError, OutboxPublish, Refused, Relay};
pub use retry::{HandlerError, Retry};
pub use rpc::Call;
pub use schedule::{
    Missed, Overlap, RunOutcome, Schedule, ScheduleStatus, Scheduled, ScheduledOccurrence,
    ScheduledRun, Schedules, SetUp,
};
pub use serve::{Serve, Serving};
pub use service::Service;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use sql::{SqlDatabase, SqlStore};
pub use task::{
    CheckpointError, Enqueue, EnqueueError, EnqueueFlow, EnqueueMany, Enqueueing, EnqueueingFlow,
    FailedStep, Flow, Input, IntoFlow, Output, Task, TaskError, TaskFailure, TaskHandle, TaskId,
    TaskProgress, TaskResult, TaskStatus, TaskUpdates, enqueue_many, group,
};
pub use topology::Priority;

/// What the testing kit stands on. Not for people: it may change in any release.
#[doc(hidden)]
#[path = "testing/mod.rs"]
pub mod __testing;

/// What generated code stands on. Not for people: it may change in any release.
#[doc(hidden)]
pub mod __private {
    pub use crate::args::{ArgError, Args};
    pub use crate::codec::{Arg, BytesArg, DecodeError, Payload};
    pub use crate::event::{KeyWriter, Publisher};
    pub use crate::manifest::{ApiOutline, Item};
    pub use crate::rpc::{CallSpec, Client};
    pub use crate::service::{HandlerFuture, Method, Reply, reply, reply_plain, run};
    pub use crate::task::spec::{Backoff, Rate, TaskSpec};
    pub use crate::task::{Given, given};
}
