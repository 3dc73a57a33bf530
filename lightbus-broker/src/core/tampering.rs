//! What tests make go wrong with messages: publications refused or lost, confirms withheld, acknowledgements lost.

use super::{
    Core, Now,
    event::{DropReason, EventKind, RefuseReason},
    ids::{At, QueueId},
    message::Message,
    queue::Queue,
};
use crate::snapshot::ArmedFaults;
use std::sync::Arc;

/// What is armed. All of it counts down.
#[derive(Debug, Default)]
pub(crate) struct Tampering {
    /// Something is; what handles messages looks no further otherwise.
    pub(crate) on: bool,
    fail_publishes: u64,
    drop_publishes: u64,
    withhold_confirms: u64,
    duplicate_deliveries: u64,
}

/// What is to go wrong, so many times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tamper {
    FailPublishes(u64),
    DropPublishes(u64),
    WithholdConfirms(u64),
    DuplicateDeliveries(u64),
}

impl Tamper {
    /// Everything goes well again.
    pub(crate) const NOTHING: [Self; 4] = [
        Self::FailPublishes(0),
        Self::DropPublishes(0),
        Self::WithholdConfirms(0),
        Self::DuplicateDeliveries(0),
    ];
}

impl Tampering {
    fn set(&mut self, tamper: Tamper) {
        match tamper {
            Tamper::FailPublishes(count) => self.fail_publishes = count,
            Tamper::DropPublishes(count) => self.drop_publishes = count,
            Tamper::WithholdConfirms(count) => self.withhold_confirms = count,
            Tamper::DuplicateDeliveries(count) => self.duplicate_deliveries = count,
        }
        self.look();
    }

    fn look(&mut self) {
        self.on = self.fail_publishes > 0
            || self.drop_publishes > 0
            || self.withhold_confirms > 0
            || self.duplicate_deliveries > 0;
    }

    /// Counts one down; `false` if none is left.
    fn spend(&mut self, which: impl FnOnce(&mut Self) -> &mut u64) -> bool {
        let left = which(self);
        let any = *left > 0;
        *left = left.saturating_sub(1);
        self.look();
        any
    }

    /// Whether this confirm is never sent.
    pub(crate) fn withholds(&mut self) -> bool {
        self.on && self.spend(|all| &mut all.withhold_confirms)
    }

    /// Whether this delivery comes again. A stream has nothing to be delivered again.
    pub(crate) fn duplicates(&mut self, queue: &Queue) -> bool {
        self.on && queue.stream.is_none() && self.spend(|all| &mut all.duplicate_deliveries)
    }
}

impl Core {
    pub(crate) fn tamper(&mut self, tamper: Tamper) {
        self.tampering.set(tamper);
    }

    /// Turns every login away, or no longer.
    pub(crate) fn refuse_logins(&mut self, refuses: bool) {
        self.refuses_logins = refuses;
    }

    /// What is armed in the core.
    pub(crate) fn armed(&self) -> ArmedFaults {
        let armed = &self.tampering;
        ArmedFaults {
            fail_publishes: armed.fail_publishes,
            drop_publishes: armed.drop_publishes,
            withhold_confirms: armed.withhold_confirms,
            duplicate_deliveries: armed.duplicate_deliveries,
            delay: self.delay,
            blocked: self.pressure.owners_reason().map(str::to_owned),
            ..ArmedFaults::default()
        }
    }

    /// Has a publication fail or vanish, if that is armed; says whether it did.
    pub(super) fn tampered(&mut self, at: At, message: &Arc<Message>) -> bool {
        let (message, queue) = (message.clone(), None);
        let channel = self.channel_mut(at);
        let confirms = channel.is_some_and(|channel| channel.confirms.is_some());
        let fails = confirms && self.tampering.spend(|all| &mut all.fail_publishes);
        if fails {
            self.published.refused += 1;
            let why = RefuseReason::Fault;
            self.note(|_| EventKind::Refused {
                message,
                queue,
                why,
            });
        } else if self.tampering.spend(|all| &mut all.drop_publishes) {
            let why = DropReason::Fault;
            self.note(|_| EventKind::Dropped {
                message,
                queue,
                why,
            });
        } else {
            return false;
        }
        if let Some(number) = self.next_confirm(at) {
            self.confirm(at, number, fails, false);
        }
        true
    }

    /// Stops or starts the deliveries of all queues of a name; says how many there are.
    pub(crate) fn pause_queues(&mut self, name: &str, paused: bool, now: Now) -> usize {
        self.now = now;
        let ids = self.queues_named(name);
        for id in &ids {
            if let Some(queue) = self.queues.get_mut(id) {
                queue.paused = paused;
            }
            self.wake(*id);
        }
        self.run_jobs();
        ids.len()
    }

    /// Starts the deliveries of all queues.
    pub(crate) fn resume_queues(&mut self, now: Now) {
        self.now = now;
        let ids: Vec<_> = self.queues.keys().copied().collect();
        for id in ids {
            if let Some(queue) = self.queues.get_mut(&id)
                && std::mem::take(&mut queue.paused)
            {
                self.wake(id);
            }
        }
        self.run_jobs();
    }

    pub(super) fn queues_named(&self, name: &str) -> Vec<QueueId> {
        let named = self.queues.values().filter(|queue| &*queue.name == name);
        named.map(|queue| queue.id).collect()
    }
}
