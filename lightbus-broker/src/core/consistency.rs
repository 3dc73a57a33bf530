//! What must hold between two frames, whatever came before: the books balance, and every reference leads somewhere.

use super::{
    Core,
    channel::{Channel, Incoming, Unacked},
    connection::{Connection, Phase},
    event::DeleteReason,
    exchange::Target,
    ids::{At, ConnId, ConsumerId, QueueId},
    message::Body,
    queue::Queue,
};
use crate::queue_type::QueueType;
use std::{
    collections::{HashMap, HashSet},
    ptr,
};

/// What clients hold, counted anew.
#[derive(Default)]
struct Held {
    of_queue: HashMap<QueueId, (usize, usize)>,
    of_consumer: HashMap<ConsumerId, u32>,
    bodies: HashSet<*const Body>,
    bytes: usize,
}

impl Held {
    fn hold(&mut self, unacked: &Unacked) {
        let (count, bytes) = self.of_queue.entry(unacked.queue).or_default();
        *count += 1;
        *bytes += unacked.entry.message.size();
        if let Some(consumer) = unacked.consumer {
            *self.of_consumer.entry(consumer).or_default() += 1;
        }
        self.keep(&unacked.entry.message.body);
    }

    fn keep(&mut self, body: &std::sync::Arc<Body>) {
        if self.bodies.insert(ptr::from_ref(&**body)) {
            self.bytes += body._charge.bytes();
        }
    }
}

impl Core {
    /// Panics where something does not hold.
    pub(crate) fn assert_consistent(&self) {
        assert!(self.jobs.is_empty(), "work was left undone");
        let mut held = Held::default();
        for (id, connection) in &self.conns {
            self.check_connection(*id, connection);
            for (number, channel) in &connection.channels {
                let at = At {
                    conn: *id,
                    channel: *number,
                };
                self.check_channel(at, channel, &mut held);
            }
        }
        for (id, queue) in &self.queues {
            assert_eq!(*id, queue.id);
            self.check_queue(queue, &mut held);
        }
        for (address, at) in &self.reply_addresses {
            let channel = self
                .conns
                .get(&at.conn)
                .and_then(|c| c.channels.get(&at.channel));
            let replies = channel.and_then(|channel| channel.replies.as_ref());
            assert!(
                replies.is_some_and(|r| r.address == *address),
                "{address} leads nowhere"
            );
        }
        self.check_bindings();
        assert_eq!(self.gauge.bytes(), held.bytes, "the gauge is off");
    }

    /// Panics where anything of clients is left, once they and their queues are gone.
    pub(crate) fn assert_empty(&self) {
        self.assert_consistent();
        assert_eq!(self.gauge.bytes(), 0);
        assert!(self.conns.is_empty() && self.queues.is_empty());
        assert!(self.reply_addresses.is_empty());
        for vhost in self.vhosts.values() {
            assert!(vhost.queue_names.is_empty());
        }
    }

    /// Deletes all queues.
    pub(crate) fn delete_queues(&mut self) {
        let ids: Vec<_> = self.queues.keys().copied().collect();
        ids.into_iter()
            .for_each(|id| self.delete_queue(id, DeleteReason::Client));
        self.run_jobs();
    }

    fn check_connection(&self, id: ConnId, connection: &Connection) {
        assert_eq!(connection.listed, self.output.contains(&id));
        assert!(
            connection.listed || connection.out.is_empty(),
            "bytes that nobody fetches"
        );
        assert!(
            connection.confirming.is_empty(),
            "confirms that nobody sends"
        );
        if connection.phase != Phase::Running {
            assert!(connection.channels.is_empty() && connection.exclusive.is_empty());
        }
        for queue in &connection.exclusive {
            let owner = self.queues.get(queue).and_then(|queue| queue.owner);
            assert_eq!(owner, Some(id), "an exclusive queue of somebody else");
        }
    }

    fn check_channel(&self, at: At, channel: &Channel, held: &mut Held) {
        let tags: Vec<_> = channel.unacked.iter().map(|unacked| unacked.tag).collect();
        assert!(
            tags.is_sorted_by(|a, b| a < b),
            "delivery tags out of order: {tags:?}"
        );
        let tx = channel.tx.iter();
        let aside = tx
            .clone()
            .flat_map(|tx| tx.settled.iter().flat_map(|(taken, _)| taken));
        let all = channel.unacked.iter().chain(aside);
        let lent = all.clone().filter(|unacked| unacked.limited).count();
        assert_eq!(channel.lent as usize, lent);
        all.for_each(|unacked| held.hold(unacked));
        let unpublished = tx.flat_map(|tx| &tx.published);
        unpublished.for_each(|routed| held.keep(&routed.message().body));
        if let Incoming::Body(partial) = &channel.incoming {
            held.bytes += partial.charge.bytes();
        }
        for (tag, (queue, consumer)) in &channel.consumers {
            let queue = self.queues.get(queue);
            let found = queue.and_then(|queue| queue.consumers.iter().find(|c| c.id == *consumer));
            assert!(
                found.is_some_and(|c| c.tag == *tag && c.at == at),
                "{tag} consumes nothing"
            );
        }
        if channel.closing {
            assert!(channel.consumers.is_empty() && channel.unacked.is_empty());
        }
        if let Some(replies) = &channel.replies {
            assert_eq!(self.reply_addresses.get(&replies.address), Some(&at));
        }
    }

    fn check_queue(&self, queue: &Queue, held: &mut Held) {
        let name = queue.subject();
        let vhost = self.vhosts.get(&queue.vhost);
        let named = vhost.and_then(|vhost| vhost.queue_names.get(&queue.name));
        assert_eq!(named, Some(&queue.id), "{name} is not found under its name");
        if let Some(owner) = queue.owner {
            let owner = self.conns.get(&owner);
            assert!(
                owner.is_some_and(|c| c.exclusive.contains(&queue.id)),
                "{name} has no owner"
            );
        }
        let (unacked, bytes) = held.of_queue.remove(&queue.id).unwrap_or_default();
        assert_eq!(
            (queue.unacked, queue.unacked_bytes),
            (unacked, bytes),
            "{name}"
        );
        queue.ready.assert_consistent();
        queue
            .ready
            .iter()
            .for_each(|entry| held.keep(&entry.message.body));
        let log = queue.stream.iter().flat_map(|stream| stream.log.messages());
        let others = queue.held.messages().chain(log);
        others.for_each(|message| held.keep(&message.body));
        for consumer in queue.consumers.iter() {
            let channel = self
                .conns
                .get(&consumer.at.conn)
                .and_then(|c| c.channels.get(&consumer.at.channel));
            let known = channel.and_then(|channel| channel.consumers.get(&consumer.tag));
            assert_eq!(
                known,
                Some(&(queue.id, consumer.id)),
                "{name} has a consumer that is gone"
            );
            let unacked = held.of_consumer.remove(&consumer.id).unwrap_or_default();
            assert_eq!(consumer.unacked, unacked, "{name}: {}", consumer.tag);
        }
        self.check_served(queue);
        self.check_alarms(queue);
    }

    /// Nobody waits for what is there.
    fn check_served(&self, queue: &Queue) {
        // A quorum queue's active consumer may be about to hand over, and gets nothing more until it has.
        let single = queue.arguments.single_active;
        if queue.ready.len() == 0 || single && queue.arguments.kind == QueueType::Quorum {
            return;
        }
        let idle = queue.consumers.iter().find(|consumer| {
            let connection = self.conns.get(&consumer.at.conn);
            let can_take = connection.is_some_and(|c| c.can_take(consumer));
            queue.consumers.may_take(single, consumer) && consumer.has_credit() && can_take
        });
        assert!(
            idle.is_none(),
            "{} keeps messages from {idle:?}",
            queue.subject()
        );
    }

    fn check_alarms(&self, queue: &Queue) {
        if let Some(at) = queue.ready.next_expiry() {
            assert!(
                queue.message_alarm.is_some_and(|set| set <= at),
                "{} forgets to expire messages",
                queue.subject()
            );
        }
        if queue.unused_until().is_some() {
            assert!(queue.unused_alarm, "{} forgets to expire", queue.subject());
        }
        if queue.message_alarm.is_some() || queue.unused_alarm {
            assert!(self.next_deadline().is_some());
        }
    }

    fn check_bindings(&self) {
        for vhost in self.vhosts.values() {
            for (name, id) in &vhost.exchange_names {
                assert!(
                    vhost
                        .exchanges
                        .get(id)
                        .is_some_and(|exchange| exchange.name == *name)
                );
            }
            assert_eq!(vhost.exchange_names.len(), vhost.exchanges.len());
            for (name, id) in &vhost.queue_names {
                assert!(self.queues.get(id).is_some_and(|queue| queue.name == *name));
            }
            for exchange in vhost.exchanges.values() {
                for (target, ..) in exchange.bindings() {
                    let knows = match target {
                        Target::Queue(id) => self
                            .queues
                            .get(&id)
                            .is_some_and(|q| q.sources.contains(&exchange.id)),
                        Target::Exchange(id) => vhost
                            .exchanges
                            .get(&id)
                            .is_some_and(|e| e.sources.contains(&exchange.id)),
                    };
                    assert!(knows, "{} is bound to what does not know it", exchange.name);
                }
            }
        }
    }
}
