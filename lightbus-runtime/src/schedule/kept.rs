//! What the one who fires knows of a schedule, and the messages that it knows it from.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::state::{Occurrence, State};

/// So many messages are kept of a schedule before they are written down as one.
const MESSAGES: usize = 16;
const BYTES: usize = 256 * 1024;
/// A broker closes a channel on which something is unacknowledged for too long: by default for 30 minutes.
const LONGEST: Duration = Duration::from_secs(600);
/// Of occurrences that were refused, so many are remembered.
const REFUSED: usize = 1000;

/// Occurrences that this state queue has, and the task's queue perhaps not: one publish goes to both, and a broker that was killed may have stored it in one. The
/// one who fired them writes down that they were confirmed. They are put together in whatever order they are read.
#[derive(Debug, Default)]
pub(super) struct Doubts {
    fired: BTreeSet<Occurrence>,
    sure: BTreeSet<Occurrence>,
    sure_until: Option<i64>,
}

impl Doubts {
    pub(super) fn fired(&mut self, occurrence: Occurrence) {
        self.fired.insert(occurrence);
    }

    /// Its task has ended, so it was there.
    pub(super) fn ended(&mut self, occurrence: Occurrence) {
        self.sure.insert(occurrence);
    }

    /// Written down after they were confirmed.
    pub(super) fn written(&mut self, state: &State) {
        self.sure_until = self.sure_until.max(state.after);
        let fired = state.runs.iter().filter(|run| run.fired.is_some());
        self.sure.extend(fired.map(|run| run.occurrence));
    }

    /// Those that nobody is sure of.
    pub(super) fn take(&mut self) -> Vec<Occurrence> {
        let all = std::mem::take(self);
        let is_sure = |one: &Occurrence| {
            all.sure.contains(one) || !one.manual && Some(one.at) <= all.sure_until
        };
        let doubted = all.fired.iter().filter(|one| !is_sure(one));
        doubted.copied().collect()
    }
}

#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) state: State,
    /// Something is only known here, and is to be written down.
    pub(super) unwritten: bool,
    pub(super) doubts: Doubts,
    /// Occurrences that the state queue took, and the task's queue did not.
    pub(super) refused: BTreeSet<Occurrence>,
    /// Before that, firing is not tried again.
    pub(super) rests_until: Option<Instant>,
    /// Until then, its task's queue is taken to be there.
    pub(super) ready_until: Option<Instant>,
    tags: Vec<u64>,
    bytes: usize,
    oldest: Option<Instant>,
}

impl Kept {
    pub(super) fn add(&mut self, state: State, tag: u64, size: usize) {
        let paused = self.state.paused.value;
        self.state.merge(state);
        self.unwritten |= paused != self.state.paused.value;
        self.tags.push(tag);
        self.bytes += size;
        self.oldest.get_or_insert_with(Instant::now);
    }

    pub(super) fn is_compactable(&self, now: Instant) -> bool {
        let is_old = |oldest: Instant| now - oldest > LONGEST;
        self.unwritten
            || self.tags.len() > MESSAGES
            || self.bytes > BYTES
            || self.oldest.is_some_and(is_old)
    }

    /// Everything is written down: what may be acknowledged.
    pub(super) fn compacted(&mut self) -> Vec<u64> {
        self.unwritten = false;
        self.bytes = 0;
        self.oldest = None;
        std::mem::take(&mut self.tags)
    }

    pub(super) fn was_refused(&mut self, occurrence: Occurrence) {
        self.refused.insert(occurrence);
        if self.refused.len() > REFUSED {
            self.refused.pop_first();
        }
    }

    pub(super) fn rests(&self) -> bool {
        self.rests_until.is_some_and(|until| until > Instant::now())
    }

    pub(super) fn is_ready(&self) -> bool {
        self.ready_until.is_some_and(|until| until > Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_messages_or_large_ones_are_written_down() {
        let mut kept = Kept::default();
        for tag in 1..=16 {
            kept.add(State::default(), tag, 10);
        }
        assert!(!kept.is_compactable(Instant::now()));
        kept.add(State::default(), 17, 10);
        assert!(kept.is_compactable(Instant::now()));
        assert_eq!(kept.compacted().len(), 17);
        assert!(!kept.is_compactable(Instant::now()));
        kept.add(State::default(), 18, BYTES + 1);
        assert!(kept.is_compactable(Instant::now()));
    }

    #[test]
    fn an_occurrence_is_doubted_until_it_is_written_down_or_has_ended() {
        let due = |at| Occurrence { at, manual: false };
        let asked = |at| Occurrence { at, manual: true };
        let mut state = State::default();
        state.fired(due(100), 101);
        state.fired(asked(90), 102);
        let tell: [&dyn Fn(&mut Doubts); 3] = [
            &|doubts| {
                for at in [80, 100, 200, 300] {
                    doubts.fired(due(at));
                }
            },
            &|doubts| {
                [90, 95]
                    .map(asked)
                    .into_iter()
                    .for_each(|run| doubts.fired(run))
            },
            &|doubts| {
                doubts.written(&state);
                doubts.ended(due(200));
            },
        ];
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let mut doubts = Doubts::default();
            for n in order {
                tell[n](&mut doubts);
            }
            assert_eq!(doubts.take(), [asked(95), due(300)]);
            assert_eq!(doubts.take(), []);
        }
    }

    #[test]
    fn nothing_is_kept_for_longer_than_a_broker_lets_it() {
        let mut kept = Kept::default();
        kept.add(State::default(), 1, 10);
        let later = Instant::now() + LONGEST;
        assert!(!kept.is_compactable(later - Duration::from_secs(60)));
        assert!(kept.is_compactable(later + Duration::from_millis(1)));
        assert_eq!(kept.compacted(), [1]);
        assert!(!kept.is_compactable(later + Duration::from_millis(1)));
    }
}
