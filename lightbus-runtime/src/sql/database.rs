//! What SQLite and PostgreSQL do differently. Everything else is written once, for any [`SqlDatabase`].

use std::time::Duration;

use super::statements::{HandledSql, OutboxSql, handled_sql, outbox_sql};
use crate::boxed::BoxedFor;

/// A database that [`SqlStore`](crate::SqlStore) works on: `sqlx::Sqlite` or `sqlx::Postgres`, by the feature of that name.
pub trait SqlDatabase: Dialect {}

/// One value of a statement: `$1` and so on.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    Text(&'a str),
    Bytes(&'a [u8]),
    Int(i64),
}

/// Not named outside: nobody else can implement it.
pub trait Dialect: sqlx::Database {
    const BEGIN: &'static str;
    /// Taken before tables are created: two replicas may begin at once.
    const MIGRATION_LOCK: Option<&'static str>;
    const SCHEMA: &'static [&'static str];
    const HANDLED: HandledSql;
    const OUTBOX: OutboxSql;

    fn execute<'c>(
        connection: &'c mut Self::Connection,
        statement: &'static str,
        values: &'c [Value<'c>],
    ) -> BoxedFor<'c, Result<u64, sqlx::Error>>;

    fn fetch<'c>(
        connection: &'c mut Self::Connection,
        query: &'static str,
        values: &'c [Value<'c>],
    ) -> BoxedFor<'c, Result<Vec<Self::Row>, sqlx::Error>>;

    fn int(row: &Self::Row, column: usize) -> Result<i64, sqlx::Error>;
    fn text(row: &Self::Row, column: usize) -> Result<String, sqlx::Error>;
    fn bytes(row: &Self::Row, column: usize) -> Result<Vec<u8>, sqlx::Error>;
}

/// The same code for each database: in generic form it would be mostly bounds.
macro_rules! run_statements {
    () => {
        fn execute<'c>(
            connection: &'c mut Self::Connection,
            statement: &'static str,
            values: &'c [Value<'c>],
        ) -> BoxedFor<'c, Result<u64, sqlx::Error>> {
            Box::pin(async move {
                let query = bind!(sqlx::query(statement), values);
                Ok(query.execute(connection).await?.rows_affected())
            })
        }

        fn fetch<'c>(
            connection: &'c mut Self::Connection,
            query: &'static str,
            values: &'c [Value<'c>],
        ) -> BoxedFor<'c, Result<Vec<Self::Row>, sqlx::Error>> {
            Box::pin(async move {
                let query = bind!(sqlx::query(query), values);
                query.fetch_all(connection).await
            })
        }

        fn int(row: &Self::Row, column: usize) -> Result<i64, sqlx::Error> {
            sqlx::Row::try_get(row, column)
        }

        fn text(row: &Self::Row, column: usize) -> Result<String, sqlx::Error> {
            sqlx::Row::try_get(row, column)
        }

        fn bytes(row: &Self::Row, column: usize) -> Result<Vec<u8>, sqlx::Error> {
            sqlx::Row::try_get(row, column)
        }
    };
}

macro_rules! bind {
    ($query:expr, $values:expr) => {{
        let mut query = $query;
        for value in $values {
            query = match *value {
                Value::Text(text) => query.bind(text),
                Value::Bytes(bytes) => query.bind(bytes),
                Value::Int(int) => query.bind(int),
            };
        }
        query
    }};
}

/// What a dialect says for the time, and for a lock, in all of its statements.
macro_rules! statements {
    (now: $now:literal, lock: $lock:literal) => {
const HANDLED: HandledSql = handled_sql!(now: $now, lock: $lock);
const OUTBOX: OutboxSql = outbox_sql!(now: $now, lock: $lock);
    };
}

macro_rules! schema {
    (id: $id:literal, bytes: $bytes:literal) => {
        &[
            "CREATE TABLE IF NOT EXISTS lightbus_handled (\
                scope TEXT NOT NULL, message_id TEXT NOT NULL, owner TEXT NOT NULL, \
                done BOOLEAN NOT NULL, at_ms BIGINT NOT NULL, PRIMARY KEY (scope, message_id))",
            "CREATE INDEX IF NOT EXISTS lightbus_handled_at ON lightbus_handled (at_ms)",
            concat!(
                "CREATE TABLE IF NOT EXISTS lightbus_outbox (id ",
                $id,
                ", message_id TEXT NOT NULL, \
                api TEXT NOT NULL, event TEXT NOT NULL, routing_key TEXT NOT NULL, payload ",
                $bytes,
                " NOT NULL, headers TEXT NOT NULL, \
                created_ms BIGINT NOT NULL, not_before_ms BIGINT NOT NULL DEFAULT 0, \
                claimed_by TEXT NOT NULL DEFAULT '', error TEXT NOT NULL DEFAULT '')"
            ),
            "CREATE INDEX IF NOT EXISTS lightbus_outbox_due ON lightbus_outbox (not_before_ms, id)",
        ]
    };
}

#[cfg(feature = "sqlite")]
impl SqlDatabase for sqlx::Sqlite {}

#[cfg(feature = "sqlite")]
impl Dialect for sqlx::Sqlite {
    const BEGIN: &'static str = "BEGIN IMMEDIATE";
    const MIGRATION_LOCK: Option<&'static str> = None;
    const SCHEMA: &'static [&'static str] = schema!(
        id: "INTEGER PRIMARY KEY AUTOINCREMENT",
        bytes: "BLOB"
    );
    statements!(
        now: "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
        lock: ""
    );
    run_statements!();
}

#[cfg(feature = "postgres")]
impl SqlDatabase for sqlx::Postgres {}

#[cfg(feature = "postgres")]
impl Dialect for sqlx::Postgres {
    const BEGIN: &'static str = "BEGIN";
    const MIGRATION_LOCK: Option<&'static str> =
        Some("SELECT pg_advisory_xact_lock(7809632187231600)");
    const SCHEMA: &'static [&'static str] = schema!(
        id: "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
        bytes: "BYTEA"
    );
    statements!(
        now: "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)",
        lock: " FOR UPDATE SKIP LOCKED"
    );
    run_statements!();
}

pub(crate) fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX / 4)
}
