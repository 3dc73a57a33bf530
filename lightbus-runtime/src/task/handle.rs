//! A task that has been enqueued.

use std::fmt;
use std::marker::PhantomData;

/// A task that is enqueued.
pub struct TaskHandle<T, E> {
    id: String,
    returns: PhantomData<fn() -> Result<T, E>>,
}

impl<T, E> TaskHandle<T, E> {
    pub(super) fn new(id: String) -> Self {
        Self {
            id,
            returns: PhantomData,
        }
    }

    /// The task's id: its message's, in all attempts.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl<T, E> fmt::Debug for TaskHandle<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskHandle")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
