//! Declares a plan of exchanges, queues and bindings.
//!
//! Each plan gets a channel of its own: a refused declare closes the channel it was made on.

use lapin::options::{
    ExchangeBindOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
    QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable, LongString};
use lapin::{Channel, ErrorKind, ExchangeKind};

use super::Session;
use crate::Error;
use crate::topology::{Arguments, Binding, Exchange, Kind, Link, Plan, Queue, Value};
use crate::wire::short;

/// How RabbitMQ 3 refuses consumers of a stream that it has not started here: somebody else is just declaring it, or this node has no part in it.
const NO_REPLICA: &str = "does not have a replica on the local node";

/// May this error be gone in a moment?
pub(super) fn may_pass(error: &Error) -> bool {
    matches!(error, Error::Broker { detail, .. } if detail.contains(NO_REPLICA))
}

/// Makes sure that everything in the plan exists. Declaring what is there already changes nothing.
pub(crate) async fn declare(session: &Session, plan: &Plan) -> Result<(), Error> {
    let channel = open(session).await?;
    let result = declare_on(session, &channel, plan).await;
    session.close_channel(channel).await;
    result
}

async fn declare_on(session: &Session, channel: &Channel, plan: &Plan) -> Result<(), Error> {
    for exchange in &plan.exchanges {
        let declared = session.step(declare_exchange(channel, exchange)).await;
        declared.map_err(|error| explain(format!("exchange `{}`", exchange.name), &error))?;
    }
    for queue in &plan.queues {
        let declared = session.step(declare_queue(channel, queue)).await;
        declared.map_err(|error| explain(format!("queue `{}`", queue.name), &error))?;
    }
    for binding in &plan.bindings {
        let bound = session.step(bind(channel, binding)).await;
        bound.map_err(|error| explain(binding_name(binding), &error))?;
    }
    for link in &plan.links {
        let bound = session.step(bind_exchange(channel, link)).await;
        bound.map_err(|error| {
            let object = format!("binding of exchange `{}` to `{}`", link.to, link.from);
            explain(object, &error)
        })?;
    }
    for binding in &plan.stale {
        let unbound = session.step(unbind(channel, binding)).await;
        unbound.map_err(|error| explain(binding_name(binding), &error))?;
    }
    Ok(())
}

fn binding_name(binding: &Binding) -> String {
    format!(
        "binding `{}` of queue `{}` to exchange `{}`",
        binding.key, binding.queue, binding.exchange
    )
}

async fn open(session: &Session) -> Result<Channel, Error> {
    session
        .channel()
        .await
        .map_err(|error| explain("opening a channel".to_owned(), &error))
}

async fn declare_exchange(channel: &Channel, exchange: &Exchange) -> Result<(), lapin::Error> {
    let kind = match exchange.kind {
        Kind::Direct => ExchangeKind::Direct,
        Kind::Topic => ExchangeKind::Topic,
        Kind::Fanout => ExchangeKind::Fanout,
    };
    let options = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    channel
        .exchange_declare(
            short(&exchange.name),
            kind,
            options,
            table(&exchange.arguments),
        )
        .await
}

async fn declare_queue(channel: &Channel, queue: &Queue) -> Result<(), lapin::Error> {
    let options = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    channel
        .queue_declare(short(&queue.name), options, table(&queue.arguments))
        .await
        .map(drop)
}

async fn bind(channel: &Channel, binding: &Binding) -> Result<(), lapin::Error> {
    let (queue, exchange, key) = (
        short(&binding.queue),
        short(&binding.exchange),
        short(&binding.key),
    );
    channel
        .queue_bind(
            queue,
            exchange,
            key,
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await
}

async fn bind_exchange(channel: &Channel, link: &Link) -> Result<(), lapin::Error> {
    let (to, from, key) = (short(&link.to), short(&link.from), short(&link.key));
    let options = ExchangeBindOptions::default();
    channel
        .exchange_bind(to, from, key, options, FieldTable::default())
        .await
}

async fn unbind(channel: &Channel, binding: &Binding) -> Result<(), lapin::Error> {
    let (queue, exchange, key) = (
        short(&binding.queue),
        short(&binding.exchange),
        short(&binding.key),
    );
    channel
        .queue_unbind(queue, exchange, key, FieldTable::default())
        .await
}

fn table(arguments: &Arguments) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in arguments {
        let value = match value {
            Value::Text(text) => AMQPValue::LongString(LongString::from(text.as_ref())),
            Value::Number(number) => AMQPValue::LongLongInt(*number),
            Value::Flag(flag) => AMQPValue::Boolean(*flag),
        };
        table.insert(short(name), value);
    }
    table
}

/// Does the exchange exist? Asked before a reply is sent to an address that a message named: publishing to an exchange that does
/// not exist would close the channel for everyone on it.
pub(crate) async fn exchange_exists(session: &Session, name: &str) -> Result<bool, Error> {
    let channel = open(session).await?;
    let options = ExchangeDeclareOptions {
        passive: true,
        ..ExchangeDeclareOptions::default()
    };
    let asked = session
        .step(channel.exchange_declare(
            short(name),
            ExchangeKind::Direct,
            options,
            FieldTable::default(),
        ))
        .await;
    session.close_channel(channel).await;
    found(asked)
        .map(|found| found.is_some())
        .map_err(|error| explain(format!("exchange `{name}`"), &error))
}

/// How many consumers a queue has; `None` when it does not exist.
pub(crate) async fn consumers(session: &Session, queue: &str) -> Result<Option<u32>, Error> {
    let found = find_queue(session, queue).await?;
    Ok(found.map(|queue| queue.consumer_count()))
}

/// How many messages a queue has ready; `None` when it does not exist.
pub(crate) async fn messages(session: &Session, queue: &str) -> Result<Option<u32>, Error> {
    let found = find_queue(session, queue).await?;
    Ok(found.map(|queue| queue.message_count()))
}

async fn find_queue(session: &Session, queue: &str) -> Result<Option<lapin::Queue>, Error> {
    let channel = open(session).await?;
    let options = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let asked = session
        .step(channel.queue_declare(short(queue), options, FieldTable::default()))
        .await;
    session.close_channel(channel).await;
    found(asked).map_err(|error| explain(format!("queue `{queue}`"), &error))
}

pub(crate) async fn delete_queue(session: &Session, name: &str) -> Result<(), Error> {
    let channel = open(session).await?;
    let deleted = session
        .step(channel.queue_delete(short(name), QueueDeleteOptions::default()))
        .await;
    session.close_channel(channel).await;
    deleted
        .map(drop)
        .map_err(|error| explain(format!("queue `{name}`"), &error))
}

fn found<T>(asked: Result<T, lapin::Error>) -> Result<Option<T>, lapin::Error> {
    match asked {
        Ok(found) => Ok(Some(found)),
        Err(error) if code(&error) == Some(404) => Ok(None),
        Err(error) => Err(error),
    }
}

fn code(error: &lapin::Error) -> Option<u16> {
    match error.kind() {
        ErrorKind::ProtocolError(said) => Some(said.get_id()),
        _ => None,
    }
}

pub(crate) fn explain(object: String, error: &lapin::Error) -> Error {
    let ErrorKind::ProtocolError(said) = error.kind() else {
        return Error::Broker {
            object,
            detail: error.to_string(),
        };
    };
    let detail = said.get_message().to_string();
    match said.get_id() {
        403 => Error::Denied { object, detail },
        406 if detail.contains(NO_REPLICA) => Error::Broker { object, detail },
        406 => Error::TopologyMismatch { object, detail },
        _ => Error::Broker { object, detail },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lapin::protocol::{AMQPError, AMQPErrorKind, AMQPSoftError};

    #[test]
    fn a_stream_that_is_being_started_is_no_mismatch() {
        let refused = |text: &str| {
            let kind = AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED);
            let error = ErrorKind::ProtocolError(AMQPError::new(kind, text.into()));
            explain("queue `lb.journal.auth`".to_owned(), &error.into())
        };
        let starting = refused(
            "PRECONDITION_FAILED - queue 'queue 'lb.journal.auth' in vhost '/'' does not have a replica on the local node",
        );
        assert!(may_pass(&starting), "{starting}");
        let mismatch = refused("PRECONDITION_FAILED - inequivalent arg 'x-max-age'");
        assert!(matches!(mismatch, Error::TopologyMismatch { .. }) && !may_pass(&mismatch));
    }
}
