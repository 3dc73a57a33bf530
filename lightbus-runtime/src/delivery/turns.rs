//! Whose turn it is among queues that share their workers: by weight, while more than one has something to begin.
//!
//! Each begun message costs its queue a share of virtual time, the less the more weight it has; the queue that has used least goes first. A queue
//! that had nothing for a while saves up no time.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// What a message costs a queue of weight 1.
const COST: u64 = 60;

#[derive(Debug, Default)]
struct Turns {
    queues: Mutex<Queues>,
    /// A bit for each queue that has something to begin and waits.
    waiting: AtomicU32,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Queues {
    used: Vec<u64>,
    /// What the last one to begin had used.
    now: u64,
}

/// One queue's share.
#[derive(Clone, Debug)]
pub(crate) struct Share {
    turns: Arc<Turns>,
    queue: usize,
    cost: u64,
}

/// Shares by these weights, from 1 to 60, of at most 32 queues.
pub(crate) fn shares(weights: &[u64]) -> Vec<Share> {
    let turns = Arc::new(Turns::default());
    {
        let mut queues = turns.lock();
        queues.used = vec![0; weights.len()];
    }
    let share = |(queue, weight): (usize, &u64)| Share {
        turns: Arc::clone(&turns),
        queue,
        cost: COST / weight.clamp(&1, &COST),
    };
    weights.iter().enumerate().map(share).collect()
}

impl Turns {
    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queues {
    fn is_next(&self, queue: usize, waiting: u32) -> bool {
        let others = self.used.iter().enumerate();
        others
            .filter(|(other, _)| *other != queue && waiting & bit(*other) != 0)
            .all(|(other, used)| (self.used[queue], queue) < (*used, other))
    }
}

fn bit(queue: usize) -> u32 {
    1 << queue
}

impl Share {
    /// This queue has something to begin, as long as what is returned lives.
    pub(super) fn wait(&self) -> Waiting {
        let mut queues = self.turns.lock();
        self.turns
            .waiting
            .fetch_or(bit(self.queue), Ordering::Relaxed);
        queues.used[self.queue] = queues.used[self.queue].max(queues.now);
        drop(queues);
        Waiting(self.clone())
    }

    /// Waits until it is this queue's turn, among those that wait as well.
    pub(super) async fn turn(&self) {
        loop {
            let changed = self.turns.changed.notified();
            if self.is_next() {
                return;
            }
            changed.await;
        }
    }

    fn is_next(&self) -> bool {
        let queues = self.turns.lock();
        queues.is_next(self.queue, self.turns.waiting.load(Ordering::Relaxed))
    }

    /// Does no other queue wait? Then nobody's turn is to be waited for, and no account kept.
    pub(super) fn is_alone(&self) -> bool {
        self.turns.waiting.load(Ordering::Relaxed) & !bit(self.queue) == 0
    }

    /// One more has begun.
    pub(super) fn begun(&self) {
        let mut queues = self.turns.lock();
        queues.now = queues.used[self.queue];
        queues.used[self.queue] += self.cost;
        drop(queues);
        self.turns.changed.notify_waiters();
    }
}

/// Counts among those that wait, until dropped.
#[derive(Debug)]
pub(super) struct Waiting(Share);

impl Drop for Waiting {
    fn drop(&mut self) {
        let (turns, queue) = (&self.0.turns, self.0.queue);
        turns.waiting.fetch_and(!bit(queue), Ordering::Relaxed);
        turns.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All of them always have something to begin.
    fn begin(shares: &[Share], busy: &[usize], times: usize) -> Vec<usize> {
        let waiting: Vec<_> = busy.iter().map(|n| shares[*n].wait()).collect();
        let mut begun = vec![0; shares.len()];
        for _ in 0..times {
            let next = busy.iter().find(|n| shares[**n].is_next());
            let next = next.copied().unwrap_or_default();
            shares[next].begun();
            begun[next] += 1;
        }
        drop(waiting);
        begun
    }

    #[test]
    fn who_has_more_weight_begins_more_and_none_starves() {
        let shares = shares(&[6, 3, 1]);
        assert_eq!(begin(&shares, &[0, 1, 2], 1000), [600, 300, 100]);
    }

    #[test]
    fn a_queue_alone_waits_for_nobody() {
        let shares = shares(&[6, 3, 1]);
        assert_eq!(begin(&shares, &[2], 50), [0, 0, 50]);
    }

    #[test]
    fn who_had_nothing_saves_nothing_up() {
        let shares = shares(&[1, 1]);
        begin(&shares, &[0], 1000);
        let then = begin(&shares, &[0, 1], 100);
        assert!((49..=51).contains(&then[1]), "{then:?}");
    }
}
