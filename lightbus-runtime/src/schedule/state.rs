//! What is known of a schedule's past: put together from messages, in whatever order they are read, and however often.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// So many runs are remembered.
const REMEMBERED: usize = 20;

/// How a scheduled task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum RunOutcome {
    /// Its handler was successful.
    Done,
    /// No attempt was left: it is among the dead letters.
    Failed,
    /// It was not begun in time.
    Expired,
    /// Somebody cancelled it.
    Cancelled,
}

/// Which run of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Occurrence {
    /// The time that it is for, in milliseconds since 1970.
    pub(crate) at: i64,
    /// Asked for by somebody, instead of by the time.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) manual: bool,
}

/// One run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Run {
    #[serde(flatten)]
    pub(super) occurrence: Occurrence,
    /// When it was fired; not known of one that only its worker told of.
    pub(super) fired: Option<i64>,
    pub(super) ended: Option<End>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct End {
    pub(super) at: i64,
    pub(super) outcome: RunOutcome,
}

/// Something that was decided at a time: of two, the later one holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Since<T> {
    pub(super) at: i64,
    pub(super) value: T,
}

impl<T: PartialOrd> Since<T> {
    fn merge(&mut self, other: Self) {
        if (other.at, &other.value) > (self.at, &self.value) {
            *self = other;
        }
    }
}

/// All that is kept of a schedule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    /// Everything up to here is fired, or was left out.
    pub(super) after: Option<i64>,
    /// When a process that has it in its code first said so.
    pub(super) born: Option<i64>,
    /// When one last said so.
    pub(super) seen: i64,
    pub(super) paused: Since<bool>,
    /// The queue that its occurrences were last sent to.
    pub(super) queue: Since<String>,
    pub(super) runs: Vec<Run>,
}

impl State {
    /// From what time on its occurrences are to be fired; `None` if nobody has said that there is such a schedule.
    pub(super) fn after(&self) -> Option<i64> {
        self.after.or(self.born)
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.after = self.after.max(other.after);
        self.born = match (self.born, other.born) {
            (Some(one), Some(two)) => Some(one.min(two)),
            (one, two) => one.or(two),
        };
        self.seen = self.seen.max(other.seen);
        // What was missed while it was paused is not made up for.
        let (here, there) = (&self.paused, &other.paused);
        if let Some(at) = resumed(here, there).or(resumed(there, here)) {
            self.settle(at);
        }
        self.paused.merge(other.paused);
        self.queue.merge(other.queue);
        for run in other.runs {
            self.note(run);
        }
    }

    /// Everything up to here is settled.
    pub(super) fn settle(&mut self, until: i64) {
        self.after = self.after.max(Some(until));
    }

    /// An occurrence was fired.
    pub(super) fn fired(&mut self, occurrence: Occurrence, at: i64) {
        if !occurrence.manual {
            self.settle(occurrence.at);
        }
        self.note(Run {
            occurrence,
            fired: Some(at),
            ended: None,
        });
    }

    pub(super) fn ended(&mut self, occurrence: Occurrence, end: End) {
        self.note(Run {
            occurrence,
            fired: None,
            ended: Some(end),
        });
    }

    /// Adds what is known of a run; of all, the last ones stay.
    fn note(&mut self, run: Run) {
        match self
            .runs
            .binary_search_by_key(&run.occurrence, |run| run.occurrence)
        {
            Ok(found) => {
                let known = &mut self.runs[found];
                known.fired = match (known.fired, run.fired) {
                    (Some(one), Some(two)) => Some(one.min(two)),
                    (one, two) => one.or(two),
                };
                known.ended = match (known.ended, run.ended) {
                    (Some(one), Some(two)) if two.at < one.at => Some(two),
                    (one, two) => one.or(two),
                };
            }
            Err(place) => self.runs.insert(place, run),
        }
        if self.runs.len() > REMEMBERED {
            self.runs.remove(0);
        }
    }

    /// Does a task of this schedule wait or run? One that nobody has told the end of for so long is taken for lost.
    pub(super) fn is_running(&self, now: i64, lost_after: Duration) -> bool {
        let lost_after = i64::try_from(lost_after.as_millis()).unwrap_or(i64::MAX);
        let is_young = |run: &Run| {
            let fired = run.fired.unwrap_or(run.occurrence.at);
            now.saturating_sub(fired) < lost_after
        };
        let mut open = self.runs.iter().filter(|run| run.ended.is_none());
        open.any(is_young)
    }
}

/// When the one pause was ended by the other word.
fn resumed(pause: &Since<bool>, then: &Since<bool>) -> Option<i64> {
    (pause.value && !then.value && then.at > pause.at).then_some(then.at)
}

/// One run of a schedule, as its history tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScheduledRun {
    /// The time that it was for.
    pub time: SystemTime,
    /// Was it asked for by [`Scheduled::run_now`](crate::Scheduled::run_now), instead of by the time?
    pub manual: bool,
    /// When its task was put into its queue; `None` if only its worker told of it.
    pub fired: Option<SystemTime>,
    /// When and how the task ended; `None` while it waits or runs, or if no worker has told.
    pub ended: Option<(SystemTime, RunOutcome)>,
}

impl From<Run> for ScheduledRun {
    fn from(run: Run) -> Self {
        Self {
            time: time(run.occurrence.at),
            manual: run.occurrence.manual,
            fired: run.fired.map(time),
            ended: run.ended.map(|end| (time(end.at), end.outcome)),
        }
    }
}

pub(super) fn time(ms: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(ms).unwrap_or_default())
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_false(value: &bool) -> bool {
    !value
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const fn due(at: i64) -> Occurrence {
        Occurrence { at, manual: false }
    }

    const DONE: End = End {
        at: 1500,
        outcome: RunOutcome::Done,
    };

    fn pieces() -> Vec<State> {
        let piece = |tell: &dyn Fn(&mut State)| {
            let mut state = State::default();
            tell(&mut state);
            state
        };
        vec![
            piece(&|state| (state.born, state.seen) = (Some(100), 100)),
            piece(&|state| (state.born, state.seen) = (Some(900), 900)),
            piece(&|state| state.fired(due(1000), 1003)),
            piece(&|state| state.fired(due(2000), 2001)),
            piece(&|state| state.ended(due(1000), DONE)),
            piece(&|state| {
                state.paused = Since {
                    at: 2100,
                    value: true,
                }
            }),
            piece(&|state| {
                state.queue = Since {
                    at: 5,
                    value: "one".to_owned(),
                }
            }),
            piece(&|state| {
                state.queue = Since {
                    at: 7,
                    value: "two".to_owned(),
                }
            }),
        ]
    }

    #[test]
    fn the_order_of_the_pieces_is_all_the_same() {
        let put_together = |pieces: Vec<State>| {
            pieces.into_iter().fold(State::default(), |mut all, piece| {
                all.merge(piece.clone());
                all.merge(piece);
                all
            })
        };
        let whole = put_together(pieces());
        assert_eq!(
            (whole.after(), whole.born, whole.seen),
            (Some(2000), Some(100), 900)
        );
        assert!(whole.paused.value && whole.queue.value == "two");
        assert_eq!(whole.runs.len(), 2);
        assert_eq!(
            (whole.runs[0].fired, whole.runs[0].ended),
            (Some(1003), Some(DONE))
        );
        for turn in 0..pieces().len() {
            let mut turned = pieces();
            turned.rotate_left(turn);
            assert_eq!(put_together(turned.clone()), whole);
            turned.reverse();
            assert_eq!(put_together(turned), whole);
        }
    }

    #[test]
    fn a_state_survives_the_wire() {
        let whole = pieces()
            .into_iter()
            .fold(State::default(), |mut all, piece| {
                all.merge(piece);
                all
            });
        let text = serde_json::to_string(&whole).unwrap();
        assert_eq!(serde_json::from_str::<State>(&text).unwrap(), whole);
    }

    #[test]
    fn what_was_said_first_is_where_a_schedule_begins_until_it_fires() {
        let mut state = State::default();
        assert_eq!(state.after(), None);
        state.merge(pieces()[1].clone());
        state.merge(pieces()[0].clone());
        assert_eq!(state.after(), Some(100));
        state.fired(
            Occurrence {
                at: 500,
                manual: true,
            },
            501,
        );
        assert_eq!(state.after(), Some(100));
        state.fired(due(200), 501);
        assert_eq!(state.after(), Some(200));
    }

    #[test]
    fn the_last_runs_are_remembered() {
        let mut state = State::default();
        for at in 0..100 {
            state.fired(due(at), at);
        }
        state.ended(due(3), DONE);
        let kept: Vec<i64> = state.runs.iter().map(|run| run.occurrence.at).collect();
        assert_eq!(kept, (80..100).collect::<Vec<_>>());
    }

    #[test]
    fn a_run_is_running_until_its_end_is_told_or_it_is_lost() {
        let day = Duration::from_secs(86_400);
        let mut state = State::default();
        assert!(!state.is_running(0, day));
        state.fired(due(1000), 1003);
        assert!(state.is_running(1010, day));
        assert!(!state.is_running(1003 + 86_400_000, day));
        state.ended(due(1000), DONE);
        assert!(!state.is_running(1600, day));
    }

    #[test]
    fn a_resumed_schedule_makes_up_for_nothing() {
        let word = |at, value| State {
            paused: Since { at, value },
            ..State::default()
        };
        let mut state = State::default();
        state.settle(1000);
        state.merge(word(1500, false));
        assert_eq!(state.after(), Some(1000), "it was not paused");
        for (first, second) in [((2000, true), (9000, false)), ((9000, false), (2000, true))] {
            let mut state = state.clone();
            state.merge(word(first.0, first.1));
            state.merge(word(second.0, second.1));
            assert_eq!((state.paused.value, state.after()), (false, Some(9000)));
            state.merge(word(9500, false));
            assert_eq!(state.after(), Some(9000));
            state.merge(word(9600, true));
            assert_eq!((state.paused.value, state.after()), (true, Some(9000)));
        }
    }
}
