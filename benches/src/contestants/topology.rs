//! The exchanges and queues of the two programs written by hand: of the same kinds and with the same arguments as lightbus's.

use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::StreamExt;
use lapin::options::{
    ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions,
    QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};
use uuid::Uuid;

pub(crate) const EVENT_KEY: &str = "bench.happened";
pub(crate) const METHOD: &str = "echo";
/// How long a call may take.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) async fn connect(url: &str) -> Result<Connection> {
    let connecting = Connection::connect(url, ConnectionProperties::default());
    tokio::time::timeout(Duration::from_secs(10), connecting)
        .await
        .context("no answer from the broker")?
        .context("cannot connect")
}

/// The names of one measurement.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    prefix: String,
}

impl Names {
    pub(crate) fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
        }
    }

    pub(crate) fn calls(&self) -> ShortString {
        format!("{}.rpc", self.prefix).into()
    }

    pub(crate) fn replies(&self) -> ShortString {
        format!("{}.reply", self.prefix).into()
    }

    pub(crate) fn events(&self) -> ShortString {
        format!("{}.ev", self.prefix).into()
    }

    fn dead(&self) -> ShortString {
        format!("{}.dead", self.prefix).into()
    }

    pub(crate) fn listener(&self, number: usize) -> String {
        format!("{}.q.{number}", self.prefix)
    }

    /// The queue of calls, bound for the one method.
    pub(crate) async fn declare_calls(&self, channel: &Channel) -> Result<()> {
        exchange(
            channel,
            self.calls(),
            ExchangeKind::Direct,
            FieldTable::default(),
        )
        .await?;
        let mut arguments = expiring();
        arguments.insert("x-overflow".into(), text("reject-publish"));
        queue(channel, self.calls(), arguments).await?;
        bind(channel, self.calls(), self.calls(), METHOD.into()).await
    }

    /// The exchange that replies go to; servers need no more.
    pub(crate) async fn declare_reply_exchange(&self, channel: &Channel) -> Result<()> {
        exchange(
            channel,
            self.replies(),
            ExchangeKind::Direct,
            FieldTable::default(),
        )
        .await
    }

    /// A queue for the replies of this process; returns its name, which is its routing key as well.
    pub(crate) async fn declare_replies(&self, channel: &Channel) -> Result<ShortString> {
        self.declare_reply_exchange(channel).await?;
        let name: ShortString = format!("{}.{}", self.replies(), Uuid::now_v7().simple()).into();
        queue(channel, name.clone(), expiring()).await?;
        bind(channel, name.clone(), self.replies(), name.clone()).await?;
        Ok(name)
    }

    pub(crate) async fn declare_events(&self, channel: &Channel) -> Result<()> {
        exchange(
            channel,
            self.events(),
            ExchangeKind::Topic,
            FieldTable::default(),
        )
        .await
    }

    /// A listener's queue and its dead letters.
    pub(crate) async fn declare_listener(
        &self,
        channel: &Channel,
        number: usize,
    ) -> Result<ShortString> {
        self.declare_events(channel).await?;
        exchange(
            channel,
            self.dead(),
            ExchangeKind::Direct,
            FieldTable::default(),
        )
        .await?;
        let name: ShortString = self.listener(number).into();
        let dead: ShortString = format!("{name}.dead").into();
        queue(channel, dead.clone(), queue_type("quorum")).await?;
        bind(channel, dead, self.dead(), name.clone()).await?;

        let mut arguments = queue_type("quorum");
        arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(20));
        arguments.insert("x-dead-letter-exchange".into(), text(self.dead().as_str()));
        arguments.insert("x-dead-letter-routing-key".into(), text(name.as_str()));
        arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
        arguments.insert("x-overflow".into(), text("reject-publish"));
        queue(channel, name.clone(), arguments).await?;
        bind(
            channel,
            name.clone(),
            self.events(),
            format!("{EVENT_KEY}.#").into(),
        )
        .await?;
        Ok(name)
    }

    /// Deletes everything, whether it exists or not.
    pub(crate) async fn delete(&self, channel: &Channel, listeners: usize) -> Result<()> {
        let mut queues = vec![self.calls().to_string()];
        for number in 0..listeners {
            let name = self.listener(number);
            queues.extend([format!("{name}.dead"), name]);
        }
        delete(
            channel,
            &queues,
            &[self.calls(), self.replies(), self.events(), self.dead()]
                .map(|name| name.to_string()),
        )
        .await
    }
}

/// Deletes queues and exchanges, whether they exist or not.
pub(crate) async fn delete(
    channel: &Channel,
    queues: &[String],
    exchanges: &[String],
) -> Result<()> {
    let deletions = queues
        .iter()
        .map(|name| channel.queue_delete(name.as_str().into(), QueueDeleteOptions::default()));
    let mut deletions = futures_util::stream::iter(deletions).buffered(16);
    while let Some(deleted) = deletions.next().await {
        deleted?;
    }
    for name in exchanges {
        channel
            .exchange_delete(name.as_str().into(), ExchangeDeleteOptions::default())
            .await?;
    }
    Ok(())
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(LongString::from(value))
}

fn queue_type(kind: &str) -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text(kind));
    arguments
}

fn expiring() -> FieldTable {
    let mut arguments = queue_type("classic");
    arguments.insert("x-expires".into(), AMQPValue::LongLongInt(60_000));
    arguments.insert("x-max-length".into(), AMQPValue::LongLongInt(10_000));
    arguments
}

async fn exchange(
    channel: &Channel,
    name: ShortString,
    kind: ExchangeKind,
    arguments: FieldTable,
) -> Result<()> {
    let options = ExchangeDeclareOptions {
        durable: true,
        ..Default::default()
    };
    Ok(channel
        .exchange_declare(name, kind, options, arguments)
        .await?)
}

async fn queue(channel: &Channel, name: ShortString, arguments: FieldTable) -> Result<()> {
    channel
        .queue_declare(name, QueueDeclareOptions::durable(), arguments)
        .await?;
    Ok(())
}

async fn bind(
    channel: &Channel,
    queue: ShortString,
    exchange: ShortString,
    key: ShortString,
) -> Result<()> {
    Ok(channel
        .queue_bind(
            queue,
            exchange,
            key,
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await?)
}

/// The properties of the messages: what a careful program would set.
pub(crate) mod properties {
    use super::{BasicProperties, CALL_TIMEOUT, ShortString, Uuid};

    const TRANSIENT: u8 = 1;
    const PERSISTENT: u8 = 2;

    fn base(kind: &'static str, delivery_mode: u8) -> BasicProperties {
        BasicProperties::default()
            .with_content_type("application/msgpack".into())
            .with_type(kind.into())
            .with_delivery_mode(delivery_mode)
    }

    pub(crate) fn request(correlation: u64, reply_to: ShortString) -> BasicProperties {
        base("request", TRANSIENT)
            .with_correlation_id(correlation.to_string().into())
            .with_reply_to(reply_to)
            .with_expiration(CALL_TIMEOUT.as_millis().to_string().into())
    }

    pub(crate) fn reply(correlation: ShortString) -> BasicProperties {
        base("reply", TRANSIENT).with_correlation_id(correlation)
    }

    pub(crate) fn event() -> BasicProperties {
        base("event", PERSISTENT).with_message_id(Uuid::now_v7().to_string().into())
    }
}
