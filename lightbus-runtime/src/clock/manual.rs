//! A clock that stands still until it is moved, and who waits for which of its moments.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;
use uuid::{NoContext, Timestamp, Uuid};

use super::Elapsed;

/// Beyond some thousand years no moment can be told.
const LONGEST: Duration = Duration::from_secs(1 << 36);

/// A clock that goes only when it is told to. All apps of a test share one.
#[derive(Debug)]
pub struct Manual {
    /// Where it was set when it was made, and what the date was then.
    start: Instant,
    date: SystemTime,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// How far it has been moved.
    passed: Duration,
    /// Who waits for what moment, by number.
    waiting: BTreeMap<(Duration, u64), Waiting>,
    numbers: u64,
}

#[derive(Debug)]
struct Waiting {
    waker: Waker,
    /// Is it a wait that a message or a program is meant to make?
    is_pause: bool,
}

impl Default for Manual {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            date: SystemTime::now(),
            state: Mutex::default(),
        }
    }
}

impl Manual {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far it has been moved.
    pub fn passed(&self) -> Duration {
        self.lock().passed
    }

    /// Moves it to this far from its beginning, unless it is there. Wakes everybody whose moment has come.
    pub fn move_to(&self, passed: Duration) {
        let mut state = self.lock();
        state.passed = state.passed.max(passed.min(LONGEST));
        let passed = state.passed;
        let later = state.waiting.split_off(&(passed, u64::MAX));
        let woken = std::mem::replace(&mut state.waiting, later);
        drop(state);
        for (_, waiting) in woken {
            waiting.waker.wake();
        }
    }

    /// The next moment that somebody waits for, from its beginning.
    pub fn next_due(&self) -> Option<Duration> {
        let state = self.lock();
        state.waiting.keys().next().map(|(due, _)| *due)
    }

    /// Is a message or a program in the midst of a wait that it is meant to make?
    pub fn is_anybody_waiting(&self) -> bool {
        self.lock().waiting.values().any(|one| one.is_pause)
    }

    /// What time it is.
    pub fn date(&self) -> SystemTime {
        self.date + self.passed()
    }

    pub(super) fn now(&self) -> Instant {
        self.start + self.passed()
    }

    pub(super) fn after(&self, time: Duration) -> Instant {
        self.now() + time.min(LONGEST)
    }

    pub(super) fn new_id(&self) -> Uuid {
        let since = self.date().duration_since(UNIX_EPOCH).unwrap_or_default();
        let time = Timestamp::from_unix(NoContext, since.as_secs(), since.subsec_nanos());
        Uuid::new_v7(time)
    }

    /// A wait that a message or a program is meant to make.
    pub async fn pause(&self, time: Duration) {
        self.wait(self.after(time), true).await;
    }

    pub(super) async fn sleep_until(&self, deadline: Instant) {
        self.wait(deadline, false).await;
    }

    async fn wait(&self, deadline: Instant, is_pause: bool) {
        let mut place = Place {
            clock: self,
            due: deadline.saturating_duration_since(self.start),
            number: None,
            is_pause,
        };
        poll_fn(|cx| place.poll(cx)).await;
    }

    pub(super) async fn timeout_at<F: Future>(
        &self,
        deadline: Instant,
        future: F,
    ) -> Result<F::Output, Elapsed> {
        let (mut future, mut end) = (pin!(future), pin!(self.sleep_until(deadline)));
        poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            end.as_mut().poll(cx).map(|()| Err(Elapsed))
        })
        .await
    }
}

/// Of one who waits; given back however the wait ends.
struct Place<'a> {
    clock: &'a Manual,
    due: Duration,
    number: Option<u64>,
    is_pause: bool,
}

impl Place<'_> {
    // What is taken out of the clock is dropped after its lock: nobody knows what hangs on a waker.
    fn poll(&mut self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.clock.lock();
        if self.due <= state.passed {
            return Poll::Ready(());
        }
        let number = *self.number.get_or_insert_with(|| {
            state.numbers += 1;
            state.numbers
        });
        let waiting = Waiting {
            waker: cx.waker().clone(),
            is_pause: self.is_pause,
        };
        let old = state.waiting.insert((self.due, number), waiting);
        drop(state);
        drop(old);
        Poll::Pending
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let place = self.number.map(|number| (self.due, number));
        let removed = place.map(|place| self.clock.lock().waiting.remove(&place));
        drop(removed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn who_waits_is_woken_when_its_moment_has_come() {
        let clock = Arc::new(Manual::default());
        let (early, late) = (Arc::clone(&clock), Arc::clone(&clock));
        let early = tokio::spawn(async move { early.pause(SECOND).await });
        let late = tokio::spawn(async move { late.sleep_until(late.after(3 * SECOND)).await });
        tokio::task::yield_now().await;
        assert_eq!(clock.next_due(), Some(SECOND));
        assert!(clock.is_anybody_waiting());
        clock.move_to(2 * SECOND);
        assert!(early.await.is_ok());
        assert!(!clock.is_anybody_waiting() && !late.is_finished());
        assert_eq!(clock.next_due(), Some(3 * SECOND));
        clock.move_to(SECOND);
        assert_eq!(clock.passed(), 2 * SECOND, "it never goes back");
        clock.move_to(3 * SECOND);
        assert!(late.await.is_ok());
        assert_eq!(clock.next_due(), None);
    }

    #[tokio::test]
    async fn who_waits_no_longer_leaves_nothing_behind() {
        let clock = Manual::default();
        let never = clock.timeout_at(clock.after(SECOND), std::future::pending::<()>());
        {
            let mut never = pin!(never);
            assert!(futures_util::poll!(never.as_mut()).is_pending());
            assert_eq!(clock.next_due(), Some(SECOND));
        }
        assert_eq!(clock.next_due(), None);
        assert!(
            clock
                .timeout_at(clock.now(), std::future::ready(7))
                .await
                .is_ok()
        );
    }

    #[test]
    fn an_id_tells_the_time_of_the_clock() {
        let clock = Manual::default();
        clock.move_to(100 * 24 * 3600 * SECOND);
        let made = clock.new_id().get_timestamp().map(|it| it.to_unix().0);
        let date = clock.date().duration_since(UNIX_EPOCH);
        assert_eq!(made, date.ok().map(|since| since.as_secs()));
    }
}
