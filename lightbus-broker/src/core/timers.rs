//! What is to happen later. Entries are hints: whoever is woken checks whether it is really due.

use super::{
    Core,
    ids::{ConnId, QueueId},
};
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

    /// Takes the next alarm that is due, with its deadline.
    pub(crate) fn due(&mut self, now: Instant) -> Option<(Instant, Alarm)> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(due)| due)
    }

    /// Now and then, throws out the alarms that nobody needs: they must not pile up until they are due.
    fn tidy(&mut self, needed: impl Fn(Instant, Alarm) -> bool) {
        if self.heap.len() > FEW.max(2 * self.tidied) {
            self.heap.retain(|Reverse((at, alarm))| needed(*at, *alarm));
            self.heap.shrink_to(2 * self.heap.len());
            self.tidied = self.heap.len();
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }
}

impl Core {
    /// To be called wherever alarms may become useless: queues come and go, and so do the messages at their heads.
    pub(super) fn tidy_timers(&mut self) {
        let queues = &self.queues;
        self.timers.tidy(|at, alarm| match alarm {
            Alarm::Message(id) => queues
                .get(&id)
                .is_some_and(|queue| queue.message_alarm == Some(at)),
            Alarm::Unused(id) | Alarm::Held(id) => queues.contains_key(&id),
            Alarm::Unsettled | Alarm::Release(_) => true,
        });
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
        let first = start + Duration::from_secs(1);
        assert_eq!(timers.due(first), Some((first, Alarm::Message(QueueId(1)))));
        assert_eq!(timers.due(first), None);
        let due = timers.due(start + Duration::from_secs(9));
        assert_eq!(due.map(|(_, alarm)| alarm), Some(Alarm::Unused(QueueId(2))));
        assert_eq!(timers.next(), None);
    }
}
