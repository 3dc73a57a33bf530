//! How a task ended, for those who ask: waiting for it, and telling it.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::de::DeserializeOwned;

use super::error::{TaskError, TaskFailure, Unknown};
use super::follow::{Followed, Watched};
use super::id::TaskId;
use super::story::{End, How, Phase, Story};
use crate::boxed::Boxed;
use crate::bus::Bus;
use crate::codec::{DecodeError, Format, Payload};
use crate::config::LONGEST_WAIT;
use crate::context::Context;

/// The journal keeps nothing for longer.
pub(super) const LONGEST_KEPT: Duration = Duration::from_secs(7 * 86_400);

pub(super) type DecodeDomain<E> = fn(Payload<'_>) -> Result<E, DecodeError>;

/// A task's result, waited for when this is awaited; made by [`TaskHandle::result`](crate::TaskHandle::result).
#[must_use = "nobody waits until this is awaited"]
pub struct TaskResult<T, E> {
    bus: Bus,
    id: TaskId,
    timeout: Option<Duration>,
    decode_domain: DecodeDomain<E>,
    value: PhantomData<fn() -> T>,
}

impl<T, E> TaskResult<T, E> {
    pub(super) fn new(bus: &Bus, id: &TaskId, decode_domain: DecodeDomain<E>) -> Self {
        Self {
            bus: bus.clone(),
            id: id.clone(),
            timeout: None,
            decode_domain,
            value: PhantomData,
        }
    }

    /// How long to wait. Default: for as long as it takes; a task may be due next year, and to wait costs nothing. In a handler, no longer than the handler's own caller waits.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout.min(LONGEST_WAIT));
        self
    }
}

impl<T: DeserializeOwned + 'static, E: 'static> IntoFuture for TaskResult<T, E> {
    type Output = Result<T, TaskError<E>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let timeout = at_most(self.timeout);
        let ended = end(self.bus, self.id.clone(), timeout);
        let (id, decode_domain) = (self.id, self.decode_domain);
        Box::pin(async move {
            match ended.await {
                Ok(end) => read(&end, &id, decode_domain),
                Err(unknown) => Err(unknown.of(&id)),
            }
        })
    }
}

impl<T, E> fmt::Debug for TaskResult<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskResult")
            .field("id", &self.id)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// No more than the surrounding handler has left.
pub(super) fn at_most(timeout: Option<Duration>) -> Option<Duration> {
    let both = [timeout, Context::inherited_time()];
    both.into_iter().flatten().min()
}

/// Without types: compiled once.
fn end(bus: Bus, id: TaskId, timeout: Option<Duration>) -> Boxed<Result<Arc<End>, Unknown>> {
    Box::pin(async move {
        let story = until(&bus, &id, timeout, |story, is_over| {
            story.end().is_some() || is_over
        });
        let story = story.await?;
        still_counts(&story, &id, bus.core().clock.date())?;
        story.end().cloned().ok_or(Unknown::Gone)
    })
}

/// Is it not so long ago that nothing should be known of it any more?
pub(super) fn still_counts(story: &Story, id: &TaskId, now: SystemTime) -> Result<(), Unknown> {
    let is_gone = match story.end() {
        Some(end) => end.is_gone(now),
        None => is_forgotten(story, id, now),
    };
    if is_gone { Err(Unknown::Gone) } else { Ok(()) }
}

/// What is known of a task, once that is enough.
pub(super) async fn until(
    bus: &Bus,
    id: &TaskId,
    timeout: Option<Duration>,
    is_enough: impl Fn(&Story, bool) -> bool,
) -> Result<Story, Unknown> {
    if id.is_unkept() {
        return Err(Unknown::NotKept);
    }
    let clock = &bus.core().clock;
    let mut watched = Followed::watch(bus.core(), id);
    let enough = watched.story.wait_for(|story| {
        let is_over = story.is_told && is_forgotten(story, id, clock.date());
        is_enough(story, is_over)
    });
    let enough = match timeout {
        None => Ok(enough.await),
        Some(timeout) => clock.timeout(timeout, enough).await,
    };
    let known = enough.map(|told| told.map(|story| story.clone()).ok());
    match known {
        Ok(Some(story)) => Ok(story),
        Ok(None) => Err(Unknown::Connection(watched.reason())),
        Err(_) => Err(late(bus, &watched, timeout.unwrap_or_default())),
    }
}

/// Nothing is written of it, and what was would have been deleted by now.
fn is_forgotten(story: &Story, id: &TaskId, now: SystemTime) -> bool {
    let age = now.duration_since(id.due().unwrap_or(id.earliest(now)));
    matches!(story.phase, Phase::Waiting) && age.is_ok_and(|age| age > LONGEST_KEPT)
}

fn late(bus: &Bus, watched: &Watched, waited: Duration) -> Unknown {
    let waited = waited.as_millis();
    if let Some(trouble) = bus.core().io.consume.trouble() {
        return Unknown::Connection(format!("not known within {waited} ms: {trouble}"));
    }
    let story = watched.story.borrow();
    let so_far = match &story.phase {
        _ if !story.is_told => "what is known of it was not read by then".to_owned(),
        Phase::Running { attempt, .. } => format!("attempt {} is running", attempt + 1),
        Phase::Retrying { failed, error } => {
            format!(
                "attempt {} failed ({error}), and another one follows",
                failed + 1
            )
        }
        Phase::Waiting | Phase::Ended(_) => {
            "it has not begun. Does a process serve the API's tasks? Was its result to be kept?"
                .to_owned()
        }
    };
    Unknown::Timeout(format!("it did not end within {waited} ms: {so_far}"))
}

fn read<T: DeserializeOwned, E>(
    end: &End,
    id: &TaskId,
    decode_domain: DecodeDomain<E>,
) -> Result<T, TaskError<E>> {
    let failure = |detail: String| {
        Box::new(TaskFailure {
            id: id.clone(),
            attempts: end.attempts,
            detail,
        })
    };
    let misread = |what: &str, error: DecodeError| {
        TaskError::BadResult(failure(format!(
            "its {what} is not of the expected type: {error}"
        )))
    };
    // Checked when it was read from the journal.
    let payload = |bytes| Payload::check(bytes, Format::Msgpack);
    match &end.how {
        How::Done(value) => payload(value)
            .and_then(Payload::decode)
            .map_err(|error| misread("value", error)),
        How::DoneUnkept(why) => Err(TaskError::BadResult(failure(format!(
            "it is done, but {why}"
        )))),
        How::Failed(failed) => Err(match &failed.domain {
            Some(error) => payload(error)
                .and_then(decode_domain)
                .map_or_else(|error| misread("error", error), TaskError::Domain),
            None => TaskError::Failed(failure(format!(
                "it is dead ({}) after {}: {}",
                failed.reason,
                attempts(end.attempts),
                failed.error
            ))),
        }),
        How::Expired => Err(TaskError::Expired(failure(
            "it waited for longer than it may, and was not begun".to_owned(),
        ))),
        How::Cancelled => Err(TaskError::Cancelled(failure("it was cancelled".to_owned()))),
    }
}

/// So many attempts, in words.
pub(super) fn attempts(count: u32) -> String {
    match count {
        1 => "1 attempt".to_owned(),
        count => format!("{count} attempts"),
    }
}
