//! Tasks: background work on durable queues.

mod address;
mod cancel;
pub(crate) mod checkpoint;
mod enqueue;
mod error;
mod flow;
mod follow;
mod handle;
mod id;
mod journal;
mod many;
mod message;
mod queue;
pub(crate) mod record;
mod replayed;
mod results;
mod running;
pub(crate) mod spec;
mod status;
pub(crate) mod story;
#[allow(clippy::module_inception)]
mod task;
mod unique;
mod worker;

pub use checkpoint::CheckpointError;
pub use enqueue::{Enqueue, EnqueueError, Enqueueing};
pub use error::{TaskError, TaskFailure};
#[cfg(any(test, fuzzing))]
pub(crate) use flow::fuzz;
pub use flow::{
    EnqueueFlow, EnqueueingFlow, FailedStep, Flow, Given, Input, IntoFlow, Output, given, group,
};
pub(crate) use follow::Followed;
pub use handle::TaskHandle;
pub use id::TaskId;
pub use many::{EnqueueMany, enqueue_many};
pub(crate) use message::{Due, TaskMessage, lane};
pub(crate) use replayed::note_replayed;
pub use results::TaskResult;
pub(crate) use running::Running;
pub use status::{TaskProgress, TaskStatus, TaskUpdates};
pub use task::Task;
pub(crate) use worker::{Tasks, work};
