//! Enqueueing a task: done when the broker has confirmed that its queue stored it.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use super::handle::TaskHandle;
use super::message::TaskMessage;
use super::task::Task;
use crate::boxed::Boxed;
use crate::bus::{Bus, Core};
use crate::config::LONGEST_WAIT;
use crate::publishing::{Message, Progress, Refusal, Unsent};

/// Why a task was not enqueued, or nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnqueueError {
    /// It cannot be encoded, is too large, or asks for what its queue does not offer. It was not sent.
    #[error("task {task} was not enqueued: {reason}")]
    Rejected {
        /// API and task, `auth.resize_avatar`.
        task: String,
        /// What is wrong with it, and the limit.
        reason: String,
    },
    /// The broker refused to store it: a queue is full.
    #[error(
        "task {task} was refused by the broker: its queue is full. Look at the limits that a policy sets for `{queue}`, and whether workers run"
    )]
    Refused {
        /// API and task.
        task: String,
        /// The queue.
        queue: String,
    },
    /// The broker does not let this app enqueue it. It was not stored.
    #[error(
        "task {task} was denied by the broker: {reason}. May this app's user configure and write to `^lb\\.`? `rabbitmqctl list_permissions` shows it"
    )]
    Denied {
        /// API and task.
        task: String,
        /// The broker's words.
        reason: String,
    },
    /// The broker takes no messages at the moment, because it is short of memory or disk. The task was not sent.
    #[error(
        "task {task} was not enqueued: the broker blocks publishers because of a memory or disk alarm. \
         `rabbitmqctl status` names it; free memory or disk space, or consume what is queued"
    )]
    Blocked {
        /// API and task.
        task: String,
    },
    /// No confirmation came in time. The task may or may not be stored, and run.
    #[error(
        "task {task} (id {id}) was not confirmed within {waited_ms} ms: {reason}. It may or may not have been enqueued"
    )]
    Unconfirmed {
        /// API and task.
        task: String,
        /// The id under which it may run.
        id: String,
        /// How long this side waited, in milliseconds.
        waited_ms: u64,
        /// What is known about the connection.
        reason: String,
    },
    /// There was no connection to the broker until the deadline, or the bus is closed. The task was not sent.
    #[error("task {task} was not enqueued: {reason}")]
    Connection {
        /// API and task.
        task: String,
        /// What is known about the connection.
        reason: String,
    },
}

/// A task that is enqueued when this is awaited. `Ok` means: its queue has stored it, on disk; it will be run at least once, or lie in the queue's dead letters.
#[must_use = "a task is enqueued when this is awaited"]
pub struct Enqueue<T, E> {
    bus: Bus,
    task: String,
    message: Result<TaskMessage, String>,
    timeout: Option<Duration>,
    returns: PhantomData<fn() -> Result<T, E>>,
}

impl<T, E> Enqueue<T, E> {
    pub(super) fn new(task: Task<T, E>) -> Self {
        Self {
            bus: task.bus().clone(),
            task: task.name(),
            message: task.into_message(),
            timeout: None,
            returns: PhantomData,
        }
    }

    /// How long to wait for the broker's confirmation. Default: the bus's `publish_timeout`, 10 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout.min(LONGEST_WAIT));
        self
    }

    /// Without its types: compiled once. Gives the task's id.
    fn send(self) -> Boxed<Result<String, EnqueueError>> {
        let Self {
            bus,
            task,
            message,
            timeout,
            ..
        } = self;
        Box::pin(async move {
            let core = bus.core();
            let timeout = timeout.unwrap_or(core.config.publish_timeout);
            let message = match message {
                Ok(message) => message,
                Err(reason) => return Err(EnqueueError::Rejected { task, reason }),
            };
            send(core, &message, timeout)
                .await
                .map_err(|unsent| explain(task, &message, unsent))
        })
    }
}

async fn send(core: &Core, task: &TaskMessage, timeout: Duration) -> Result<String, Unsent> {
    let mut progress = Progress::new();
    let id = progress.id.to_string();
    let now = SystemTime::now();
    let route = task.route(now);
    let properties = task.properties(&core.sender, &id, now);
    let message = Message {
        exchange: &route.exchange,
        key: &route.key,
        needs: &route.needs,
        plan: &|| task.plan_of(&route),
        properties: &|| properties.clone(),
        payload: &task.payload,
        // A level of the ladder may be deleted under it, to be rid of what is put off.
        must_route: route.on_ladder,
    };
    core.publish(&message, &mut progress, timeout).await?;
    Ok(id)
}

fn explain(task: String, message: &TaskMessage, unsent: Unsent) -> EnqueueError {
    match unsent {
        Unsent::Blocked => EnqueueError::Blocked { task },
        Unsent::NotSent(reason) => EnqueueError::Connection { task, reason },
        Unsent::Unconfirmed { id, waited, reason } => EnqueueError::Unconfirmed {
            task,
            id: id.to_string(),
            waited_ms: u64::try_from(waited.as_millis()).unwrap_or(u64::MAX),
            reason,
        },
        Unsent::Refused(Refusal::Full) => EnqueueError::Refused {
            task,
            queue: message.queue(),
        },
        Unsent::Refused(Refusal::Denied(reason)) => EnqueueError::Denied { task, reason },
        Unsent::Refused(Refusal::Failed(error)) => EnqueueError::Connection {
            task,
            reason: error.to_string(),
        },
    }
}

impl<T: 'static, E: 'static> IntoFuture for Enqueue<T, E> {
    type Output = Result<TaskHandle<T, E>, EnqueueError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let sent = self.send();
        Box::pin(async move { sent.await.map(TaskHandle::new) })
    }
}

impl<T, E> fmt::Debug for Enqueue<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Enqueue")
            .field("task", &self.task)
            .finish_non_exhaustive()
    }
}
