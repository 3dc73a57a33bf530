//! What is to happen later. Entries are hints: whoever is woken checks whether it is really due.

use super::ids::{ConnId, QueueId};
use std::{cmp::Reverse, collections::BinaryHeap, time::Instant};

/// A reason to wake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Alarm {
    /// The message at the head of a queue may have expired.
    Message(QueueId),
    /// A queue may have gone unused for too long.
    Unused(QueueId),
    /// A delivery may have gone unsettled for too long.
    Unsettled,
    /// A queue holds dead letters to be tried again.
    Held(QueueId),
    /// What a connection is to be sent was held for long enough.
    Release(ConnId),
}

/// Fewer entries than this are not worth tidying.
const FEW: usize = 1024;

/// Deadlines in order.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, Alarm)>>,
    /// How many there were when those that concern nothing any more were last thrown out.
    tidied: usize,
}

impl Timers {
    pub(crate) fn set(&mut self, at: Instant, alarm: Alarm) {
        self.heap.push(Reverse((at, alarm)));
    }

    /// The next deadline.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes the next alarm that is due.
    pub(crate) fn due(&mut self, now: Instant) -> Option<Alarm> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse((_, alarm))| alarm)
    }

    /// Now and then, throws out the alarms that nobody needs: queues that come and go must not pile them up until they are due.
    pub(crate) fn tidy(&mut self, needed: impl Fn(&Alarm) -> bool) {
        if self.heap.len() > FEW.max(2 * self.tidied) {
            self.heap.retain(|Reverse((_, alarm))| needed(alarm));
            self.heap.shrink_to(2 * self.heap.len());
            self.tidied = self.heap.len();
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn alarms_come_in_order_and_only_when_due() {
        let start = Instant::now();
        let mut timers = Timers::default();
        timers.set(start + Duration::from_secs(2), Alarm::Unused(QueueId(2)));
        timers.set(start + Duration::from_secs(1), Alarm::Message(QueueId(1)));
        assert_eq!(timers.next(), Some(start + Duration::from_secs(1)));
        assert_eq!(timers.due(start), None);
        assert_eq!(
            timers.due(start + Duration::from_secs(1)),
            Some(Alarm::Message(QueueId(1)))
        );
        assert_eq!(timers.due(start + Duration::from_secs(1)), None);
        assert_eq!(
            timers.due(start + Duration::from_secs(9)),
            Some(Alarm::Unused(QueueId(2)))
        );
        assert_eq!(timers.next(), None);
    }
}
