//! The layer between a listener's deliveries and its handler, on top of a store that may be slow, or away.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tracing::{debug, warn};

use super::{Begun, Claim, DedupStore, StoreError, StoreFuture};

/// Longer, and a store counts as failed.
const PATIENCE: Duration = Duration::from_secs(10);
/// That a message is handled is worth noting more than once: else its next copy would be handled too.
const NOTES: u32 = 4;
const BETWEEN_NOTES: Duration = Duration::from_millis(100);
/// Two renewals may fail before a lease ends.
const RENEWALS: u32 = 3;
/// Between two of them, however short the lease.
const SHORTEST: Duration = Duration::from_millis(10);

#[derive(Debug)]
pub(crate) struct Deduplicate {
    store: Arc<dyn DedupStore>,
    scope: Arc<str>,
    /// One message without an id was met.
    warned: AtomicBool,
}

impl Deduplicate {
    pub(crate) fn new(store: Arc<dyn DedupStore>, scope: &str) -> Self {
        Self {
            store,
            scope: scope.into(),
            warned: AtomicBool::new(false),
        }
    }

    /// None for a message that cannot be told from others.
    pub(crate) fn claim(&self, message_id: &str) -> Option<Claim> {
        if !message_id.is_empty() {
            return Some(Claim::new(&self.scope, message_id));
        }
        if !self.warned.swap(true, Ordering::Relaxed) {
            warn!(queue = %self.scope, "a message has no id: it is handled each time it comes, and so are others like it. Its publisher has to set `message-id`");
        }
        None
    }

    pub(crate) async fn begin(&self, claim: &Claim) -> Result<Begun, StoreError> {
        let doing = "asking whether the message is handled already";
        in_time(doing, self.store.begin(claim)).await
    }

    /// Keeps the claim alive for as long as the handler runs.
    pub(crate) async fn hold<T>(&self, claim: &Claim, handler: impl Future<Output = T>) -> T {
        tokio::select! {
            biased;
            ended = handler => ended,
            never = self.keep_alive(claim) => match never {},
        }
    }

    async fn keep_alive(&self, claim: &Claim) -> Infallible {
        let between = (self.store.lease_time() / RENEWALS).max(SHORTEST);
        loop {
            tokio::time::sleep(between).await;
            let renewed = in_time("renewing a lease", self.store.renew(claim)).await;
            if let Err(error) = renewed {
                debug!(?claim, %error, "cannot renew a lease");
            }
        }
    }

    pub(crate) async fn done(&self, claim: &Claim) -> Result<(), StoreError> {
        let mut tries = 1;
        loop {
            let noted = in_time("noting that the message is handled", self.store.done(claim)).await;
            if noted.is_ok() || tries == NOTES {
                return noted;
            }
            tokio::time::sleep(BETWEEN_NOTES * tries).await;
            tries += 1;
        }
    }

    /// Should it fail, the lease ends in time.
    pub(crate) async fn release(&self, claim: &Claim) {
        let released = in_time("giving a message back", self.store.release(claim)).await;
        if let Err(error) = released {
            warn!(?claim, %error, "the next attempt has to wait until the lease ends");
        }
    }
}

async fn in_time<T>(doing: &'static str, asked: StoreFuture<'_, T>) -> Result<T, StoreError> {
    let answer = tokio::time::timeout(PATIENCE, asked).await;
    answer.unwrap_or_else(|_| {
        let reason = format!("no answer within {} s", PATIENCE.as_secs());
        Err(StoreError::failed(doing, reason))
    })
}
