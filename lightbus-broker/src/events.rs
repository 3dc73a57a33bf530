//! Watching a broker.

use crate::core::{Event, WatcherId};
use std::{collections::VecDeque, fmt::Debug, pin::pin, sync::Arc};
use tokio::sync::Notify;

/// How many events are fetched from the broker at once.
const BATCH: usize = 64;

/// What can be watched: a broker, or a relay in front of one.
pub(crate) trait Watched: Debug + Send + Sync {
    /// Lets somebody watch from now on.
    fn open_watch(&self) -> WatcherId;
    /// Somebody watches no longer.
    fn close_watch(&self, id: WatcherId);
    /// What a watcher is to be told next, at most so many events.
    fn read_watch(&self, id: WatcherId, most: usize, into: &mut VecDeque<Event>);
    /// Wakes those who watch.
    fn news(&self) -> &Notify;
    /// Nothing more will happen.
    fn has_ended(&self) -> bool;
}

/// What happens in a broker, in order, from the moment of [`Broker::events`](crate::Broker::events) on.
///
/// The broker keeps what was not read yet, but only so much: see [`BrokerBuilder::event_buffer`](crate::BrokerBuilder::event_buffer);
/// and the messages in it may hold no more than a tenth of the memory for messages. Beyond either, the oldest events are
/// forgotten, and [`EventKind::Missed`](crate::EventKind::Missed) says how many. Publishers and consumers never wait for those who
/// watch.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use lapin::{Connection, ConnectionProperties};
/// use lightbus_broker::{Broker, EventKind};
///
/// let broker = Broker::start().await?;
/// let mut events = broker.events();
/// let properties = ConnectionProperties::default().with_connection_name("sales-app".into());
/// let connection = Connection::connect(&broker.url(), properties).await?;
///
/// let event = events.next().await.ok_or("the broker is gone")?;
/// assert!(matches!(&event.kind, EventKind::ConnectionOpened { connection, .. } if *connection == "sales-app"));
/// assert_eq!(event.to_string(), "1 connection sales-app of guest opened /");
/// drop(broker);
/// while let Some(event) = events.next().await {
///     println!("{event}");
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "events are there to be read"]
pub struct Events {
    watched: Arc<dyn Watched>,
    id: WatcherId,
    fetched: VecDeque<Event>,
}

impl Events {
    pub(crate) fn new(watched: Arc<dyn Watched>) -> Self {
        let id = watched.open_watch();
        Self {
            watched,
            id,
            fetched: VecDeque::new(),
        }
    }

    /// Waits for the next event; `None` when the broker is gone and everything of it was read. To stop waiting is safe.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = lightbus_broker::Broker::start().await?;
    /// let mut events = broker.events();
    /// broker.shutdown().await;
    /// assert!(events.next().await.is_none());
    /// # Ok(()) }
    /// ```
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            let watched = self.watched.clone();
            let mut news = pin!(watched.news().notified());
            // From here on no wake-up is lost.
            news.as_mut().enable();
            let ended = watched.has_ended();
            if let Some(event) = self.try_next() {
                return Some(event);
            }
            if ended {
                return None;
            }
            news.await;
        }
    }

    /// The next event, if there is one already.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = lightbus_broker::Broker::start().await?;
    /// assert!(broker.events().try_next().is_none());
    /// # Ok(()) }
    /// ```
    pub fn try_next(&mut self) -> Option<Event> {
        if self.fetched.is_empty() {
            self.watched.read_watch(self.id, BATCH, &mut self.fetched);
        }
        self.fetched.pop_front()
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.watched.close_watch(self.id);
    }
}
