//! Schedules: recurring tasks, each occurrence fired by one of the app's replicas.
//!
//! `timing` says when, `state` what has been. The state queue has one active consumer: `turn` reads it, `lead` fires, `errands` does what others ask. What is fired goes to the
//! task's queue and to the state queue by one publish, on the channel that consumes: who has been replaced gets nothing through. `kept` is what the active one
//! knows of a schedule; it writes that down after each firing, so that the queue holds a few messages of each schedule, however long it runs.
//! `scheduled` speaks to the one who fires by messages to the same queue; workers tell it the ends of runs by `report`.
//!
//! # What is lost with what
//! A replica, a connection, a killed broker: nothing, and who takes over fires again, under its id, what was not written down as confirmed. The state queue, deleted by
//! somebody: pauses, histories, and what was missed until the schedules are known again. A worker's word that a run has ended: that run counts as running until it
//! is [taken for lost](Schedule::lost_after). An occurrence left out for an overlap, when the replica that left it out is lost before it fires again: it
//! is missed, and made up for or not as the schedule says.

mod ask;
mod builder;
mod cron;
mod errands;
mod kept;
mod lead;
mod message;
mod occurrence;
mod report;
mod runner;
mod scheduled;
mod state;
mod status;
mod table;
mod timing;
mod turn;

pub use builder::{Schedule, SetUp};
pub use occurrence::ScheduledOccurrence;
pub(crate) use report::{is_scheduled, report_end};
pub use scheduled::{Scheduled, Schedules};
pub use state::{RunOutcome, ScheduledRun};
pub use status::ScheduleStatus;
pub(crate) use table::Table;
pub use timing::{Missed, Overlap};
