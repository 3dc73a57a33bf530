//! A task that has been enqueued, here or in another process.

use std::convert::Infallible;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use super::cancel;
use super::error::{TaskError, Unknown};
use super::id::TaskId;
use super::results::{DecodeDomain, TaskResult, at_most, still_counts, until};
use super::status::{TaskStatus, TaskUpdates};
use super::story::Story;
use crate::boxed::Boxed;
use crate::bus::Bus;
use crate::publishing::{Refusal, Unsent};

/// A task that is enqueued: what `.enqueue().await` gives, and, in any other process, [`Bus::task`] by the task's [`id`](Self::id). It keeps the bus open.
///
/// What became of a task can be asked for if its result is kept: by `.keep_result()` or `.result_ttl(..)` before `.enqueue()`, or by `#[task(result_ttl = "1h")]`. It is kept on
/// the broker, and outlives a restart of everybody.
///
/// ```no_run
/// # use lightbus_runtime::{Bus, Task, TaskError, TaskId};
/// # async fn example(bus: Bus, resize: impl Fn(u64) -> Task<u32, String>) -> Result<(), Box<dyn std::error::Error>> {
/// // `auth.resize_avatar(7)` is such a task:
/// let handle = resize(7).keep_result().enqueue().await?;
/// let id = handle.id().to_string();
///
/// // In another process, perhaps after a restart:
/// let handle = bus.task::<u32, String>(id.parse()?);
/// println!("{}", handle.status().await?);
/// match handle.result().await {
///     Ok(thumbnails) => println!("{thumbnails} thumbnails"),
///     Err(TaskError::Domain(error)) => println!("it failed: {error}"),
///     Err(other) => println!("{other}"),
/// }
/// # Ok(()) }
/// ```
pub struct TaskHandle<T, E> {
    bus: Bus,
    id: TaskId,
    decode_domain: DecodeDomain<E>,
    returns: PhantomData<fn() -> Result<T, E>>,
}

impl<T, E> TaskHandle<T, E> {
    pub(crate) fn new(bus: &Bus, id: TaskId, decode_domain: DecodeDomain<E>) -> Self {
        Self {
            bus: bus.clone(),
            id,
            decode_domain,
            returns: PhantomData,
        }
    }

    /// The task's id, by which any process can ask for it. Its message's id, which logs and dead letters show, is in it.
    pub fn id(&self) -> &TaskId {
        &self.id
    }

    /// Waits for the task's value, or how else it ended. By default for as long as it takes.
    ///
    /// # Errors
    /// When awaited, [`TaskError`].
    pub fn result(&self) -> TaskResult<T, E> {
        TaskResult::new(&self.bus, &self.id, self.decode_domain)
    }

    /// How far it has come, as of a moment ago.
    ///
    /// # Errors
    /// [`TaskError::NotKept`] and [`TaskError::Gone`]; [`TaskError::Timeout`] and [`TaskError::Connection`] when it could not be found out within the bus's `call_timeout`.
    pub async fn status(&self) -> Result<TaskStatus, TaskError<Infallible>> {
        let status = status(self.bus.clone(), self.id.clone()).await;
        status.map_err(|unknown| unknown.of(&self.id))
    }

    /// What it says of how far it has come, until it ends.
    pub fn progress(&self) -> TaskUpdates {
        TaskUpdates::new(&self.bus, &self.id)
    }

    /// Cancels it. Once this returns Ok, a task that has not begun never will: also one that is due next year, and whatever restarts meanwhile. One that runs is asked to stop
    /// ([`Context::is_cancelled`](crate::Context::is_cancelled)), and is not tried again if it fails. One that has ended stays as it is. Its result need not be kept.
    ///
    /// # Errors
    /// [`TaskError::Connection`] when the broker did not confirm it in time: it may or may not be cancelled, and to cancel twice does no harm.
    pub async fn cancel(&self) -> Result<(), TaskError<Infallible>> {
        let cancelled = ask_to_stop(self.bus.clone(), self.id.clone()).await;
        cancelled.map_err(|unknown| unknown.of(&self.id))
    }
}

fn status(bus: Bus, id: TaskId) -> Boxed<Result<TaskStatus, Unknown>> {
    Box::pin(async move {
        let timeout = at_most(Some(bus.core().config.call_timeout));
        let is_enough = |story: &Story, _| story.is_told || story.end().is_some();
        let story = until(&bus, &id, timeout, is_enough).await?;
        still_counts(&story, &id, bus.core().clock.date())?;
        // What is known goes on only as long as it can be read.
        let trouble = bus.core().io.consume.trouble();
        if let Some(trouble) = trouble.filter(|_| story.end().is_none()) {
            return Err(Unknown::Connection(trouble.to_owned()));
        }
        Ok(TaskStatus::of(&story))
    })
}

fn ask_to_stop(bus: Bus, id: TaskId) -> Boxed<Result<(), Unknown>> {
    Box::pin(async move {
        let core = bus.core();
        let timeout = core.config.publish_timeout;
        let timeout: Duration = at_most(Some(timeout)).unwrap_or(timeout);
        let asked = cancel::cancel(core, id.api(), id.message_id(), timeout).await;
        asked.map_err(|unsent| Unknown::Connection(format!("it is not cancelled: {}", why(unsent))))
    })
}

fn why(unsent: Unsent) -> String {
    match unsent {
        Unsent::Blocked => {
            "the broker blocks publishers because of a memory or disk alarm".to_owned()
        }
        Unsent::NotSent(reason) => reason,
        Unsent::Unconfirmed { reason, .. } => format!("{reason}. Or it is: nobody knows"),
        Unsent::Refused(Refusal::Full) => "the broker refused to store it".to_owned(),
        Unsent::Refused(Refusal::Denied(reason)) => reason,
        Unsent::Refused(Refusal::Failed(error)) => error.to_string(),
    }
}

impl<T, E> Clone for TaskHandle<T, E> {
    fn clone(&self) -> Self {
        Self::new(&self.bus, self.id.clone(), self.decode_domain)
    }
}

impl<T, E> fmt::Debug for TaskHandle<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskHandle")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
