//! The outbox: events that are stored in the app's own transaction, and published after it.
//!
//! `rows` is the table. `relay` publishes what is in it. `refused` are the events that nobody will take.

mod refused;
mod relay;
mod rows;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::boxed::BoxedFor;
use crate::clock::system;
use crate::codec::{EncodeError, encode};
use crate::event::{Event, check, routing_key};
use crate::idempotence::StoreError;
use crate::manifest::share_secrets_of;
use crate::sql::{SqlDatabase, SqlStore, Value, failed};

pub use refused::Refused;
pub use relay::Relay;

const PAYLOAD_LIMIT: usize = 1024 * 1024;

/// Publishes events in one transaction with what they tell of: both happen, or neither. Cheap to clone.
///
/// [`publish`](Self::publish) writes the event into a table, in a transaction of the app's. A [relay](Self::relay) publishes what was committed, under the same
/// message id each time, and removes it when the broker has confirmed it: at least once, and twice only after a crash or a lost connection between the two, for which there is
/// [`deduplicate`](crate::Subscription::deduplicate). While the broker is away events wait in the table, and what was rolled back never was.
///
/// Events are published in the order in which they were inserted, as long as nothing goes wrong and one relay is at work. Several relays share the work, a batch each, and keep no
/// order among each other. Listeners see what [they were promised](crate::Subscription::ordered) in any case.
///
#[cfg_attr(
    feature = "sqlite",
    doc = r#"
```
# use lightbus_runtime::{Bus, Event, Outbox, SqlStore};
# async fn example<E: Event>(bus: Bus, order_placed: E) -> Result<(), Box<dyn std::error::Error>> {
let pool = sqlx::SqlitePool::connect("sqlite://shop.db?mode=rwc").await?;
let store = SqlStore::new(pool.clone());
store.migrate().await?;
let outbox = Outbox::new(store);
outbox.relay(&bus).await?;

let mut tx = pool.begin_with("BEGIN IMMEDIATE").await?;
sqlx::query("INSERT INTO orders (customer) VALUES ('ada')").execute(&mut *tx).await?;
outbox.publish(&mut tx, order_placed).await?;
tx.commit().await?;
# Ok(()) }
```"#
)]
pub struct Outbox<DB: SqlDatabase> {
    store: SqlStore<DB>,
    payload_limit: usize,
    /// A row was inserted here.
    inserted: Arc<Notify>,
}

/// How many events are in an outbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutboxCounts {
    /// Those that are to be published.
    pub waiting: u64,
    /// Those that were refused for good.
    pub refused: u64,
}

/// Why an event was not put into an outbox.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutboxError {
    /// It is too large, or cannot be encoded. On a second try it would be again.
    #[error("event {event} cannot be published: {reason}")]
    Rejected {
        /// API and event.
        event: String,
        /// Why, and what to do.
        reason: String,
    },
    /// The database did not take it.
    #[error("event {event} was not put into the outbox: {error}")]
    Store {
        /// API and event.
        event: String,
        /// What it said.
        error: StoreError,
    },
}

impl<DB: SqlDatabase> Outbox<DB> {
    /// The outbox of this store, whose [`migrate`](SqlStore::migrate) creates its table.
    pub fn new(store: SqlStore<DB>) -> Self {
        Self {
            store,
            payload_limit: PAYLOAD_LIMIT,
            inserted: Arc::default(),
        }
    }

    /// For a bus with another [`payload_limit`](crate::BusBuilder::payload_limit) than 1 MiB. What is larger is rejected here; what is larger than the limit of the bus
    /// that publishes it is refused there.
    pub fn payload_limit(mut self, bytes: usize) -> Self {
        self.payload_limit = bytes;
        self
    }

    fn store(&self) -> &SqlStore<DB> {
        &self.store
    }

    /// Publishes when awaited, and when `transaction` is committed. Returns the message id.
    ///
    /// A relay in this process looks for it at once, again after 2 ms, 4 ms and so on until it is committed; one in another process within a second.
    ///
    /// # Errors
    /// When awaited: [`OutboxError::Rejected`] for an event that could not be published, [`OutboxError::Store`] when the database refuses.
    #[allow(clippy::needless_pass_by_value)] // An event that has happened is given away.
    pub fn publish<'c, E: Event>(
        &self,
        transaction: &'c mut DB::Connection,
        event: E,
    ) -> OutboxPublish<'c, DB> {
        share_secrets_of::<E>();
        OutboxPublish {
            outbox: self.clone(),
            connection: transaction,
            api: E::API,
            name: E::NAME,
            key: routing_key(&event),
            payload: encode(&event),
            headers: Vec::new(),
        }
    }

    /// Tells the relay in this process to look for events: saves the first milliseconds after a long transaction, or after events were inserted in other ways.
    pub fn wake(&self) {
        self.inserted.notify_one();
    }

    /// How many events wait, and how many were refused.
    ///
    /// # Errors
    /// [`StoreError::Failed`], with the database's words.
    pub async fn counts(&self) -> Result<OutboxCounts, StoreError> {
        rows::counts(self.store()).await
    }
}

impl<DB: SqlDatabase> Clone for Outbox<DB> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            payload_limit: self.payload_limit,
            inserted: Arc::clone(&self.inserted),
        }
    }
}

impl<DB: SqlDatabase> fmt::Debug for Outbox<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox")
            .field("store", self.store())
            .finish_non_exhaustive()
    }
}

/// An event that goes into an outbox when this is awaited.
#[must_use = "an event goes into the outbox when this is awaited"]
pub struct OutboxPublish<'c, DB: SqlDatabase> {
    outbox: Outbox<DB>,
    connection: &'c mut DB::Connection,
    api: &'static str,
    name: &'static str,
    key: String,
    payload: Result<Vec<u8>, EncodeError>,
    headers: Vec<(String, String)>,
}

impl<'c, DB: SqlDatabase> OutboxPublish<'c, DB> {
    /// Adds a header that listeners read by [`Context::header`](crate::Context::header). All headers together may take 32 KiB.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    fn event(&self) -> String {
        format!("{}.{}", self.api, self.name)
    }

    async fn insert(self) -> Result<String, OutboxError> {
        let limit = self.outbox.payload_limit;
        let checked = check(&self.key, &self.payload, limit, &self.headers);
        checked.map_err(|reason| OutboxError::Rejected {
            event: self.event(),
            reason,
        })?;
        let doing = "inserting the event";
        let not_stored = |error| OutboxError::Store {
            event: format!("{}.{}", self.api, self.name),
            error,
        };
        let headers = serde_json::to_string(&self.headers)
            .map_err(|error| not_stored(StoreError::failed(doing, error.to_string())))?;
        let id = system::new_id().to_string();
        let values = [
            Value::Text(&id),
            Value::Text(self.api),
            Value::Text(self.name),
            Value::Text(&self.key),
            Value::Bytes(self.payload.as_deref().unwrap_or_default()),
            Value::Text(&headers),
        ];
        DB::execute(self.connection, DB::OUTBOX.insert, &values)
            .await
            .map_err(|error| not_stored(failed(doing, &error)))?;
        self.outbox.wake();
        Ok(id)
    }
}

impl<'c, DB: SqlDatabase> IntoFuture for OutboxPublish<'c, DB> {
    type Output = Result<String, OutboxError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'c>>;

    fn into_future(self) -> BoxedFor<'c, Self::Output> {
        Box::pin(self.insert())
    }
}

impl<DB: SqlDatabase> fmt::Debug for OutboxPublish<'_, DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboxPublish")
            .field("event", &self.event())
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}
