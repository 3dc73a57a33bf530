//! Attempts that failed, told by the process in which they were made: those that follow one another in place never show on the broker.

use std::fmt;
use std::sync::Arc;

use crate::config::BusBuilder;

/// An attempt that failed, and is not the last one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedAttempt {
    /// The message's id.
    pub id: String,
    /// The queue it was taken from.
    pub queue: String,
    /// Which attempt it was, from 1.
    pub number: u32,
    /// What the handler said.
    pub error: String,
}

/// Whom they are told to.
#[derive(Clone)]
pub(crate) struct AttemptWatch(Arc<dyn Fn(FailedAttempt) + Send + Sync>);

impl AttemptWatch {
    pub(crate) fn tell(&self, failed: FailedAttempt) {
        (self.0)(failed);
    }
}

impl fmt::Debug for AttemptWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AttemptWatch").finish_non_exhaustive()
    }
}

/// Has a bus tell of them.
pub fn watch_attempts(
    bus: BusBuilder,
    watch: impl Fn(FailedAttempt) + Send + Sync + 'static,
) -> BusBuilder {
    bus.watch_attempts(AttemptWatch(Arc::new(watch)))
}
