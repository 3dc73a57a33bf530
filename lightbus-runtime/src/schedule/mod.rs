//! Schedules: recurring tasks, each occurrence fired by one of the app's replicas.
//!
//! `timing` says when, `state` what has been. The state queue has one active consumer: `turn` reads it, `lead` fires. What is fired goes to the task's queue and to the
//! state queue by one publish. `scheduled` speaks to the one who fires by messages to the same queue; workers tell it the ends of runs by `report`.

mod ask;
mod builder;
mod cron;
mod errands;
mod kept;
mod lead;
mod message;
mod report;
mod runner;
mod scheduled;
mod state;
mod status;
mod table;
mod timing;
mod turn;

pub use builder::{Schedule, SetUp};
pub(crate) use report::{is_scheduled, report_end};
pub use scheduled::{Scheduled, Schedules};
pub use state::{RunOutcome, ScheduledRun};
pub use status::ScheduleStatus;
pub(crate) use table::Table;
pub use timing::{Missed, Overlap};
