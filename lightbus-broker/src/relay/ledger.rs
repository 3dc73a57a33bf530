//! All that a relay knows: it is told every frame that passes, before that goes on.

use super::{
    client::{Channel, Client, Subscription, Unacked},
    content::{Content, Progress},
    places::Places,
    ties::Ties,
};
use crate::{
    clock::Clock,
    core::{
        CancelReason, CloseReason, ConnectionName, DeleteReason, DropReason, EventKind, Gauge,
        Message, QueueName, Watch, parse,
    },
    frames::{BODY, Frame, HEADER, METHOD},
};
use amq_protocol::protocol::AMQPClass;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

/// So much of messages is kept for those who are slow to read events.
const MOST_WEIGHT: usize = 64 << 20;
/// So long after its expiration a message that was not delivered counts as gone: it may be on its way.
const GRACE: Duration = Duration::from_millis(50);

/// Which way a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
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
    /// How many frames have changed what lies in the queues, or may have.
    pub(super) changes: u64,
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

    /// A connection comes.
    pub(super) fn connect(&mut self, peer: String) -> u64 {
        self.last_client += 1;
        let client = Client::new(self.last_client, peer);
        self.clients.insert(self.last_client, client);
        self.last_client
    }

    /// A frame passes.
    pub(super) fn frame(&mut self, client: u64, from: From, frame: &Frame<'_>) {
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

    fn method(&mut self, at: Place, from: From, payload: &[u8]) {
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
            From::Client => self.from_client(at, method),
            From::Broker => self.from_broker(at, method),
        }
    }

    fn content(&mut self, at: Place, from: From, frame: &Frame<'_>) {
        let Some(channel) = self.channel(at) else {
            return;
        };
        let slot = match from {
            From::Client => &mut channel.sending,
            From::Broker => &mut channel.receiving,
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
            Progress::Lost => self.note(EventKind::Missed { count: 1 }),
            Progress::More => {
                if let Some(channel) = self.channel(at) {
                    let slot = match from {
                        From::Client => &mut channel.sending,
                        From::Broker => &mut channel.receiving,
                    };
                    *slot = Some(content);
                }
            }
        }
    }

    /// A message has come in full.
    fn whole(&mut self, at: Place, content: Content, message: Message) {
        use super::content::Purpose::{Deliver, Publish, Return};
        self.changes += 1;
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

    /// A connection ends.
    pub(super) fn disconnect(&mut self, id: u64, why: CloseReason) {
        let Some(client) = self.clients.get(&id) else {
            return;
        };
        self.changes += 1;
        if client.is_open {
            let connection = client.connection();
            self.note(EventKind::ConnectionClosed { connection, why });
        }
        let channels = self.clients.get(&id).map(|client| &client.channels);
        let channels: Vec<_> = channels
            .into_iter()
            .flat_map(BTreeMap::keys)
            .copied()
            .collect();
        for channel in &channels {
            let channel = *channel;
            self.drop_consumers(Place {
                client: id,
                channel,
            });
        }
        self.drop_exclusive(id);
        for channel in channels {
            self.end_channel(Place {
                client: id,
                channel,
            });
        }
        self.clients.remove(&id);
    }

    fn drop_exclusive(&mut self, client: u64) {
        let Some(places) = self.places(client) else {
            return;
        };
        let owned = places
            .queues
            .iter()
            .filter(|(_, queue)| queue.owner == Some(client));
        let owned: Vec<_> = owned.map(|(name, _)| name.clone()).collect();
        for queue in owned {
            self.delete_queue(client, &queue, DeleteReason::Exclusive);
        }
    }

    /// A queue is gone, and with it its consumers and what they had.
    pub(super) fn delete_queue(&mut self, client: u64, queue: &Arc<str>, why: DeleteReason) {
        let Some(vhost) = self.clients.get(&client).map(|client| client.vhost.clone()) else {
            return;
        };
        let mut cancelled = Vec::new();
        for client in self
            .clients
            .values_mut()
            .filter(|client| client.vhost == vhost)
        {
            let connection = client.connection();
            for (number, channel) in &mut client.channels {
                channel.unacked.retain(|_, unacked| unacked.queue != *queue);
                let gone = channel.consumers.extract_if(.., |_, it| it.queue == *queue);
                cancelled.extend(gone.map(|(tag, _)| (connection.clone(), *number, tag)));
            }
        }
        let Some(places) = self.vhosts.get_mut(&vhost) else {
            return;
        };
        let name = places.queue_name(queue);
        let deleted = places.delete_queue(queue, why);
        for (connection, channel, consumer) in cancelled {
            self.note(EventKind::ConsumerCancelled {
                connection,
                channel,
                consumer,
                queue: name.clone(),
                why: CancelReason::QueueDeleted,
            });
        }
        self.note_if(deleted);
    }

    /// A channel ends: its consumers leave, and what it has not settled goes back.
    pub(super) fn end_channel(&mut self, at: Place) {
        self.drop_consumers(at);
        self.changes += 1;
        let client = self.clients.get_mut(&at.client);
        let Some(channel) = client.and_then(|client| client.channels.remove(&at.channel)) else {
            return;
        };
        self.requeue(at, channel.unacked.into_values().collect());
    }

    fn drop_consumers(&mut self, at: Place) {
        let Some(channel) = self.channel(at) else {
            return;
        };
        for (tag, subscription) in std::mem::take(&mut channel.consumers) {
            self.unsubscribed(at, tag, subscription, CancelReason::ChannelClosed);
        }
    }

    /// A consumer left.
    pub(super) fn unsubscribed(
        &mut self,
        at: Place,
        consumer: Arc<str>,
        subscription: Subscription,
        why: CancelReason,
    ) {
        let Some(connection) = self.clients.get(&at.client).map(Client::connection) else {
            return;
        };
        let Some(places) = self.places(at.client) else {
            return;
        };
        let name = subscription.queue;
        let queue = places.queue_name(&name);
        let mut is_over = false;
        if let Some(queue) = places.queues.get_mut(&name) {
            queue.consumers = queue.consumers.saturating_sub(1);
            is_over = queue.auto_delete && queue.consumers == 0;
        }
        self.note(EventKind::ConsumerCancelled {
            connection,
            channel: at.channel,
            consumer,
            queue,
            why,
        });
        if is_over {
            self.delete_queue(at.client, &name, DeleteReason::AutoDelete);
        }
    }

    /// Messages go back to their queues.
    pub(super) fn requeue(&mut self, at: Place, unacked: Vec<Unacked>) {
        for one in unacked {
            self.ties.requeued(one.message.number(), &one.queue);
            self.settled(at, one, |message, queue, connection, channel| {
                EventKind::Requeued {
                    message,
                    queue,
                    connection,
                    channel,
                }
            });
        }
    }

    /// Notes what a client did with a message it had.
    pub(super) fn settled(
        &mut self,
        at: Place,
        unacked: Unacked,
        what: impl FnOnce(Arc<Message>, QueueName, ConnectionName, u16) -> EventKind,
    ) {
        let Some(connection) = self.clients.get(&at.client).map(Client::connection) else {
            return;
        };
        if let Some(places) = self.places(at.client) {
            let queue = places.queue_name(&unacked.queue);
            self.note(what(unacked.message, queue, connection, at.channel));
        }
    }
}

/// Whether a method of the client was answered by this one.
pub(super) fn answers(asked: &AMQPClass, answer: &AMQPClass) -> bool {
    use amq_protocol::protocol::{
        basic::AMQPMethod as Basic, exchange::AMQPMethod as Exchange, queue::AMQPMethod as Queue,
    };
    match (asked, answer) {
        (AMQPClass::Basic(asked), AMQPClass::Basic(answer)) => matches!(
            (asked, answer),
            (Basic::Consume(_), Basic::ConsumeOk(_))
                | (Basic::Cancel(_), Basic::CancelOk(_))
                | (Basic::Get(_), Basic::GetOk(_) | Basic::GetEmpty(_))
        ),
        (AMQPClass::Queue(asked), AMQPClass::Queue(answer)) => matches!(
            (asked, answer),
            (Queue::Declare(_), Queue::DeclareOk(_))
                | (Queue::Bind(_), Queue::BindOk(_))
                | (Queue::Unbind(_), Queue::UnbindOk(_))
                | (Queue::Delete(_), Queue::DeleteOk(_))
        ),
        (AMQPClass::Exchange(asked), AMQPClass::Exchange(answer)) => matches!(
            (asked, answer),
            (Exchange::Declare(_), Exchange::DeclareOk(_))
                | (Exchange::Bind(_), Exchange::BindOk(_))
                | (Exchange::Unbind(_), Exchange::UnbindOk(_))
                | (Exchange::Delete(_), Exchange::DeleteOk(_))
        ),
        _ => false,
    }
}
