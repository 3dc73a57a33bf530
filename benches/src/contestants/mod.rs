//! Who does the work. Each contestant offers the same four things, written as its users would write them.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::meter::now_us;

pub(crate) mod by_trait;
pub(crate) mod documented;
pub(crate) mod topology;
pub(crate) mod tuned;

/// Makes calls.
pub(crate) trait Caller: Send + Sync + 'static {
    /// Sends `body` to the server, which sends it back.
    fn call(&self, id: u64, body: &str) -> impl Future<Output = Result<String>> + Send;
}

/// Publishes events, each confirmed by the broker.
pub(crate) trait Publisher {
    /// Publishes as the plan says; returns the number of confirmed events.
    async fn publish(&self, plan: &Plan, body: &str) -> Result<u64>;
}

/// Published before anything is measured, so that exchanges are declared and buffers are warm. Listeners get it as well.
pub(crate) const WARM_UP: Plan = Plan {
    messages: 1,
    within: None,
    window: 1,
};

/// How much to publish.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Plan {
    /// At most so many events …
    pub(crate) messages: u64,
    /// … and no new one after this time.
    pub(crate) within: Option<Duration>,
    /// At most so many are unconfirmed.
    pub(crate) window: usize,
}

impl Plan {
    /// The numbers of the events to publish, one after the other, until it is enough.
    pub(crate) fn ids(&self) -> impl Iterator<Item = u64> + use<> {
        let end = self.within.map(|within| Instant::now() + within);
        (0..self.messages).take_while(move |id| {
            // The clock costs a little: not for each event.
            id % 16 != 0 || end.is_none_or(|end| Instant::now() < end)
        })
    }
}

/// Counts what a server or its listeners have handled.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    handled: AtomicU64,
    expected: AtomicU64,
    first_us: AtomicU64,
    last_us: AtomicU64,
    all: tokio::sync::Notify,
}

impl Tally {
    /// One that knows when it is enough.
    pub(crate) fn expecting(messages: u64) -> Self {
        let tally = Self::default();
        tally.0.expected.store(messages, Ordering::Relaxed);
        tally
    }

    pub(crate) fn count(&self) {
        let handled = self.0.handled.fetch_add(1, Ordering::Relaxed) + 1;
        if handled == 1 {
            self.0.first_us.store(now_us(), Ordering::Relaxed);
        }
        if handled == self.0.expected.load(Ordering::Relaxed) {
            self.0.last_us.store(now_us(), Ordering::Relaxed);
            self.0.all.notify_one();
        }
    }

    pub(crate) fn handled(&self) -> u64 {
        self.0.handled.load(Ordering::Relaxed)
    }

    /// Waits for the last expected message; returns when the first and the last were handled.
    pub(crate) async fn all(&self) -> (u64, u64) {
        self.0.all.notified().await;
        (
            self.0.first_us.load(Ordering::Relaxed),
            self.0.last_us.load(Ordering::Relaxed),
        )
    }
}
