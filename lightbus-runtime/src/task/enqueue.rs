//! Enqueueing a task: done when the broker has confirmed that its queue stored it.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use super::handle::TaskHandle;
use super::id::TaskId;
use super::message::{Due, TaskMessage};
use super::results::DecodeDomain;
use super::task::Draft;
use super::unique::{Lock, Taken};
use tokio::sync::SemaphorePermit;
use tokio::time::Instant;

use crate::boxed::Boxed;
use crate::bus::{Bus, Core};
use crate::config::LONGEST_WAIT;
use crate::publishing::{Message, Progress, Refusal, Unsent};

/// How long to try to give back the key of a task that was not sent.
const RELEASE: Duration = Duration::from_secs(1);

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
    /// Another one with the same key waits or runs. This one was not sent.
    #[error(
        "task {task} was not enqueued: the task {holder} has the key `{key}`, and waits or runs. `.or_join()` means that one instead"
    )]
    Duplicate {
        /// API and task.
        task: String,
        /// The key.
        key: String,
        /// The other one's id.
        holder: String,
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
    draft: Draft,
    timeout: Option<Duration>,
    decode_domain: DecodeDomain<E>,
    returns: PhantomData<fn() -> Result<T, E>>,
}

impl<T, E> Enqueue<T, E> {
    pub(super) fn new(draft: Draft, decode_domain: DecodeDomain<E>) -> Self {
        Self {
            draft,
            timeout: None,
            decode_domain,
            returns: PhantomData,
        }
    }

    /// How long to wait for the broker's confirmation. Default: the bus's `publish_timeout`, 10 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout.min(LONGEST_WAIT));
        self
    }
}

/// On which bus, and as which task.
pub(super) type Enqueued = (Bus, TaskId);

pub(super) fn enqueue(
    draft: Draft,
    timeout: Option<Duration>,
) -> Boxed<Result<Enqueued, EnqueueError>> {
    Box::pin(async move {
        let (bus, spec) = (draft.bus.clone(), draft.spec);
        let core = bus.core();
        let message = match draft.into_message(core.config.payload_limit) {
            Ok(message) => message,
            Err(reason) => {
                let task = spec.full_name();
                return Err(EnqueueError::Rejected { task, reason });
            }
        };
        let timeout = timeout.unwrap_or(core.config.publish_timeout);
        let sent = send(core, &message, timeout).await;
        let enqueued = sent.map(|id| (bus.clone(), id));
        enqueued.map_err(|failure| match failure {
            Failure::Unsent(unsent) => explain(spec.full_name(), message.queue(), unsent),
            Failure::Taken(holder) => EnqueueError::Duplicate {
                task: spec.full_name(),
                key: message
                    .options
                    .unique
                    .map(|(key, _)| key)
                    .unwrap_or_default(),
                holder,
            },
        })
    })
}

/// Why a task is not enqueued.
enum Failure {
    Unsent(Unsent),
    /// The task of this id has the key.
    Taken(String),
}

impl From<Unsent> for Failure {
    fn from(unsent: Unsent) -> Self {
        Self::Unsent(unsent)
    }
}

async fn send(core: &Core, task: &TaskMessage, timeout: Duration) -> Result<TaskId, Failure> {
    let deadline = core.clock.now() + timeout;
    let mut progress = Progress::new(&core.clock);
    let id = progress.id.to_string();
    let now = core.clock.date();
    let locked = match task.options.unique {
        None => Locked::Free,
        // In a box: the others need not carry its state.
        Some(_) => Box::pin(lock(core, task, &id, now, deadline)).await?,
    };
    let lock = match locked {
        Locked::Free => None,
        Locked::Ours(lock) => Some(lock),
        Locked::Joined(holder) => return Ok(holder),
    };
    let sent = publish(core, task, &mut progress, &id, now, deadline).await;
    if let (Err(unsent), Some(lock)) = (&sent, lock)
        && !matches!(unsent, Unsent::Unconfirmed { .. })
    {
        // At its deadline already: one attempt, and else the lease.
        let _ = tokio::time::timeout(RELEASE, lock.release(core)).await;
    }
    sent?;
    Ok(task.id(&id, now))
}

async fn publish<'a>(
    core: &'a Core,
    task: &TaskMessage,
    progress: &mut Progress<'a>,
    id: &str,
    now: SystemTime,
    deadline: Instant,
) -> Result<(), Unsent> {
    let (address, due) = (task.address(), task.options.due);
    let _turn = match due.delay(now).is_zero() {
        true => None,
        false => Some(turn(core, deadline).await?),
    };
    // From its own due time: it may have waited for its turn.
    let route = address.route(Due::At(now + due.delay(now)), core.clock.date());
    let message = Message {
        exchange: &route.exchange,
        key: &route.key,
        needs: &route.needs,
        plan: &|| address.plan_of(&route),
        properties: &|| task.properties(&core.sender, id, now),
        payload: &task.payload,
        // A level of the ladder may be deleted under it, to be rid of what is put off.
        must_route: route.on_ladder,
    };
    core.publish(&message, progress, core.clock.left(deadline))
        .await
}

/// Delayed tasks are stored by a few at a time: each by a channel of its own.
async fn turn(core: &Core, deadline: Instant) -> Result<SemaphorePermit<'_>, Unsent> {
    let late = || {
        let why = core
            .io
            .publish
            .trouble()
            .unwrap_or("many others are to be delayed");
        Unsent::NotSent(format!("it did not come to its turn in time: {why}"))
    };
    let turn = core
        .clock
        .timeout_at(deadline, core.delaying.acquire())
        .await;
    turn.map_err(|_| late())?.map_err(|_| late())
}

enum Locked {
    /// It has no key.
    Free,
    Ours(Lock),
    /// It is another one's, which is meant as well.
    Joined(TaskId),
}

async fn lock(
    core: &Core,
    task: &TaskMessage,
    id: &str,
    now: SystemTime,
    deadline: Instant,
) -> Result<Locked, Failure> {
    let (Some(header), Some((_, join))) = (task.unique_header(now), &task.options.unique) else {
        return Ok(Locked::Free);
    };
    let (vhost, api, name) = (&core.config.uri.vhost, task.spec.api, task.spec.task);
    let Some(lock) = Lock::of(vhost, api, name, &header, id) else {
        return Ok(Locked::Free);
    };
    let refused = |error| Failure::Unsent(Unsent::Refused(Refusal::Failed(error)));
    let taken = core.clock.timeout_at(deadline, lock.take(core)).await;
    match taken {
        Ok(Ok(Taken::Ours)) => Ok(Locked::Ours(lock)),
        Ok(Ok(Taken::Theirs(holder))) if *join => Ok(Locked::Joined(holder.task(api, name))),
        Ok(Ok(Taken::Theirs(holder))) => Err(Failure::Taken(holder.into_message())),
        Ok(Err(error)) => Err(refused(error)),
        Err(_) => {
            let why = core.io.publish.trouble().unwrap_or("the broker is slow");
            Err(Unsent::NotSent(format!("its key could not be claimed in time: {why}")).into())
        }
    }
}

pub(super) fn explain(task: String, queue: String, unsent: Unsent) -> EnqueueError {
    match unsent {
        Unsent::Blocked => EnqueueError::Blocked { task },
        Unsent::NotSent(reason) => EnqueueError::Connection { task, reason },
        Unsent::Unconfirmed { id, waited, reason } => EnqueueError::Unconfirmed {
            task,
            id: id.to_string(),
            waited_ms: u64::try_from(waited.as_millis()).unwrap_or(u64::MAX),
            reason,
        },
        Unsent::Refused(Refusal::Full) => EnqueueError::Refused { task, queue },
        Unsent::Refused(Refusal::Denied(reason)) => EnqueueError::Denied { task, reason },
        Unsent::Refused(Refusal::Failed(error)) => EnqueueError::Connection {
            task,
            reason: error.to_string(),
        },
    }
}

impl<T, E> IntoFuture for Enqueue<T, E> {
    type Output = Result<TaskHandle<T, E>, EnqueueError>;
    type IntoFuture = Enqueueing<T, E>;

    fn into_future(self) -> Self::IntoFuture {
        Enqueueing {
            sent: enqueue(self.draft, self.timeout),
            decode_domain: self.decode_domain,
            returns: PhantomData,
        }
    }
}

/// A task on its way. Dropping this does not take it back.
#[must_use = "futures do nothing unless polled"]
pub struct Enqueueing<T, E> {
    sent: Boxed<Result<Enqueued, EnqueueError>>,
    decode_domain: DecodeDomain<E>,
    returns: PhantomData<fn() -> Result<T, E>>,
}

impl<T, E> Future for Enqueueing<T, E> {
    type Output = Result<TaskHandle<T, E>, EnqueueError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let decode_domain = self.decode_domain;
        let sent = self.sent.as_mut().poll(cx);
        sent.map_ok(|(bus, id)| TaskHandle::new(&bus, id, decode_domain))
    }
}

impl<T, E> fmt::Debug for Enqueueing<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Enqueueing").finish_non_exhaustive()
    }
}

impl<T, E> fmt::Debug for Enqueue<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Enqueue")
            .field("task", &self.draft.name())
            .finish_non_exhaustive()
    }
}
