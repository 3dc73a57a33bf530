//! The apps of a test, and what they tell of themselves.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use lightbus_runtime::__testing::{FailedAttempt, Observer};
use lightbus_runtime::Bus;

use super::traffic::Attempts;

#[derive(Default)]
pub(super) struct Apps {
    /// Kept open until the test ends.
    kept: Mutex<Vec<Bus>>,
    /// All that were connected, by handles that do not keep them open.
    all: Arc<Mutex<Vec<Bus>>>,
    attempts: Attempts,
}

impl Apps {
    pub(super) fn new(attempts: Attempts) -> Self {
        Self {
            attempts,
            ..Self::default()
        }
    }

    pub(super) fn keep(&self, app: Bus) {
        lock(&self.kept).push(app);
    }

    pub(super) fn all(&self) -> Vec<Bus> {
        lock(&self.all).clone()
    }

    /// Whom an app is to tell.
    pub(super) fn observer(&self) -> Arc<dyn Observer> {
        Arc::new(Told {
            apps: Arc::downgrade(&self.all),
            attempts: self.attempts.clone(),
        })
    }
}

/// An app holds it, and must not hold itself by it.
struct Told {
    apps: Weak<Mutex<Vec<Bus>>>,
    attempts: Attempts,
}

impl Observer for Told {
    fn connected(&self, bus: Bus) {
        if let Some(apps) = self.apps.upgrade() {
            lock(&apps).push(bus);
        }
    }

    fn failed(&self, attempt: FailedAttempt) {
        self.attempts.tell(attempt);
    }
}

fn lock(of: &Mutex<Vec<Bus>>) -> MutexGuard<'_, Vec<Bus>> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
