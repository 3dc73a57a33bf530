//! Pausing a listener: its consumer ends, and the next one waits until the listener is resumed.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

#[derive(Clone, Debug)]
pub(super) struct Pause {
    paused: watch::Sender<bool>,
    /// Ends the present consumer.
    rest: Arc<Mutex<CancellationToken>>,
}

impl Pause {
    pub(super) fn new() -> Self {
        Self {
            paused: watch::Sender::new(false),
            rest: Arc::default(),
        }
    }

    pub(super) fn set(&self, paused: bool) {
        self.paused.send_replace(paused);
        if paused {
            self.lock().cancel();
        }
    }

    pub(super) fn is_set(&self) -> bool {
        *self.paused.borrow()
    }

    /// Cancelled when the present consumer is to end.
    pub(super) fn rest(&self) -> CancellationToken {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, CancellationToken> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A token for the next consumer, cancelled by a pause or by `stop`. Waits while the listener is paused; `None` after the stop.
    pub(super) async fn next(&self, stop: &CancellationToken) -> Option<CancellationToken> {
        let mut paused = self.paused.subscribe();
        let resumed = paused.wait_for(|paused| !*paused);
        // The sender is alive: it is `self`'s.
        drop(stop.run_until_cancelled(resumed).await?);
        let token = stop.child_token();
        *self.lock() = token.clone();
        if self.is_set() {
            // Paused again between the two.
            token.cancel();
        }
        Some(token)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn a_pause_ends_the_consumer_and_holds_up_the_next_one() {
        let (pause, stop) = (Pause::new(), CancellationToken::new());
        let first = pause.next(&stop).now_or_never().unwrap().unwrap();
        pause.set(true);
        assert!(first.is_cancelled() && pause.is_set());
        let second = pause.next(&stop);
        let mut second = std::pin::pin!(second);
        assert!(second.as_mut().now_or_never().is_none());
        pause.set(false);
        assert!(!second.now_or_never().unwrap().unwrap().is_cancelled());
    }

    #[test]
    fn a_stop_ends_a_pause_too() {
        let (pause, stop) = (Pause::new(), CancellationToken::new());
        pause.set(true);
        stop.cancel();
        assert!(pause.next(&stop).now_or_never().unwrap().is_none());
    }
}
