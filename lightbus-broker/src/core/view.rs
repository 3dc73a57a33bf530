//! The window into the broker.

use super::{
    Core, Now,
    arguments::readable,
    connection::{Connection, Phase},
    consumer::Consumer,
    exchange::{Exchange, Kind, Target},
    ids::ConnId,
    queue::Queue,
    vhost::VHost,
};
use crate::{
    counters::Totals,
    snapshot::{
        BindingInfo, ChannelInfo, ConnectionInfo, ConsumerInfo, ExchangeInfo, QueueInfo, Snapshot,
    },
};

impl Core {
    pub(crate) fn snapshot(&self, now: Now) -> Snapshot {
        let mut exchanges = Vec::new();
        let mut bindings = Vec::new();
        for (name, vhost) in &self.vhosts {
            exchanges.push(default_exchange(name, vhost));
            for exchange in vhost.exchanges.values() {
                exchanges.push(exchange_info(name, exchange));
                bindings.extend(self.bindings_of(name, vhost, exchange));
            }
        }
        let mut queues: Vec<_> = self
            .queues
            .values()
            .map(|queue| self.queue_info(queue))
            .collect();
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
            uptime: self.watch.uptime(now),
            exchanges,
            bindings,
            queues,
            connections: open
                .into_iter()
                .map(|(id, connection)| connection_info(*id, connection))
                .collect(),
            message_bytes: self.gauge.bytes(),
            totals: self.totals(),
            faults: self.armed(),
        }
    }

    fn totals(&self) -> Totals {
        let mut queues = self.gone;
        self.queues
            .values()
            .for_each(|queue| queues += queue.counters);
        Totals {
            publishing: self.published,
            queues,
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
        let info = |(target, key, arguments): (Target, &std::sync::Arc<str>, _)| {
            Some(BindingInfo {
                vhost: name.to_owned(),
                source: exchange.name.to_string(),
                destination: named(target)?,
                to_queue: matches!(target, Target::Queue(_)),
                routing_key: key.to_string(),
                arguments: readable(arguments),
            })
        };
        exchange.bindings().filter_map(info).collect()
    }

    fn queue_info(&self, queue: &Queue) -> QueueInfo {
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
            arguments: readable(&queue.declared),
            subscriptions: self.consumer_infos(queue),
            paused: queue.paused,
            counters: queue.counters,
        }
    }

    fn consumer_infos(&self, queue: &Queue) -> Vec<ConsumerInfo> {
        let single = queue.arguments.single_active;
        let info = |consumer: &Consumer| {
            let connection = self.connection_name(consumer.at.conn);
            ConsumerInfo {
                tag: consumer.tag.to_string(),
                connection: connection.name.as_deref().map(str::to_owned),
                connection_number: connection.number,
                channel: consumer.at.channel,
                prefetch: consumer.prefetch,
                unacked: consumer.unacked,
                no_ack: consumer.no_ack,
                exclusive: consumer.exclusive,
                active: !single || queue.consumers.is_active(consumer.id),
                priority: consumer.priority,
            }
        };
        let mut consumers: Vec<_> = queue.consumers.iter().collect();
        consumers.sort_unstable_by_key(|consumer| consumer.id);
        consumers.into_iter().map(info).collect()
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

/// The exchange without a name, which routes by the names of queues.
fn default_exchange(name: &str, vhost: &VHost) -> ExchangeInfo {
    ExchangeInfo {
        vhost: name.to_owned(),
        name: String::new(),
        kind: Kind::Direct.name().to_owned(),
        durable: true,
        auto_delete: false,
        internal: false,
        alternate: None,
        counters: vhost.counters.get(),
    }
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
        counters: exchange.counters.get(),
    }
}

fn connection_info(id: ConnId, connection: &Connection) -> ConnectionInfo {
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
        number: id.0,
        name: connection.client.name.as_deref().map(str::to_owned),
        product: connection.client.product.clone(),
        peer: connection.peer.clone(),
        user: connection.user.to_string(),
        vhost: connection.vhost.to_string(),
        blocked: connection.blocked,
        stalled: false,
        channels,
    }
}
