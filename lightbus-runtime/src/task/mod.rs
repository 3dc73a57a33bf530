//! Tasks: background work on durable queues.

mod enqueue;
mod handle;
mod message;
mod queue;
pub(crate) mod spec;
#[allow(clippy::module_inception)]
mod task;
mod unique;
mod worker;

pub use enqueue::{Enqueue, EnqueueError, Enqueueing};
pub use handle::TaskHandle;
pub(crate) use message::{Due, TaskMessage, lane};
pub use task::{Task, enqueue_many};
pub(crate) use worker::{Tasks, work};
