//! Tasks that follow one another: chains, groups, and what is made of their values.
//!
//! `compose` is how they are written; `lower` makes of it what a message can carry, `next`, and `start` publishes the beginning. From there on workers go on: `advance` after a
//! task that is done, `failed` after one that is dead. The members of a group report by a `word` to the one who puts them together, `join`, whose memory is `groups` (a `group` each, and those that are `over`).

mod advance;
mod compose;
mod failed;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod group;
mod groups;
mod join;
mod lower;
mod next;
mod output;
mod over;
mod posting;
mod start;
mod word;
mod worker;

use std::time::Duration;

use uuid::Uuid;

use super::record::{Record, Says};
use crate::clock::Clock;
use crate::publishing::Refusal;

pub use compose::{Flow, IntoFlow, group};
pub use failed::FailedStep;
pub use output::{Given, Input, Output, given};
pub use start::{EnqueueFlow, EnqueueingFlow};

pub(super) use failed::CANCELLED;
pub(super) use join::gather;
pub(super) use output::hole;
pub(super) use posting::BEGIN;
pub(super) use worker::{begin, is_part_of, lost, replayed, succeeded, unreadable};

/// Where in a flow something happens.
#[derive(Clone, Copy, Debug)]
struct Place<'a> {
    /// Of the message, or of the group.
    id: Uuid,
    /// By what the flow is known as a whole: its last task.
    flow: &'a str,
    /// How many tasks and groups follow one another in it.
    length: u32,
    /// How often something in it came out of the dead letters.
    replayed: i64,
}

impl Place<'_> {
    fn at(self, id: Uuid) -> Self {
        Self { id, ..self }
    }
}

/// What is written down of a flow's task or group that did not run here.
fn record(clock: &Clock, id: Uuid, replayed: i64, ttl_ms: u64, says: Says) -> Record {
    Record {
        replayed: u32::try_from(replayed).unwrap_or_default(),
        ttl: Some(Duration::from_millis(ttl_ms)),
        ..Record::new(clock, &id.to_string(), says)
    }
}

/// Why it does not go on.
#[derive(Debug)]
pub(super) enum Stuck {
    /// The broker does not take what follows.
    Refused(Refusal),
    /// It cannot be made.
    Cannot(String),
}
