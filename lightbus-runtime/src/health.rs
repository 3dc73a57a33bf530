//! How the bus is: each connection and each consumer, and a stream of what changes.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::sync::broadcast::{self, error::RecvError};

use crate::counters::Counts;

/// Changes that a slow reader may be behind, before it is told the present states instead.
const REMEMBERED: usize = 256;

/// How a bus is at one moment; made by [`Bus::health`](crate::Bus::health).
///
/// ```no_run
/// # fn example(bus: &lightbus_runtime::Bus) {
/// let health = bus.health();
/// if !health.is_ready() {
///     println!("not ready:\n{health}");
/// }
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Health {
    /// Both connections, every queue that this process consumes from, and its outbox.
    pub parts: Vec<PartHealth>,
    /// What did not go as meant, in numbers.
    pub counts: Counts,
}

/// How one connection or one consumer is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartHealth {
    /// Which one.
    pub part: Part,
    /// How it is.
    pub state: State,
    /// Since when.
    pub since: SystemTime,
    /// Why, in the broker's or the network's words, unless all is well.
    pub reason: Option<String>,
}

/// What a bus consists of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Part {
    /// A connection to the broker: `publish` carries what is published, and calls; `consume` carries the listeners.
    Connection(&'static str),
    /// The consumer of this queue.
    Consumer(String),
    /// What publishes the events of an outbox.
    Outbox,
    /// What lets messages come to this queue, of a listener, of tasks, or of schedules: its exchange and bindings. Looked after every 30 s, and a part only while they are gone
    /// and cannot be declared again.
    Bindings(String),
}

/// How a part of the bus is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// It has not been ready yet.
    Starting,
    /// It works.
    Ready,
    /// The broker takes nothing more for now: a memory or disk alarm. Listeners go on.
    Blocked,
    /// The app paused it.
    Paused,
    /// It was lost, and lightbus is trying to have it back.
    Lost,
    /// It ended, and does not come back.
    Ended,
}

impl Health {
    /// Does everything work? Paused consumers count as working, blocked connections do not.
    pub fn is_ready(&self) -> bool {
        self.parts
            .iter()
            .all(|part| matches!(part.state, State::Ready | State::Paused))
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, part) in self.parts.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            part.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for PartHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.part {
            Part::Connection(name) => write!(f, "connection `{name}`")?,
            Part::Consumer(queue) => write!(f, "consumer of `{queue}`")?,
            Part::Outbox => f.write_str("outbox")?,
            Part::Bindings(queue) => write!(f, "bindings of `{queue}`")?,
        }
        write!(f, ": {}", self.state)?;
        if let Ok(elapsed) = self.since.elapsed() {
            write!(f, " for {} s", elapsed.as_secs())?;
        }
        match &self.reason {
            Some(reason) => write!(f, ": {reason}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Blocked => "blocked",
            Self::Paused => "paused",
            Self::Lost => "lost",
            Self::Ended => "ended",
        })
    }
}

/// What changes on a bus, one part at a time; made by [`Bus::health_changes`](crate::Bus::health_changes).
///
/// A reader that is far behind is told how every part is now, instead of all that it missed.
#[derive(Debug)]
pub struct HealthChanges {
    monitor: std::sync::Arc<Monitor>,
    changes: broadcast::Receiver<PartHealth>,
    caught_up: VecDeque<PartHealth>,
}

impl HealthChanges {
    /// The next change; `None` when the bus has ended.
    pub async fn next(&mut self) -> Option<PartHealth> {
        loop {
            if let Some(part) = self.caught_up.pop_front() {
                return Some(part);
            }
            match self.changes.recv().await {
                Ok(part) => return Some(part),
                Err(RecvError::Lagged(_)) => {
                    // First this: what changes in between is told twice rather than not at all.
                    self.changes = self.changes.resubscribe();
                    self.caught_up.extend(self.monitor.parts());
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

/// Who speaks for a part: of two consumers of one queue, the one that began later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Owner(u64);

/// Where the parts of a bus say how they are.
#[derive(Debug)]
pub(crate) struct Monitor {
    parts: Mutex<BTreeMap<Part, (Owner, PartHealth)>>,
    /// None when the bus has ended.
    changes: Mutex<Option<broadcast::Sender<PartHealth>>>,
    owners: AtomicU64,
}

impl Default for Monitor {
    fn default() -> Self {
        Self {
            parts: Mutex::default(),
            changes: Mutex::new(Some(broadcast::Sender::new(REMEMBERED))),
            owners: AtomicU64::new(1),
        }
    }
}

impl Monitor {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Part, (Owner, PartHealth)>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sender(&self) -> MutexGuard<'_, Option<broadcast::Sender<PartHealth>>> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new speaker for a part.
    pub(crate) fn owner(&self) -> Owner {
        Owner(self.owners.fetch_add(1, Ordering::Relaxed))
    }

    /// Notes a part's state, and tells those who listen if it is another one than before.
    pub(crate) fn set(&self, owner: Owner, part: &Part, state: State, reason: Option<String>) {
        let mut parts = self.lock();
        if let Some((speaker, old)) = parts.get_mut(part) {
            if *speaker > owner {
                return;
            }
            *speaker = owner;
            if old.state == state && old.reason == reason {
                return;
            }
        }
        let old = parts.get(part);
        let same = old.filter(|(_, old)| old.state == state);
        let health = PartHealth {
            part: part.clone(),
            state,
            since: same.map_or_else(SystemTime::now, |(_, old)| old.since),
            reason,
        };
        match state {
            State::Ended if !matches!(part, Part::Connection(_)) => drop(parts.remove(part)),
            _ => drop(parts.insert(part.clone(), (owner, health.clone()))),
        }
        // Within the lock, so that changes are told in their order. Nobody may be listening.
        if let Some(changes) = &*self.sender() {
            let _ = changes.send(health);
        }
    }

    pub(crate) fn parts(&self) -> Vec<PartHealth> {
        self.lock().values().map(|(_, part)| part.clone()).collect()
    }

    /// No more changes come.
    pub(crate) fn end(&self) {
        self.sender().take();
    }

    pub(crate) fn changes(self: &std::sync::Arc<Self>) -> HealthChanges {
        let changes = self.sender().as_ref().map(broadcast::Sender::subscribe);
        HealthChanges {
            monitor: std::sync::Arc::clone(self),
            changes: changes.unwrap_or_else(|| broadcast::channel(1).1),
            caught_up: VecDeque::new(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use std::sync::Arc;

    const OWNER: Owner = Owner(5);

    #[test]
    fn who_began_later_speaks_for_the_part() {
        let monitor = Monitor::default();
        let queue = Part::Consumer("q".to_owned());
        monitor.set(Owner(1), &queue, State::Ready, None);
        monitor.set(Owner(2), &queue, State::Ready, None);
        monitor.set(Owner(1), &queue, State::Ended, None);
        assert_eq!(state(&monitor), [(queue, State::Ready)]);
    }

    fn state(monitor: &Monitor) -> Vec<(Part, State)> {
        monitor
            .parts()
            .into_iter()
            .map(|part| (part.part, part.state))
            .collect()
    }

    #[test]
    fn each_change_is_told_once_and_in_order() {
        let monitor = Arc::new(Monitor::default());
        let mut changes = monitor.changes();
        let part = Part::Connection("publish");
        for state in [State::Starting, State::Ready, State::Ready, State::Lost] {
            monitor.set(OWNER, &part, state, None);
        }
        monitor.end();
        let mut told = Vec::new();
        while let Some(change) = changes.next().now_or_never().unwrap() {
            told.push(change.state);
        }
        assert_eq!(told, [State::Starting, State::Ready, State::Lost]);
        assert!(monitor.changes().next().now_or_never().unwrap().is_none());
    }

    #[test]
    fn a_reader_far_behind_is_told_how_things_are() {
        let monitor = Arc::new(Monitor::default());
        let mut changes = monitor.changes();
        let queue = Part::Consumer("q".to_owned());
        for _ in 0..REMEMBERED {
            monitor.set(OWNER, &queue, State::Lost, None);
            monitor.set(OWNER, &queue, State::Ready, None);
        }
        let told = changes.next().now_or_never().unwrap().unwrap();
        assert_eq!((told.part, told.state), (queue, State::Ready));
    }

    #[test]
    fn an_ended_consumer_is_no_part_any_more() {
        let monitor = Monitor::default();
        let queue = Part::Consumer("q".to_owned());
        monitor.set(OWNER, &queue, State::Ready, None);
        assert_eq!(state(&monitor), [(queue.clone(), State::Ready)]);
        monitor.set(OWNER, &queue, State::Ended, None);
        assert_eq!(state(&monitor), []);
    }

    #[test]
    fn ready_means_every_part() {
        let monitor = Monitor::default();
        let health = |monitor: &Monitor| Health {
            parts: monitor.parts(),
            counts: Counts::default(),
        };
        monitor.set(OWNER, &Part::Connection("publish"), State::Ready, None);
        monitor.set(OWNER, &Part::Consumer("q".to_owned()), State::Paused, None);
        assert!(health(&monitor).is_ready());
        let reason = Some("memory".to_owned());
        monitor.set(OWNER, &Part::Connection("publish"), State::Blocked, reason);
        assert!(!health(&monitor).is_ready());
        assert!(
            health(&monitor).to_string().starts_with(
                "connection `publish`: blocked for 0 s: memory\nconsumer of `q`: paused"
            )
        );
    }
}
