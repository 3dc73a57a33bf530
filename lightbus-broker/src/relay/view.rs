//! What a relay knows at one moment.

use super::{
    client::{Channel, Client},
    content::Purpose,
    ledger::Ledger,
    places::{Places, Queue},
};
use crate::{
    counters::QueueCounters,
    snapshot::{ChannelInfo, ConnectionInfo, ConsumerInfo, QueueInfo, Snapshot},
};
use std::{sync::Arc, time::Duration};

/// So long a message may be on its way.
const UNDER_WAY: Duration = Duration::from_millis(500);

impl Ledger {
    /// Whether the broker has said how much waits in the queues, after all that has passed, owes no confirm, and has nothing on its way to a consumer.
    pub(super) fn is_sure(&self, vhost: &str) -> bool {
        self.counted == Some(self.changes)
            && !self.clients.values().any(Client::is_owed)
            && !self.is_under_way(vhost)
    }

    /// Whether a message has left its queue, and has not come yet. After a while it counts as gone another way: dead, or purged.
    fn is_under_way(&self, vhost: &str) -> bool {
        let queues = self.vhosts.get(vhost).map(|places| &places.queues);
        let mut counted = queues
            .into_iter()
            .flatten()
            .filter(|(_, it)| it.is_counted());
        self.changed.elapsed() < UNDER_WAY
            && counted.any(|(name, queue)| self.ties.waiting(name) > queue.ready)
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let queues = self.vhosts.iter().flat_map(|(vhost, places)| {
            let queues = places.queues.iter();
            queues.map(move |(name, queue)| self.queue_info(vhost, places, (name, queue)))
        });
        let open = self.clients.values().filter(|client| client.is_open);
        Snapshot {
            queues: queues.collect(),
            connections: open.map(connection_info).collect(),
            ..Snapshot::default()
        }
    }

    /// The channels of a virtual host.
    fn channels<'a>(
        &'a self,
        vhost: &'a Arc<str>,
    ) -> impl Iterator<Item = (&'a Client, u16, &'a Channel)> {
        let clients = self.clients.values();
        let clients = clients.filter(move |client| client.vhost == *vhost);
        clients.flat_map(|client| {
            let channels = client.channels.iter();
            channels.map(move |(number, channel)| (client, *number, channel))
        })
    }

    fn queue_info(
        &self,
        vhost: &Arc<str>,
        places: &Places,
        (name, queue): (&Arc<str>, &Queue),
    ) -> QueueInfo {
        let unacked = self
            .channels(vhost)
            .map(|(_, _, channel)| unacked(channel, name));
        let queue_name = places.queue_name(name);
        QueueInfo {
            vhost: queue_name.vhost.to_string(),
            name: name.to_string(),
            kind: queue.kind().to_owned(),
            durable: queue.durable,
            auto_delete: queue.auto_delete,
            exclusive: queue.owner.is_some(),
            ready: queue.ready,
            unacked: unacked.sum(),
            held: 0,
            consumers: queue.consumers,
            bytes: 0,
            arguments: queue.readable(),
            paused: false,
            subscriptions: self.consumers(vhost, name),
            counters: QueueCounters::default(),
        }
    }

    fn consumers(&self, vhost: &Arc<str>, queue: &Arc<str>) -> Vec<ConsumerInfo> {
        let all = self.channels(vhost).flat_map(|(client, number, channel)| {
            let here = channel
                .consumers
                .iter()
                .filter(|(_, it)| it.queue == *queue);
            here.map(move |(tag, subscription)| ConsumerInfo {
                tag: tag.to_string(),
                connection: client.name.as_deref().map(str::to_owned),
                connection_number: client.id,
                channel: number,
                prefetch: 0,
                unacked: 0,
                no_ack: subscription.no_ack,
                exclusive: subscription.exclusive,
                active: true,
                priority: 0,
            })
        });
        all.collect()
    }
}

/// What a channel has of a queue; what is coming counts.
fn unacked(channel: &Channel, queue: &Arc<str>) -> usize {
    let has = channel.unacked.values().filter(|one| one.queue == *queue);
    let coming = channel.receiving.as_ref().is_some_and(|content| {
        matches!(&content.purpose, Purpose::Deliver(delivery) if delivery.queue == *queue)
    });
    has.count() + usize::from(coming)
}

fn connection_info(client: &Client) -> ConnectionInfo {
    let channels = client.channels.iter();
    ConnectionInfo {
        number: client.id,
        name: client.name.as_deref().map(str::to_owned),
        product: client.product.clone(),
        peer: client.peer.clone(),
        user: client.user.to_string(),
        vhost: client.vhost.to_string(),
        blocked: client.is_blocked,
        stalled: false,
        channels: channels
            .map(|(number, channel)| ChannelInfo {
                number: *number,
                consumers: channel.consumers.len(),
                unacked: channel.unacked.len(),
                confirms: channel.confirms.is_some(),
            })
            .collect(),
    }
}
