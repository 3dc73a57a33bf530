//! A task as the one who enqueues it sees it: a builder, typed by what the task returns.

use std::fmt;
use std::marker::PhantomData;
use std::time::{Duration, SystemTime};

use super::enqueue::Enqueue;
use super::message::{Due, Options, TaskMessage};
use super::spec::TaskSpec;
use crate::bus::Bus;
use crate::codec::{Arg, EncodeError, encode_args};
use crate::topology::Priority;

/// A task that is not enqueued yet: what a client's method of a `#[task]` gives. Nothing is sent until [`enqueue`](Self::enqueue) is awaited.
///
/// ```no_run
/// # use lightbus_runtime::{EnqueueError, Priority, Task};
/// # use std::time::Duration;
/// # async fn example(resize: impl Fn(u64) -> Task<(), String>) -> Result<(), EnqueueError> {
/// // `auth.resize_avatar(7)` is such a task:
/// resize(7).enqueue().await?;
/// resize(8).after(Duration::from_secs(3600)).priority(Priority::Low).enqueue().await?;
/// # Ok(()) }
/// ```
#[must_use = "a task is enqueued by `.enqueue().await`"]
pub struct Task<T, E> {
    bus: Bus,
    spec: &'static TaskSpec,
    payload: Result<Vec<u8>, EncodeError>,
    options: Options,
    returns: PhantomData<fn() -> Result<T, E>>,
}

impl<T, E> Task<T, E> {
    pub(crate) fn new(
        bus: &Bus,
        spec: &'static TaskSpec,
        args: &[(&'static str, &dyn Arg)],
    ) -> Self {
        Self {
            bus: bus.clone(),
            spec,
            payload: encode_args(args),
            options: Options::default(),
            returns: PhantomData,
        }
    }

    /// Begins no earlier than so long after it is enqueued: up to eight and a half years, in whole seconds, rounded up. It waits on the broker, and takes up
    /// no worker meanwhile.
    pub fn after(mut self, delay: Duration) -> Self {
        self.options.due = Due::After(delay);
        self
    }

    /// Begins no earlier than at this time, by this machine's clock; at once if it has passed. Else as [`after`](Self::after).
    pub fn at(mut self, at: SystemTime) -> Self {
        self.options.due = Due::At(at);
        self
    }

    /// Before or behind others of the same queue. Each priority has a queue of its own; of those that have tasks waiting, workers take from all, and more
    /// from the higher ones. Default: [`Priority::Normal`].
    pub fn priority(mut self, priority: Priority) -> Self {
        self.options.priority = priority;
        self
    }

    /// Does not begin any more when it has waited for so long after it was due: it goes to the dead letters then. Default: the task's
    /// `#[task(expires)]`, else never.
    pub fn expires(mut self, after: Duration) -> Self {
        self.options.expires = Some(after);
        self
    }

    /// Adds a header that the worker reads by [`Context::header`](crate::Context::header). All headers together may take 32 KiB.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.headers.push((name.into(), value.into()));
        self
    }

    /// Enqueues the task when it is awaited.
    pub fn enqueue(self) -> Enqueue<T, E> {
        Enqueue::new(self)
    }

    pub(crate) fn bus(&self) -> &Bus {
        &self.bus
    }

    pub(crate) fn name(&self) -> String {
        format!("{}.{}", self.spec.api, self.spec.task)
    }

    /// Its message, checked; or why it cannot be sent.
    pub(crate) fn into_message(self) -> Result<TaskMessage, String> {
        let payload = self.payload;
        let message = TaskMessage {
            spec: self.spec,
            payload: payload.map_err(|error| format!("it cannot be encoded: {error}"))?,
            options: self.options,
        };
        message.check(self.bus.core().config.payload_limit)?;
        Ok(message)
    }
}

impl<T, E> fmt::Debug for Task<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("task", &self.name())
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
