//! What the broker notes for those who watch it. With nobody watching, each note costs one branch.

use super::{
    Core, Now,
    channel::Unacked,
    connection::{Connection, Phase},
    consumer::Consumer,
    event::{
        Binding, CancelReason, CloseReason, ConnectionName, DeleteReason, DropReason, Event,
        EventKind, QueueName, RefuseReason,
    },
    exchange::Target,
    ids::{At, ConnId, ExchangeId, QueueId},
    message::Message,
    queue::Queue,
    ready::Entry,
    reply_to::ReplyConsumer,
    settle::Verdict,
    watch::{Watch, WatcherId},
};
use std::{collections::VecDeque, sync::Arc, time::SystemTime};

impl Core {
    /// Notes what happened, if anybody watches.
    #[inline]
    pub(super) fn note(&mut self, what: impl FnOnce(&Self) -> EventKind) {
        if self.watch.on {
            let kind = what(self);
            self.watch.note(self.now, kind);
        }
    }

    /// Notes what happened to a message in a queue, if anybody watches.
    #[inline]
    pub(super) fn note_in(
        &mut self,
        queue: QueueId,
        message: &Arc<Message>,
        what: impl FnOnce(Arc<Message>, QueueName) -> EventKind,
    ) {
        if self.watch.on
            && let Some(queue) = self.queues.get(&queue)
        {
            let kind = what(message.clone(), queue.full_name());
            self.watch.note(self.now, kind);
        }
    }

    /// Notes the end of a connection that was open until now, if anybody watches.
    pub(super) fn note_closed(&mut self, id: ConnId, why: impl FnOnce() -> CloseReason) {
        if self.watch.on
            && self
                .conns
                .get(&id)
                .is_some_and(|connection| connection.phase == Phase::Running)
        {
            self.note(|core| EventKind::ConnectionClosed {
                connection: core.connection_name(id),
                why: why(),
            });
        }
    }

    /// Notes what a client did with a message it had.
    pub(super) fn note_settled(&mut self, at: At, unacked: &Unacked, verdict: Verdict) {
        if !self.watch.on {
            return;
        }
        let (connection, channel) = (self.connection_name(at.conn), at.channel);
        self.note_in(
            unacked.queue,
            &unacked.entry.message,
            |message, queue| match verdict {
                Verdict::Done => EventKind::Acked {
                    message,
                    queue,
                    connection,
                    channel,
                },
                Verdict::Rejected => EventKind::Rejected {
                    message,
                    queue,
                    connection,
                    channel,
                },
                Verdict::Requeued => EventKind::Requeued {
                    message,
                    queue,
                    connection,
                    channel,
                },
            },
        );
    }

    /// Notes that an acknowledgement is lost.
    pub(super) fn note_ack_lost(&mut self, at: At, unacked: &Unacked) {
        if !self.watch.on {
            return;
        }
        let (connection, channel) = (self.connection_name(at.conn), at.channel);
        let message = &unacked.entry.message;
        self.note_in(unacked.queue, message, |message, queue| {
            EventKind::AckLost {
                message,
                queue,
                connection,
                channel,
            }
        });
    }

    /// Notes that somebody consumes a queue, or no longer does.
    pub(super) fn note_consumer(
        &mut self,
        at: At,
        queue: QueueId,
        tag: &Arc<str>,
        why: Option<CancelReason>,
    ) {
        if !self.watch.on {
            return;
        }
        if let Some(queue) = self.queues.get(&queue).map(Queue::full_name) {
            self.note_subscription(at, queue, tag, why);
        }
    }

    /// Notes that a channel takes direct replies under this address, or no longer does.
    pub(super) fn note_replies(&mut self, at: At, of: &ReplyConsumer, why: Option<CancelReason>) {
        if self.watch.on {
            let (vhost, name) = (self.vhost_of(at.conn), of.address.clone());
            self.note_subscription(at, QueueName { vhost, name }, &of.tag, why);
        }
    }

    fn note_subscription(
        &mut self,
        at: At,
        queue: QueueName,
        tag: &Arc<str>,
        why: Option<CancelReason>,
    ) {
        let (connection, channel) = (self.connection_name(at.conn), at.channel);
        let consumer = tag.clone();
        self.note(|_| match why {
            None => EventKind::ConsumerAdded {
                connection,
                channel,
                consumer,
                queue,
            },
            Some(why) => EventKind::ConsumerCancelled {
                connection,
                channel,
                consumer,
                queue,
                why,
            },
        });
    }

    /// Lets somebody watch from now on.
    pub(crate) fn open_watch(&mut self) -> WatcherId {
        self.watch.open()
    }

    pub(crate) fn close_watch(&mut self, id: WatcherId) {
        self.watch.close(id);
    }

    /// Tells a watcher what it does not know yet, at most so many events.
    pub(crate) fn read_watch(&mut self, id: WatcherId, most: usize, into: &mut VecDeque<Event>) {
        self.watch.read(id, most, into);
    }

    /// Tells the date of the moment the core was made at.
    pub(crate) fn set_epoch(&mut self, date: SystemTime) {
        self.watch.set_epoch(date);
    }

    /// Whether there are events that watchers were not woken for.
    pub(crate) fn take_news(&mut self) -> bool {
        self.watch.take_news()
    }

    /// How events name a connection.
    pub(super) fn connection_name(&self, id: ConnId) -> ConnectionName {
        let connection = self.conns.get(&id);
        ConnectionName::new(id, connection.and_then(|c| c.client.name.as_ref()))
    }

    /// How events name queues.
    pub(super) fn queue_names(&self, ids: &[QueueId]) -> Vec<QueueName> {
        ids.iter()
            .filter_map(|id| self.queues.get(id))
            .map(Queue::full_name)
            .collect()
    }

    /// How events name exchanges.
    pub(super) fn exchange_names(&self, vhost: &str, ids: &[ExchangeId]) -> Vec<Arc<str>> {
        let Some(vhost) = self.vhosts.get(vhost) else {
            return Vec::new();
        };
        ids.iter()
            .filter_map(|id| vhost.exchanges.get(id))
            .map(|exchange| exchange.name.clone())
            .collect()
    }

    /// Notes that a binding came or went.
    pub(super) fn note_binding(
        &mut self,
        vhost: &str,
        source: ExchangeId,
        target: Target,
        key: &Arc<str>,
        kind: impl FnOnce(Binding) -> EventKind,
    ) {
        if !self.watch.on {
            return;
        }
        let exchange = |id| {
            let exchange = self.vhosts.get(vhost)?.exchanges.get(&id)?;
            Some(exchange.name.clone())
        };
        let destination = match target {
            Target::Queue(id) => self.queues.get(&id).map(|queue| queue.name.clone()),
            Target::Exchange(id) => exchange(id),
        };
        if let (Some(source), Some(destination)) = (exchange(source), destination) {
            let binding = Binding {
                vhost: vhost.into(),
                source,
                destination,
                to_queue: matches!(target, Target::Queue(_)),
                routing_key: key.clone(),
            };
            self.note(|_| kind(binding));
        }
    }

    /// Notes that a full queue refuses a message.
    pub(super) fn note_refused(&mut self, id: QueueId, message: &Arc<Message>) {
        self.note_in(id, message, |message, queue| EventKind::Refused {
            message,
            queue: Some(queue),
            why: RefuseReason::QueueFull,
        });
    }

    /// Notes a direct reply; the address it was sent to stands for a queue.
    pub(super) fn note_reply(&mut self, at: At, consumer: &Arc<str>, message: &Arc<Message>) {
        self.note(|core| EventKind::Delivered {
            message: message.clone(),
            queue: QueueName {
                vhost: core.vhost_of(at.conn),
                name: message.routing_key.clone(),
            },
            connection: core.connection_name(at.conn),
            channel: at.channel,
            consumer: Some(consumer.clone()),
            no_ack: true,
            redelivered: false,
            returns: 0,
        });
    }

    /// Notes that a queue gives up a message for good.
    pub(super) fn note_dropped(&mut self, id: QueueId, message: &Arc<Message>, why: DropReason) {
        self.note_in(id, message, |message, queue| EventKind::Dropped {
            message,
            queue: Some(queue),
            why,
        });
    }

    /// Counts and notes that a message became too old.
    pub(super) fn book_expired(&mut self, id: QueueId, message: &Arc<Message>) {
        if let Some(queue) = self.queues.get_mut(&id) {
            queue.counters.expired += 1;
        }
        self.note_in(id, message, |message, queue| EventKind::Expired {
            message,
            queue,
        });
    }

    /// Notes where a dead letter goes.
    pub(super) fn note_dead_letter(
        &mut self,
        vhost: &str,
        message: &Arc<Message>,
        queues: &[QueueId],
    ) {
        let Some(death) = message.deaths.as_ref().and_then(|deaths| deaths.last()) else {
            return;
        };
        self.note(|core| EventKind::DeadLettered {
            message: message.clone(),
            queue: QueueName {
                vhost: vhost.into(),
                name: death.queue.clone(),
            },
            why: death.reason.into(),
            exchange: message.exchange.clone(),
            queues: core.queue_names(queues),
        });
    }

    /// Notes that everything that waits in a queue is about to be lost.
    pub(super) fn note_lost(&mut self, id: QueueId, why: DropReason) {
        if !self.watch.on {
            return;
        }
        let Some(queue) = self.queues.get(&id) else {
            return;
        };
        let name = queue.full_name();
        // A purge leaves the dead letters under way alone.
        let letters = queue.held.messages();
        let letters = letters.filter(|_| why == DropReason::QueueDeleted);
        for message in queue.messages().chain(letters) {
            let kind = EventKind::Dropped {
                message: message.clone(),
                queue: Some(name.clone()),
                why,
            };
            self.watch.note(self.now, kind);
        }
    }

    /// Notes that a queue is about to be deleted, its messages and consumers with it.
    pub(super) fn note_deleted(&mut self, id: QueueId, why: DeleteReason) {
        if !self.watch.on {
            return;
        }
        let Some(queue) = self.queues.get(&id) else {
            return;
        };
        let name = queue.full_name();
        let consumers: Vec<_> = queue
            .consumers
            .iter()
            .map(|c| (c.at, c.tag.clone()))
            .collect();
        for (at, tag) in consumers {
            self.note_consumer(at, id, &tag, Some(CancelReason::QueueDeleted));
        }
        self.note_lost(id, DropReason::QueueDeleted);
        self.note(|_| EventKind::QueueDeleted { queue: name, why });
    }
}

/// Who gets a delivery.
#[derive(Clone, Copy, Debug)]
pub(super) struct Receiver<'a> {
    pub(super) at: At,
    /// None for `basic.get`.
    pub(super) consumer: Option<&'a Arc<str>>,
    pub(super) no_ack: bool,
}

impl<'a> Receiver<'a> {
    pub(super) fn of(consumer: &'a Consumer) -> Self {
        Self {
            at: consumer.at,
            consumer: Some(&consumer.tag),
            no_ack: consumer.no_ack,
        }
    }
}

/// Counts a delivery, and notes it if anybody watches.
#[inline]
pub(super) fn book_delivery(
    (watch, now): (&mut Watch, Now),
    connection: &Connection,
    queue: &mut Queue,
    to: Receiver<'_>,
    entry: &Entry,
) {
    queue.counters.delivered += 1;
    queue.counters.redelivered += u64::from(entry.redelivered);
    if watch.on {
        watch.note(now, delivered(connection, queue, to, entry));
    }
}

fn delivered(connection: &Connection, queue: &Queue, to: Receiver<'_>, entry: &Entry) -> EventKind {
    EventKind::Delivered {
        message: entry.message.clone(),
        queue: queue.full_name(),
        connection: ConnectionName::new(to.at.conn, connection.client.name.as_ref()),
        channel: to.at.channel,
        consumer: to.consumer.cloned(),
        no_ack: to.no_ack,
        redelivered: entry.redelivered,
        returns: entry.returns,
    }
}
