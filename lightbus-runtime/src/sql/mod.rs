//! The SQL store: what is handled, and what is to be published, in the tables of an app's own database.
//!
//! `statements` are for both databases, `database` is what these do differently. `handled` makes the store one for `deduplicate`; the outbox stands on it, too.

mod database;
mod handled;
mod statements;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use sqlx::Pool;
use sqlx::pool::PoolConnection;

pub use database::SqlDatabase;
pub(crate) use database::{Value, millis};

use crate::boxed::Boxed;
use crate::clock::system;
use crate::idempotence::StoreError;

const LEASE: Duration = Duration::from_secs(60);
const KEEP: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The tables that lightbus keeps in an app's database: which messages its listeners have [handled](crate::Subscription::deduplicate), and what its
/// [outbox](crate::Outbox) has to publish. Over a pool of sqlx 0.9, on SQLite or PostgreSQL. Cheap to clone.
///
/// Shared by all replicas of an app. Apps that share a database need schemas (on PostgreSQL, a `search_path`) or files of their own.
///
/// A connection by TLS is a matter of the app's own dependency on sqlx, and its features. On SQLite, write-ahead logging (`journal_mode(SqliteJournalMode::Wal)`) lets readers go on
/// beside the one writer; begin transactions with `pool.begin_with("BEGIN IMMEDIATE")`, else one that has read before it writes may fail with `database is
/// locked`. A database in memory needs a pool of one connection: each has its own.
///
#[cfg_attr(
    feature = "sqlite",
    doc = r#"
```
# use lightbus_runtime::{Event, SqlStore, Subscription};
# async fn example<E: Event>(order_placed: Subscription<E>) -> Result<(), Box<dyn std::error::Error>> {
let pool = sqlx::SqlitePool::connect("sqlite://shop.db?mode=rwc").await?;
let store = SqlStore::new(pool);
store.migrate().await?;
order_placed
    .deduplicate(store.clone())
    .listen("send-invoice", |order: E| async move { println!("{order:?}") })
    .await?;
# Ok(()) }
```"#
)]
pub struct SqlStore<DB: SqlDatabase> {
    pool: Pool<DB>,
    lease: Duration,
    keep: Duration,
    /// When rows were last removed, in milliseconds since 1970.
    pruned: Arc<AtomicI64>,
}

impl<DB: SqlDatabase> SqlStore<DB> {
    /// A store in the database of this pool.
    pub fn new(pool: Pool<DB>) -> Self {
        Self {
            pool,
            lease: LEASE,
            keep: KEEP,
            pruned: Arc::default(),
        }
    }

    /// How long a message that a crashed process was handling is held back, by the database's clock. A handler that runs longer keeps it. Default: a minute.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// How long a handled message is remembered. Default: 7 days. Older rows are removed as others are written, at most 1000 at a time.
    pub fn keep(mut self, keep: Duration) -> Self {
        self.keep = keep;
        self
    }

    /// The pool that it was made with.
    pub fn pool(&self) -> &Pool<DB> {
        &self.pool
    }

    /// The tables and indexes, statement by statement, for those who create tables by migrations of their own. Each may run again: what exists stays.
    ///
    /// `lightbus_handled`: one row for each message that a listener has handled, or is handling.
    ///
    /// | column | |
    /// |---|---|
    /// | `scope`, `message_id` | the listener's queue and the message: together the primary key |
    /// | `owner` | who handles it: a random number |
    /// | `done` | is it handled? |
    /// | `at_ms` | since when it is handled, or until when the owner may be at it; milliseconds since 1970 |
    ///
    /// `lightbus_outbox`: one row for each event that is still to be published, or was refused for good.
    ///
    /// | column | |
    /// |---|---|
    /// | `id` | counts up: the order of insertion |
    /// | `message_id` | under which the event is published, each time |
    /// | `api`, `event`, `routing_key`, `payload`, `headers` | the message; `headers` is a JSON array of pairs |
    /// | `created_ms` | when it was inserted |
    /// | `not_before_ms` | when it is to be published; later while a relay is at it; the largest `BIGINT` when the broker has refused it for good |
    /// | `claimed_by` | the relay's last batch that it was in |
    /// | `error` | why it was not published the last time |
    pub fn schema() -> &'static [&'static str] {
        DB::SCHEMA
    }

    /// Creates the tables that do not exist. Several replicas may do so at once.
    ///
    /// # Errors
    /// [`StoreError::Failed`], with the database's words.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        self.boxed_migrate().await
    }

    fn boxed_migrate(&self) -> Boxed<Result<(), StoreError>> {
        let pool = self.pool.clone();
        Box::pin(async move {
            let doing = "creating the tables of lightbus";
            let failed = |error| failed(doing, &error);
            let mut transaction = pool.begin_with(DB::BEGIN).await.map_err(failed)?;
            for statement in DB::MIGRATION_LOCK.iter().chain(DB::SCHEMA) {
                DB::execute(&mut transaction, statement, &[])
                    .await
                    .map_err(failed)?;
            }
            transaction.commit().await.map_err(failed)
        })
    }

    pub(crate) async fn connection(
        &self,
        doing: &'static str,
    ) -> Result<PoolConnection<DB>, StoreError> {
        let connection = self.pool.acquire().await;
        connection.map_err(|error| failed(doing, &error))
    }

    /// Runs one statement, and says how many rows it changed.
    pub(crate) async fn execute(
        &self,
        doing: &'static str,
        statement: &'static str,
        values: &[Value<'_>],
    ) -> Result<u64, StoreError> {
        let mut connection = self.connection(doing).await?;
        let executed = DB::execute(&mut connection, statement, values).await;
        executed.map_err(|error| failed(doing, &error))
    }

    /// Runs one query.
    pub(crate) async fn fetch(
        &self,
        doing: &'static str,
        query: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<DB::Row>, StoreError> {
        let mut connection = self.connection(doing).await?;
        let fetched = DB::fetch(&mut connection, query, values).await;
        fetched.map_err(|error| failed(doing, &error))
    }

    /// True for one of those who ask, once in a while: it is their turn to remove what is old.
    pub(crate) fn may_prune(&self, every: Duration) -> bool {
        let (now, last) = (system::now_ms(), self.pruned.load(Ordering::Relaxed));
        now.saturating_sub(last) >= millis(every)
            && self
                .pruned
                .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// There was more than one batch: the next one who asks may go on.
    pub(crate) fn prune_again(&self) {
        self.pruned.store(0, Ordering::Relaxed);
    }
}

pub(crate) fn failed(doing: &'static str, error: &sqlx::Error) -> StoreError {
    StoreError::failed(doing, error.to_string())
}

impl<DB: SqlDatabase> Clone for SqlStore<DB> {
    fn clone(&self) -> Self {
        Self {
            pool: self.pool.clone(),
            lease: self.lease,
            keep: self.keep,
            pruned: Arc::clone(&self.pruned),
        }
    }
}

impl<DB: SqlDatabase> fmt::Debug for SqlStore<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlStore")
            .field("database", &DB::NAME)
            .field("lease", &self.lease)
            .field("keep", &self.keep)
            .finish_non_exhaustive()
    }
}
