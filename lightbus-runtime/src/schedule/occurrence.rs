//! What a task knows of the schedule that fired it.

use std::time::SystemTime;

use lapin::BasicProperties;

use super::message::occurrence;
use super::state::time;

/// The occurrence of a schedule that a task is; from [`Context::scheduled`](crate::Context::scheduled).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScheduledOccurrence {
    /// The app that has the schedule.
    pub app: String,
    /// The schedule's name.
    pub schedule: String,
    /// The time that it is for. It may be run much later: after others, after failed attempts, or because it was [missed](crate::Missed). Of one that was asked for, when that was.
    pub time: SystemTime,
    /// Was it asked for by [`Scheduled::run_now`](crate::Scheduled::run_now), instead of by the time?
    pub manual: bool,
}

impl ScheduledOccurrence {
    /// `None` for a task that no schedule fired.
    pub(crate) fn of(properties: &BasicProperties) -> Option<Self> {
        let (app, schedule, occurrence) = occurrence(properties)?;
        Some(Self {
            app: app.to_owned(),
            schedule: schedule.to_owned(),
            time: time(occurrence.at),
            manual: occurrence.manual,
        })
    }
}
