//! What a client's methods say.

use super::{
    client::{Channel, Client, Confirms, Unacked},
    content::{Content, Purpose},
    ledger::{Ledger, Place},
    places::Way,
};
use crate::core::{CloseReason, EventKind, Message, text};
use amq_protocol::protocol::{AMQPClass, basic, channel, confirm, connection, exchange, queue};
use std::sync::Arc;

impl Ledger {
    pub(super) fn client_says(&mut self, at: Place, method: AMQPClass) {
        match method {
            AMQPClass::Connection(method) => self.connection_asks(at, method),
            AMQPClass::Channel(channel::AMQPMethod::Open(_)) => {
                if let Some(client) = self.clients.get_mut(&at.client) {
                    client.channels.insert(at.channel, Channel::default());
                }
            }
            AMQPClass::Channel(channel::AMQPMethod::Close(_)) => self.end_channel(at),
            AMQPClass::Confirm(confirm::AMQPMethod::Select(_)) => {
                if let Some(channel) = self.channel(at) {
                    channel.confirms.get_or_insert_with(Confirms::default);
                }
            }
            AMQPClass::Basic(method) => self.basic_asks(at, method),
            method @ (AMQPClass::Queue(_) | AMQPClass::Exchange(_)) => self.asks(at, method),
            _ => {}
        }
    }

    fn connection_asks(&mut self, at: Place, method: connection::AMQPMethod) {
        use connection::AMQPMethod::{Close, Open, StartOk};
        let client = self.clients.get_mut(&at.client);
        match (method, client) {
            (StartOk(start), Some(client)) => introduce(client, &start),
            (Open(open), Some(client)) => client.vhost = open.virtual_host.as_str().into(),
            (Close(close), Some(_)) => {
                let (code, text) = (close.reply_code, close.reply_text.as_str().into());
                self.disconnect(at.client, CloseReason::Client { code, text });
            }
            _ => {}
        }
    }

    fn basic_asks(&mut self, at: Place, method: basic::AMQPMethod) {
        use basic::AMQPMethod::{
            Ack, Cancel, Consume, Get, Nack, Publish, Recover, RecoverAsync, Reject,
        };
        match method {
            Publish(publish) => {
                let (exchange, key) = (publish.exchange.as_str(), publish.routing_key.as_str());
                let mut content = Content::new(Purpose::Publish, exchange, key);
                content.mandatory = publish.mandatory;
                if let Some(channel) = self.channel(at) {
                    channel.sending = Some(content);
                }
            }
            Ack(ack) => self.acked(at, ack.delivery_tag, ack.multiple),
            Nack(nack) => self.refused(at, nack.delivery_tag, nack.multiple, nack.requeue),
            Reject(reject) => self.refused(at, reject.delivery_tag, false, reject.requeue),
            Recover(_) | RecoverAsync(_) => {
                let settled = self.take(at, 0, true);
                self.requeue(at, settled);
            }
            method @ (Consume(_) | Cancel(_) | Get(_)) => self.asks(at, AMQPClass::Basic(method)),
            _ => {}
        }
    }

    /// Waits for the broker's answer, where there is to be one.
    fn asks(&mut self, at: Place, method: AMQPClass) {
        if is_nowait(&method) {
            self.happened(at, method, None);
        } else if let Some(channel) = self.channel(at) {
            channel.ask(method);
        }
    }

    fn take(&mut self, at: Place, tag: u64, multiple: bool) -> Vec<Unacked> {
        self.changed();
        let channel = self.channel(at);
        channel.map_or_else(Vec::new, |channel| channel.settle(tag, multiple))
    }

    fn acked(&mut self, at: Place, tag: u64, multiple: bool) {
        for one in self.take(at, tag, multiple) {
            self.settled(at, one, |message, queue, connection, channel| {
                EventKind::Acked {
                    message,
                    queue,
                    connection,
                    channel,
                }
            });
        }
    }

    fn refused(&mut self, at: Place, tag: u64, multiple: bool, requeue: bool) {
        let settled = self.take(at, tag, multiple);
        if requeue {
            return self.requeue(at, settled);
        }
        for one in settled {
            self.settled(at, one, |message, queue, connection, channel| {
                EventKind::Rejected {
                    message,
                    queue,
                    connection,
                    channel,
                }
            });
        }
    }

    /// A client has published a message.
    pub(super) fn published(&mut self, at: Place, mut message: Message, mandatory: bool) {
        message.number = self.next_message();
        let message = Arc::new(message);
        let Some(client) = self.clients.get_mut(&at.client) else {
            return;
        };
        let (connection, vhost) = (client.connection(), client.vhost.clone());
        let channel = client.channels.get_mut(&at.channel);
        if let Some(confirms) = channel.and_then(|channel| channel.confirms.as_mut()) {
            confirms.published(&message);
        }
        self.note(EventKind::Published {
            message: message.clone(),
            connection,
            channel: at.channel,
            vhost: vhost.clone(),
        });
        self.route(at, &vhost, message, mandatory);
    }

    /// Where a message goes is known from what was bound.
    fn route(&mut self, at: Place, vhost: &Arc<str>, message: Arc<Message>, mandatory: bool) {
        let Some(places) = self.places(at.client) else {
            return;
        };
        let Some(Way { queues, alternates }) = places.route(&message) else {
            return self.ties.add(&message, Vec::new());
        };
        let names: Vec<_> = queues
            .iter()
            .map(|queue| places.queue_name(queue))
            .collect();
        let is_last = |queue: &&Arc<str>| {
            let queue = places.queues.get(*queue);
            queue.is_some_and(|queue| !queue.has_dead_letters())
        };
        let last: Vec<_> = queues.iter().filter(is_last).cloned().collect();
        for queue in &last {
            self.expires(&message, vhost, queue);
        }
        self.ties.add(&message, queues);
        if !names.is_empty() {
            self.note(EventKind::Routed {
                message,
                queues: names,
                alternates,
            });
        } else if !mandatory {
            // What is mandatory comes back, and is noted then.
            self.note(EventKind::Unroutable {
                message,
                returned: false,
            });
        }
    }
}

/// Who a client says it is.
fn introduce(client: &mut Client, start: &connection::StartOk) {
    let property = |name: &str| {
        let value = start.client_properties.inner().get(name);
        value.and_then(text).map(str::to_owned)
    };
    client.name = property("connection_name").map(Arc::from);
    client.product = property("product");
    // PLAIN: whom to act for, who, the password.
    let mut parts = start.response.as_bytes().split(|byte| *byte == 0);
    if start.mechanism.as_str() == "PLAIN"
        && let Some(user) = parts.nth(1)
    {
        client.user = String::from_utf8_lossy(user).into();
    }
}

/// Whether the client wants no answer.
fn is_nowait(method: &AMQPClass) -> bool {
    use {
        basic::AMQPMethod as Basic, exchange::AMQPMethod as Exchange, queue::AMQPMethod as Queue,
    };
    match method {
        AMQPClass::Basic(Basic::Consume(consume)) => consume.nowait,
        AMQPClass::Basic(Basic::Cancel(cancel)) => cancel.nowait,
        AMQPClass::Queue(Queue::Declare(declare)) => declare.nowait,
        AMQPClass::Queue(Queue::Bind(bind)) => bind.nowait,
        AMQPClass::Queue(Queue::Delete(delete)) => delete.nowait,
        AMQPClass::Exchange(Exchange::Declare(declare)) => declare.nowait,
        AMQPClass::Exchange(Exchange::Delete(delete)) => delete.nowait,
        AMQPClass::Exchange(Exchange::Bind(bind)) => bind.nowait,
        AMQPClass::Exchange(Exchange::Unbind(unbind)) => unbind.nowait,
        _ => false,
    }
}
