//! What one process remembers of the messages that it has handled.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::claim::Key;
use super::{Begun, Claim, DedupStore, StoreFuture};

const CAPACITY: usize = 100_000;
const KEEP: Duration = Duration::from_secs(60 * 60);
const LEASE: Duration = Duration::from_secs(60);
/// How many of those that are too old each new one pushes out.
const MOST_AT_ONCE: usize = 4;

/// Remembers handled messages in this process, and for a time: 100 000 messages for an hour, unless told otherwise. Cheap to clone; clones share what they know.
///
/// Enough against what a reconnect delivers twice to the same process. Not against a restart, nor among replicas, which do not know what the others have handled:
/// for those there is `SqlStore`. Each message takes about 250 bytes.
///
/// ```
/// # use lightbus_runtime::{Event, MemoryStore, Subscription};
/// # async fn example<E: Event>(user_registered: Subscription<E>) -> Result<(), lightbus_runtime::Error> {
/// let store = MemoryStore::new().capacity(10_000);
/// user_registered
///     .deduplicate(store.clone())
///     .listen("send-welcome-email", |user: E| async move { println!("welcome, {user:?}") })
///     .await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct MemoryStore {
    memory: Arc<Mutex<Memory>>,
    capacity: usize,
    keep: Duration,
    lease: Duration,
}

#[derive(Default)]
struct Memory {
    entries: HashMap<Arc<Key>, Entry>,
    /// Oldest first. One that was released meanwhile is still here, and counts.
    order: VecDeque<Begin>,
    begins: u64,
}

struct Entry {
    begin: u64,
    state: State,
}

#[derive(Clone, Copy)]
enum State {
    Running { owner: u128, until: Instant },
    Done,
}

struct Begin {
    key: Arc<Key>,
    number: u64,
    at: Instant,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self {
            memory: Arc::default(),
            capacity: CAPACITY,
            keep: KEEP,
            lease: LEASE,
        }
    }

    /// How many messages are remembered at most, those of all its listeners together. The oldest one is forgotten first; one that is being handled is not. Default: 100 000.
    pub fn capacity(mut self, messages: usize) -> Self {
        self.capacity = messages.max(1);
        self
    }

    /// How long a message is remembered. Default: an hour.
    pub fn keep(mut self, keep: Duration) -> Self {
        self.keep = keep;
        self
    }

    /// How long a message whose handler was dropped in the middle is held back. Default: a minute.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// How many messages it remembers.
    pub fn len(&self) -> usize {
        self.memory().entries.len()
    }

    /// True when it remembers nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin_at(&self, claim: &Claim, now: Instant) -> Begun {
        let running = State::Running {
            owner: claim.owner(),
            until: now + self.lease,
        };
        let mut memory = self.memory();
        if let Some(entry) = memory.entries.get_mut(claim.key()) {
            match entry.state {
                State::Done => return Begun::Done,
                State::Running { owner, until } if until > now && owner != claim.owner() => {
                    return Begun::Running { left: until - now };
                }
                State::Running { .. } => entry.state = running,
            }
            return Begun::New;
        }
        memory.forget(self.capacity, self.keep, now);
        memory.add(claim.key(), running, now);
        Begun::New
    }
}

impl Memory {
    fn add(&mut self, key: &Arc<Key>, state: State, at: Instant) {
        self.begins += 1;
        let number = self.begins;
        let key = Arc::clone(key);
        self.order.push_back(Begin {
            key: Arc::clone(&key),
            number,
            at,
        });
        self.entries.insert(
            key,
            Entry {
                begin: number,
                state,
            },
        );
    }

    /// Makes room for one, and lets go of a few that are too old.
    fn forget(&mut self, capacity: usize, keep: Duration, now: Instant) {
        for _ in 0..MOST_AT_ONCE.max(self.order.len().saturating_sub(capacity)) {
            let full = self.order.len() >= capacity;
            let old = |oldest: &Begin| now.saturating_duration_since(oldest.at) >= keep;
            if !full && !self.order.front().is_some_and(old) {
                return;
            }
            if let Some(oldest) = self.order.pop_front() {
                self.drop_unless_running(oldest, now);
            }
        }
    }

    fn drop_unless_running(&mut self, oldest: Begin, now: Instant) {
        let Some(entry) = self.entries.get(&oldest.key) else {
            return;
        };
        if entry.begin != oldest.number {
            // Released and begun again since; that one has its own place.
            return;
        }
        match entry.state {
            State::Running { until, .. } if until > now => {
                self.order.push_back(Begin { at: now, ..oldest });
            }
            _ => drop(self.entries.remove(&oldest.key)),
        }
    }

    fn own(&mut self, claim: &Claim) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(claim.key())?;
        let own = matches!(entry.state, State::Running { owner, .. } if owner == claim.owner());
        own.then_some(entry)
    }
}

impl DedupStore for MemoryStore {
    fn begin<'a>(&'a self, claim: &'a Claim) -> StoreFuture<'a, Begun> {
        let begun = self.begin_at(claim, Instant::now());
        Box::pin(std::future::ready(Ok(begun)))
    }

    fn renew<'a>(&'a self, claim: &'a Claim) -> StoreFuture<'a, ()> {
        if let Some(entry) = self.memory().own(claim) {
            entry.state = State::Running {
                owner: claim.owner(),
                until: Instant::now() + self.lease,
            };
        }
        Box::pin(std::future::ready(Ok(())))
    }

    fn done<'a>(&'a self, claim: &'a Claim) -> StoreFuture<'a, ()> {
        let mut memory = self.memory();
        match memory.entries.get_mut(claim.key()) {
            Some(entry) => entry.state = State::Done,
            // Its lease ended, and it was pushed out.
            None => memory.add(claim.key(), State::Done, Instant::now()),
        }
        Box::pin(std::future::ready(Ok(())))
    }

    fn release<'a>(&'a self, claim: &'a Claim) -> StoreFuture<'a, ()> {
        let mut memory = self.memory();
        if memory.own(claim).is_some() {
            memory.entries.remove(claim.key());
        }
        Box::pin(std::future::ready(Ok(())))
    }

    fn lease_time(&self) -> Duration {
        self.lease
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("capacity", &self.capacity)
            .field("keep", &self.keep)
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    const SECOND: Duration = Duration::from_secs(1);

    fn claim(id: &str) -> Claim {
        Claim::new(&"lb.q.shop.log".into(), id)
    }

    fn done(store: &MemoryStore, claim: &Claim) {
        assert!(matches!(store.done(claim).now_or_never(), Some(Ok(()))));
    }

    fn release(store: &MemoryStore, claim: &Claim) {
        assert!(matches!(store.release(claim).now_or_never(), Some(Ok(()))));
    }

    #[test]
    fn one_at_a_time_may_begin_and_once_done_nobody() {
        let (store, now) = (MemoryStore::new(), Instant::now());
        let (first, second) = (claim("a"), claim("a"));
        assert_eq!(store.begin_at(&first, now), Begun::New);
        assert_eq!(store.begin_at(&first, now), Begun::New, "its own");
        let running = Begun::Running { left: LEASE };
        assert_eq!(store.begin_at(&second, now), running);
        release(&store, &second);
        assert_eq!(
            store.begin_at(&second, now),
            running,
            "not for it to release"
        );
        release(&store, &first);
        assert_eq!(store.begin_at(&second, now), Begun::New);
        done(&store, &second);
        release(&store, &second);
        assert_eq!(store.begin_at(&first, now), Begun::Done);
        assert_eq!(store.begin_at(&claim("b"), now), Begun::New);
    }

    #[test]
    fn a_claim_ends_with_its_lease_unless_it_is_renewed() {
        let (store, now) = (MemoryStore::new().lease(SECOND), Instant::now());
        let (first, second) = (claim("a"), claim("a"));
        assert_eq!(store.begin_at(&first, now), Begun::New);
        assert_eq!(store.begin_at(&second, now + SECOND), Begun::New);
        // The first one was only slow. What it did is done.
        done(&store, &first);
        assert_eq!(store.begin_at(&second, now), Begun::Done);
        let past = now.checked_sub(5 * SECOND).unwrap_or(now);
        let (third, fourth) = (claim("c"), claim("c"));
        assert_eq!(store.begin_at(&third, past), Begun::New);
        assert!(matches!(store.renew(&third).now_or_never(), Some(Ok(()))));
        assert!(matches!(
            store.begin_at(&fourth, now),
            Begun::Running { .. }
        ));
    }

    #[test]
    fn it_remembers_no_more_than_its_capacity_and_forgets_the_oldest_first() {
        let (store, now) = (MemoryStore::new().capacity(10), Instant::now());
        let running = claim("running");
        assert_eq!(store.begin_at(&running, now), Begun::New);
        for n in 0..1000 {
            let claim = claim(&n.to_string());
            assert_eq!(store.begin_at(&claim, now), Begun::New);
            match n % 3 {
                0 => release(&store, &claim),
                _ => done(&store, &claim),
            }
            assert!(store.len() <= 10 && store.memory().order.len() <= 10);
        }
        assert_eq!(store.begin_at(&claim("998"), now), Begun::Done);
        assert_eq!(store.begin_at(&claim("1"), now), Begun::New, "forgotten");
        let held = store.begin_at(&claim("running"), now);
        assert!(matches!(held, Begun::Running { .. }), "{held:?}");
    }

    #[test]
    fn what_is_older_than_it_keeps_goes_as_others_come() {
        let (store, now) = (MemoryStore::new().keep(SECOND), Instant::now());
        for n in 0..100 {
            let claim = claim(&n.to_string());
            store.begin_at(&claim, now);
            done(&store, &claim);
        }
        for n in 100..150 {
            store.begin_at(&claim(&n.to_string()), now + 2 * SECOND);
        }
        assert_eq!(store.len(), 50);
    }
}
