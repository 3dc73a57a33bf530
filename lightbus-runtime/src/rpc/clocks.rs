//! How much time calls have left, by clocks that need not agree.
//!
//! A call tells when it was made by its caller's clock. What a caller's calls seem to have taken at least is what its clock differs
//! from ours, and the shortest way here: taken off, no call is ever thought older than it is, however wrong a clock. A call may
//! be thought younger, by the time that even the fastest took.
//!
//! Under a load that makes every call wait, even the fastest is late. That is no clock: what was learned before holds, unless calls
//! seem older than they can get in a queue.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use lapin::BasicProperties;
use lapin::types::ShortString;

use crate::wire;

/// For deadlines that come without an expiration, and so tell nothing of the caller's clock.
const TOLERANCE_MS: i64 = 1000;
/// For so long, or up to twice that, a call counts as its caller's fastest. A clock may be set while its program runs.
const WINDOW: Duration = Duration::from_secs(120);
/// How far two clocks drift apart in a window, in milliseconds.
const DRIFT_MS: i64 = 20;
const CALLERS_MAX: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct Clocks {
    callers: HashMap<ShortString, Fastest>,
}

/// The least age that a caller's calls seemed to have on arrival, in milliseconds.
#[derive(Debug)]
struct Fastest {
    this_window: i64,
    last_window: i64,
    since: Instant,
}

impl Clocks {
    /// Time until a call's deadline; zero when it has passed. `None`: it has none.
    pub(super) fn time_left(&mut self, call: &BasicProperties, now_ms: i64) -> Option<Duration> {
        let left = wire::deadline_ms(call)?.saturating_sub(now_ms);
        let left = match (wire::expiration_ms(call), call.reply_to()) {
            (Some(in_all), Some(caller)) => {
                let seems = in_all.saturating_sub(left);
                let fastest = self.fastest(caller, seems, in_all, Instant::now());
                in_all.saturating_sub(seems.saturating_sub(fastest))
            }
            _ if left < -TOLERANCE_MS => 0,
            _ => left.max(1),
        };
        Some(Duration::from_millis(u64::try_from(left).unwrap_or(0)))
    }

    fn fastest(&mut self, caller: &ShortString, seems: i64, in_all: i64, now: Instant) -> i64 {
        if let Some(fastest) = self.callers.get_mut(caller) {
            return fastest.of(seems, in_all, now);
        }
        if self.callers.len() >= CALLERS_MAX {
            // Any one: callers that are still there come again.
            let one = self.callers.keys().next().cloned();
            one.map(|one| self.callers.remove(&one));
        }
        let fastest = Fastest {
            this_window: seems,
            last_window: seems,
            since: now,
        };
        self.callers.insert(caller.clone(), fastest);
        seems
    }
}

impl Fastest {
    /// `in_all`: how old a call gets in a queue at most.
    fn of(&mut self, seems: i64, in_all: i64, now: Instant) -> i64 {
        let passed = now.saturating_duration_since(self.since);
        if passed > WINDOW {
            let known = self.this_window.min(self.last_window);
            let newer = match passed > 2 * WINDOW {
                true => seems,
                false => self.this_window,
            };
            self.last_window = match newer > in_all {
                true => newer,
                false => newer.min(known.saturating_add(DRIFT_MS)),
            };
            self.this_window = seems;
            self.since = now;
        }
        self.this_window = self.this_window.min(seems);
        self.this_window.min(self.last_window)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::clock::system;
    use crate::wire::short;
    use lapin::types::{AMQPValue, FieldTable};

    /// A call with a second to live, made so long ago, by a clock that is so far ahead of ours.
    fn call(age_ms: i64, ahead_ms: i64) -> BasicProperties {
        let deadline = system::now_ms() - age_ms + ahead_ms + 1000;
        let mut headers = FieldTable::default();
        headers.insert(short(wire::DEADLINE), AMQPValue::LongLongInt(deadline));
        BasicProperties::default()
            .with_reply_to(short("shop/0123456789abcdef0123456789abcdef"))
            .with_expiration(short("1000"))
            .with_headers(headers)
    }

    fn left_ms(clocks: &mut Clocks, call: &BasicProperties) -> i64 {
        i64::try_from(
            clocks
                .time_left(call, system::now_ms())
                .unwrap()
                .as_millis(),
        )
        .unwrap()
    }

    #[test]
    fn a_wrong_clock_takes_no_time_from_a_call_and_gives_it_little() {
        for ahead in [-3_600_000, -10_000, 0, 10_000, 3_600_000] {
            let clocks = &mut Clocks::default();
            // One millisecond may pass between two looks at the clock.
            let near = |left: i64, expected: i64| (expected - 20..=expected).contains(&left);
            assert!(near(left_ms(clocks, &call(5, ahead)), 1000), "{ahead}");
            let left = left_ms(clocks, &call(405, ahead));
            assert!(near(left, 600), "{ahead}: {left}");
            assert_eq!(left_ms(clocks, &call(1505, ahead)), 0, "{ahead}");
            assert!(near(left_ms(clocks, &call(5, ahead)), 1000), "{ahead}");
        }
    }

    #[test]
    fn a_clock_that_was_set_is_believed_again_after_a_while() {
        let clocks = &mut Clocks::default();
        let (caller, begin) = (short("shop/1"), Instant::now());
        let mut fastest = |seems, seconds| {
            clocks.fastest(&caller, seems, 5000, begin + Duration::from_secs(seconds))
        };
        assert_eq!(fastest(3, 0), 3);
        assert_eq!(fastest(10_003, 0), 3);
        assert_eq!(fastest(10_004, 121), 3);
        assert_eq!(fastest(10_003, 242), 10_003);
        assert_eq!(fastest(-5, 243), -5);
        assert_eq!(fastest(7, 1000), 7, "long ago");
    }

    #[test]
    fn calls_that_wait_for_long_are_not_taken_for_a_wrong_clock() {
        let clocks = &mut Clocks::default();
        let (caller, begin) = (short("shop/1"), Instant::now());
        let mut fastest = |seems, seconds| {
            clocks.fastest(&caller, seems, 5000, begin + Duration::from_secs(seconds))
        };
        assert_eq!(fastest(3, 0), 3);
        for round in 1..10 {
            let learned = fastest(4000, round * 121);
            assert!(learned <= 3 + 20 * 10, "{round}: {learned}");
        }
    }

    #[test]
    fn callers_have_clocks_of_their_own_and_memory_is_bounded() {
        let clocks = &mut Clocks::default();
        let now = Instant::now();
        assert_eq!(clocks.fastest(&short("shop/1"), 5000, 9000, now), 5000);
        assert_eq!(clocks.fastest(&short("shop/2"), 3, 9000, now), 3);
        assert_eq!(clocks.fastest(&short("shop/1"), 6000, 9000, now), 5000);
        for caller in 0..2 * CALLERS_MAX {
            clocks.fastest(&short(&caller.to_string()), 1, 9000, now);
        }
        assert!(clocks.callers.len() <= CALLERS_MAX);
    }

    #[test]
    fn without_an_expiration_the_deadline_alone_counts() {
        let clocks = &mut Clocks::default();
        let bare = |age| {
            let headers = call(age, 0).headers().clone().unwrap();
            BasicProperties::default().with_headers(headers)
        };
        assert!(left_ms(clocks, &bare(500)) > 400);
        assert_eq!(left_ms(clocks, &bare(1500)), 1, "clocks differ a little");
        assert_eq!(left_ms(clocks, &bare(3000)), 0);
        assert_eq!(
            clocks.time_left(&BasicProperties::default(), system::now_ms()),
            None
        );
    }
}
