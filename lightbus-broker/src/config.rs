//! How a broker is set up.

use crate::{
    broker::Broker,
    error::StartError,
    queue_type::QueueType,
    user::{Account, User},
};
use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

/// The least frame size of the protocol.
const LEAST_FRAME: u32 = 4096;

/// What the core needs to know.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) users: Vec<Account>,
    /// There are users who may not do everything; where there are none, nobody's rights are looked at.
    pub(crate) guarded: bool,
    pub(crate) vhosts: Vec<String>,
    pub(crate) heartbeat: u16,
    pub(crate) frame_max: u32,
    pub(crate) channel_max: u16,
    pub(crate) product: String,
    pub(crate) version: String,
    pub(crate) memory_limit: usize,
    pub(crate) max_message_size: usize,
    pub(crate) consumer_timeout: Duration,
    pub(crate) default_queue_type: QueueType,
    /// How many events wait for those who watch.
    pub(crate) event_buffer: usize,
    /// In each virtual host.
    pub(crate) max_queues: usize,
    pub(crate) max_vhost_connections: usize,
    /// Makes generated names differ from one broker to the next.
    pub(crate) seed: u64,
}

impl Settings {
    /// The user whose name and password these are.
    pub(crate) fn admit(&self, name: &str, password: &str) -> Option<&Account> {
        self.users
            .iter()
            .find(|user| user.name == name && user.password == password)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            users: vec![Account::guest()],
            guarded: false,
            vhosts: vec!["/".to_owned()],
            heartbeat: 60,
            frame_max: 131_072,
            channel_max: 2047,
            product: "lightbus-broker".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            memory_limit: 256 << 20,
            max_message_size: 16 << 20,
            consumer_timeout: Duration::from_secs(30 * 60),
            default_queue_type: QueueType::Classic,
            event_buffer: 16_384,
            max_queues: usize::MAX,
            max_vhost_connections: usize::MAX,
            seed: RandomState::new().hash_one(0),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let users: Vec<_> = self.users.iter().map(|user| &user.name).collect();
        f.debug_struct("Settings")
            .field("users", &users)
            .field("vhosts", &self.vhosts)
            .field("heartbeat", &self.heartbeat)
            .field("frame_max", &self.frame_max)
            .field("channel_max", &self.channel_max)
            .field("product", &self.product)
            .field("memory_limit", &self.memory_limit)
            .field("max_message_size", &self.max_message_size)
            .field("consumer_timeout", &self.consumer_timeout)
            .field("default_queue_type", &self.default_queue_type)
            .finish_non_exhaustive()
    }
}

/// What the server around the core needs to know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) connections: usize,
    pub(crate) handshake: Duration,
    pub(crate) manual_clock: bool,
}

/// Sets up a [`Broker`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
///
/// let broker = lightbus_broker::Broker::builder()
///     .user("ada", "secret")
///     .vhost("staging")
///     .heartbeat(Duration::from_secs(10))
///     .start()
///     .await?;
/// assert!(broker.url().starts_with("amqp://ada:secret@127.0.0.1:"));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it is started"]
pub struct BrokerBuilder {
    listen: SocketAddr,
    users: Vec<User>,
    settings: Settings,
    limits: Limits,
}

impl Default for BrokerBuilder {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            users: Vec::new(),
            settings: Settings::default(),
            limits: Limits {
                connections: 1024,
                handshake: Duration::from_secs(10),
                manual_clock: false,
            },
        }
    }
}

impl BrokerBuilder {
    /// Listens here; by default on a free port of the loopback interface. Other interfaces need a
    /// [`user`](Self::user), and none that everybody knows.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = lightbus_broker::Broker::builder().listen("[::1]:0".parse()?).start().await;
    /// let open = lightbus_broker::Broker::builder().listen("0.0.0.0:0".parse()?).start().await;
    /// assert!(open.is_err(), "not without credentials");
    /// # drop(broker); Ok(()) }
    /// ```
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Admits a user who may do everything. The first one takes the place of `guest`, and stands in [`Broker::url`].
    ///
    /// ```
    /// let builder = lightbus_broker::Broker::builder().user("ada", "secret").user("bob", "hidden");
    /// assert!(!format!("{builder:?}").contains("secret"));
    /// ```
    pub fn user(self, name: impl Into<String>, password: impl Into<String>) -> Self {
        self.add_user(User::new(name, password))
    }

    /// Admits a user who may not do everything; one of the same name is replaced.
    ///
    /// ```
    /// use lightbus_broker::{Broker, Permissions, User};
    ///
    /// let bob = User::new("bob", "hidden").access("/", Permissions::none().read("^orders$"));
    /// let builder = Broker::builder().user("ada", "secret").add_user(bob);
    /// # drop(builder);
    /// ```
    pub fn add_user(mut self, user: User) -> Self {
        match self.users.iter_mut().find(|old| old.name == user.name) {
            Some(old) => *old = user,
            None => self.users.push(user),
        }
        self
    }

    /// Adds a virtual host beside `/`.
    ///
    /// ```
    /// let builder = lightbus_broker::Broker::builder().vhost("staging");
    /// # drop(builder);
    /// ```
    pub fn vhost(mut self, name: impl Into<String>) -> Self {
        self.settings.vhosts.push(name.into());
        self
    }

    /// Proposes a heartbeat, in whole seconds; zero is none. The client has the last word. Default: 60 s.
    ///
    /// ```
    /// let builder = lightbus_broker::Broker::builder().heartbeat(std::time::Duration::from_secs(10));
    /// # drop(builder);
    /// ```
    pub fn heartbeat(mut self, interval: Duration) -> Self {
        self.settings.heartbeat = u16::try_from(interval.as_secs()).unwrap_or(u16::MAX);
        self
    }

    /// The largest frame, in bytes; at least 4096. Default: 128 KiB.
    ///
    /// ```
    /// let builder = lightbus_broker::Broker::builder().frame_max(8192);
    /// # drop(builder);
    /// ```
    pub fn frame_max(mut self, bytes: u32) -> Self {
        self.settings.frame_max = bytes.max(LEAST_FRAME);
        self
    }

    /// The highest channel number; at least 1. Default: 2047.
    ///
    /// ```
    /// let builder = lightbus_broker::Broker::builder().channel_max(16);
    /// # drop(builder);
    /// ```
    pub fn channel_max(mut self, number: u16) -> Self {
        self.settings.channel_max = number.max(1);
        self
    }

    /// The product and version it claims to be. Clients that look for a certain product's features want to be told its name.
    ///
    /// ```
    /// let builder = lightbus_broker::Broker::builder().product("RabbitMQ", "4.0.5");
    /// # drop(builder);
    /// ```
    pub fn product(mut self, name: impl Into<String>, version: impl Into<String>) -> Self {
        (self.settings.product, self.settings.version) = (name.into(), version.into());
        self
    }

    /// How many bytes all messages together may hold before publishers are blocked. Default: 256 MiB.
    ///
    /// ```
    /// let builder = lightbus_broker::Broker::builder().memory_limit(64 << 20);
    /// # drop(builder);
    /// ```
    pub fn memory_limit(mut self, bytes: usize) -> Self {
        self.settings.memory_limit = bytes;
        self
    }

    /// The largest message body. Default: 16 MiB.
    ///
    /// ```
    /// let builder = lightbus_broker::Broker::builder().max_message_size(1 << 20);
    /// # drop(builder);
    /// ```
    pub fn max_message_size(mut self, bytes: usize) -> Self {
        self.settings.max_message_size = bytes;
        self
    }

    /// How long a delivery may stay unacknowledged before its channel is closed with 406; a queue's `x-consumer-timeout`
    /// comes before it. `Duration::MAX` is for ever. Default: 30 minutes.
    ///
    /// ```
    /// let builder = lightbus_broker::Broker::builder().consumer_timeout(std::time::Duration::from_secs(60));
    /// # drop(builder);
    /// ```
    pub fn consumer_timeout(mut self, limit: Duration) -> Self {
        self.settings.consumer_timeout = limit;
        self
    }

    /// The type of queues whose declaration has no `x-queue-type`. Those that cannot be of it, because they are not durable, or
    /// go with a connection or their last consumer, are classic ones all the same. Default: classic.
    ///
    /// ```
    /// let builder = lightbus_broker::Broker::builder().default_queue_type(lightbus_broker::QueueType::Quorum);
    /// # drop(builder);
    /// ```
    pub fn default_queue_type(mut self, kind: QueueType) -> Self {
        self.settings.default_queue_type = kind;
        self
    }

    /// How many queues there may be in each virtual host; declaring one more is refused with 406. Default: no limit.
    ///
    /// ```
    /// let builder = lightbus_broker::Broker::builder().max_queues(100);
    /// # drop(builder);
    /// ```
    pub fn max_queues(mut self, count: usize) -> Self {
        self.settings.max_queues = count;
        self
    }

    /// How many connections may be open in each virtual host; one more is refused with 530. Default: no limit.
    ///
    /// ```
    /// let builder = lightbus_broker::Broker::builder().max_vhost_connections(10);
    /// # drop(builder);
    /// ```
    pub fn max_vhost_connections(mut self, count: usize) -> Self {
        self.settings.max_vhost_connections = count;
        self
    }

    /// How many connections there may be at once; further ones are closed as they come. Default: 1024.
    ///
    /// ```
    /// let builder = lightbus_broker::Broker::builder().max_connections(8);
    /// # drop(builder);
    /// ```
    pub fn max_connections(mut self, count: usize) -> Self {
        self.limits.connections = count;
        self
    }

    /// How long a client may take to log in. Default: 10 s.
    ///
    /// ```
    /// let builder = lightbus_broker::Broker::builder().handshake_timeout(std::time::Duration::from_secs(2));
    /// # drop(builder);
    /// ```
    pub fn handshake_timeout(mut self, limit: Duration) -> Self {
        self.limits.handshake = limit;
        self
    }

    /// How many events wait for whoever reads [`Broker::events`] too slowly; of more, the oldest are missed. Default: 16,384.
    ///
    /// ```
    /// let builder = lightbus_broker::Broker::builder().event_buffer(1_000_000);
    /// # drop(builder);
    /// ```
    pub fn event_buffer(mut self, count: usize) -> Self {
        self.settings.event_buffer = count;
        self
    }

    /// Has the broker's clock stand still until [`Broker::advance`] moves it, so that tests decide when messages and queues
    /// expire. It starts at the system's date. Heartbeats and the time for logging in are the network's and go on as ever.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = lightbus_broker::Broker::builder().manual_clock().start().await?;
    /// broker.advance(std::time::Duration::from_secs(3600))?;
    /// # Ok(()) }
    /// ```
    pub fn manual_clock(mut self) -> Self {
        self.limits.manual_clock = true;
        self
    }

    /// Starts the broker.
    ///
    /// # Errors
    ///
    /// [`StartError::Bind`] where it cannot listen, [`StartError::Open`] where others could reach it with credentials that
    /// everybody knows, [`StartError::Pattern`] where a permission is no regular expression that it knows.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = lightbus_broker::Broker::builder().start().await?;
    /// # drop(broker); Ok(()) }
    /// ```
    pub async fn start(mut self) -> Result<Broker, StartError> {
        let known = self.users.is_empty() || self.users.iter().any(User::is_guest);
        if !self.listen.ip().is_loopback() && known {
            return Err(StartError::Open(self.listen));
        }
        if !self.users.is_empty() {
            let accounts = self.users.into_iter().map(User::admit);
            self.settings.users = accounts.collect::<Result<_, _>>()?;
            self.settings.guarded = self.settings.users.iter().any(Account::is_limited);
        }
        Broker::listen(self.listen, self.settings, self.limits).await
    }
}
