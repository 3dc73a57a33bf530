//! Who is told what a bus does that shows nowhere on the broker: the bus of a test.

use std::fmt;
use std::sync::Arc;

use crate::bus::Bus;

/// Is told of it, on the spot: none of these may take long.
pub trait Observer: Send + Sync {
    /// A bus has connected. This handle of it does not keep it open.
    fn connected(&self, bus: Bus);

    /// An attempt has failed, and is not the last one. Those that follow one another in place never show on the broker.
    fn failed(&self, attempt: FailedAttempt);

    /// A message is about to be acknowledged although it was not handled.
    fn skipped(&self, message: Skipped);
}

/// A message that is done with, and was not handled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The message's id.
    pub id: String,
    /// The queue it was taken from.
    pub queue: String,
    /// Why it was not.
    pub why: Why,
}

/// Why a message was not handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Somebody has cancelled the task.
    Cancelled,
    /// It had been handled before.
    Known,
}

/// An attempt that failed.
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

/// It, if there is one.
#[derive(Clone, Default)]
pub(crate) struct Observed(Option<Arc<dyn Observer>>);

impl Observed {
    pub(crate) fn by(observer: Arc<dyn Observer>) -> Self {
        Self(Some(observer))
    }

    pub(crate) fn skipped(&self, id: &str, queue: &str, why: Why) {
        self.tell(|observer| {
            observer.skipped(Skipped {
                id: id.to_owned(),
                queue: queue.to_owned(),
                why,
            });
        });
    }

    pub(crate) fn tell(&self, tell: impl FnOnce(&dyn Observer)) {
        if let Some(observer) = &self.0 {
            tell(observer.as_ref());
        }
    }
}

impl fmt::Debug for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Observed").field(&self.0.is_some()).finish()
    }
}
