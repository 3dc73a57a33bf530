//! What happens in a broker, as those who watch it are told.

use super::{deaths, ids::ConnId, message::Message};
use std::{fmt, sync::Arc, time::SystemTime};

/// Something that happened in a broker. See [`Broker::events`](crate::Broker::events).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Event {
    /// Its place among all events since somebody began to watch. Where there is a gap, events were missed.
    pub number: u64,
    /// When it happened, by the broker's clock.
    pub time: SystemTime,
    /// What happened.
    pub kind: EventKind,
}

/// What happened.
///
/// Messages keep their [number](Message::number) through all of it. Where nothing else is said, a message's events come in the order
/// of its life: published, routed, delivered, then settled.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the fields' types say what they are")]
pub enum EventKind {
    /// Whoever reads this was too slow and missed so many events. What follows is the oldest that is still there.
    Missed { count: u64 },
    /// A client logged in and opened a virtual host.
    ConnectionOpened {
        connection: ConnectionName,
        user: Arc<str>,
        vhost: Arc<str>,
    },
    /// A connection ended.
    ConnectionClosed {
        connection: ConnectionName,
        why: CloseReason,
    },
    /// The broker closed a channel because of an error, or because an operator wished so.
    ChannelClosed {
        connection: ConnectionName,
        channel: u16,
        code: u16,
        text: Arc<str>,
    },
    /// Somebody subscribed to a queue.
    ConsumerAdded {
        connection: ConnectionName,
        channel: u16,
        consumer: Arc<str>,
        queue: QueueName,
    },
    /// A subscription ended.
    ConsumerCancelled {
        connection: ConnectionName,
        channel: u16,
        consumer: Arc<str>,
        queue: QueueName,
        why: CancelReason,
    },
    /// An exchange came into being.
    ExchangeDeclared { vhost: Arc<str>, exchange: Arc<str> },
    /// An exchange is gone, and the bindings from and to it.
    ExchangeDeleted { vhost: Arc<str>, exchange: Arc<str> },
    /// A queue came into being.
    QueueDeclared { queue: QueueName },
    /// A queue is gone, the bindings to it, and the messages that clients had not acknowledged.
    QueueDeleted { queue: QueueName, why: DeleteReason },
    /// An exchange was bound to another, or to a queue.
    Bound(Binding),
    /// A binding was removed.
    Unbound(Binding),
    /// A connection that publishes is not read any further.
    Blocked {
        connection: ConnectionName,
        reason: Arc<str>,
    },
    /// A blocked connection is read again.
    Unblocked { connection: ConnectionName },
    /// A client published a message. What becomes of it in a transaction follows when that is committed.
    Published {
        message: Arc<Message>,
        connection: ConnectionName,
        channel: u16,
        vhost: Arc<str>,
    },
    /// A message goes to these queues; to reach them, it went through these alternate exchanges.
    Routed {
        message: Arc<Message>,
        queues: Vec<QueueName>,
        alternates: Vec<Arc<str>>,
    },
    /// A message reached no queue; it went back to its publisher, or nowhere.
    Unroutable {
        message: Arc<Message>,
        returned: bool,
    },
    /// A message was not taken by this queue, or by the broker as a whole. A publisher that asked for confirms is told (`basic.nack`).
    Refused {
        message: Arc<Message>,
        queue: Option<QueueName>,
        why: RefuseReason,
    },
    /// A message was given to a client: to this consumer, or to one that fetched it with `basic.get`. A direct reply goes
    /// through no queue; its address stands for one.
    Delivered {
        message: Arc<Message>,
        queue: QueueName,
        connection: ConnectionName,
        channel: u16,
        consumer: Option<Arc<str>>,
        /// It need not be acknowledged.
        no_ack: bool,
        redelivered: bool,
        /// How often it came back before, on queues that count that.
        returns: u32,
    },
    /// A client acknowledged a message.
    Acked {
        message: Arc<Message>,
        queue: QueueName,
        connection: ConnectionName,
        channel: u16,
    },
    /// A client acknowledged a message, and that was lost: [`Faults::duplicate_deliveries`](crate::Faults::duplicate_deliveries) said so. What became of it follows.
    AckLost {
        message: Arc<Message>,
        queue: QueueName,
        connection: ConnectionName,
        channel: u16,
    },
    /// A client rejected a message for good. What became of it follows.
    Rejected {
        message: Arc<Message>,
        queue: QueueName,
        connection: ConnectionName,
        channel: u16,
    },
    /// A message came back: it was rejected to be requeued, or its channel closed.
    Requeued {
        message: Arc<Message>,
        queue: QueueName,
        connection: ConnectionName,
        channel: u16,
    },
    /// A message became too old. What became of it follows.
    Expired {
        message: Arc<Message>,
        queue: QueueName,
    },
    /// A queue gave up a message to its dead letter exchange, which routes it to these queues; to none, and it is gone. Queues
    /// where it would go round in a circle without anybody rejecting it are left out.
    DeadLettered {
        /// As the dead letter exchange gets it.
        message: Arc<Message>,
        queue: QueueName,
        why: DropReason,
        exchange: Arc<str>,
        queues: Vec<QueueName>,
    },
    /// A message is gone from a queue for good.
    Dropped {
        message: Arc<Message>,
        queue: Option<QueueName>,
        why: DropReason,
    },
}

/// A connection, by its number in the broker and by what its client calls it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ConnectionName {
    /// Unlike any other connection's in the life of the broker.
    pub number: u64,
    /// The client's property `connection_name`.
    pub name: Option<Arc<str>>,
}

/// A queue, by its virtual host and its name. It can be compared with a mere name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct QueueName {
    /// Its virtual host.
    pub vhost: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
}

/// A binding from an exchange to a queue or to another exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Binding {
    /// The virtual host of both.
    pub vhost: Arc<str>,
    /// The exchange it leads from.
    pub source: Arc<str>,
    /// What it leads to.
    pub destination: Arc<str>,
    /// Whether that is a queue.
    pub to_queue: bool,
    /// Its routing key.
    pub routing_key: Arc<str>,
}

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// Its client closed it.
    Client {
        /// The client's code.
        code: u16,
        /// The client's words.
        text: Arc<str>,
    },
    /// The broker closed it: the client did something wrong, or an operator wished so.
    Broker {
        /// The reply code.
        code: u16,
        /// The reply text.
        text: Arc<str>,
    },
    /// Its socket is gone, or nothing came through it for too long.
    Lost,
}

/// Why a subscription ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CancelReason {
    /// The client cancelled it.
    Client,
    /// Its channel or connection ended.
    ChannelClosed,
    /// Its queue was deleted.
    QueueDeleted,
    /// It was cancelled behind its back.
    Operator,
}

/// Why a queue was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeleteReason {
    /// A client deleted it.
    Client,
    /// Its last consumer left, and it was declared `auto-delete`.
    AutoDelete,
    /// The connection it belonged to ended.
    Exclusive,
    /// It was unused for too long (`x-expires`).
    Expired,
    /// It was deleted behind its clients' back.
    Operator,
    /// The broker was restarted, and the queue was not durable.
    Restart,
}

/// Why a message was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefuseReason {
    /// A queue was full.
    QueueFull,
    /// [`Faults::fail_publishes`](crate::Faults::fail_publishes) said so.
    Fault,
}

/// Why a queue gave up a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DropReason {
    /// It was rejected.
    Rejected,
    /// It was too old.
    Expired,
    /// The queue was full.
    Overflow,
    /// It had come back too often.
    DeliveryLimit,
    /// The queue was purged.
    Purged,
    /// The queue was deleted.
    QueueDeleted,
    /// The broker was restarted, and nobody had asked for it to be kept.
    Restart,
    /// [`Faults::drop_publishes`](crate::Faults::drop_publishes) said so.
    Fault,
}

impl From<deaths::Reason> for DropReason {
    fn from(reason: deaths::Reason) -> Self {
        match reason {
            deaths::Reason::Rejected => Self::Rejected,
            deaths::Reason::Expired => Self::Expired,
            deaths::Reason::MaxLen => Self::Overflow,
            deaths::Reason::DeliveryLimit => Self::DeliveryLimit,
        }
    }
}

impl ConnectionName {
    pub(crate) fn new(id: ConnId, name: Option<&Arc<str>>) -> Self {
        Self {
            number: id.0,
            name: name.cloned(),
        }
    }
}

impl PartialEq<str> for ConnectionName {
    fn eq(&self, name: &str) -> bool {
        self.name.as_deref() == Some(name)
    }
}

impl PartialEq<&str> for ConnectionName {
    fn eq(&self, name: &&str) -> bool {
        self == *name
    }
}

impl fmt::Display for ConnectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name}"),
            None => write!(f, "#{}", self.number),
        }
    }
}

impl PartialEq<str> for QueueName {
    fn eq(&self, name: &str) -> bool {
        &*self.name == name
    }
}

impl PartialEq<&str> for QueueName {
    fn eq(&self, name: &&str) -> bool {
        self == *name
    }
}

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if &*self.vhost != "/" {
            write!(f, "{}:", self.vhost)?;
        }
        f.write_str(&self.name)
    }
}
