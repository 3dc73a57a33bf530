//! Fetching one message at a time.

use super::{
    Core,
    channel::Unacked,
    delivery::shown_properties,
    errors::{Outcome, not_implemented, resource_locked},
    ids::{At, QueueId},
    list,
    notes::{Receiver, book_delivery},
    queue::Queue,
    ready::Entry,
};
use crate::{frames, queue_type::QueueType};
use amq_protocol::protocol::{AMQPClass, basic};

impl Core {
    pub(super) fn get(&mut self, at: At, get: &basic::Get) -> Outcome {
        let id = self.find_queue(at, get.queue.as_str())?;
        if let Some(queue) = self.queues.get(&id) {
            assert_fetchable(queue)?;
        }
        if !get.no_ack {
            self.watch_acks(id);
        }
        // What has expired goes first.
        self.serve(id);
        let (mut fetched, mut left) = (None, None);
        if let Some(queue) = self.queues.get_mut(&id) {
            queue.last_used = self.now.instant;
            fetched = queue.ready.pop_if(|_| !queue.paused);
            // As long as it is to be settled, a quorum queue counts what has expired behind it.
            let counts = queue.arguments.kind == QueueType::Quorum && !get.no_ack;
            left = counts.then(|| queue.ready.len());
        }
        // What comes next may be about to expire, or have expired behind what was fetched.
        self.serve(id);
        let left = left.or_else(|| Some(self.queues.get(&id)?.ready.len()));
        match fetched {
            Some(entry) => self.hand_out(at, id, entry, get.no_ack, left.unwrap_or(0)),
            None => {
                let empty = basic::AMQPMethod::GetEmpty(basic::GetEmpty {});
                self.send(at, AMQPClass::Basic(empty));
            }
        }
        Ok(())
    }

    fn hand_out(&mut self, at: At, id: QueueId, entry: Entry, no_ack: bool, left: usize) {
        let Some(connection) = self.conns.get_mut(&at.conn) else {
            return;
        };
        list(&mut self.output, at.conn, connection);
        if let Some(queue) = self.queues.get_mut(&id) {
            let consumer = None;
            let receiver = Receiver {
                at,
                consumer,
                no_ack,
            };
            let watch = (&mut self.watch, self.now);
            book_delivery(watch, connection, queue, receiver, &entry);
        }
        let Some(channel) = connection.channels.get_mut(&at.channel) else {
            return;
        };
        let (tag, redelivered, m) = (channel.tag(), entry.redelivered, &entry.message);
        let (out, exchange, key) = (&mut connection.out, &m.exchange, &m.routing_key);
        frames::get_ok(
            out,
            at.channel,
            tag,
            redelivered,
            exchange,
            key,
            left as u32,
        );
        let Some(queue) = self.queues.get_mut(&id) else {
            return;
        };
        connection.write_content(at.channel, &shown_properties(queue, &entry), m);
        if no_ack {
            return;
        }
        queue.lend(&entry);
        let (since, loses_ack) = (self.now.instant, self.tampering.duplicates(queue));
        if let Some(channel) = self.channel_mut(at) {
            let (queue, consumer) = (id, None);
            channel.keep(Unacked {
                tag,
                queue,
                consumer,
                limited: false,
                since,
                loses_ack,
                entry,
            });
        }
    }
}

/// Refuses queues that can only be consumed from.
fn assert_fetchable(queue: &Queue) -> Outcome {
    let subject = queue.subject();
    match queue.arguments.kind {
        QueueType::Stream => Err(not_implemented(format!(
            "basic.get not supported by stream queues {subject}"
        ))),
        QueueType::Quorum if queue.arguments.single_active => Err(resource_locked(format!(
            "cannot obtain access to locked {subject}. basic.get operations are not supported by quorum queues with single active consumer"
        ))),
        _ => Ok(()),
    }
}
