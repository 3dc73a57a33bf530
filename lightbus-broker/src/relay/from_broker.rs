//! What a broker's methods say.

use super::{
    client::{Client, Subscription, Unacked},
    content::{Content, Delivery, Purpose},
    ledger::{Ledger, Place},
    ties::is_same_address,
};
use crate::core::{CancelReason, CloseReason, DeleteReason, EventKind, Message, RefuseReason};
use amq_protocol::protocol::{AMQPClass, basic, channel, connection, exchange, queue};
use std::sync::Arc;

impl Ledger {
    pub(super) fn broker_says(&mut self, at: Place, method: AMQPClass) {
        match method {
            AMQPClass::Connection(method) => self.connection_says(at, method),
            AMQPClass::Channel(channel::AMQPMethod::Close(close)) => {
                self.channel_closed(at, &close)
            }
            AMQPClass::Basic(method) => self.basic_says(at, method),
            method @ (AMQPClass::Queue(_) | AMQPClass::Exchange(_)) => self.answer(at, &method),
            _ => {}
        }
    }

    fn connection_says(&mut self, at: Place, method: connection::AMQPMethod) {
        use connection::AMQPMethod::{Blocked, Close, OpenOk, Unblocked};
        let Some(client) = self.clients.get_mut(&at.client) else {
            return;
        };
        let connection = client.connection();
        match method {
            OpenOk(_) => {
                client.is_open = true;
                let (user, vhost) = (client.user.clone(), client.vhost.clone());
                self.note(EventKind::ConnectionOpened {
                    connection,
                    user,
                    vhost,
                });
            }
            Close(close) => {
                let (code, text) = (close.reply_code, close.reply_text.as_str().into());
                self.disconnect(at.client, CloseReason::Broker { code, text });
            }
            Blocked(blocked) => {
                client.is_blocked = true;
                let reason = blocked.reason.as_str().into();
                self.note(EventKind::Blocked { connection, reason });
            }
            Unblocked(_) => {
                client.is_blocked = false;
                self.note(EventKind::Unblocked { connection });
            }
            _ => {}
        }
    }

    fn channel_closed(&mut self, at: Place, close: &channel::Close) {
        if let Some(connection) = self.clients.get(&at.client).map(Client::connection) {
            self.note(EventKind::ChannelClosed {
                connection,
                channel: at.channel,
                code: close.reply_code,
                text: close.reply_text.as_str().into(),
            });
        }
        self.end_channel(at);
    }

    fn basic_says(&mut self, at: Place, method: basic::AMQPMethod) {
        use basic::AMQPMethod::{
            Ack, Cancel, CancelOk, ConsumeOk, Deliver, GetEmpty, GetOk, Nack, Return,
        };
        match method {
            Deliver(deliver) => self.delivery(at, &deliver),
            Return(returned) => {
                let (exchange, key) = (returned.exchange.as_str(), returned.routing_key.as_str());
                self.receives(at, Content::new(Purpose::Return, exchange, key));
            }
            Ack(ack) => drop(self.confirmed(at, ack.delivery_tag, ack.multiple)),
            Nack(nack) => {
                for message in self.confirmed(at, nack.delivery_tag, nack.multiple) {
                    self.note(EventKind::Refused {
                        message,
                        queue: None,
                        why: RefuseReason::QueueFull,
                    });
                }
            }
            Cancel(cancel) => {
                self.cancelled(at, cancel.consumer_tag.as_str(), CancelReason::QueueDeleted);
            }
            method @ (ConsumeOk(_) | CancelOk(_) | GetOk(_) | GetEmpty(_)) => {
                self.answer(at, &AMQPClass::Basic(method));
            }
            _ => {}
        }
    }

    fn receives(&mut self, at: Place, content: Content) {
        self.changed();
        if let Some(channel) = self.channel(at) {
            channel.receiving = Some(content);
        }
    }

    fn delivery(&mut self, at: Place, deliver: &basic::Deliver) {
        let Some(channel) = self.channel(at) else {
            return;
        };
        let tag: Arc<str> = deliver.consumer_tag.as_str().into();
        let Some(subscription) = channel.consumers.get(&tag) else {
            return;
        };
        let delivery = Delivery {
            queue: subscription.queue.clone(),
            consumer: Some(tag),
            tag: deliver.delivery_tag,
            no_ack: subscription.no_ack,
            redelivered: deliver.redelivered,
        };
        let (exchange, key) = (deliver.exchange.as_str(), deliver.routing_key.as_str());
        self.receives(at, Content::new(Purpose::Deliver(delivery), exchange, key));
    }

    fn got(&mut self, at: Place, get: &basic::Get, got: &basic::GetOk) {
        let Some(channel) = self.channel(at) else {
            return;
        };
        let delivery = Delivery {
            queue: channel.named(get.queue.as_str()),
            consumer: None,
            tag: got.delivery_tag,
            no_ack: get.no_ack,
            redelivered: got.redelivered,
        };
        let (exchange, key) = (got.exchange.as_str(), got.routing_key.as_str());
        self.receives(at, Content::new(Purpose::Deliver(delivery), exchange, key));
    }

    /// A client gets a message: which one, its content tells.
    pub(super) fn delivered(&mut self, at: Place, mut seen: Message, delivery: Delivery) {
        let queue = delivery.queue;
        let message = match self.ties.delivered(&seen, &queue) {
            Some(message) if is_same_address(&message, &seen) => message,
            // A dead letter keeps its number.
            Some(message) => {
                seen.number = message.number();
                Arc::new(seen)
            }
            None => {
                seen.number = self.next_message();
                let message = Arc::new(seen);
                self.ties.add(&message, Vec::new());
                message
            }
        };
        let Some(client) = self.clients.get_mut(&at.client) else {
            return;
        };
        let connection = client.connection();
        if let Some(channel) = client.channels.get_mut(&at.channel)
            && !delivery.no_ack
        {
            let (queue, message) = (queue.clone(), message.clone());
            let unacked = Unacked { queue, message };
            channel.unacked.insert(delivery.tag, unacked);
        }
        if let Some(places) = self.places(at.client) {
            let queue = places.queue_name(&queue);
            self.note(EventKind::Delivered {
                message,
                queue,
                connection,
                channel: at.channel,
                consumer: delivery.consumer,
                no_ack: delivery.no_ack,
                redelivered: delivery.redelivered,
                returns: 0,
            });
        }
    }

    /// A message comes back to its publisher.
    pub(super) fn returned(&mut self, seen: &Message) {
        if let Some(message) = self.ties.returned(seen) {
            self.note(EventKind::Unroutable {
                message,
                returned: true,
            });
        }
    }

    fn confirmed(&mut self, at: Place, tag: u64, multiple: bool) -> Vec<Arc<Message>> {
        self.changed();
        let channel = self.channel(at);
        let confirms = channel.and_then(|channel| channel.confirms.as_mut());
        confirms.map_or_else(Vec::new, |confirms| confirms.confirmed(tag, multiple))
    }

    /// What the client asked for has happened.
    fn answer(&mut self, at: Place, answer: &AMQPClass) {
        let channel = self.channel(at);
        let asked = channel.and_then(|channel| channel.answered(|asked| answers(asked, answer)));
        if let Some(asked) = asked {
            self.happened(at, asked, Some(answer));
        }
    }

    /// What a client asked for has happened; with the broker's answer, if there was one.
    pub(super) fn happened(&mut self, at: Place, asked: AMQPClass, answer: Option<&AMQPClass>) {
        match asked {
            AMQPClass::Basic(basic::AMQPMethod::Consume(consume)) => {
                let given = match answer {
                    Some(AMQPClass::Basic(basic::AMQPMethod::ConsumeOk(ok))) => &ok.consumer_tag,
                    _ => &consume.consumer_tag,
                };
                self.subscribed(at, given.as_str(), &consume);
            }
            AMQPClass::Basic(basic::AMQPMethod::Cancel(cancel)) => {
                self.cancelled(at, cancel.consumer_tag.as_str(), CancelReason::Client);
            }
            AMQPClass::Basic(basic::AMQPMethod::Get(get)) => {
                if let Some(AMQPClass::Basic(basic::AMQPMethod::GetOk(got))) = answer {
                    self.got(at, &get, got);
                }
            }
            AMQPClass::Queue(method) => self.queue_happened(at, method, answer),
            AMQPClass::Exchange(method) => self.exchange_happened(at, method),
            _ => {}
        }
    }

    fn subscribed(&mut self, at: Place, tag: &str, consume: &basic::Consume) {
        let Some(channel) = self.channel(at) else {
            return;
        };
        let (tag, queue): (Arc<str>, _) = (tag.into(), channel.named(consume.queue.as_str()));
        let subscription = Subscription {
            queue: queue.clone(),
            no_ack: consume.no_ack,
            exclusive: consume.exclusive,
        };
        channel.consumers.insert(tag.clone(), subscription);
        self.changed();
        let Some(connection) = self.clients.get(&at.client).map(Client::connection) else {
            return;
        };
        let Some(places) = self.places(at.client) else {
            return;
        };
        if let Some(queue) = places.queues.get_mut(&queue) {
            queue.consumers += 1;
        }
        let queue = places.queue_name(&queue);
        self.note(EventKind::ConsumerAdded {
            connection,
            channel: at.channel,
            consumer: tag,
            queue,
        });
    }

    fn cancelled(&mut self, at: Place, tag: &str, why: CancelReason) {
        let channel = self.channel(at);
        let gone = channel.and_then(|channel| channel.consumers.remove_entry(tag));
        if let Some((tag, subscription)) = gone {
            self.unsubscribed(at, tag, subscription, why);
        }
    }

    fn queue_happened(&mut self, at: Place, method: queue::AMQPMethod, answer: Option<&AMQPClass>) {
        use queue::AMQPMethod::{Bind, Declare, Delete, Unbind};
        let Some(channel) = self.channel(at) else {
            return;
        };
        let named = |queue: &str| channel.named(queue);
        match method {
            Declare(declare) => self.queue_declared(at, declare, answer),
            Delete(delete) => {
                let queue = named(delete.queue.as_str());
                self.changed();
                self.delete_queue(at.client, &queue, DeleteReason::Client);
            }
            Bind(bind) => {
                let queue = named(bind.queue.as_str());
                let (from, key) = (bind.exchange.as_str(), bind.routing_key.as_str());
                let places = self.places(at.client);
                let kind = places.and_then(|places| {
                    let binding = places.binding(from, queue, true, key);
                    places.bind(binding, bind.arguments)
                });
                self.note_if(kind);
            }
            Unbind(unbind) => {
                let queue = named(unbind.queue.as_str());
                let (from, key) = (unbind.exchange.as_str(), unbind.routing_key.as_str());
                let places = self.places(at.client);
                let kind = places.and_then(|places| {
                    let binding = places.binding(from, queue, true, key);
                    places.unbind(binding, &unbind.arguments)
                });
                self.note_if(kind);
            }
            _ => {}
        }
    }

    fn queue_declared(&mut self, at: Place, declare: queue::Declare, answer: Option<&AMQPClass>) {
        let name: Arc<str> = match answer {
            Some(AMQPClass::Queue(queue::AMQPMethod::DeclareOk(ok))) => ok.queue.as_str().into(),
            _ => declare.queue.as_str().into(),
        };
        if let Some(channel) = self.channel(at) {
            channel.last_queue = name.clone();
        }
        let places = self.places(at.client);
        let kind = places.and_then(|it| it.declare_queue(&name, declare, at.client));
        self.note_if(kind);
    }

    fn exchange_happened(&mut self, at: Place, method: exchange::AMQPMethod) {
        use exchange::AMQPMethod::{Bind, Declare, Delete, Unbind};
        let Some(places) = self.places(at.client) else {
            return;
        };
        let kind = match method {
            Declare(declare) => places.declare_exchange(declare),
            Delete(delete) => places.delete_exchange(delete.exchange.as_str()),
            Bind(bind) => {
                let to = bind.destination.as_str().into();
                let (from, key) = (bind.source.as_str(), bind.routing_key.as_str());
                let binding = places.binding(from, to, false, key);
                places.bind(binding, bind.arguments)
            }
            Unbind(unbind) => {
                let to = unbind.destination.as_str().into();
                let (from, key) = (unbind.source.as_str(), unbind.routing_key.as_str());
                let binding = places.binding(from, to, false, key);
                places.unbind(binding, &unbind.arguments)
            }
            _ => None,
        };
        self.note_if(kind);
    }
}

/// Whether a method of the client was answered by this one.
fn answers(asked: &AMQPClass, answer: &AMQPClass) -> bool {
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
