//! A virtual host: a name space of exchanges and queues, and the way of a message through it.

use super::{
    exchange::{Counted, Declaration, Exchange, Kind, Target},
    ids::{ExchangeId, IdMap, QueueId},
    message::{Headers, Message},
};
use amq_protocol::types::FieldTable;
use std::{collections::HashMap, sync::Arc};

/// The exchanges every virtual host starts with.
const PREDECLARED: [(&str, Kind, bool); 6] = [
    ("amq.direct", Kind::Direct, false),
    ("amq.fanout", Kind::Fanout, false),
    ("amq.topic", Kind::Topic, false),
    ("amq.headers", Kind::Headers, false),
    ("amq.match", Kind::Headers, false),
    ("amq.rabbitmq.trace", Kind::Topic, true),
];

/// Where a message goes.
#[derive(Debug, Default)]
pub(crate) struct Route {
    /// The queues, each once.
    pub(crate) queues: Vec<QueueId>,
    /// The alternate exchanges on the way.
    pub(crate) alternates: Vec<ExchangeId>,
}

/// A virtual host.
#[derive(Debug)]
pub(crate) struct VHost {
    pub(crate) exchanges: IdMap<ExchangeId, Exchange>,
    pub(crate) exchange_names: HashMap<Arc<str>, ExchangeId>,
    pub(crate) queue_names: HashMap<Arc<str>, QueueId>,
    /// What the default exchange counted.
    pub(crate) counters: Counted,
    next_exchange: u64,
}

impl VHost {
    pub(crate) fn new() -> Self {
        let mut vhost = Self {
            exchanges: IdMap::default(),
            exchange_names: HashMap::new(),
            queue_names: HashMap::new(),
            counters: Counted::default(),
            next_exchange: 0,
        };
        for (name, kind, internal) in PREDECLARED {
            vhost.add_exchange(Declaration {
                name: name.into(),
                kind,
                durable: true,
                auto_delete: false,
                internal,
                alternate: None,
                declared: FieldTable::default(),
            });
        }
        vhost
    }

    pub(crate) fn add_exchange(&mut self, declaration: Declaration) {
        self.next_exchange += 1;
        let id = ExchangeId(self.next_exchange);
        self.exchange_names.insert(declaration.name.clone(), id);
        self.exchanges.insert(id, Exchange::new(id, declaration));
    }

    pub(crate) fn exchange(&self, name: &str) -> Option<&Exchange> {
        self.exchanges.get(self.exchange_names.get(name)?)
    }

    pub(crate) fn exchange_mut(&mut self, name: &str) -> Option<&mut Exchange> {
        self.exchanges.get_mut(self.exchange_names.get(name)?)
    }

    /// Where a message goes.
    pub(crate) fn route(&self, message: &Message) -> Route {
        let mut route = Route::default();
        let counters = self.find(message, &mut route);
        if route.queues.len() > 1 {
            route.queues.sort_unstable();
            route.queues.dedup();
        }
        if let Some(counters) = counters {
            counters.count(route.queues.len());
        }
        route
    }

    /// Collects where a message goes. Returns the counters of the exchange it came to first.
    fn find(&self, message: &Message, route: &mut Route) -> Option<&Counted> {
        let keys = std::iter::once(&message.routing_key).chain(&*message.copies);
        if message.exchange.is_empty() {
            let found = keys.filter_map(|key| self.queue_names.get(key));
            route.queues.extend(found);
            return Some(&self.counters);
        }
        let first = self.exchange_names.get(&message.exchange)?;
        let headers = Headers::of(&message.properties);
        self.follow(*first, &keys, &headers, route);
        Some(&self.exchanges.get(first)?.counters)
    }

    /// Walks from an exchange through those bound to it, each with all the keys; one that leads nowhere leads to its
    /// alternate.
    fn follow<'a>(
        &self,
        first: ExchangeId,
        keys: &(impl Iterator<Item = &'a Arc<str>> + Clone),
        headers: &Headers<'_>,
        route: &mut Route,
    ) {
        let found = &mut route.queues;
        let mut seen = vec![first];
        let mut at = 0;
        while let Some(exchange) = seen.get(at).and_then(|id| self.exchanges.get(id)) {
            at += 1;
            let mut further = Vec::new();
            let before = found.len();
            for key in keys.clone() {
                exchange.route(key, headers, |target| match target {
                    Target::Queue(queue) => found.push(queue),
                    Target::Exchange(next) => further.push(next),
                });
            }
            if found.len() == before && further.is_empty() {
                let alternate = exchange.alternate.as_ref();
                further.extend(alternate.and_then(|name| self.exchange_names.get(name)));
                route.alternates.extend(&further);
            }
            further.retain(|next| !seen.contains(next) && self.exchanges.contains_key(next));
            seen.extend(further);
        }
    }
}
