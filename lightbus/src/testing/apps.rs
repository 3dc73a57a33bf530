//! The apps of a test, and what they tell of themselves.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use lightbus_runtime::__testing::{FailedAttempt, Observer, Skipped};
use lightbus_runtime::Bus;

use super::traffic::{Attempts, Traffic};

#[derive(Default)]
pub(super) struct Apps {
    /// Kept open until the test ends.
    kept: Mutex<Vec<Bus>>,
    /// All that were connected, by handles that do not keep them open.
    all: Arc<Mutex<Vec<Bus>>>,
}

impl Apps {
    pub(super) fn keep(&self, app: Bus) {
        lock(&self.kept).push(app);
    }

    pub(super) fn all(&self) -> Vec<Bus> {
        lock(&self.all).clone()
    }

    /// Whom an app is to tell.
    pub(super) fn observer(
        &self,
        traffic: &Arc<Mutex<Traffic>>,
        attempts: &Attempts,
    ) -> Arc<dyn Observer> {
        Arc::new(Told {
            apps: Arc::downgrade(&self.all),
            traffic: Arc::downgrade(traffic),
            attempts: attempts.clone(),
        })
    }
}

/// An app holds it, and must not hold itself by it.
struct Told {
    apps: Weak<Mutex<Vec<Bus>>>,
    traffic: Weak<Mutex<Traffic>>,
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

    fn skipped(&self, message: Skipped) {
        if let Some(traffic) = self.traffic.upgrade() {
            lock(&traffic).skipped(message);
        }
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
