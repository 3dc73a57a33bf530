//! Waiting, on a thread that is not the broker's, until the broker's writers have taken everything there is to send.

use std::{
    sync::{Mutex, PoisonError, mpsc},
    time::Duration,
};
use tokio::sync::Notify;

/// How long to wait for a broker whose thread may be gone.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// Those who wait. Each holds one end of a channel; dropping the other lets it go.
#[derive(Debug, Default)]
pub(crate) struct Flush {
    waiting: Mutex<Vec<mpsc::Sender<()>>>,
    wanted: Notify,
}

impl Flush {
    /// Waits until the broker dropped its end.
    pub(crate) fn wait(&self) {
        let (end, flushed) = mpsc::channel();
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(end);
        self.wanted.notify_one();
        if flushed.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
            tracing::warn!("the broker's writers do not answer");
        }
    }

    /// Those who wait now. They go on when this is dropped.
    pub(crate) async fn wanted(&self) -> Vec<mpsc::Sender<()>> {
        self.wanted.notified().await;
        std::mem::take(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
