//! The schedules that this process has in its code.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OnceCell, watch};

use super::timing::{Overlap, Timing};
use crate::clock::Clock;
use crate::error::Error;
use crate::task::TaskMessage;

/// A bound to what one process has to look at, and to what is kept in the state queue.
pub(super) const MOST: usize = 500;

/// One of them.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) timing: Timing,
    pub(super) overlap: Overlap,
    pub(super) lost_after: Duration,
    pub(super) task: TaskMessage,
}

pub(super) type Entries = BTreeMap<String, Arc<Entry>>;

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Table {
    entries: Mutex<Arc<Entries>>,
    changed: watch::Sender<()>,
    /// Set when the task runs that fires them.
    pub(super) started: OnceCell<()>,
    last_stamp: AtomicI64,
    at_rest: AtomicBool,
}

impl Table {
    fn lock(&self) -> MutexGuard<'_, Arc<Entries>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn entries(&self) -> Arc<Entries> {
        Arc::clone(&self.lock())
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    /// Does this process fire them, and has nothing to do before something is due?
    pub(crate) fn is_at_rest(&self) -> bool {
        self.at_rest.load(Ordering::Relaxed)
    }

    pub(super) fn rests(&self, rests: bool) {
        self.at_rest.store(rests, Ordering::Relaxed);
    }

    /// Each schedule's name, and its task's API and name.
    pub(crate) fn tasks(&self) -> Vec<(String, &'static str, &'static str)> {
        let entries = self.entries();
        let of = |entry: &Arc<Entry>| {
            (
                entry.name.clone(),
                entry.task.spec.api,
                entry.task.spec.task,
            )
        };
        entries.values().map(of).collect()
    }

    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub(super) fn add(&self, entry: Entry) -> Result<(), Error> {
        let mut entries = self.lock();
        let name = &entry.name;
        if entries.contains_key(name) {
            return Err(Error::Config(format!(
                "this process has a schedule `{name}` already: give each schedule of an app a name of its own"
            )));
        }
        if entries.len() >= MOST {
            return Err(Error::Config(format!(
                "schedule `{name}` would be one too many: an app has {MOST} at most. Let one task do several things, or use another app's name"
            )));
        }
        Arc::make_mut(&mut entries).insert(name.clone(), Arc::new(entry));
        drop(entries);
        self.changed.send_replace(());
        Ok(())
    }

    pub(super) fn remove(&self, name: &str) {
        let removed = Arc::make_mut(&mut *self.lock()).remove(name);
        if removed.is_some() {
            self.changed.send_replace(());
        }
    }

    /// The time, as a number that this process uses only once.
    pub(super) fn stamp(&self, clock: &Clock) -> i64 {
        let now = clock.now_ms();
        let next = |last: i64| Some(now.max(last.saturating_add(1)));
        let last = self
            .last_stamp
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        last.map_or(now, |last| now.max(last.saturating_add(1)))
    }
}
