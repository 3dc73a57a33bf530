//! What is in a broker at one moment.

use crate::{
    counters::{ExchangeCounters, QueueCounters, Rates, Totals},
    refusal::Refusal,
};
use std::{collections::BTreeMap, time::Duration};

/// What is in a [`Broker`](crate::Broker) at one moment, sorted by virtual host and name.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let broker = lightbus_broker::Broker::start().await?;
/// let snapshot = broker.snapshot();
/// assert!(snapshot.queues.is_empty() && snapshot.connections.is_empty());
/// assert_eq!(snapshot.exchange("amq.topic").map(|exchange| exchange.kind.as_str()), Some("topic"));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Snapshot {
    /// How long the broker had been running when it was taken, by the broker's clock.
    pub uptime: Duration,
    /// The exchanges, the predeclared ones and the default one, whose name is empty, among them.
    pub exchanges: Vec<ExchangeInfo>,
    /// The bindings, without the implicit ones of the default exchange.
    pub bindings: Vec<BindingInfo>,
    /// The queues.
    pub queues: Vec<QueueInfo>,
    /// The connections that are open, in the order in which they came.
    pub connections: Vec<ConnectionInfo>,
    /// The bytes that all messages hold together, wherever they lie.
    pub message_bytes: usize,
    /// What the broker counted since it started.
    pub totals: Totals,
    /// What is armed of [`Broker::faults`](crate::Broker::faults).
    pub faults: ArmedFaults,
}

impl Snapshot {
    /// The first queue with this name.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = lightbus_broker::Broker::start().await?;
    /// assert!(broker.snapshot().queue("jobs").is_none());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn queue(&self, name: &str) -> Option<&QueueInfo> {
        self.queues.iter().find(|queue| queue.name == name)
    }

    /// The first exchange with this name; the default one has the empty name.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = lightbus_broker::Broker::start().await?;
    /// assert!(broker.snapshot().exchange("amq.direct").is_some());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn exchange(&self, name: &str) -> Option<&ExchangeInfo> {
        self.exchanges.iter().find(|exchange| exchange.name == name)
    }

    /// The first connection whose client calls itself so (`connection_name`).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = lightbus_broker::Broker::start().await?;
    /// assert!(broker.snapshot().connection("sales-app").is_none());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn connection(&self, name: &str) -> Option<&ConnectionInfo> {
        self.connections
            .iter()
            .find(|connection| connection.name.as_deref() == Some(name))
    }

    /// What was counted between an earlier snapshot and this one. Queues that were declared since then count in full.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use lapin::{BasicProperties, Connection, ConnectionProperties, options::*, types::FieldTable};
    ///
    /// let broker = lightbus_broker::Broker::start().await?;
    /// let connection = Connection::connect(&broker.url(), ConnectionProperties::default()).await?;
    /// let channel = connection.create_channel().await?;
    /// channel.queue_declare("jobs".into(), QueueDeclareOptions::default(), FieldTable::default()).await?;
    ///
    /// let earlier = broker.snapshot();
    /// channel.confirm_select(ConfirmSelectOptions::default()).await?;
    /// let options = BasicPublishOptions::default();
    /// channel.basic_publish("".into(), "jobs".into(), options, b"work", BasicProperties::default()).await?.await?;
    /// let rates = broker.snapshot().rates_since(&earlier);
    /// assert_eq!(rates.queue("jobs").map(|queue| queue.enqueued), Some(1));
    /// println!("{:.1} messages a second", rates.per_second(rates.totals.publishing.published));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn rates_since(&self, earlier: &Self) -> Rates {
        let before = |queue: &QueueInfo| {
            let same =
                |other: &&QueueInfo| (&other.vhost, &other.name) == (&queue.vhost, &queue.name);
            let found = earlier.queues.iter().find(same);
            found.map_or_else(QueueCounters::default, |found| found.counters)
        };
        Rates {
            over: self.uptime.saturating_sub(earlier.uptime),
            totals: Totals {
                publishing: self.totals.publishing - earlier.totals.publishing,
                queues: self.totals.queues - earlier.totals.queues,
            },
            queues: self
                .queues
                .iter()
                .map(|queue| {
                    let counted = queue.counters - before(queue);
                    (queue.vhost.clone(), queue.name.clone(), counted)
                })
                .collect(),
        }
    }
}

/// An exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExchangeInfo {
    /// Its virtual host.
    pub vhost: String,
    /// Its name.
    pub name: String,
    /// `direct`, `fanout`, `topic` or `headers`.
    pub kind: String,
    /// Whether it was declared durable.
    pub durable: bool,
    /// Whether it goes with its last binding.
    pub auto_delete: bool,
    /// Whether clients may not publish to it.
    pub internal: bool,
    /// Where messages go that it cannot route.
    pub alternate: Option<String>,
    /// What it counted.
    pub counters: ExchangeCounters,
}

/// A binding.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BindingInfo {
    /// Its virtual host.
    pub vhost: String,
    /// The exchange it leads from.
    pub source: String,
    /// The queue or exchange it leads to.
    pub destination: String,
    /// Whether it leads to a queue, not to an exchange.
    pub to_queue: bool,
    /// Its routing key.
    pub routing_key: String,
    /// Its arguments, in readable form.
    pub arguments: BTreeMap<String, String>,
}

/// A queue.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueInfo {
    /// Its virtual host.
    pub vhost: String,
    /// Its name.
    pub name: String,
    /// `classic`, `quorum` or `stream`.
    pub kind: String,
    /// Whether it was declared durable.
    pub durable: bool,
    /// Whether it goes with its last consumer.
    pub auto_delete: bool,
    /// Whether it belongs to one connection.
    pub exclusive: bool,
    /// How many messages wait in it; of a stream, how many it keeps.
    pub ready: usize,
    /// How many messages clients have and have not settled.
    pub unacked: usize,
    /// How many dead letters it holds because not every queue they go to has taken them.
    pub held: usize,
    /// How many consumers it has.
    pub consumers: usize,
    /// The bodies of its messages, waiting, unsettled and held, in bytes.
    pub bytes: usize,
    /// The arguments it was declared with, in readable form.
    pub arguments: BTreeMap<String, String>,
    /// Whether a test stopped its deliveries: [`Faults::pause_queue`](crate::Faults::pause_queue).
    pub paused: bool,
    /// Its consumers, in the order in which they came.
    pub subscriptions: Vec<ConsumerInfo>,
    /// What it counted.
    pub counters: QueueCounters,
}

/// A consumer of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerInfo {
    /// Its tag.
    pub tag: String,
    /// What the client of its connection calls itself.
    pub connection: Option<String>,
    /// The number of its connection in the broker.
    pub connection_number: u64,
    /// The number of its channel on that connection.
    pub channel: u16,
    /// How many unacknowledged messages it may have; 0 is no limit.
    pub prefetch: u16,
    /// How many it has.
    pub unacked: u32,
    /// Whether it need not acknowledge.
    pub no_ack: bool,
    /// Whether it wants the queue for itself.
    pub exclusive: bool,
    /// Whether it gets messages; of the consumers of a single-active-consumer queue, only one does.
    pub active: bool,
    /// Its priority: higher ones are served first.
    pub priority: i32,
}

/// A connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionInfo {
    /// Its number in the broker, unlike any other's.
    pub number: u64,
    /// What the client calls itself: its property `connection_name`.
    pub name: Option<String>,
    /// The client library: its property `product`.
    pub product: Option<String>,
    /// The client's address.
    pub peer: String,
    /// Who it logged in as.
    pub user: String,
    /// Its virtual host.
    pub vhost: String,
    /// Whether it may not publish at present.
    pub blocked: bool,
    /// Whether a test stalled it: [`Faults::stall`](crate::Faults::stall).
    pub stalled: bool,
    /// Its channels, by number.
    pub channels: Vec<ChannelInfo>,
}

/// A channel.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelInfo {
    /// Its number on its connection.
    pub number: u16,
    /// How many consumers it has.
    pub consumers: usize,
    /// How many messages it has not settled.
    pub unacked: usize,
    /// Whether it asked for publisher confirms.
    pub confirms: bool,
}

/// What is armed of [`Faults`](crate::Faults) in the broker as a whole. Counts are what is left of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArmedFaults {
    /// How new connections are refused.
    pub refusing: Option<Refusal>,
    /// Whether the broker neither reads nor writes.
    pub stalled: bool,
    /// How long everything it sends is held.
    pub delay: Duration,
    /// Why publishers are blocked, if [`Broker::block_publishers`](crate::Broker::block_publishers) did that.
    pub blocked: Option<String>,
    /// How many publications will be refused.
    pub fail_publishes: u64,
    /// How many publications will vanish.
    pub drop_publishes: u64,
    /// How many confirms will not be sent.
    pub withhold_confirms: u64,
    /// How many acknowledgements will get lost.
    pub duplicate_deliveries: u64,
}
