//! Cancelling tasks: a stream of those that are not to run any more, which every worker knows by heart.
//!
//! A task that waits cannot be taken out of its queue, or off the ladder of delays: it is told by its id when it comes up, be it next year. So the stream has no limit of
//! age, only one of size, and a worker reads all of it before it begins.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::warn;

use super::id::TaskKey;
use super::journal::{Reading, Since, write};
use super::record::{Record, Says};
use crate::bus::Core;
use crate::clock::system;
use crate::error::Error;
use crate::publishing::{Message, Progress, Unsent};
use crate::topology::{self, Log};

/// As many as the stream holds, and again as many: the oldest are forgotten first.
const MOST: usize = 1 << 20;

// ---- the side of those who cancel

/// Has everybody know it: those who run the API's tasks, and those who wait for this one.
pub(super) async fn cancel(
    core: &Core,
    api: &str,
    message: &str,
    timeout: Duration,
) -> Result<(), Unsent> {
    let record = Record::new(&core.clock, message, Says::Cancel);
    let properties = record.properties(&core.sender);
    let message = Message {
        exchange: &topology::journal_exchange(api),
        key: topology::CANCEL_KEY,
        needs: &format!("{} and the journal", Log::Cancelled.stream(api)),
        plan: &|| topology::cancel_plan(api),
        properties: &|| properties.clone(),
        payload: &[],
        must_route: true,
    };
    core.publish(&message, &mut Progress::new(&core.clock), timeout)
        .await
}

// ---- the workers' side

/// The cancelled tasks of an API, kept up to date until this is dropped.
pub(crate) struct Cancels {
    core: Arc<Core>,
    api: &'static str,
    known: Arc<Known>,
    /// When the last look began that found everything read.
    synced: AsyncMutex<Option<Instant>>,
    _end: DropGuard,
}

#[derive(Default)]
struct Known {
    /// Mostly there is none, and nothing to be looked up.
    any: AtomicBool,
    ids: Mutex<Ids>,
    /// How many came so far.
    count: watch::Sender<u64>,
    /// The marker that is waited for: other processes' are read here as well, and the next one may follow at once.
    awaited: Mutex<Option<(String, oneshot::Sender<()>)>>,
}

#[derive(Default)]
struct Ids {
    set: HashSet<TaskKey>,
    /// The same, oldest first.
    order: VecDeque<TaskKey>,
}

impl Ids {
    fn add(&mut self, key: TaskKey, most: usize) {
        if self.set.insert(key) {
            self.order.push_back(key);
        }
        if self.order.len() > most
            && let Some(oldest) = self.order.pop_front()
        {
            self.set.remove(&oldest);
        }
    }
}

impl Cancels {
    /// Begins to read. Fails when the stream cannot be set up.
    pub(super) async fn follow(core: &Arc<Core>, api: &'static str) -> Result<Self, Error> {
        let stop = core.life.drained.child_token();
        let guard = stop.clone().drop_guard();
        let (reading, started) = Reading::new(core, api, Log::Cancelled, Since::First, stop);
        let known = Arc::<Known>::default();
        let reader = Arc::clone(&known);
        let read = async move { reader.read(reading).await };
        core.life.late_tasks.spawn_on(read, &core.handle);
        core.first_start(&core.io.consume, started).await?;
        Ok(Self {
            core: Arc::clone(core),
            api,
            known,
            synced: AsyncMutex::default(),
            _end: guard,
        })
    }

    /// Waits until everything is known that was cancelled before this was called.
    pub(super) async fn caught_up(&self, stop: &CancellationToken) {
        let asked = Instant::now();
        let mut synced = self.synced.lock().await;
        if synced.is_some_and(|last| last >= asked) {
            return;
        }
        let begun = Instant::now();
        if stop.run_until_cancelled(self.sync()).await.is_some() {
            *synced = Some(begun);
        }
    }

    /// What was read when a word of our own comes is everything before it.
    async fn sync(&self) {
        let marker = system::new_id().to_string();
        let seen = self.known.expect(&marker);
        let record = Record::new(&self.core.clock, &marker, Says::Marker);
        match write(&self.core, self.api, Log::Cancelled, &record).await {
            Ok(()) => drop(seen.await),
            Err(refusal) => warn!(
                api = self.api,
                ?refusal,
                "cannot find out whether all cancelled tasks are known; those cancelled of late may run"
            ),
        }
    }

    pub(super) fn contains(&self, key: TaskKey) -> bool {
        self.known.contains(key)
    }

    pub(super) async fn until(&self, key: TaskKey) {
        self.known.until(key).await;
    }
}

impl Known {
    async fn read(&self, mut reading: Reading) {
        while let Some(found) = reading.next().await {
            match found.record {
                Some(Record {
                    says: Says::Cancel,
                    task,
                    ..
                }) => self.add(TaskKey::of(&task)),
                Some(Record {
                    says: Says::Marker,
                    task,
                    ..
                }) => self.pass(&task),
                _ => {}
            }
        }
        reading.close().await;
    }

    /// Hears when this marker is read. One at a time: whoever waited for another one has given up.
    fn expect(&self, marker: &str) -> oneshot::Receiver<()> {
        let (read, hears) = oneshot::channel();
        *self.awaited() = Some((marker.to_owned(), read));
        hears
    }

    /// A marker was read.
    fn pass(&self, marker: &str) {
        let ours = self.awaited().take_if(|(awaited, _)| awaited == marker);
        if let Some((_, read)) = ours {
            let _ = read.send(());
        }
    }

    fn awaited(&self) -> MutexGuard<'_, Option<(String, oneshot::Sender<()>)>> {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, key: TaskKey) {
        let ids = self.ids.lock();
        ids.unwrap_or_else(PoisonError::into_inner).add(key, MOST);
        self.any.store(true, Ordering::Release);
        self.count.send_modify(|count| *count += 1);
    }

    /// Until this task is cancelled; else for ever.
    async fn until(&self, key: TaskKey) {
        let mut count = self.count.subscribe();
        while !self.contains(key) {
            // The sender is at hand.
            let _ = count.changed().await;
        }
    }

    fn contains(&self, key: TaskKey) -> bool {
        let is_in = || {
            let ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
            ids.set.contains(&key)
        };
        self.any.load(Ordering::Acquire) && is_in()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn key(n: usize) -> TaskKey {
        TaskKey::of(&n.to_string())
    }

    #[test]
    fn the_oldest_are_forgotten_first() {
        let mut ids = Ids::default();
        for n in 0..=100 {
            ids.add(key(n), 100);
            ids.add(key(n), 100);
        }
        assert_eq!((ids.set.len(), ids.order.len()), (100, 100));
        assert!(ids.set.contains(&key(100)) && !ids.set.contains(&key(0)));
    }

    #[test]
    fn a_marker_is_seen_however_soon_another_one_follows() {
        let known = Known::default();
        let ours = known.expect("ours");
        for marker in ["theirs", "ours", "theirs"] {
            known.pass(marker);
        }
        assert_eq!(ours.now_or_never(), Some(Ok(())));
    }

    #[tokio::test]
    async fn who_waits_hears_of_its_own_task_alone() {
        let known = Known::default();
        assert!(!known.contains(key(1)));
        let mut waiting = std::pin::pin!(known.until(key(1)));
        known.add(key(2));
        assert!(waiting.as_mut().now_or_never().is_none());
        known.add(key(1));
        waiting.await;
        assert!(known.contains(key(1)));
    }
}
