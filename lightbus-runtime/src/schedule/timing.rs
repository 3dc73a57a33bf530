//! When a schedule fires: a pure function of what it says, and of what has been fired.
//!
//! Times are milliseconds since 1970. Every replica, and every later process, comes to the same ones.

use std::fmt;
use std::time::Duration;

use super::cron::Calendar;
use crate::error::Error;

/// Of occurrences that were missed, so many are fired at most.
pub(super) const MOST_MISSED: usize = 1000;
/// So late may an occurrence be that is fired all the same when missed ones are not.
const LATE: i64 = 5_000;
const SHORTEST: Duration = Duration::from_millis(10);
/// What has passed is looked for in so many milliseconds before now, then in twice as many, and so on: there may be very many.
const FIRST_WINDOW: i64 = 10_000;

/// What becomes of occurrences at whose time no process of the app could fire them: none was running, or there was no broker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missed {
    /// They are left out; one that is less than 5 s late is fired.
    Skip,
    /// The last of them is fired.
    #[default]
    Once,
    /// They are fired one after the other, the last 1000 of them.
    All,
}

/// What becomes of an occurrence that is due while an earlier one's task still waits or runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overlap {
    /// It is fired.
    #[default]
    Allow,
    /// It is left out.
    Skip,
}

/// What a schedule's occurrences follow.
#[derive(Clone, Debug)]
pub(super) enum Rhythm {
    /// Multiples of so many milliseconds.
    Every(i64),
    Cron(Box<Calendar>),
}

impl Rhythm {
    pub(super) fn every(interval: Duration) -> Result<Self, Error> {
        match i64::try_from(interval.as_millis()) {
            Ok(ms) if interval >= SHORTEST => Ok(Self::Every(ms)),
            _ => Err(Error::Config(format!(
                "a schedule cannot fire every {interval:?}: give an interval from 10 ms on, like `.every(Duration::from_secs(30))`"
            ))),
        }
    }

    /// The first occurrence after this time.
    pub(super) fn next(&self, after: i64) -> Option<i64> {
        match self {
            Self::Every(ms) => after.div_euclid(*ms).checked_add(1)?.checked_mul(*ms),
            Self::Cron(calendar) => calendar.next(after),
        }
    }

    /// The occurrences after one time and up to another.
    fn between(&self, after: i64, until: i64) -> Vec<i64> {
        let all = std::iter::successors(self.next(after), |at| self.next(*at));
        all.take_while(|at| *at <= until).collect()
    }
}

impl fmt::Display for Rhythm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every(ms) => {
                let interval = Duration::from_millis(u64::try_from(*ms).unwrap_or_default());
                write!(f, "every {interval:?}")
            }
            Self::Cron(calendar) => calendar.fmt(f),
        }
    }
}

/// When a schedule fires.
#[derive(Clone, Debug)]
pub(super) struct Timing {
    pub(super) rhythm: Rhythm,
    pub(super) jitter: Duration,
    pub(super) missed: Missed,
}

/// What is to be fired now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Due {
    /// In their order.
    pub(super) fire: Vec<i64>,
    /// How many are not fired, because they were missed. Of very many not all are counted.
    pub(super) left_out: usize,
    /// All occurrences up to here are among those.
    pub(super) until: Option<i64>,
}

impl Timing {
    /// What is to be fired `now`, when everything up to `after` is settled.
    pub(super) fn due(&self, name: &str, after: i64, now: i64) -> Due {
        let mut due = self.passed(name, after, now);
        let until = due.last().copied();
        let all = due.len();
        match self.missed {
            Missed::All => drop(due.drain(..all.saturating_sub(MOST_MISSED))),
            Missed::Once => drop(due.drain(..all.saturating_sub(1))),
            Missed::Skip => {
                due.drain(..all.saturating_sub(1));
                due.retain(|at| now - self.fires_at(name, *at) < LATE);
            }
        }
        Due {
            left_out: all - due.len(),
            fire: due,
            until,
        }
    }

    /// The occurrences after `after` whose time has come; of very many, the last ones.
    fn passed(&self, name: &str, after: i64, now: i64) -> Vec<i64> {
        if self.rhythm.next(after).is_none_or(|next| next > now) {
            return Vec::new();
        }
        let mut window = FIRST_WINDOW;
        let mut passed = loop {
            let from = after.max(now.saturating_sub(window));
            let passed = self.rhythm.between(from, now);
            if from == after || passed.len() > MOST_MISSED {
                break passed;
            }
            window = window.saturating_mul(2);
        };
        // Those before one whose time has come are not waited for.
        let last = passed
            .iter()
            .rposition(|at| self.fires_at(name, *at) <= now);
        passed.truncate(last.map_or(0, |last| last + 1));
        passed
    }

    /// When the first occurrence after `after` is fired.
    pub(super) fn next(&self, name: &str, after: i64) -> Option<i64> {
        Some(self.fires_at(name, self.rhythm.next(after)?))
    }

    /// An occurrence's time, and its share of the jitter: the same in every replica.
    fn fires_at(&self, name: &str, at: i64) -> i64 {
        let span = u64::try_from(self.jitter.as_millis()).unwrap_or(u64::MAX);
        let Some(span) = span.checked_add(1).filter(|span| *span > 1) else {
            return at;
        };
        let share = spread(name, at) % span;
        at.saturating_add(i64::try_from(share).unwrap_or(i64::MAX))
    }
}

/// FNV-1a, then mixed: a number as good as any, that stays the same.
fn spread(name: &str, at: i64) -> u64 {
    let bytes = name.bytes().chain(at.to_be_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ (hash >> 33)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn every(ms: u64, missed: Missed) -> Timing {
        Timing {
            rhythm: Rhythm::every(Duration::from_millis(ms)).unwrap(),
            jitter: Duration::ZERO,
            missed,
        }
    }

    fn cron(text: &str) -> Rhythm {
        Rhythm::Cron(Box::new(Calendar::new(text, "Europe/Berlin").unwrap()))
    }

    fn fire(timing: &Timing, after: i64, now: i64) -> Vec<i64> {
        timing.due("poll", after, now).fire
    }

    #[test]
    fn intervals_are_multiples_whenever_one_begins() {
        let timing = every(300, Missed::All);
        assert_eq!(timing.rhythm.next(0), Some(300));
        assert_eq!(timing.rhythm.next(299), Some(300));
        assert_eq!(timing.rhythm.next(300), Some(600));
        assert_eq!(timing.rhythm.next(-1), Some(0));
        assert_eq!(fire(&timing, 300, 1199), [600, 900]);
        assert_eq!(fire(&timing, 300, 1200), [600, 900, 1200]);
        assert_eq!(fire(&timing, 300, 599), [0; 0]);
    }

    #[test]
    fn in_time_all_policies_fire_the_same() {
        for missed in [Missed::Skip, Missed::Once, Missed::All] {
            let timing = every(1000, missed);
            let due = timing.due("poll", 1000, 2004);
            assert_eq!(
                (due.fire, due.left_out, due.until),
                (vec![2000], 0, Some(2000))
            );
            assert_eq!(timing.due("poll", 2000, 2004), Due::default());
        }
    }

    #[test]
    fn what_was_missed_is_skipped_fired_once_or_fired() {
        let (after, now) = (60_000, 300_000 + 20_000);
        let due = |missed| every(60_000, missed).due("poll", after, now);
        let skipped = Due {
            fire: vec![],
            left_out: 4,
            until: Some(300_000),
        };
        assert_eq!(due(Missed::Skip), skipped);
        let once = Due {
            fire: vec![300_000],
            left_out: 3,
            ..skipped
        };
        assert_eq!(due(Missed::Once), once);
        let all = vec![120_000, 180_000, 240_000, 300_000];
        assert_eq!(
            due(Missed::All),
            Due {
                fire: all,
                left_out: 0,
                ..once
            }
        );
    }

    #[test]
    fn a_little_late_is_not_missed() {
        let timing = every(60_000, Missed::Skip);
        assert_eq!(fire(&timing, 60_000, 124_999), [120_000]);
        assert_eq!(fire(&timing, 60_000, 125_000), [0; 0]);
    }

    #[test]
    fn there_is_a_bound_to_what_is_made_up_for() {
        let timing = every(10, Missed::All);
        let due = timing.due("poll", 0, 1_000_000_000_000);
        assert_eq!(due.fire.len(), MOST_MISSED);
        assert_eq!(due.fire.last(), Some(&1_000_000_000_000));
        assert!(due.left_out > 0);
        let second = Timing {
            rhythm: cron("* * * * * *"),
            ..timing
        };
        assert_eq!(
            second.due("poll", 0, 1_000_000_000_000).fire.len(),
            MOST_MISSED
        );
    }

    #[test]
    fn a_clock_that_goes_back_fires_nothing_twice() {
        let timing = every(300, Missed::All);
        let now = 10_000_000;
        let mut after = *fire(&timing, now - 300, now).last().unwrap();
        let mut fired = vec![after];
        for clock in (now - 60_000..now + 3000).step_by(70) {
            let due = timing.due("poll", after, clock);
            after = due.until.unwrap_or(after);
            fired.extend(due.fire);
        }
        let expected: Vec<i64> = (fired[0]..now + 3000).step_by(300).collect();
        assert_eq!(fired, expected);
    }

    #[test]
    fn step_by_step_or_at_once_all_is_the_same() {
        let rhythms = [Rhythm::Every(700), cron("*/2 * * * * *")];
        for (rhythm, jitter) in rhythms
            .iter()
            .flat_map(|rhythm| [0, 5000].map(|j| (rhythm, j)))
        {
            let timing = Timing {
                rhythm: rhythm.clone(),
                jitter: Duration::from_millis(jitter),
                missed: Missed::All,
            };
            let (begin, end) = (1_774_746_000_000, 1_774_746_060_000);
            let mut after = begin;
            let mut fired = Vec::new();
            for now in (begin..end).step_by(130) {
                let due = timing.due("poll", after, now);
                after = due.until.unwrap_or(after);
                fired.extend(due.fire);
            }
            let mut at_once = fire(&timing, begin, end);
            at_once.retain(|at| *at <= after);
            assert_eq!(fired, at_once, "{rhythm} with jitter {jitter}");
            assert!(fired.len() > 20);
        }
    }

    #[test]
    fn jitter_delays_within_its_bound_and_everywhere_the_same() {
        let jittered = Timing {
            jitter: Duration::from_millis(200),
            ..every(1000, Missed::All)
        };
        let at = |n: i64| jittered.next("poll", n * 1000).unwrap() - (n + 1) * 1000;
        let delays: Vec<i64> = (0..1000).map(at).collect();
        assert!(delays.iter().all(|delay| (0..=200).contains(delay)));
        assert!(delays.contains(&0) && delays.contains(&200));
        // Pinned: replicas of another version have to agree.
        assert_eq!(delays[..4], [133, 52, 83, 43]);
        let waits = jittered.next("poll", 0).unwrap();
        assert_eq!(fire(&jittered, 0, waits - 1), [0; 0]);
        assert_eq!(fire(&jittered, 0, waits), [1000]);
    }

    #[test]
    fn no_interval_is_no_schedule() {
        for interval in [Duration::ZERO, Duration::from_millis(9), Duration::MAX] {
            let error = Rhythm::every(interval).map_err(|error| error.to_string());
            assert!(error.is_err_and(|text| text.contains(".every(Duration::from_secs(30))")));
        }
    }
}
