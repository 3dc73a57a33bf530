//! What a trait says about a task.

use std::time::Duration;

use crate::retry::Retry;

/// What the macro knows of a task.
#[derive(Debug)]
pub struct TaskSpec {
    /// The API's name.
    pub api: &'static str,
    /// The task's wire name.
    pub task: &'static str,
    /// The name of the queue that it shares with others who name it; `None` for the API's own.
    pub queue: Option<&'static str>,
    /// How many attempts follow a first one that failed; `None` for what the API, or else the bus, says.
    pub retries: Option<u32>,
    /// How long before each of them; `None` likewise.
    pub backoff: Option<Backoff>,
    /// How long one attempt may take.
    pub timeout: Option<Duration>,
    /// How long after it is due it may still begin.
    pub expires: Option<Duration>,
    /// For how long its result is kept; `None` for those that nobody asked for.
    pub result_ttl: Option<Duration>,
    /// May no second one with the same arguments wait or run?
    pub unique: bool,
    /// How many may begin in a time, in all processes together.
    pub rate: Option<Rate>,
    /// How many may run at a time, in all processes together.
    pub concurrency: Option<u16>,
}

/// How long to wait before the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backoff {
    /// So long, then twice as long, and so on.
    Exponential(Duration),
    /// Always as long.
    Fixed(Duration),
    /// These, one after the other; then always the last.
    List(&'static [Duration]),
}

/// So many in a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub count: u32,
    /// In which time.
    pub per: Duration,
}

impl TaskSpec {
    /// API and task, `auth.resize_avatar`.
    pub(crate) fn full_name(&self) -> String {
        format!("{}.{}", self.api, self.task)
    }

    /// Is it limited across all processes?
    pub(crate) fn is_limited(&self) -> bool {
        self.rate.is_some() || self.concurrency.is_some()
    }

    /// When a failed one is tried again: as the trait says, and else as `usual` does.
    pub(crate) fn retry(&self, usual: Retry) -> Retry {
        let policy = match self.backoff {
            None => usual,
            Some(Backoff::Exponential(first)) => Retry::exponential(first),
            Some(Backoff::Fixed(delay)) => Retry::fixed(delay),
            Some(Backoff::List(delays)) => Retry::list(delays.iter().copied()),
        };
        match self.retries {
            Some(retries) => policy.attempts(retries.saturating_add(1)),
            None => policy,
        }
    }
}
