//! What tests do to sockets rather than to what is in the core: cutting, stalling, refusing.

use crate::{
    core::{ConnId, Core, Now, Tamper},
    link::Link,
    refusal::Refusal,
    server::{Shared, State},
    snapshot::Snapshot,
};
use std::sync::{Arc, atomic::Ordering};

/// How connections that come are met.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outage {
    pub(crate) refusing: Option<Refusal>,
    /// Everything stands still, what comes too.
    pub(crate) stalled: bool,
}

impl Outage {
    /// Whether a connection may come in at all; if it is to find silence, its gate is shut.
    pub(crate) fn welcomes(self, link: &Link) -> bool {
        let silent = self.refusing == Some(Refusal::Silent);
        link.silent.store(silent, Ordering::SeqCst);
        if silent || self.stalled {
            link.gate.shut();
        }
        self.refusing != Some(Refusal::Closed)
    }
}

impl Shared {
    /// Refuses connections to come, or admits them again.
    pub(crate) fn refuse(&self, refusal: Option<Refusal>) {
        let mut state = self.lock();
        state.outage.refusing = refusal;
        let logins = refusal == Some(Refusal::Login);
        state.core.refuse_logins(logins);
        if refusal != Some(Refusal::Silent) {
            for link in state.links.values() {
                if link.silent.swap(false, Ordering::SeqCst) && !state.outage.stalled {
                    link.gate.open();
                }
            }
        }
    }

    /// Cuts the connections of a name, or all. What they had in the broker is gone when this returns.
    pub(crate) fn cut(&self, name: Option<&str>) -> usize {
        let links = self.take_links(name);
        for (id, link) in &links {
            self.guarded(|core, now| core.disconnect(*id, now));
            link.cut.notify_one();
        }
        links.len()
    }

    fn take_links(&self, name: Option<&str>) -> Vec<(ConnId, Arc<Link>)> {
        let mut state = self.lock();
        match name {
            None => state.links.drain().collect(),
            Some(name) => {
                let named = state.core.named(name);
                let take = |id| state.links.remove(&id).map(|link| (id, link));
                named.into_iter().filter_map(take).collect()
            }
        }
    }

    /// Cuts all connections and does the rest of what a node's restart does, with nothing in between.
    pub(crate) fn restart(&self) {
        let mut guard = self.lock();
        let state = &mut *guard;
        let now = state.clock.now();
        let links: Vec<_> = state.links.drain().collect();
        for (id, _) in &links {
            state.core.disconnect(*id, now);
        }
        state.core.restart(now);
        self.hand_on(state);
        drop(guard);
        for (_, link) in links {
            link.cut.notify_one();
        }
    }

    /// Closes the connections of a name with a code, and gives each some time to confirm that.
    pub(crate) fn close_named(&self, name: &str, code: u16, text: &str) -> usize {
        let named = self.with(|core, now| {
            let named = core.named(name);
            for id in &named {
                core.force_close(*id, code, text, now);
            }
            named
        });
        let state = self.lock();
        for link in named.iter().filter_map(|id| state.links.get(id)) {
            link.overdue.notify_one();
            link.resume.notify_one();
        }
        named.len()
    }

    /// Shuts or opens the gates of the connections of a name.
    pub(crate) fn stall(&self, name: &str, stalled: bool) -> usize {
        let state = self.lock();
        let named = state.core.named(name);
        for link in named.iter().filter_map(|id| state.links.get(id)) {
            set_gate(link, stalled);
        }
        named.len()
    }

    /// Shuts or opens all gates, those of connections to come too.
    pub(crate) fn stall_all(&self, stalled: bool) {
        let mut guard = self.lock();
        let State { links, outage, .. } = &mut *guard;
        outage.stalled = stalled;
        for link in links.values() {
            let silent =
                outage.refusing == Some(Refusal::Silent) && link.silent.load(Ordering::SeqCst);
            set_gate(link, stalled || silent);
        }
    }

    /// Ends everything that a test may have armed.
    pub(crate) fn heal(&self) {
        self.refuse(None);
        self.stall_all(false);
        self.with(|core: &mut Core, now: Now| {
            for tamper in Tamper::NOTHING {
                core.tamper(tamper);
            }
            core.set_delay(std::time::Duration::ZERO, now);
            core.resume_queues(now);
            core.set_block(None);
        });
    }

    /// What is in the broker, sockets included.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let state = self.lock();
        let mut snapshot = state.core.snapshot(state.clock.now());
        snapshot.faults.refusing = state.outage.refusing;
        snapshot.faults.stalled = state.outage.stalled;
        for connection in &mut snapshot.connections {
            let link = state.links.get(&ConnId(connection.number));
            connection.stalled = link.is_some_and(|link| link.gate.is_shut());
        }
        snapshot
    }
}

fn set_gate(link: &Link, stalled: bool) {
    if stalled {
        link.gate.shut();
    } else {
        link.gate.open();
    }
}
