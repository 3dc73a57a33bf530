//! Into a queue, and from it to its consumers; and what becomes of messages that are too many or too old.

use super::{
    Core,
    channel::Unacked,
    connection::Connection,
    consumer::Consumer,
    deaths::Reason,
    event::DeleteReason,
    ids::{ConnId, IdMap, QueueId},
    list,
    message::Message,
    notes::{Receiver, book_delivery},
    properties::{Field, Index},
    queue::Queue,
    queue_arguments::Overflow,
    ready::Entry,
    stream, tables,
    timers::Alarm,
};
use crate::{frames, queue_type::QueueType};
use amq_protocol::types::AMQPValue;
use std::{borrow::Cow, sync::Arc, time::Instant};

impl Core {
    /// Puts a message into a queue; `false` if the queue refuses it.
    pub(super) fn enqueue(&mut self, id: QueueId, message: &Arc<Message>) -> bool {
        let Some(queue) = self.queues.get_mut(&id) else {
            return true;
        };
        if queue.refuses(message) {
            queue.counters.refused += 1;
            let buries = queue.arguments.overflow == Overflow::RejectPublishDeadLetter;
            self.note_refused(id, message);
            if buries {
                self.bury_message(id, message, Reason::MaxLen);
            }
            return false;
        }
        queue.push(message.clone(), self.now);
        self.serve(id);
        true
    }

    /// Gives a queue's messages to its consumers, then removes those that are too many or too old.
    pub(super) fn serve(&mut self, id: QueueId) {
        if self
            .queues
            .get(&id)
            .is_some_and(|queue| queue.stream.is_some())
        {
            return self.serve_stream(id);
        }
        let mut dead = Vec::new();
        self.deliver_ready(id, &mut dead);
        let Some(queue) = self.queues.get_mut(&id) else {
            return;
        };
        while queue.is_spilling() {
            match queue.ready.pop() {
                Some(entry) => dead.push((entry, Reason::MaxLen)),
                None => break,
            }
        }
        let now = self.now.instant;
        while let Some(entry) = queue
            .ready
            .pop_if(|entry| entry.expires.is_some_and(|at| at <= now))
        {
            dead.push((entry, Reason::Expired));
        }
        // As in RabbitMQ, where the last to die is the first to be passed on.
        if queue.arguments.kind == QueueType::Quorum && !queue.arguments.at_least_once {
            dead.reverse();
        }
        self.arm_expiry(id);
        for (entry, reason) in dead {
            self.bury(id, &entry, reason);
        }
    }

    /// Sees to it that the message at the head of a queue expires in time.
    pub(super) fn arm_expiry(&mut self, id: QueueId) {
        if let Some(queue) = self.queues.get_mut(&id)
            && let Some(at) = queue.ready.next_expiry()
            && queue.message_alarm.is_none_or(|set| at < set)
        {
            queue.message_alarm = Some(at);
            self.timers.set(at, Alarm::Message(id));
            self.tidy_timers();
        }
    }

    /// A classic queue that got messages back drops those that are too many before it delivers any.
    pub(super) fn trim(&mut self, id: QueueId) {
        let Some(queue) = self.queues.get_mut(&id) else {
            return;
        };
        // It is about to be deleted, with all that is in it.
        if queue.auto_delete && queue.consumers.is_empty() {
            return;
        }
        let mut dropped = Vec::new();
        while queue.arguments.kind == QueueType::Classic && queue.is_spilling() {
            match queue.ready.pop() {
                Some(entry) => dropped.push(entry),
                None => break,
            }
        }
        for entry in dropped {
            self.bury(id, &entry, Reason::MaxLen);
        }
    }

    fn deliver_ready(&mut self, id: QueueId, dead: &mut Vec<(Entry, Reason)>) {
        let Self {
            queues,
            conns,
            output,
            watch,
            tampering,
            now,
            ..
        } = self;
        let Some(queue) = queues.get_mut(&id) else {
            return;
        };
        let single = queue.arguments.single_active;
        if single && queue.arguments.kind == QueueType::Quorum && !queue.consumers.hand_over() {
            return;
        }
        while queue.ready.len() > 0 && !queue.stalled && !queue.paused {
            // What has expired is never delivered; what expires at this very moment may still be.
            if let Some(entry) = queue
                .ready
                .pop_if(|entry| entry.expired_before(now.instant))
            {
                dead.push((entry, Reason::Expired));
                continue;
            }
            let Some(consumer) = next_consumer(queue, conns, single) else {
                queue.stalled = !relieved(queue, conns);
                continue;
            };
            let connection = conns.get_mut(&consumer.at.conn);
            let (Some(connection), Some(entry)) = (connection, queue.ready.pop()) else {
                break;
            };
            list(output, consumer.at.conn, connection);
            let receiver = Receiver::of(&consumer);
            book_delivery((watch, *now), connection, queue, receiver, &entry);
            let twice = tampering.duplicates(queue);
            if twice && consumer.no_ack {
                queue.ready.restore(entry.again());
            }
            let loan = Loan {
                since: now.instant,
                loses_ack: twice,
            };
            deliver(connection, queue, &consumer, entry, loan);
        }
    }

    /// A head of the queue may have expired.
    pub(super) fn message_alarm(&mut self, id: QueueId) {
        let now = self.now.instant;
        let queue = self.queues.get_mut(&id);
        // One that was set before an earlier one is of no use any more.
        if queue.is_some_and(|queue| queue.message_alarm.take_if(|at| *at <= now).is_some()) {
            self.serve(id);
        }
    }

    /// Starts to count the time a queue is unused.
    pub(super) fn arm_unused(&mut self, id: QueueId) {
        if let Some(queue) = self.queues.get_mut(&id)
            && !queue.unused_alarm
            && let Some(at) = queue.unused_until()
        {
            queue.unused_alarm = true;
            self.timers.set(at, Alarm::Unused(id));
        }
    }

    /// A queue may have been unused for too long.
    pub(super) fn unused_alarm(&mut self, id: QueueId) {
        let Some(queue) = self.queues.get_mut(&id) else {
            return;
        };
        queue.unused_alarm = false;
        match queue.unused_until() {
            Some(until) if until <= self.now.instant => {
                self.delete_queue(id, DeleteReason::Expired)
            }
            Some(_) => self.arm_unused(id),
            None => {}
        }
    }
}

/// Whose turn it is to get a message, which counts as theirs from here on.
fn next_consumer(
    queue: &mut Queue,
    conns: &IdMap<ConnId, Connection>,
    single: bool,
) -> Option<Consumer> {
    let willing = |consumer: &Consumer| {
        let connection = conns.get(&consumer.at.conn);
        consumer.has_credit() && connection.is_some_and(|c| c.can_take(consumer))
    };
    let consumer = queue.consumers.next(single, willing)?;
    consumer.unacked += u32::from(!consumer.no_ack);
    Some(consumer.clone())
}

/// Asks the writers of congested connections to say when there is room; says whether one already has.
fn relieved(queue: &Queue, conns: &IdMap<ConnId, Connection>) -> bool {
    let connections = queue
        .consumers
        .iter()
        .filter_map(|consumer| conns.get(&consumer.at.conn));
    connections
        .filter(|connection| connection.is_congested())
        .fold(false, |relieved, connection| {
            connection.meter.starve();
            relieved || !connection.is_congested()
        })
}

/// What is noted of a delivery that is to be settled.
#[derive(Clone, Copy)]
pub(super) struct Loan {
    pub(super) since: Instant,
    pub(super) loses_ack: bool,
}

/// Writes one delivery, and keeps it until it is settled.
pub(super) fn deliver(
    connection: &mut Connection,
    queue: &mut Queue,
    consumer: &Consumer,
    entry: Entry,
    loan: Loan,
) {
    let number = consumer.at.channel;
    let Some(channel) = connection.channels.get_mut(&number) else {
        return;
    };
    let tag = channel.tag();
    let (m, again) = (&entry.message, entry.redelivered);
    let out = &mut connection.out;
    frames::deliver(
        out,
        number,
        &consumer.tag,
        tag,
        again,
        &m.exchange,
        &m.routing_key,
    );
    connection.write_content(number, &shown_properties(queue, &entry), m);
    if !consumer.no_ack
        && let Some(channel) = connection.channels.get_mut(&number)
    {
        queue.lend(&entry);
        channel.keep(Unacked {
            tag,
            queue: queue.id,
            consumer: Some(consumer.id),
            limited: consumer.limited,
            since: loan.since,
            loses_ack: loan.loses_ack,
            entry,
        });
    }
}

/// The properties a client sees: where a queue counts deliveries, with the count; of a stream, with the place in it.
pub(super) fn shown_properties<'a>(queue: &Queue, entry: &'a Entry) -> Cow<'a, [u8]> {
    let properties = &entry.message.properties;
    if queue.stream.is_some() {
        return Cow::Owned(stream::with_offset(&entry.message, entry.seq));
    }
    if entry.returns == 0 {
        return Cow::Borrowed(properties);
    }
    let index = Index::scan(properties).unwrap_or_default();
    let mut headers = index
        .wire(properties, Field::Headers)
        .and_then(tables::decode)
        .unwrap_or_default();
    headers.insert(
        "x-delivery-count".into(),
        AMQPValue::LongLongInt(i64::from(entry.returns)),
    );
    Cow::Owned(index.splice(
        properties,
        &[(Field::Headers, Some(tables::encode(&headers)))],
    ))
}
