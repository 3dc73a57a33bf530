//! The time that programs on the bus go by: the system's, or one that a test moves.
//!
//! Deadlines, retries, schedules and what else a program or a message waits for go by it. What only keeps the machinery going, such as the steps of
//! a connection, goes by the system's time, always.

mod manual;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;
use uuid::Uuid;

pub use manual::Manual;

/// Where the moments come from.
#[derive(Clone, Default)]
pub(crate) struct Clock(Option<Arc<Manual>>);

/// The time was over before the future was ready.
#[derive(Debug)]
pub(crate) struct Elapsed;

impl Clock {
    /// A clock that a test moves.
    pub(crate) fn manual(manual: Arc<Manual>) -> Self {
        Self(Some(manual))
    }

    pub(crate) fn now(&self) -> Instant {
        match &self.0 {
            None => Instant::now(),
            Some(manual) => manual.now(),
        }
    }

    pub(crate) fn date(&self) -> SystemTime {
        match &self.0 {
            None => SystemTime::now(),
            Some(manual) => manual.date(),
        }
    }

    /// In milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> i64 {
        let since = self.date().duration_since(UNIX_EPOCH);
        i64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
    }

    /// An id, which tells when it was made.
    pub(crate) fn new_id(&self) -> Uuid {
        match &self.0 {
            None => Uuid::now_v7(),
            Some(manual) => manual.new_id(),
        }
    }

    /// Until `deadline`; zero when it has passed.
    pub(crate) fn left(&self, deadline: Instant) -> Duration {
        deadline.saturating_duration_since(self.now())
    }

    /// A moment as the system's clock tells it, if nobody moves this one.
    pub(crate) fn on_the_systems(&self, moment: Instant) -> std::time::Instant {
        match &self.0 {
            None => moment.into_std(),
            Some(_) => std::time::Instant::now() + self.left(moment),
        }
    }

    /// A wait that a message or a program is meant to make: a test that looks whether anything is going on does not wait for its end.
    pub(crate) async fn pause(&self, time: Duration) {
        match &self.0 {
            None => tokio::time::sleep(time).await,
            Some(manual) => manual.pause(time).await,
        }
    }

    /// Until a moment at which something else would end.
    pub(crate) async fn sleep_until(&self, deadline: Instant) {
        match &self.0 {
            None => tokio::time::sleep_until(deadline).await,
            Some(manual) => manual.sleep_until(deadline).await,
        }
    }

    pub(crate) async fn sleep(&self, time: Duration) {
        match &self.0 {
            None => tokio::time::sleep(time).await,
            Some(manual) => manual.sleep_until(manual.after(time)).await,
        }
    }

    pub(crate) async fn timeout_at<F: Future>(
        &self,
        deadline: Instant,
        future: F,
    ) -> Result<F::Output, Elapsed> {
        match &self.0 {
            None => tokio::time::timeout_at(deadline, future)
                .await
                .map_err(|_| Elapsed),
            Some(manual) => manual.timeout_at(deadline, future).await,
        }
    }

    pub(crate) async fn timeout<F: Future>(
        &self,
        time: Duration,
        future: F,
    ) -> Result<F::Output, Elapsed> {
        match &self.0 {
            None => tokio::time::timeout(time, future)
                .await
                .map_err(|_| Elapsed),
            Some(manual) => manual.timeout_at(manual.after(time), future).await,
        }
    }

    /// For what has to be looked at every so often, whatever the clock says, and until the deadline.
    pub(crate) async fn look<F: Future>(
        &self,
        every: Duration,
        deadline: Instant,
        future: F,
    ) -> Result<F::Output, Elapsed> {
        match &self.0 {
            None => {
                let next = deadline.min(Instant::now() + every);
                tokio::time::timeout_at(next, future)
                    .await
                    .map_err(|_| Elapsed)
            }
            Some(manual) => {
                let looked = manual.timeout_at(deadline, tokio::time::timeout(every, future));
                looked.await?.map_err(|_| Elapsed)
            }
        }
    }
}

/// The system's time, for the machinery, and for what outlives a bus.
pub(crate) mod system {
    use super::{Clock, Uuid};

    pub(crate) fn now_ms() -> i64 {
        Clock::default().now_ms()
    }

    pub(crate) fn new_id() -> Uuid {
        Uuid::now_v7()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            None => "system",
            Some(_) => "manual",
        })
    }
}
