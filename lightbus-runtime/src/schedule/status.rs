//! How a schedule is: told by the replica that fires, to any other.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::state::{Run, ScheduledRun, State, time};
use super::table::Entry;

/// As it travels.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Status {
    pub(super) name: String,
    when: Option<String>,
    task: Option<String>,
    paused: bool,
    next: Option<i64>,
    runs: Vec<Run>,
}

impl Status {
    pub(super) fn of(name: &str, entry: Option<&Entry>, state: &State) -> Self {
        let next = |entry: &Entry| entry.timing.next(name, state.after()?);
        Self {
            name: name.to_owned(),
            when: entry.map(|entry| entry.timing.rhythm.to_string()),
            task: entry.map(|entry| format!("{}.{}", entry.task.spec.api, entry.task.spec.task)),
            paused: state.paused.value,
            next: entry.filter(|_| !state.paused.value).and_then(next),
            runs: state.runs.clone(),
        }
    }
}

/// How a schedule is at one moment; made by [`Scheduled::status`](crate::Scheduled::status).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScheduleStatus {
    /// Its name.
    pub name: String,
    /// Its cron expression and time zone, or its interval; `None` if the replica that fires is of a version without this schedule.
    pub when: Option<String>,
    /// The API and task that it runs, `auth.clean_up`; `None` likewise.
    pub task: Option<String>,
    /// Is it paused, on all replicas?
    pub paused: bool,
    /// When it fires next; `None` while it is paused.
    pub next: Option<SystemTime>,
    /// Its last 20 runs, the oldest first.
    pub history: Vec<ScheduledRun>,
}

impl From<Status> for ScheduleStatus {
    fn from(status: Status) -> Self {
        Self {
            name: status.name,
            when: status.when,
            task: status.task,
            paused: status.paused,
            next: status.next.map(time),
            history: status.runs.into_iter().map(Into::into).collect(),
        }
    }
}
