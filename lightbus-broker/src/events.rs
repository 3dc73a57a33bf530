//! Watching a broker.

use crate::{
    core::{Event, WatcherId},
    server::Shared,
};
use std::{collections::VecDeque, pin::pin, sync::Arc};

/// How many events are fetched from the broker at once.
const BATCH: usize = 64;

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
    shared: Arc<Shared>,
    id: WatcherId,
    fetched: VecDeque<Event>,
}

impl Events {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let id = shared.with(|core, _| core.open_watch());
        Self {
            shared,
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
            let shared = self.shared.clone();
            let mut news = pin!(shared.news.notified());
            // From here on no wake-up is lost.
            news.as_mut().enable();
            let ended = shared.has_ended();
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
            let (id, fetched) = (self.id, &mut self.fetched);
            self.shared
                .with(|core, _| core.read_watch(id, BATCH, fetched));
        }
        self.fetched.pop_front()
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.shared.with(|core, _| core.close_watch(self.id));
    }
}
