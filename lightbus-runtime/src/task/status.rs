//! How far a task has come, for those who look on.

use std::fmt;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};
use std::time::SystemTime;

use futures_util::{Stream, StreamExt, stream};

use super::follow::{Followed, Watched};
use super::id::TaskId;
use super::record::Progress;
use super::story::{How, Phase, Story};
use crate::bus::Bus;

/// How far a task has come, as of a moment ago.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum TaskStatus {
    /// It has not begun, as far as is known: it waits for a worker, or until it is due.
    Waiting,
    /// An attempt is being made.
    Running {
        /// Which one, counted from 0.
        attempt: u32,
        /// When it began, by the worker's clock.
        since: SystemTime,
        /// What it last said.
        progress: Option<TaskProgress>,
    },
    /// An attempt failed, and another one follows.
    Retrying {
        /// The attempt that failed, counted from 0.
        attempt: u32,
        /// Why.
        error: String,
    },
    /// It has a value.
    Done,
    /// Its last attempt failed, and it is among the dead letters.
    Failed,
    /// It is not run any more.
    Cancelled,
    /// It waited for longer than it may.
    Expired,
}

impl TaskStatus {
    /// Is nothing more to be expected of it?
    pub fn is_ended(&self) -> bool {
        matches!(
            self,
            Self::Done | Self::Failed | Self::Cancelled | Self::Expired
        )
    }

    pub(super) fn of(story: &Story) -> Self {
        match &story.phase {
            Phase::Waiting => Self::Waiting,
            Phase::Running { attempt, since } => Self::Running {
                attempt: *attempt,
                since: *since,
                progress: story.progress.clone().map(TaskProgress::from),
            },
            Phase::Retrying { failed, error } => Self::Retrying {
                attempt: *failed,
                error: error.clone(),
            },
            Phase::Ended(end) => match end.how {
                How::Done(_) | How::DoneUnkept(_) => Self::Done,
                How::Failed(_) => Self::Failed,
                How::Expired => Self::Expired,
                How::Cancelled => Self::Cancelled,
            },
        }
    }
}

impl fmt::Display for TaskStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting => f.write_str("waiting"),
            Self::Running {
                attempt, progress, ..
            } => {
                write!(f, "running, attempt {}", attempt + 1)?;
                match progress {
                    Some(progress) => write!(f, ", {progress}"),
                    None => Ok(()),
                }
            }
            Self::Retrying { attempt, error } => {
                write!(
                    f,
                    "to be tried again, attempt {} failed: {error}",
                    attempt + 1
                )
            }
            Self::Done => f.write_str("done"),
            Self::Failed => f.write_str("failed"),
            Self::Cancelled => f.write_str("cancelled"),
            Self::Expired => f.write_str("expired"),
        }
    }
}

/// What a running task said by [`Context::progress`](crate::Context::progress).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TaskProgress {
    /// How much of it is done, from 0 to 1.
    pub part: f64,
    /// What it is at.
    pub text: String,
}

impl From<Progress> for TaskProgress {
    fn from(progress: Progress) -> Self {
        Self {
            part: progress.part,
            text: progress.text,
        }
    }
}

impl fmt::Display for TaskProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} %", self.part * 100.0)?;
        match self.text.is_empty() {
            true => Ok(()),
            false => write!(f, " ({})", self.text),
        }
    }
}

/// What a task says of how far it has come, from now on and until it ends; made by [`TaskHandle::progress`](crate::TaskHandle::progress).
///
/// Who is slow misses some, never the last one. It ends with the task; and at once if its result is not kept, or the journal cannot be read, which
/// [`result`](crate::TaskHandle::result) and [`status`](crate::TaskHandle::status) tell.
pub struct TaskUpdates {
    updates: Pin<Box<dyn Stream<Item = TaskProgress> + Send>>,
}

struct Seen {
    watched: Watched,
    last: Option<Progress>,
}

impl TaskUpdates {
    pub(super) fn new(bus: &Bus, id: &TaskId) -> Self {
        if id.is_unkept() {
            return Self {
                updates: Box::pin(stream::empty()),
            };
        }
        let watched = Followed::watch(bus.core(), id);
        // The bus stays open as long as somebody looks on.
        let seen = Seen {
            watched,
            last: None,
        };
        let bus = bus.clone();
        Self {
            updates: Box::pin(stream::unfold((bus, seen), |(bus, mut seen)| async {
                let update = seen.next().await?;
                Some((update.into(), (bus, seen)))
            })),
        }
    }

    /// The next one; `None` when the task has ended.
    pub async fn next(&mut self) -> Option<TaskProgress> {
        self.updates.next().await
    }
}

impl Seen {
    async fn next(&mut self) -> Option<Progress> {
        let last = self.last.take();
        let is_news = |story: &Story| story.progress.is_some() && story.progress != last;
        let story = self
            .watched
            .story
            .wait_for(|story| is_news(story) || story.end().is_some());
        let story = story.await.ok()?;
        if !is_news(&story) {
            return None;
        }
        let progress = story.progress.clone();
        drop(story);
        self.last.clone_from(&progress);
        progress
    }
}

impl Stream for TaskUpdates {
    type Item = TaskProgress;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<TaskProgress>> {
        self.updates.as_mut().poll_next(cx)
    }
}

impl fmt::Debug for TaskUpdates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskUpdates").finish_non_exhaustive()
    }
}
