//! All that a relay knows: it is told every frame that passes, before that goes on.

use super::{
    client::{Channel, Client},
    content::{Content, Progress, Purpose},
    places::Places,
    ties::Ties,
};
use crate::{
    clock::Clock,
    core::{DropReason, EventKind, Gauge, Message, QueueName, Watch, parse},
    frames::{BODY, Frame, HEADER, METHOD},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

/// So much of messages is kept for those who are slow to read events.
const MOST_WEIGHT: usize = 64 << 20;
/// So long after its expiration a message that was not delivered counts as gone: it may be on its way.
const GRACE: Duration = Duration::from_millis(50);

/// Whose a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Broker,
}

/// Where a frame belongs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) client: u64,
    pub(super) channel: u16,
}

#[derive(Debug)]
pub(super) struct Ledger {
    watch: Watch,
    clock: Clock,
    gauge: Gauge,
    pub(super) clients: BTreeMap<u64, Client>,
    pub(super) vhosts: BTreeMap<Arc<str>, Places>,
    pub(super) ties: Ties,
    /// When messages expire in queues: moment, message, virtual host and queue.
    expiring: BTreeSet<(Instant, u64, Arc<str>, Arc<str>)>,
    last_client: u64,
    last_message: u64,
    /// How many frames have changed what lies in the queues, or may have; and when the last one did.
    pub(super) changes: u64,
    pub(super) changed: Instant,
    /// As many of them had come before the broker was last asked what waits.
    pub(super) counted: Option<u64>,
}

impl Ledger {
    pub(super) fn new(event_buffer: usize) -> Self {
        let clock = Clock::System;
        let now = clock.now();
        let mut watch = Watch::new(event_buffer, MOST_WEIGHT, now);
        watch.set_epoch(clock.date(now));
        Self {
            watch,
            clock,
            gauge: Gauge::default(),
            clients: BTreeMap::new(),
            vhosts: BTreeMap::new(),
            ties: Ties::default(),
            expiring: BTreeSet::new(),
            last_client: 0,
            last_message: 0,
            changes: 0,
            changed: now.instant,
            counted: None,
        }
    }

    pub(super) fn watch(&mut self) -> &mut Watch {
        &mut self.watch
    }

    pub(super) fn note(&mut self, kind: EventKind) {
        if self.watch.on {
            self.watch.note(self.clock.now(), kind);
        }
    }

    pub(super) fn note_if(&mut self, kind: Option<EventKind>) {
        if let Some(kind) = kind {
            self.note(kind);
        }
    }

    /// Something passes that may change what lies in the queues.
    pub(super) fn changed(&mut self) {
        self.changes += 1;
        self.changed = Instant::now();
    }

    /// A connection comes.
    pub(super) fn connect(&mut self, peer: String) -> u64 {
        self.last_client += 1;
        let client = Client::new(self.last_client, peer);
        self.clients.insert(self.last_client, client);
        self.last_client
    }

    /// A frame passes.
    pub(super) fn frame(&mut self, client: u64, from: Side, frame: &Frame<'_>) {
        let at = Place {
            client,
            channel: frame.channel,
        };
        match frame.kind {
            METHOD => self.method(at, from, frame.payload),
            HEADER | BODY => self.content(at, from, frame),
            _ => {}
        }
    }

    fn method(&mut self, at: Place, from: Side, payload: &[u8]) {
        let [c1, c0, m1, m0, arguments @ ..] = payload else {
            return;
        };
        let (class, method) = (
            u16::from_be_bytes([*c1, *c0]),
            u16::from_be_bytes([*m1, *m0]),
        );
        // What the broker says of itself matters to nobody here.
        if (class, method) == (10, 10) {
            return;
        }
        let Ok(method) = parse(class, method, payload, arguments) else {
            return;
        };
        match from {
            Side::Client => self.client_says(at, method),
            Side::Broker => self.broker_says(at, method),
        }
    }

    fn content(&mut self, at: Place, from: Side, frame: &Frame<'_>) {
        let Some(channel) = self.channel(at) else {
            return;
        };
        let slot = match from {
            Side::Client => &mut channel.sending,
            Side::Broker => &mut channel.receiving,
        };
        let Some(mut content) = slot.take() else {
            return;
        };
        let progress = match frame.kind {
            HEADER => content.header(frame.payload, &self.gauge),
            _ => content.body(frame.payload),
        };
        match progress {
            Progress::Whole(message) => self.whole(at, content, *message),
            Progress::Lost => self.lost(at, &content),
            Progress::More => {
                if let Some(channel) = self.channel(at) {
                    let slot = match from {
                        Side::Client => &mut channel.sending,
                        Side::Broker => &mut channel.receiving,
                    };
                    *slot = Some(content);
                }
            }
        }
    }

    /// A message that cannot be read, or is too much.
    fn lost(&mut self, at: Place, content: &Content) {
        let confirms = self.channel(at).and_then(|it| it.confirms.as_mut());
        if let (Purpose::Publish, Some(confirms)) = (&content.purpose, confirms) {
            confirms.skipped();
        }
        self.note(EventKind::Missed { count: 1 });
    }

    /// A message has come in full.
    fn whole(&mut self, at: Place, content: Content, message: Message) {
        use Purpose::{Deliver, Publish, Return};
        self.changed();
        match content.purpose {
            Publish => self.published(at, message, content.mandatory),
            Deliver(delivery) => self.delivered(at, message, delivery),
            Return => self.returned(&message),
        }
    }

    pub(super) fn next_message(&mut self) -> u64 {
        self.last_message += 1;
        self.last_message
    }

    pub(super) fn channel(&mut self, at: Place) -> Option<&mut Channel> {
        let client = self.clients.get_mut(&at.client)?;
        client.channels.get_mut(&at.channel)
    }

    /// The virtual host of a connection.
    pub(super) fn places(&mut self, client: u64) -> Option<&mut Places> {
        let vhost = &self.clients.get(&client)?.vhost;
        if !self.vhosts.contains_key(vhost) {
            let places = Places::new(vhost.clone());
            self.vhosts.insert(vhost.clone(), places);
        }
        self.vhosts.get_mut(vhost)
    }

    /// From now on, messages of this queue expire.
    pub(super) fn expires(&mut self, message: &Message, vhost: &Arc<str>, queue: &Arc<str>) {
        let lifetime = message.expiration.map(Duration::from_millis);
        let end = lifetime.and_then(|lifetime| Instant::now().checked_add(lifetime + GRACE));
        if let Some(end) = end {
            let entry = (end, message.number(), vhost.clone(), queue.clone());
            self.expiring.insert(entry);
            // No more are kept than may be there still.
            self.expire();
        }
    }

    /// Takes note of what must have expired by now.
    pub(super) fn expire(&mut self) {
        let now = Instant::now();
        while self.expiring.first().is_some_and(|(end, ..)| *end <= now) {
            let Some((_, number, vhost, name)) = self.expiring.pop_first() else {
                return;
            };
            let Some(message) = self.ties.give_up(number, &name) else {
                continue;
            };
            let queue = QueueName { vhost, name };
            self.note(EventKind::Expired {
                message: message.clone(),
                queue: queue.clone(),
            });
            self.note(EventKind::Dropped {
                message,
                queue: Some(queue),
                why: DropReason::Expired,
            });
        }
    }
}
