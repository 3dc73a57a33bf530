//! Groups that are over, remembered for a while: a member that comes twice reports twice.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::clock::system;

pub(super) const REMEMBERED: Duration = Duration::from_secs(600);
const MOST: usize = 100_000;

#[derive(Debug, Default)]
pub(super) struct Over {
    /// Since when, in milliseconds since 1970.
    since: HashMap<u128, i64>,
    /// The same, as they were heard of.
    order: VecDeque<u128>,
}

impl Over {
    pub(super) fn contains(&self, id: u128) -> bool {
        self.since.contains_key(&id)
    }

    /// False if that is so long ago that it does not matter.
    pub(super) fn add(&mut self, id: u128, at: i64) -> bool {
        // Somebody's clock may be ahead.
        let at = at.min(system::now_ms());
        if age(at) > REMEMBERED {
            return false;
        }
        if self.since.insert(id, at).is_none() {
            self.order.push_back(id);
        }
        if self.order.len() > MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.since.remove(&oldest);
        }
        true
    }

    pub(super) fn forget_old(&mut self) {
        while let Some(oldest) = self.order.front()
            && self
                .since
                .get(oldest)
                .is_none_or(|at| age(*at) > REMEMBERED)
        {
            self.since.remove(oldest);
            self.order.pop_front();
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (u128, i64)> {
        self.since.iter().map(|(id, at)| (*id, *at))
    }
}

fn age(at: i64) -> Duration {
    let ms = system::now_ms().saturating_sub(at);
    Duration::from_millis(u64::try_from(ms).unwrap_or_default())
}
