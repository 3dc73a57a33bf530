//! Consumers, and whose turn it is.

use super::ids::{At, ConsumerId};
use std::sync::Arc;

/// A subscription to a queue.
#[derive(Clone, Debug)]
pub(crate) struct Consumer {
    pub(crate) id: ConsumerId,
    pub(crate) at: At,
    pub(crate) tag: Arc<str>,
    pub(crate) no_ack: bool,
    pub(crate) exclusive: bool,
    /// How many unacknowledged messages it may have; 0 is no limit.
    pub(crate) prefetch: u16,
    pub(crate) unacked: u32,
    pub(crate) priority: i32,
    /// It shares the prefetch of its channel. Quorum queues and streams know nothing of that.
    pub(crate) limited: bool,
    /// Its turn came when it could take nothing. Once it can, it stands behind the others.
    pub(crate) passed_over: bool,
}

impl Consumer {
    pub(crate) fn has_credit(&self) -> bool {
        self.no_ack || self.prefetch == 0 || self.unacked < u32::from(self.prefetch)
    }
}

/// The consumers of one queue: highest priority first, and within a priority the one that was served longest ago.
#[derive(Debug, Default)]
pub(crate) struct Consumers {
    list: Vec<Consumer>,
    /// With a single active consumer: which it is.
    active: Option<ConsumerId>,
    /// How many were passed over.
    passed_over: usize,
}

impl Consumers {
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Consumer> {
        self.list.iter()
    }

    pub(crate) fn get_mut_at(&mut self, at: usize) -> Option<&mut Consumer> {
        self.list.get_mut(at)
    }

    /// Whether it is the one that a single-active-consumer queue serves.
    pub(crate) fn is_active(&self, id: ConsumerId) -> bool {
        self.active == Some(id)
    }

    pub(crate) fn was_passed_over(&self, id: ConsumerId) -> bool {
        let mut passed_over = self.list.iter().filter(|consumer| consumer.passed_over);
        passed_over.any(|consumer| consumer.id == id)
    }

    pub(crate) fn get_mut(&mut self, id: ConsumerId) -> Option<&mut Consumer> {
        self.list.iter_mut().find(|consumer| consumer.id == id)
    }

    /// Adds a consumer behind those of its priority.
    pub(crate) fn add(&mut self, consumer: Consumer) {
        let at = self
            .list
            .partition_point(|other| other.priority >= consumer.priority);
        self.active = self.active.or(Some(consumer.id));
        self.list.insert(at, consumer);
    }

    pub(crate) fn remove(&mut self, id: ConsumerId) -> Option<Consumer> {
        let at = self.list.iter().position(|consumer| consumer.id == id)?;
        let gone = self.list.remove(at);
        self.passed_over -= usize::from(gone.passed_over);
        if self.active == Some(id) {
            self.active = self.list.first().map(|next| next.id);
        }
        Some(gone)
    }

    /// With a single active consumer: has one of higher priority follow it, as soon as it has settled what it has. Says whether
    /// the active one may be given more.
    pub(crate) fn hand_over(&mut self) -> bool {
        let Some((best, priority)) = self.list.first().map(|best| (best.id, best.priority)) else {
            return true;
        };
        match self.active.and_then(|active| self.get_mut(active)) {
            Some(active) if active.priority < priority && active.unacked > 0 => false,
            Some(active) if active.priority < priority => {
                self.active = Some(best);
                true
            }
            _ => true,
        }
    }

    /// Whether a consumer's turn can come; with a single active one, only its own can.
    pub(crate) fn may_take(&self, single: bool, consumer: &Consumer) -> bool {
        !single || self.active == Some(consumer.id)
    }

    /// The next consumer that is `willing`; it goes behind the others of its priority.
    pub(crate) fn next(
        &mut self,
        single: bool,
        willing: impl Fn(&Consumer) -> bool,
    ) -> Option<&mut Consumer> {
        if self.passed_over > 0 {
            self.call_back(&willing);
        }
        for at in 0..self.list.len() {
            let consumer = self.list.get(at)?;
            if !self.may_take(single, consumer) || consumer.passed_over {
                continue;
            }
            if willing(consumer) {
                let last = self.send_back(at)?;
                return self.list.get_mut(last);
            }
            // The active one has no others to stand behind.
            if !single {
                self.list.get_mut(at)?.passed_over = true;
                self.passed_over += 1;
            }
        }
        None
    }

    /// Those that were passed over and are `willing` now are behind the others of their priority.
    fn call_back(&mut self, willing: impl Fn(&Consumer) -> bool) {
        let returns = |consumer: &Consumer| consumer.passed_over && willing(consumer);
        while let Some(at) = self.list.iter().position(returns) {
            if let Some(consumer) = self.list.get_mut(at) {
                consumer.passed_over = false;
            }
            self.passed_over -= 1;
            self.send_back(at);
        }
    }

    /// Puts a consumer behind the others of its priority; says where that is.
    fn send_back(&mut self, at: usize) -> Option<usize> {
        let rest = self.list.get_mut(at..)?;
        let priority = rest.first()?.priority;
        let end = rest.partition_point(|other| other.priority >= priority);
        rest.get_mut(..end)?.rotate_left(1);
        Some(at + end - 1)
    }

    pub(crate) fn drain(&mut self) -> Vec<Consumer> {
        self.active = None;
        self.passed_over = 0;
        std::mem::take(&mut self.list)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::core::ids::ConnId;

    fn with(priorities: &[i32]) -> Consumers {
        let mut consumers = Consumers::default();
        for (id, priority) in priorities.iter().enumerate() {
            consumers.add(Consumer {
                id: ConsumerId(id as u64),
                at: At {
                    conn: ConnId(1),
                    channel: 1,
                },
                tag: "t".into(),
                no_ack: false,
                exclusive: false,
                prefetch: 0,
                unacked: 0,
                priority: *priority,
                limited: true,
                passed_over: false,
            });
        }
        consumers
    }

    fn turns(consumers: &mut Consumers, single: bool, count: usize, busy: &[u64]) -> Vec<u64> {
        (0..count)
            .map(|_| {
                consumers
                    .next(single, |c| !busy.contains(&c.id.0))
                    .unwrap()
                    .id
                    .0
            })
            .collect()
    }

    #[test]
    fn equal_consumers_take_turns() {
        assert_eq!(
            turns(&mut with(&[0, 0, 0]), false, 6, &[]),
            [0, 1, 2, 0, 1, 2]
        );
        assert_eq!(turns(&mut with(&[0, 0, 0]), false, 4, &[1]), [0, 2, 0, 2]);
    }

    #[test]
    fn who_was_passed_over_goes_behind_the_others() {
        let mut consumers = with(&[0, 0, 0]);
        assert_eq!(turns(&mut consumers, false, 2, &[0]), [1, 2]);
        assert_eq!(turns(&mut consumers, false, 3, &[]), [1, 2, 0]);
        assert!(consumers.next(false, |_| false).is_none());
        consumers.remove(ConsumerId(1));
        assert_eq!(turns(&mut consumers, false, 3, &[]), [2, 0, 2]);
        assert_eq!(consumers.passed_over, 0);
    }

    #[test]
    fn priority_goes_first_while_it_is_willing() {
        let mut consumers = with(&[0, 5, 0, 5]);
        assert_eq!(turns(&mut consumers, false, 3, &[]), [1, 3, 1]);
        assert_eq!(turns(&mut consumers, false, 3, &[1, 3]), [0, 2, 0]);
    }

    #[test]
    fn the_single_active_one_is_followed_by_the_next() {
        let mut consumers = with(&[0, 0]);
        assert_eq!(turns(&mut consumers, true, 2, &[]), [0, 0]);
        assert!(consumers.next(true, |c| c.id.0 == 1).is_none());
        consumers.remove(ConsumerId(0));
        assert_eq!(turns(&mut consumers, true, 1, &[]), [1]);
    }
}
