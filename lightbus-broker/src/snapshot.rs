//! What is in a broker at one moment.

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
    /// The exchanges, the predeclared ones among them.
    pub exchanges: Vec<ExchangeInfo>,
    /// The bindings, without the implicit ones of the default exchange.
    pub bindings: Vec<BindingInfo>,
    /// The queues.
    pub queues: Vec<QueueInfo>,
    /// The connections that are open, in the order in which they came.
    pub connections: Vec<ConnectionInfo>,
    /// The bytes that all messages hold together, wherever they lie.
    pub message_bytes: usize,
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

    /// The first exchange with this name.
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
}

/// A connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionInfo {
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
