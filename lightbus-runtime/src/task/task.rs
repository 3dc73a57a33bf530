//! A task as the one who enqueues it sees it: a builder, typed by what the task returns.

use std::fmt;
use std::marker::PhantomData;
use std::time::{Duration, SystemTime};

use serde::de::DeserializeOwned;

use super::enqueue::Enqueue;
use super::flow::hole;
use super::message::{Due, Options, TaskMessage};
use super::results::DecodeDomain;
use super::spec::TaskSpec;
use crate::bus::Bus;
use crate::codec::{Arg, EncodeError, encode_args_with};
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
    pub(super) draft: Draft,
    pub(super) decode_domain: DecodeDomain<E>,
    returns: PhantomData<fn() -> Result<T, E>>,
}

/// For how long a result is kept when nothing else is said.
pub(super) const RESULT_TTL: Duration = Duration::from_secs(3600);

/// A task without its types: what is done with it is compiled once.
pub(crate) struct Draft {
    pub(super) bus: Bus,
    pub(super) spec: &'static TaskSpec,
    payload: Result<Vec<u8>, EncodeError>,
    /// Whose outputs are to be filled in.
    pub(super) holes: Vec<u64>,
    pub(super) options: Options,
}

impl<T, E> Task<T, E> {
    pub(crate) fn new(
        bus: &Bus,
        spec: &'static TaskSpec,
        args: &[(&'static str, &dyn Arg)],
        decode_domain: DecodeDomain<E>,
    ) -> Self {
        let mut holes = Vec::new();
        let payload = encode_args_with(args, &mut |value| holes.extend(hole(value)));
        Self {
            draft: Draft {
                bus: bus.clone(),
                spec,
                payload,
                holes,
                options: Options::default(),
            },
            decode_domain,
            returns: PhantomData,
        }
    }

    /// By its names alone.
    pub(crate) fn raw(
        bus: &Bus,
        spec: &'static TaskSpec,
        payload: Result<Vec<u8>, EncodeError>,
    ) -> Self
    where
        E: DeserializeOwned,
    {
        Self {
            draft: Draft {
                bus: bus.clone(),
                spec,
                payload,
                holes: Vec::new(),
                options: Options::default(),
            },
            decode_domain: |payload| payload.decode(),
            returns: PhantomData,
        }
    }

    /// Begins no earlier than so long after it is enqueued: up to eight and a half years, in whole seconds, rounded up. It waits on the broker, and takes up
    /// no worker meanwhile.
    pub fn after(mut self, delay: Duration) -> Self {
        self.draft.options.due = Due::After(delay);
        self
    }

    /// Begins no earlier than at this time, by this machine's clock; at once if it has passed. Else as [`after`](Self::after).
    pub fn at(mut self, at: SystemTime) -> Self {
        self.draft.options.due = Due::At(at);
        self
    }

    /// Before or behind others of the same queue. Each priority has a queue of its own; of those that have tasks waiting, workers take from all, and more
    /// from the higher ones. Default: [`Priority::Normal`].
    pub fn priority(mut self, priority: Priority) -> Self {
        self.draft.options.priority = priority;
        self
    }

    /// Does not begin any more when it has waited for so long after it was due: it goes to the dead letters then. Default: the task's
    /// `#[task(expires)]`, else never.
    pub fn expires(mut self, after: Duration) -> Self {
        self.draft.options.expires = Some(after);
        self
    }

    /// Refuses a second one while a task of the same kind with this key waits or runs: [`EnqueueError::Duplicate`](crate::EnqueueError::Duplicate) tells which. The
    /// key takes up to 100 bytes. It is free again when the task is done or dead. Should that go unnoticed (an
    /// operator who purges the queue), it is free a day after the task was due, or last ran. Default: none, or, with `#[task(unique)]`, one made of the
    /// arguments.
    pub fn unique(mut self, key: impl Into<String>) -> Self {
        let join = self.draft.options.unique.is_some_and(|(_, join)| join);
        self.draft.options.unique = Some((key.into(), join));
        self
    }

    /// Of a unique task: if there is one already, that one is meant, and no error. Whether its result is kept, and for how long, is for the one who enqueued it to say.
    ///
    /// ```no_run
    /// # use lightbus_runtime::{EnqueueError, Task};
    /// # async fn example(resize: impl Fn(u64) -> Task<(), String>) -> Result<(), EnqueueError> {
    /// let one = resize(7).unique("user-7").or_join().enqueue().await?;
    /// let same = resize(7).unique("user-7").or_join().enqueue().await?;
    /// # Ok(()) }
    /// ```
    pub fn or_join(mut self) -> Self {
        let key = self.draft.options.unique.take().map(|(key, _)| key);
        self.draft.options.unique = Some((key.unwrap_or_default(), true));
        self
    }

    /// Keeps what becomes of it, so that [`TaskHandle`](crate::TaskHandle) can tell: its status, its progress, and its result until an hour after its end.
    pub fn keep_result(self) -> Self {
        let ttl = self.draft.spec.result_ttl.unwrap_or(RESULT_TTL);
        self.result_ttl(ttl)
    }

    /// The same, for so long after its end; at most seven days. Default: the task's `#[task(result_ttl)]`, else nothing is kept.
    pub fn result_ttl(mut self, ttl: Duration) -> Self {
        self.draft.options.result_ttl = Some(ttl);
        self
    }

    /// Adds a header that the worker reads by [`Context::header`](crate::Context::header). All headers together may take 32 KiB.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.draft.options.headers.push((name.into(), value.into()));
        self
    }

    /// Enqueues the task when it is awaited.
    pub fn enqueue(self) -> Enqueue<T, E> {
        Enqueue::new(self.draft, self.decode_domain)
    }

    /// What it is, and its arguments.
    pub(crate) fn parts(&self) -> (&'static TaskSpec, Result<&[u8], String>) {
        let payload = self.draft.payload.as_deref();
        (self.draft.spec, payload.map_err(|error| error.to_string()))
    }

    /// For a schedule: its message, checked; or why it cannot be sent.
    pub(crate) fn into_message(self) -> Result<TaskMessage, String> {
        let limit = self.draft.bus.core().config.payload_limit;
        self.draft.into_message(limit)
    }
}

impl Draft {
    pub(crate) fn name(&self) -> String {
        self.spec.full_name()
    }

    /// Its message, checked; or why it cannot be sent.
    pub(crate) fn into_message(self, payload_limit: usize) -> Result<TaskMessage, String> {
        if !self.holes.is_empty() {
            return Err("it takes the output of another task: let it follow that one, by `.then(|output| …)`".to_owned());
        }
        let now = self.bus.core().clock.date();
        let payload = self.payload;
        let mut message = TaskMessage {
            spec: self.spec,
            payload: payload.map_err(|error| format!("it cannot be encoded: {error}"))?,
            options: self.options,
        };
        message.make_unique();
        message.check(payload_limit, now)?;
        Ok(message)
    }
}

impl<T, E> fmt::Debug for Task<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("task", &self.draft.name())
            .field("options", &self.draft.options)
            .finish_non_exhaustive()
    }
}
