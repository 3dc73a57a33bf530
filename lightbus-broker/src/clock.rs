//! The broker's clock: the system's, or one that stands still until a test moves it.

use crate::core::Now;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What [`Broker::advance`](crate::Broker::advance) says where the clock goes by itself.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
///
/// let broker = lightbus_broker::Broker::start().await?;
/// let error = broker.advance(Duration::from_secs(1)).unwrap_err();
/// assert_eq!(error.to_string(), "the broker's clock goes by itself: build it with `manual_clock()`");
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the broker's clock goes by itself: build it with `manual_clock()`")]
#[non_exhaustive]
pub struct NotManual;

/// Where the core's moments come from.
#[derive(Debug)]
pub(crate) enum Clock {
    System,
    Manual(Manual),
}

/// A clock that goes only when it is told to.
#[derive(Debug)]
pub(crate) struct Manual {
    /// Where it was set when the broker started, and what the date was then.
    start: Instant,
    date: Duration,
    now: Instant,
}

impl Clock {
    pub(crate) fn manual() -> Self {
        let start = Instant::now();
        Self::Manual(Manual {
            start,
            date: date(),
            now: start,
        })
    }

    pub(crate) fn now(&self) -> Now {
        match self {
            Self::System => Now {
                instant: Instant::now(),
                unix: date().as_secs(),
            },
            Self::Manual(manual) => Now {
                instant: manual.now,
                unix: (manual.date + (manual.now - manual.start)).as_secs(),
            },
        }
    }

    /// The date of a moment of this very time, to the fraction of a second.
    pub(crate) fn date(&self, now: Now) -> SystemTime {
        match self {
            Self::System => SystemTime::now(),
            Self::Manual(manual) => UNIX_EPOCH + manual.date + (now.instant - manual.start),
        }
    }

    /// Whether somebody must wake the core at its deadlines; otherwise moving the clock does.
    pub(crate) fn goes(&self) -> bool {
        matches!(self, Self::System)
    }

    pub(crate) fn as_manual(&mut self) -> Option<&mut Manual> {
        match self {
            Self::System => None,
            Self::Manual(manual) => Some(manual),
        }
    }
}

impl Manual {
    /// The moment this much later; further than some thousand years, no moment can be told.
    pub(crate) fn after(&self, by: Duration) -> Instant {
        let by = by.min(Duration::from_secs(1 << 36));
        self.now.checked_add(by).unwrap_or(self.now)
    }

    /// Sets it to a moment, unless that has passed.
    pub(crate) fn set(&mut self, to: Instant) {
        self.now = self.now.max(to);
    }
}

/// The time since 1970.
fn date() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_manual_clock_stands_still_and_never_goes_back() {
        let mut clock = Clock::manual();
        let start = clock.now();
        assert!(!clock.goes());
        let manual = clock.as_manual().unwrap();
        manual.set(manual.after(Duration::from_secs(90)));
        manual.set(start.instant);
        let later = clock.now();
        assert_eq!(later.instant - start.instant, Duration::from_secs(90));
        assert_eq!(later.unix - start.unix, 90);
    }

    #[test]
    fn the_systems_clock_cannot_be_set() {
        assert!(Clock::System.as_manual().is_none());
    }
}
