//! Tasks: background work on durable queues.

mod enqueue;
mod handle;
mod message;
pub(crate) mod spec;
#[allow(clippy::module_inception)]
mod task;

pub use enqueue::{Enqueue, EnqueueError};
pub use handle::TaskHandle;
pub(crate) use message::{TaskMessage, lane};
pub use task::Task;
