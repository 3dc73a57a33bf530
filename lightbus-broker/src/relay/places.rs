//! The queues, exchanges and bindings of a virtual host, as far as they were declared through the relay.

use crate::core::{
    Binding, Declaration, DeleteReason, EventKind, IdMap, Kind, Message, QueueId, QueueName, Route,
    Target, VHost, readable, text,
};
use amq_protocol::{
    protocol::{exchange, queue},
    types::FieldTable,
};
use std::{collections::BTreeMap, sync::Arc};

/// A virtual host.
#[derive(Debug)]
pub(super) struct Places {
    name: Arc<str>,
    vhost: VHost,
    pub(super) queues: BTreeMap<Arc<str>, Queue>,
    queue_names: IdMap<QueueId, Arc<str>>,
    last_queue: u64,
}

/// Where a message goes: to these queues, through these alternate exchanges.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) queues: Vec<Arc<str>>,
    pub(super) alternates: Vec<Arc<str>>,
}

/// A queue.
#[derive(Debug)]
pub(super) struct Queue {
    id: QueueId,
    pub(super) durable: bool,
    pub(super) auto_delete: bool,
    /// The connection that has it for itself.
    pub(super) owner: Option<u64>,
    pub(super) arguments: FieldTable,
    pub(super) consumers: usize,
    /// What the broker said last.
    pub(super) ready: usize,
}

impl Queue {
    pub(super) fn kind(&self) -> &str {
        self.argument("x-queue-type").unwrap_or("classic")
    }

    /// Whether the broker is asked how much waits in it: somebody consumes it. A stream keeps what was read, so that its length says nothing; and what belongs to one
    /// connection is closed to the relay's.
    pub(super) fn is_counted(&self) -> bool {
        self.consumers > 0 && self.owner.is_none() && self.kind() != "stream"
    }

    /// Whether what it gives up goes on.
    pub(super) fn has_dead_letters(&self) -> bool {
        self.argument("x-dead-letter-exchange").is_some()
    }

    fn argument(&self, name: &str) -> Option<&str> {
        self.arguments.inner().get(name).and_then(text)
    }

    pub(super) fn readable(&self) -> BTreeMap<String, String> {
        readable(&self.arguments)
    }
}

impl Places {
    pub(super) fn new(name: Arc<str>) -> Self {
        Self {
            name,
            vhost: VHost::new(),
            queues: BTreeMap::new(),
            queue_names: IdMap::default(),
            last_queue: 0,
        }
    }

    pub(super) fn queue_name(&self, queue: &Arc<str>) -> QueueName {
        QueueName {
            vhost: self.name.clone(),
            name: queue.clone(),
        }
    }

    /// Where a message goes; `None` where that is not known.
    pub(super) fn route(&self, message: &Message) -> Option<Way> {
        let (exchange, key) = (message.exchange(), message.routing_key());
        let is_known = match exchange {
            "" => !key.starts_with("amq.rabbitmq.reply-to."),
            name => self.vhost.exchange(name).is_some(),
        };
        let Route { queues, alternates } = is_known.then(|| self.vhost.route(message))?;
        let exchanges = &self.vhost.exchanges;
        let names = alternates.iter().filter_map(|id| exchanges.get(id));
        let names = names.map(|exchange| exchange.name.clone()).collect();
        let queues = queues.iter().filter_map(|id| self.queue_names.get(id));
        Some(Way {
            queues: queues.cloned().collect(),
            alternates: names,
        })
    }

    pub(super) fn declare_queue(
        &mut self,
        name: &Arc<str>,
        declare: queue::Declare,
        client: u64,
    ) -> Option<EventKind> {
        if self.queues.contains_key(name) {
            return None;
        }
        self.last_queue += 1;
        let id = QueueId(self.last_queue);
        // Of one that was only asked for, nothing else is known.
        let is_new = !declare.passive;
        let queue = Queue {
            id,
            durable: is_new && declare.durable,
            auto_delete: is_new && declare.auto_delete,
            owner: (is_new && declare.exclusive).then_some(client),
            arguments: declare.arguments,
            consumers: 0,
            ready: 0,
        };
        self.vhost.queue_names.insert(name.clone(), id);
        self.queue_names.insert(id, name.clone());
        self.queues.insert(name.clone(), queue);
        let queue = self.queue_name(name);
        is_new.then_some(EventKind::QueueDeclared { queue })
    }

    /// Forgets a queue and the bindings to it.
    pub(super) fn delete_queue(&mut self, name: &Arc<str>, why: DeleteReason) -> Option<EventKind> {
        let queue = self.queues.remove(name)?;
        self.vhost.queue_names.remove(name);
        self.queue_names.remove(&queue.id);
        for exchange in self.vhost.exchanges.values_mut() {
            exchange.unbind_all(Target::Queue(queue.id));
        }
        let queue = self.queue_name(name);
        Some(EventKind::QueueDeleted { queue, why })
    }

    pub(super) fn declare_exchange(&mut self, declare: exchange::Declare) -> Option<EventKind> {
        let name: Arc<str> = declare.exchange.as_str().into();
        let kind = Kind::named(declare.kind.as_str())?;
        if declare.passive || self.vhost.exchange(&name).is_some() {
            return None;
        }
        let alternate = declare.arguments.inner().get("alternate-exchange");
        self.vhost.add_exchange(Declaration {
            name: name.clone(),
            kind,
            durable: declare.durable,
            auto_delete: declare.auto_delete,
            internal: declare.internal,
            alternate: alternate.and_then(text).map(Arc::from),
            declared: declare.arguments,
        });
        let vhost = self.name.clone();
        Some(EventKind::ExchangeDeclared {
            vhost,
            exchange: name,
        })
    }

    pub(super) fn delete_exchange(&mut self, name: &str) -> Option<EventKind> {
        let id = self.vhost.exchange_names.remove(name)?;
        let gone = self.vhost.exchanges.remove(&id)?;
        for exchange in self.vhost.exchanges.values_mut() {
            exchange.unbind_all(Target::Exchange(id));
        }
        let vhost = self.name.clone();
        Some(EventKind::ExchangeDeleted {
            vhost,
            exchange: gone.name,
        })
    }

    pub(super) fn bind(&mut self, binding: Binding, arguments: FieldTable) -> Option<EventKind> {
        let target = self.target(&binding)?;
        let source = self.vhost.exchange_mut(&binding.source)?;
        let is_new = source.bind(target, &binding.routing_key, arguments);
        is_new.then_some(EventKind::Bound(binding))
    }

    pub(super) fn unbind(&mut self, binding: Binding, arguments: &FieldTable) -> Option<EventKind> {
        let target = self.target(&binding)?;
        let source = self.vhost.exchange_mut(&binding.source)?;
        let was_there = source.unbind(target, &binding.routing_key, arguments);
        was_there.then_some(EventKind::Unbound(binding))
    }

    fn target(&self, binding: &Binding) -> Option<Target> {
        if binding.to_queue {
            let queue = self.queues.get(&binding.destination)?;
            return Some(Target::Queue(queue.id));
        }
        let exchange = self.vhost.exchange(&binding.destination)?;
        Some(Target::Exchange(exchange.id))
    }

    /// A binding between places of this virtual host.
    pub(super) fn binding(
        &self,
        source: &str,
        destination: Arc<str>,
        to_queue: bool,
        key: &str,
    ) -> Binding {
        Binding {
            vhost: self.name.clone(),
            source: source.into(),
            destination,
            to_queue,
            routing_key: key.into(),
        }
    }
}
