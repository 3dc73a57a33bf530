//! Events, looked at: what they are about, and in one line for people.

use super::{
    event::{
        Binding, CloseReason, ConnectionName, Event,
        EventKind::{self, *},
        QueueName,
    },
    message::Message,
};
use std::{fmt, sync::Arc};

impl Event {
    /// The message it is about, if it is about one.
    ///
    /// ```
    /// # fn example(event: lightbus_broker::Event) {
    /// if let Some(message) = event.message() {
    ///     println!("message {} of {} bytes", message.number(), message.body().len());
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn message(&self) -> Option<&Arc<Message>> {
        match &self.kind {
            Published { message, .. }
            | Routed { message, .. }
            | Unroutable { message, .. }
            | Refused { message, .. }
            | Delivered { message, .. }
            | Acked { message, .. }
            | AckLost { message, .. }
            | Rejected { message, .. }
            | Requeued { message, .. }
            | Expired { message, .. }
            | DeadLettered { message, .. }
            | Dropped { message, .. } => Some(message),
            _ => None,
        }
    }

    /// The queue in which it happened, if it happened in one.
    ///
    /// ```
    /// # fn example(events: Vec<lightbus_broker::Event>) {
    /// let jobs = events.iter().filter(|event| event.queue().is_some_and(|queue| queue == "jobs"));
    /// # jobs.count(); }
    /// ```
    #[must_use]
    pub fn queue(&self) -> Option<&QueueName> {
        match &self.kind {
            ConsumerAdded { queue, .. }
            | ConsumerCancelled { queue, .. }
            | QueueDeclared { queue }
            | QueueDeleted { queue, .. }
            | Delivered { queue, .. }
            | Acked { queue, .. }
            | AckLost { queue, .. }
            | Rejected { queue, .. }
            | Requeued { queue, .. }
            | Expired { queue, .. }
            | DeadLettered { queue, .. } => Some(queue),
            Refused { queue, .. } | Dropped { queue, .. } => queue.as_ref(),
            _ => None,
        }
    }

    /// The connection that did it, or that it befell.
    ///
    /// ```
    /// # fn example(events: Vec<lightbus_broker::Event>) {
    /// let mine = events.iter().filter(|event| event.connection().is_some_and(|connection| connection == "sales-app"));
    /// # mine.count(); }
    /// ```
    #[must_use]
    pub fn connection(&self) -> Option<&ConnectionName> {
        match &self.kind {
            ConnectionOpened { connection, .. }
            | ConnectionClosed { connection, .. }
            | ChannelClosed { connection, .. }
            | ConsumerAdded { connection, .. }
            | ConsumerCancelled { connection, .. }
            | Blocked { connection, .. }
            | Unblocked { connection }
            | Published { connection, .. }
            | Delivered { connection, .. }
            | Acked { connection, .. }
            | AckLost { connection, .. }
            | Rejected { connection, .. }
            | Requeued { connection, .. } => Some(connection),
            _ => None,
        }
    }
}

/// One line: `17 message 3 delivered from jobs to worker (amq.ctag-1)`.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.number)?;
        if let Some(message) = self.message() {
            write!(f, "message {} ", message.number())?;
        }
        publishing(&self.kind, f)
    }
}

/// What publishers and the router do.
fn publishing(kind: &EventKind, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match kind {
        Published {
            message,
            connection,
            ..
        } => {
            let (exchange, key) = (shown(message.exchange()), message.routing_key());
            write!(
                f,
                "published by {connection} to {exchange} with key '{key}'"
            )
        }
        Routed {
            queues, alternates, ..
        } => {
            write!(f, "routed to {}", joined(queues))?;
            match &alternates[..] {
                [] => Ok(()),
                some => write!(f, " through {}", joined(some)),
            }
        }
        Unroutable { returned: true, .. } => f.write_str("unroutable: returned"),
        Unroutable { .. } => f.write_str("unroutable: gone"),
        Refused { queue, why, .. } => match queue {
            Some(queue) => write!(f, "refused by {queue}: {why:?}"),
            None => write!(f, "refused: {why:?}"),
        },
        _ => consuming(kind, f),
    }
}

/// What consumers and queues do.
fn consuming(kind: &EventKind, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match kind {
        Delivered {
            queue,
            connection,
            consumer,
            redelivered,
            ..
        } => {
            let again = if *redelivered { "again " } else { "" };
            let to = consumer.as_deref().unwrap_or("basic.get");
            write!(f, "delivered {again}from {queue} to {connection} ({to})")
        }
        Acked {
            queue, connection, ..
        } => write!(f, "acknowledged by {connection} in {queue}"),
        AckLost {
            queue, connection, ..
        } => write!(f, "acknowledged by {connection} in {queue}, which was lost"),
        Rejected {
            queue, connection, ..
        } => write!(f, "rejected by {connection} in {queue}"),
        Requeued {
            queue, connection, ..
        } => write!(f, "came back to {queue} from {connection}"),
        Expired { queue, .. } => write!(f, "expired in {queue}"),
        DeadLettered {
            queue,
            why,
            exchange,
            queues,
            ..
        } => {
            let (exchange, queues) = (shown(exchange), joined(queues));
            write!(
                f,
                "dead-lettered by {queue} ({why:?}) through {exchange} to {queues}"
            )
        }
        Dropped { queue, why, .. } => match queue {
            Some(queue) => write!(f, "dropped by {queue}: {why:?}"),
            None => write!(f, "dropped: {why:?}"),
        },
        _ => clients(kind, f),
    }
}

/// What befalls connections, channels and consumers.
fn clients(kind: &EventKind, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match kind {
        ConnectionOpened {
            connection,
            user,
            vhost,
        } => write!(f, "connection {connection} of {user} opened {vhost}"),
        ConnectionClosed { connection, why } => write!(f, "connection {connection} {why}"),
        ChannelClosed {
            connection,
            channel,
            code,
            text,
        } => write!(f, "channel {channel} of {connection} closed: {code} {text}"),
        ConsumerAdded {
            connection,
            consumer,
            queue,
            ..
        } => write!(f, "{connection} consumes {queue} ({consumer})"),
        ConsumerCancelled {
            connection,
            consumer,
            queue,
            why,
            ..
        } => write!(
            f,
            "{connection} no longer consumes {queue} ({consumer}): {why:?}"
        ),
        Blocked { connection, reason } => write!(f, "{connection} blocked: {reason}"),
        Unblocked { connection } => write!(f, "{connection} no longer blocked"),
        _ => topology(kind, f),
    }
}

/// What comes and goes of exchanges, queues and bindings.
fn topology(kind: &EventKind, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match kind {
        Missed { count } => write!(f, "{count} events missed"),
        ExchangeDeclared { exchange, .. } => write!(f, "exchange {exchange} declared"),
        ExchangeDeleted { exchange, .. } => write!(f, "exchange {exchange} deleted"),
        QueueDeclared { queue } => write!(f, "queue {queue} declared"),
        QueueDeleted { queue, why } => write!(f, "queue {queue} deleted: {why:?}"),
        Bound(binding) => write!(f, "bound: {binding}"),
        Unbound(binding) => write!(f, "unbound: {binding}"),
        _ => Ok(()),
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client { code, text } => write!(f, "closed by its client: {code} {text}"),
            Self::Broker { code, text } => write!(f, "closed by the broker: {code} {text}"),
            Self::Lost => f.write_str("lost"),
        }
    }
}

impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (source, key, destination) =
            (shown(&self.source), &self.routing_key, &self.destination);
        write!(f, "{source} -'{key}'-> {destination}")
    }
}

/// An exchange's name; the default one has none.
fn shown(exchange: &str) -> &str {
    if exchange.is_empty() {
        "the default exchange"
    } else {
        exchange
    }
}

fn joined(names: &[impl fmt::Display]) -> String {
    if names.is_empty() {
        return "nowhere".to_owned();
    }
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    names.join(", ")
}
