//! A gate that a test shuts, and that a connection's reader and writer pass on their way.

use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;

/// Open, until it is shut.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    shut: AtomicBool,
    opened: Notify,
}

impl Gate {
    pub(crate) fn is_shut(&self) -> bool {
        self.shut.load(Ordering::SeqCst)
    }

    pub(crate) fn shut(&self) {
        self.shut.store(true, Ordering::SeqCst);
    }

    /// Opens it to everybody who waits.
    pub(crate) fn open(&self) {
        self.shut.store(false, Ordering::SeqCst);
        self.opened.notify_waiters();
    }

    /// Waits while it is shut.
    pub(crate) async fn passed(&self) {
        while self.is_shut() {
            let opened = self.opened.notified();
            // Opened in between, it would not say so again.
            if self.is_shut() {
                opened.await;
            }
        }
    }
}
