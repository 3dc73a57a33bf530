//! Whose turn it is among queues that share their workers: by weight, while more than one has something to begin.
//!
//! Each begun message costs its queue a share of virtual time, the less the more weight it has; the queue that has used least goes first. A queue
//! that had nothing for a while saves up no time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// What a message costs a queue of weight 1.
const COST: u64 = 60;

#[derive(Debug, Default)]
struct Turns {
    queues: Mutex<Queues>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Queues {
    used: Vec<u64>,
    waiting: Vec<bool>,
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

/// Shares by these weights, from 1 to 60.
pub(crate) fn shares(weights: &[u64]) -> Vec<Share> {
    let turns = Arc::new(Turns::default());
    {
        let mut queues = turns.lock();
        queues.used = vec![0; weights.len()];
        queues.waiting = vec![false; weights.len()];
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
    fn is_next(&self, queue: usize) -> bool {
        let others = self.waiting.iter().zip(&self.used).enumerate();
        others
            .filter(|(other, (waiting, _))| *other != queue && **waiting)
            .all(|(other, (_, used))| (self.used[queue], queue) < (*used, other))
    }
}

impl Share {
    /// This queue has something to begin, as long as what is returned lives.
    pub(super) fn wait(&self) -> Waiting {
        let mut queues = self.turns.lock();
        queues.waiting[self.queue] = true;
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
        self.turns.lock().is_next(self.queue)
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
        self.0.turns.lock().waiting[self.0.queue] = false;
        self.0.turns.changed.notify_waiters();
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
