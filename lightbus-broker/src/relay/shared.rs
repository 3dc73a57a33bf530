//! What all parts of a relay share: the ledger behind its one lock.

use super::{ledger::Ledger, target::Target};
use crate::{
    core::{Event, WatcherId},
    events::Watched,
};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::sync::Notify;

#[derive(Debug)]
pub(super) struct Shared {
    ledger: Mutex<Ledger>,
    pub(super) target: Target,
    /// Somebody wants to know how much waits in the queues.
    pub(super) wanted: Notify,
    /// By connection: what cuts it.
    cuts: Mutex<BTreeMap<u64, Arc<Notify>>>,
    news: Notify,
    ended: AtomicBool,
}

impl Shared {
    pub(super) fn new(target: Target, event_buffer: usize) -> Self {
        Self {
            ledger: Mutex::new(Ledger::new(event_buffer)),
            target,
            wanted: Notify::new(),
            cuts: Mutex::default(),
            news: Notify::new(),
            ended: AtomicBool::new(false),
        }
    }

    pub(super) fn with<R>(&self, act: impl FnOnce(&mut Ledger) -> R) -> R {
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let result = act(&mut ledger);
        if ledger.watch().take_news() {
            self.news.notify_waiters();
        }
        result
    }

    fn cuts<R>(&self, act: impl FnOnce(&mut BTreeMap<u64, Arc<Notify>>) -> R) -> R {
        act(&mut self.cuts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A connection comes: its number, and what cuts it.
    pub(super) fn connect(&self, peer: String) -> (u64, Arc<Notify>) {
        let (id, cut) = (self.with(|ledger| ledger.connect(peer)), Arc::default());
        self.cuts(|cuts| cuts.insert(id, Arc::clone(&cut)));
        (id, cut)
    }

    pub(super) fn disconnected(&self, id: u64) {
        self.cuts(|cuts| cuts.remove(&id));
        let why = crate::core::CloseReason::Lost;
        self.with(|ledger| ledger.disconnect(id, why));
    }

    pub(super) fn cut_all(&self) -> usize {
        self.cuts(|cuts| {
            cuts.values().for_each(|cut| cut.notify_one());
            cuts.len()
        })
    }

    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
        self.news.notify_waiters();
    }
}

impl Watched for Shared {
    fn open_watch(&self) -> WatcherId {
        self.with(|ledger| ledger.watch().open())
    }

    fn close_watch(&self, id: WatcherId) {
        self.with(|ledger| ledger.watch().close(id));
    }

    fn read_watch(&self, id: WatcherId, most: usize, into: &mut VecDeque<Event>) {
        self.with(|ledger| ledger.watch().read(id, most, into));
    }

    fn news(&self) -> &Notify {
        &self.news
    }

    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }
}
