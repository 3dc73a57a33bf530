//! The window into the broker.

use super::{
    Core,
    connection::{Connection, Phase},
    exchange::{Exchange, Target},
    queue::Queue,
    vhost::VHost,
};
use crate::snapshot::{
    BindingInfo, ChannelInfo, ConnectionInfo, ExchangeInfo, QueueInfo, Snapshot,
};

impl Core {
    pub(crate) fn snapshot(&self) -> Snapshot {
        let mut exchanges = Vec::new();
        let mut bindings = Vec::new();
        for (name, vhost) in &self.vhosts {
            for exchange in vhost.exchanges.values() {
                exchanges.push(exchange_info(name, exchange));
                bindings.extend(self.bindings_of(name, vhost, exchange));
            }
        }
        let mut queues: Vec<_> = self.queues.values().map(queue_info).collect();
        exchanges.sort_by(|a, b| (&a.vhost, &a.name).cmp(&(&b.vhost, &b.name)));
        bindings.sort_by(|a, b| key(a).cmp(&key(b)));
        queues.sort_by(|a, b| (&a.vhost, &a.name).cmp(&(&b.vhost, &b.name)));
        let mut open: Vec<_> = self
            .conns
            .iter()
            .filter(|(_, c)| c.phase == Phase::Running)
            .collect();
        open.sort_by_key(|(id, _)| **id);
        Snapshot {
            exchanges,
            bindings,
            queues,
            connections: open
                .into_iter()
                .map(|(_, connection)| connection_info(connection))
                .collect(),
            message_bytes: self.gauge.bytes(),
        }
    }

    fn bindings_of(&self, name: &str, vhost: &VHost, exchange: &Exchange) -> Vec<BindingInfo> {
        let named = |target| match target {
            Target::Queue(id) => self.queues.get(&id).map(|queue| queue.name.to_string()),
            Target::Exchange(id) => vhost
                .exchanges
                .get(&id)
                .map(|exchange| exchange.name.to_string()),
        };
        let info = |(target, key, _): (Target, &std::sync::Arc<str>, _)| {
            Some(BindingInfo {
                vhost: name.to_owned(),
                source: exchange.name.to_string(),
                destination: named(target)?,
                to_queue: matches!(target, Target::Queue(_)),
                routing_key: key.to_string(),
            })
        };
        exchange.bindings().filter_map(info).collect()
    }
}

fn key(binding: &BindingInfo) -> (&str, &str, &str, &str) {
    (
        &binding.vhost,
        &binding.source,
        &binding.destination,
        &binding.routing_key,
    )
}

fn exchange_info(vhost: &str, exchange: &Exchange) -> ExchangeInfo {
    ExchangeInfo {
        vhost: vhost.to_owned(),
        name: exchange.name.to_string(),
        kind: exchange.kind.name().to_owned(),
        durable: exchange.durable,
        auto_delete: exchange.auto_delete,
        internal: exchange.internal,
        alternate: exchange.alternate.as_deref().map(str::to_owned),
    }
}

fn queue_info(queue: &Queue) -> QueueInfo {
    QueueInfo {
        vhost: queue.vhost.to_string(),
        name: queue.name.to_string(),
        kind: queue.arguments.kind.name().to_owned(),
        durable: queue.durable,
        auto_delete: queue.auto_delete,
        exclusive: queue.owner.is_some(),
        ready: queue.len(),
        unacked: queue.unacked,
        held: queue.held.len(),
        consumers: queue.consumers.len(),
        bytes: queue.bytes(),
    }
}

fn connection_info(connection: &Connection) -> ConnectionInfo {
    let mut channels: Vec<_> = connection
        .channels
        .iter()
        .filter(|(_, channel)| !channel.closing)
        .map(|(number, channel)| ChannelInfo {
            number: *number,
            consumers: channel.consumers.len(),
            unacked: channel.unacked.len(),
            confirms: channel.confirms.is_some(),
        })
        .collect();
    channels.sort_by_key(|channel| channel.number);
    ConnectionInfo {
        name: connection.client.name.clone(),
        product: connection.client.product.clone(),
        peer: connection.peer.clone(),
        user: connection.user.to_string(),
        vhost: connection.vhost.to_string(),
        blocked: connection.blocked,
        channels,
    }
}
