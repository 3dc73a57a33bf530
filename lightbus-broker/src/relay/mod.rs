//! A relay: it stands in front of another broker, and tells what passes.

mod admin;
mod client;
mod content;
mod counting;
mod ending;
mod error;
mod from_broker;
mod from_client;
mod ledger;
mod places;
mod pump;
mod scanner;
mod shared;
mod target;
mod ties;
mod view;

pub use self::error::RelayError;

use self::{admin::Admin, shared::Shared, target::Target};
use crate::{broker::url_of, events::Events, snapshot::Snapshot, thread::Thread};
use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::Arc,
};
use tokio::sync::oneshot;

/// So many events are kept for those who are slow to read them.
const EVENT_BUFFER: usize = 100_000;

/// Stands in front of another broker, a RabbitMQ as a rule: whoever connects to [`url`](Self::url) is connected to that broker, byte for byte, and what passes is told in the
/// same [events](crate::EventKind) as [`Broker`](crate::Broker) tells what happens in it. Without TLS.
///
/// It lives as long as this value: when it is dropped, its port, its connections and its tasks are gone.
///
/// # What it tells, and what it cannot know
///
/// What frames say: connections, channels and consumers, what is declared, bound and deleted, what is published, delivered, settled and returned. Where a message goes
/// ([`Routed`](crate::EventKind::Routed)) follows from what was declared and bound through the relay; so of a virtual host whose clients all come this way. A delivery is tied to
/// the message as it was published, and has its number.
///
/// What a broker does by itself is not in the frames: what dies, overflows or is deleted after a while. A message that reaches its `expiration` in a queue without dead
/// letters, and was not delivered, is told as [`Expired`](crate::EventKind::Expired) soon after.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use lapin::{BasicProperties, Connection, ConnectionProperties, options::*};
/// use lightbus_broker::{Broker, EventKind, Relay};
///
/// // In place of a RabbitMQ.
/// let broker = Broker::start().await?;
/// let relay = Relay::start(&broker.url()).await?;
/// let mut events = relay.events();
///
/// let connection = Connection::connect(&relay.url(), ConnectionProperties::default()).await?;
/// let channel = connection.create_channel().await?;
/// channel.basic_publish("".into(), "jobs".into(), BasicPublishOptions::default(), b"work", BasicProperties::default()).await?;
///
/// let published = loop {
///     match events.next().await.ok_or("the relay is gone")?.kind {
///         EventKind::Published { message, .. } => break message,
///         _ => continue,
///     }
/// };
/// assert_eq!((published.routing_key(), published.body()), ("jobs", &b"work"[..]));
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Relay {
    shared: Arc<Shared>,
    address: SocketAddr,
    /// Dropped, it ends everything.
    _thread: Thread,
}

impl Relay {
    /// Starts a relay on a free port of the loopback interface, in front of the broker at this URL. It has a connection of its own there, as the URL's user in the URL's virtual host.
    ///
    /// # Errors
    ///
    /// Those of [`RelayError`]: a URL that is none or asks for TLS, a broker that does not answer or refuses the user. Each attempt ends after 10 s.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let error = lightbus_broker::Relay::start("amqp://guest:guest@127.0.0.1:1").await.unwrap_err();
    /// assert!(error.to_string().starts_with("no broker answers on 127.0.0.1:1"));
    /// # }
    /// ```
    pub async fn start(url: &str) -> Result<Self, RelayError> {
        let target = Target::parse(url)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let failed = |source| RelayError::Bind { address, source };
        let listener = TcpListener::bind(address).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let shared = Arc::new(Shared::new(target, EVENT_BUFFER));
        let (serving, ending) = (shared.clone(), shared.clone());
        let (tell, told) = oneshot::channel();
        let serve = async move |listener| match Admin::open(&serving.target).await {
            Err(error) => drop(tell.send(Err(error))),
            Ok(admin) => {
                let _ = tell.send(Ok(()));
                tokio::join!(
                    counting::run(serving.clone(), admin),
                    pump::run(serving.clone(), listener)
                );
            }
        };
        let thread = Thread::start("lightbus-relay", listener, serve, move || ending.end());
        let thread = thread.map_err(failed)?;
        match told.await {
            Ok(opened) => opened?,
            // The thread is gone, which it told the log.
            Err(_) => return Err(failed(std::io::ErrorKind::Other.into())),
        }
        Ok(Self {
            shared,
            address,
            _thread: thread,
        })
    }

    /// Where clients connect: with the user, the password and the virtual host of the broker's URL.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = lightbus_broker::Broker::start().await?;
    /// let relay = lightbus_broker::Relay::start(&broker.url()).await?;
    /// assert!(relay.url().starts_with("amqp://guest:guest@127.0.0.1:"));
    /// assert_ne!(relay.url(), broker.url());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn url(&self) -> String {
        let target = &self.shared.target;
        let login = (target.user.as_str(), target.password.as_str());
        url_of(self.address, login, &target.vhost)
    }

    /// Everything that passes from now on.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = lightbus_broker::Broker::start().await?;
    /// let relay = lightbus_broker::Relay::start(&broker.url()).await?;
    /// let mut events = relay.events();
    /// drop(relay);
    /// assert!(events.next().await.is_none());
    /// # Ok(()) }
    /// ```
    pub fn events(&self) -> Events {
        Events::new(self.shared.clone())
    }

    /// What is in the broker: the queues that were declared through the relay, and the connections that pass. `None` as long as the broker has not yet said how much waits in
    /// the queues since something passed that may have changed it, owes a publisher a confirm, or has a message on its way to a consumer: ask again after a millisecond. The first answer is always `None`.
    ///
    /// Of a queue, [`unacked`](crate::QueueInfo::unacked) and [`consumers`](crate::QueueInfo::consumers) are exact; [`ready`](crate::QueueInfo::ready) is known where
    /// it has consumers, belongs to no connection, is no stream, and is in the virtual host of the relay's URL. Exchanges, bindings and counters are left out.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = lightbus_broker::Broker::start().await?;
    /// let relay = lightbus_broker::Relay::start(&broker.url()).await?;
    /// let snapshot = loop {
    ///     match relay.snapshot() {
    ///         Some(snapshot) => break snapshot,
    ///         None => tokio::time::sleep(std::time::Duration::from_millis(1)).await,
    ///     }
    /// };
    /// assert!(snapshot.queues.is_empty());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn snapshot(&self) -> Option<Snapshot> {
        self.shared.wanted.notify_one();
        self.shared.with(|ledger| {
            ledger.expire();
            ledger
                .is_sure(&self.shared.target.vhost)
                .then(|| ledger.snapshot())
        })
    }

    /// Cuts every connection without a word, as a network does, and says how many there were. New ones are welcome.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = lightbus_broker::Broker::start().await?;
    /// let relay = lightbus_broker::Relay::start(&broker.url()).await?;
    /// assert_eq!(relay.drop_connections(), 0);
    /// # Ok(()) }
    /// ```
    pub fn drop_connections(&self) -> usize {
        self.shared.cut_all()
    }
}
