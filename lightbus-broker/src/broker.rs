//! The handle that owns a running broker.

use crate::{
    clock::NotManual,
    config::{BrokerBuilder, Limits, Settings},
    error::StartError,
    events::Events,
    faults::Faults,
    server::{self, Shared},
    snapshot::Snapshot,
    thread::Thread,
};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

/// A running AMQP 0-9-1 broker.
///
/// It lives as long as this value: when it is dropped, its port, its connections and its tasks are gone, and its queues with them.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use lapin::{Connection, ConnectionProperties};
///
/// let broker = lightbus_broker::Broker::start().await?;
/// let connection = Connection::connect(&broker.url(), ConnectionProperties::default()).await?;
/// assert_eq!(broker.snapshot().connections.len(), 1);
/// connection.close(200, "done".into()).await?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Broker {
    shared: Arc<Shared>,
    address: SocketAddr,
    url: String,
    thread: Thread,
}

impl Broker {
    /// Starts a broker on a free port of the loopback interface, for `guest` with the password `guest`.
    ///
    /// # Errors
    ///
    /// [`StartError::Bind`] where it cannot listen.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = lightbus_broker::Broker::start().await?;
    /// println!("listening on {}", broker.url());
    /// # Ok(()) }
    /// ```
    pub async fn start() -> Result<Self, StartError> {
        Self::builder().start().await
    }

    /// Sets up a broker that is to differ from the default.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = lightbus_broker::Broker::builder().product("RabbitMQ", "4.0.5").start().await?;
    /// # drop(broker); Ok(()) }
    /// ```
    pub fn builder() -> BrokerBuilder {
        BrokerBuilder::default()
    }

    pub(crate) async fn listen(
        address: SocketAddr,
        settings: Settings,
        limits: Limits,
    ) -> Result<Self, StartError> {
        let failed = |source| StartError::Bind { address, source };
        let listener = TcpListener::bind(address).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let url = url(address, &settings);
        let shared = Arc::new(Shared::new(settings, limits));
        let (serving, ending) = (shared.clone(), shared.clone());
        let serve = move |listener| server::serve(serving, listener);
        let thread = Thread::start("lightbus-broker", listener, serve, move || ending.end());
        let thread = thread.map_err(failed)?;
        Ok(Self {
            shared,
            address,
            url,
            thread,
        })
    }

    /// Where clients connect, credentials and all.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = lightbus_broker::Broker::start().await?;
    /// let port = broker.addr().port();
    /// assert_eq!(broker.url(), format!("amqp://guest:guest@127.0.0.1:{port}/%2f"));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// The address it listens on.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = lightbus_broker::Broker::start().await?;
    /// assert!(broker.addr().ip().is_loopback());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// What is in it at this moment.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = lightbus_broker::Broker::start().await?;
    /// assert!(broker.snapshot().queues.is_empty());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.shared.snapshot()
    }

    /// Everything that happens in it from now on: what clients do, and the life of each message.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use lapin::{Connection, ConnectionProperties, options::*, types::FieldTable};
    /// use lightbus_broker::{Broker, EventKind};
    ///
    /// let broker = Broker::start().await?;
    /// let connection = Connection::connect(&broker.url(), ConnectionProperties::default()).await?;
    /// let channel = connection.create_channel().await?;
    /// let mut events = broker.events();
    /// channel.queue_declare("jobs".into(), QueueDeclareOptions::default(), FieldTable::default()).await?;
    ///
    /// let event = events.next().await.ok_or("the broker is gone")?;
    /// assert!(matches!(event.kind, EventKind::QueueDeclared { queue } if queue == "jobs"));
    /// # Ok(()) }
    /// ```
    pub fn events(&self) -> Events {
        Events::new(self.shared.clone())
    }

    /// What tests can make go wrong.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = lightbus_broker::Broker::start().await?;
    /// broker.faults().fail_publishes(1);
    /// assert_eq!(broker.snapshot().faults.fail_publishes, 1);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn faults(&self) -> Faults {
        Faults::new(self.shared.clone())
    }

    /// Cuts every connection without a word, as a network does, and says how many there were. New ones are welcome.
    ///
    /// When this returns, their consumers and exclusive queues are gone and what they had not acknowledged is back in its queues.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = lightbus_broker::Broker::start().await?;
    /// assert_eq!(broker.drop_connections(), 0);
    /// # Ok(()) }
    /// ```
    pub fn drop_connections(&self) -> usize {
        self.shared.cut(None)
    }

    /// Blocks every connection that publishes, as a broker does that is low on memory: it is told so and read no further.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = lightbus_broker::Broker::start().await?;
    /// broker.block_publishers("testing");
    /// // Publishing does not get anywhere now.
    /// broker.unblock_publishers();
    /// # Ok(()) }
    /// ```
    pub fn block_publishers(&self, reason: impl Into<String>) {
        let reason = reason.into();
        self.shared.with(|core, _| core.set_block(Some(reason)));
    }

    /// Ends what [`block_publishers`](Self::block_publishers) began.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = lightbus_broker::Broker::start().await?;
    /// broker.unblock_publishers();
    /// # Ok(()) }
    /// ```
    pub fn unblock_publishers(&self) {
        self.shared.with(|core, _| core.set_block(None));
    }

    /// Moves the clock of a broker that was built with [`manual_clock`](BrokerBuilder::manual_clock).
    ///
    /// Everything that falls due on the way happens in the order of its deadlines, the clock standing at each in turn. When
    /// this returns, it has happened, and the bytes that came of it were given to the clients' sockets, except where a
    /// client does not read.
    ///
    /// # Errors
    ///
    /// [`NotManual`] where the clock goes by itself.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use lapin::{Connection, ConnectionProperties, options::*, types::FieldTable};
    /// use std::time::Duration;
    ///
    /// let broker = lightbus_broker::Broker::builder().manual_clock().start().await?;
    /// let connection = Connection::connect(&broker.url(), ConnectionProperties::default()).await?;
    /// let channel = connection.create_channel().await?;
    /// let mut arguments = FieldTable::default();
    /// arguments.insert("x-expires".into(), 60_000.into());
    /// channel.queue_declare("idle".into(), QueueDeclareOptions::default(), arguments).await?;
    ///
    /// broker.advance(Duration::from_millis(59_999))?;
    /// assert!(broker.snapshot().queue("idle").is_some());
    /// broker.advance(Duration::from_millis(1))?;
    /// assert!(broker.snapshot().queue("idle").is_none());
    /// # Ok(()) }
    /// ```
    pub fn advance(&self, by: Duration) -> Result<(), NotManual> {
        self.shared.advance(by)
    }

    /// How far the clock of a broker that was built with [`manual_clock`](BrokerBuilder::manual_clock) has to be moved until the next thing may be due: a message or a queue that
    /// expires, above all. `None` when there is no such thing.
    ///
    /// # Errors
    ///
    /// [`NotManual`] where the clock goes by itself.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = lightbus_broker::Broker::builder().manual_clock().start().await?;
    /// assert_eq!(broker.next_due()?, None);
    /// # Ok(()) }
    /// ```
    pub fn next_due(&self) -> Result<Option<Duration>, NotManual> {
        self.shared.next_due()
    }

    /// Tells its clients that it is going away, and waits until everything of it is gone.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = lightbus_broker::Broker::start().await?;
    /// let address = broker.addr();
    /// broker.shutdown().await;
    /// assert!(tokio::net::TcpStream::connect(address).await.is_err());
    /// # Ok(()) }
    /// ```
    pub async fn shutdown(mut self) {
        self.shared.stop.notify_one();
        self.thread.ended().await;
    }
}

fn url(address: SocketAddr, settings: &Settings) -> String {
    let (user, password) = settings.users.first().map_or(("", ""), |user| {
        (user.name.as_str(), user.password.as_str())
    });
    let vhost = settings.vhosts.first().map_or("/", String::as_str);
    url_of(address, (user, password), vhost)
}

/// Where clients connect.
pub(crate) fn url_of(address: SocketAddr, (user, password): (&str, &str), vhost: &str) -> String {
    let host = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.to_string(),
        IpAddr::V6(ip) if ip.is_unspecified() => format!("[{}]", Ipv6Addr::LOCALHOST),
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    format!(
        "amqp://{}:{}@{host}:{}/{}",
        escape(user),
        escape(password),
        address.port(),
        escape(vhost)
    )
}

/// Percent-encodes all but what is plain in every part of a URL.
fn escape(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes()
        .fold(String::with_capacity(text.len()), |mut out, byte| {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                out.push(char::from(byte));
            } else {
                let _ = write!(out, "%{byte:02x}");
            }
            out
        })
}
