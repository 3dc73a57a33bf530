//! A limit on how many handlers begin in a time: evenly spaced, so that no burst follows a quiet while.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Clock;

/// How far behind its time a beginning may be made up for: what the machine's scheduler costs, and no more.
const SLACK: Duration = Duration::from_millis(100);

#[derive(Clone, Debug)]
pub(crate) struct Pace {
    clock: Clock,
    between: Duration,
    next: Arc<Mutex<Instant>>,
}

impl Pace {
    pub(crate) fn new(clock: &Clock, count: u32, per: Duration) -> Self {
        Self {
            clock: clock.clone(),
            between: per / count.max(1),
            next: Arc::new(Mutex::new(clock.now())),
        }
    }

    /// Waits until the next one may begin.
    pub(super) async fn wait(&self) {
        let next = *self.next.lock().unwrap_or_else(PoisonError::into_inner);
        self.clock.pause(self.clock.left(next)).await;
    }

    pub(super) fn begun(&self) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let earliest = self.clock.now().checked_sub(SLACK);
        *next = earliest.map_or(*next, |earliest| earliest.max(*next)) + self.between;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn as_many_begin_as_the_rate_allows() {
        let pace = Pace::new(&Clock::default(), 10, Duration::from_secs(1));
        // Nothing for a while: that is not made up for.
        tokio::time::sleep(Duration::from_secs(60)).await;
        let begun = Instant::now();
        for _ in 0..51 {
            pace.wait().await;
            pace.begun();
        }
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(4800), "{took:?}");
        assert!(took <= Duration::from_millis(5100), "{took:?}");
    }
}
