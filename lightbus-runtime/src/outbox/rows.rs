//! The outbox's table: what waits in it, what a relay takes from it, and what becomes of that.

use super::OutboxCounts;
use super::refused::Refused;
use crate::idempotence::StoreError;
use crate::sql::{SqlDatabase, SqlStore, Value, failed};

/// In place of a time: never by itself.
pub(super) const NEVER: i64 = i64::MAX;

/// An event in the outbox, taken to be published.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) id: i64,
    pub(super) message_id: String,
    pub(super) api: String,
    pub(super) event: String,
    pub(super) routing_key: String,
    pub(super) payload: Vec<u8>,
    pub(super) headers: String,
    pub(super) created_ms: i64,
}

/// What a relay has taken.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) rows: Vec<Row>,
    token: String,
}

impl Row {
    fn read<DB: SqlDatabase>(row: &DB::Row) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: DB::int(row, 0)?,
            message_id: DB::text(row, 1)?,
            api: DB::text(row, 2)?,
            event: DB::text(row, 3)?,
            routing_key: DB::text(row, 4)?,
            payload: DB::bytes(row, 5)?,
            headers: DB::text(row, 6)?,
            created_ms: DB::int(row, 7)?,
        })
    }
}

/// Rows for others to read, so many at a time.
const PAGE: i64 = 256;

/// Takes what is to be published now, the oldest first, for `lease` milliseconds.
pub(super) async fn claim<DB: SqlDatabase>(
    store: &SqlStore<DB>,
    most: i64,
    lease: i64,
) -> Result<Batch, StoreError> {
    let doing = "looking for events in the outbox";
    // Reading first: nothing is locked, or written, for nothing.
    if store.fetch(doing, DB::OUTBOX.due, &[]).await?.is_empty() {
        return Ok(Batch::default());
    }
    let doing = "taking events from the outbox";
    let token = uuid::Uuid::new_v4().simple().to_string();
    let values = [Value::Text(&token), Value::Int(lease), Value::Int(most)];
    let rows = store.fetch(doing, DB::OUTBOX.claim, &values).await?;
    let rows: Result<Vec<Row>, _> = rows.iter().map(Row::read::<DB>).collect();
    let mut rows = rows.map_err(|error| failed(doing, &error))?;
    rows.sort_unstable_by_key(|row| row.id);
    Ok(Batch { rows, token })
}

/// What was taken is published: it goes, but for the rows that were put off or refused before.
pub(super) async fn confirmed<DB: SqlDatabase>(
    store: &SqlStore<DB>,
    batch: &Batch,
) -> Result<(), StoreError> {
    let (Some(first), Some(last)) = (batch.rows.first(), batch.rows.last()) else {
        return Ok(());
    };
    let values = [
        Value::Int(first.id),
        Value::Int(last.id),
        Value::Text(&batch.token),
    ];
    let doing = "removing published events from the outbox";
    let removed = store.execute(doing, DB::OUTBOX.confirmed, &values);
    removed.await.map(drop)
}

pub(super) async fn put_off<DB: SqlDatabase>(
    store: &SqlStore<DB>,
    batch: &Batch,
    row: &Row,
    error: &str,
    delay: i64,
) -> Result<(), StoreError> {
    let values = [
        Value::Int(row.id),
        Value::Text(&batch.token),
        Value::Text(error),
        Value::Int(delay),
    ];
    let doing = "putting off an event of the outbox";
    let put_off = store.execute(doing, DB::OUTBOX.put_off, &values);
    put_off.await.map(drop)
}

pub(super) async fn refuse<DB: SqlDatabase>(
    store: &SqlStore<DB>,
    batch: &Batch,
    row: &Row,
    error: &str,
) -> Result<(), StoreError> {
    let values = [
        Value::Int(row.id),
        Value::Text(&batch.token),
        Value::Text(error),
        Value::Int(NEVER),
    ];
    let doing = "noting that an event of the outbox was refused";
    let refused = store.execute(doing, DB::OUTBOX.refuse, &values);
    refused.await.map(drop)
}

pub(super) async fn counts<DB: SqlDatabase>(
    store: &SqlStore<DB>,
) -> Result<OutboxCounts, StoreError> {
    let doing = "counting the events in the outbox";
    let rows = store
        .fetch(doing, DB::OUTBOX.counts, &[Value::Int(NEVER)])
        .await?;
    let count = |column| match rows.first() {
        Some(row) => DB::int(row, column).map_err(|error| failed(doing, &error)),
        None => Ok(0),
    };
    let (all, refused) = (count(0)?, count(1)?);
    Ok(OutboxCounts {
        waiting: (all - refused).unsigned_abs(),
        refused: refused.unsigned_abs(),
    })
}

/// The next refused ones after row `after`, in their order.
pub(super) async fn refused<DB: SqlDatabase>(
    store: &SqlStore<DB>,
    after: i64,
) -> Result<Vec<(i64, Refused)>, StoreError> {
    let doing = "reading refused events from the outbox";
    let values = [Value::Int(NEVER), Value::Int(after), Value::Int(PAGE)];
    let rows = store.fetch(doing, DB::OUTBOX.refused, &values).await?;
    let read = |row: &DB::Row| {
        let refused = Refused {
            message_id: DB::text(row, 1)?,
            event: format!("{}.{}", DB::text(row, 2)?, DB::text(row, 3)?),
            routing_key: DB::text(row, 4)?,
            error: DB::text(row, 5)?,
            created: super::refused::time_of(DB::int(row, 6)?),
        };
        Ok((DB::int(row, 0)?, refused))
    };
    let read: Result<_, sqlx::Error> = rows.iter().map(read).collect();
    read.map_err(|error| failed(doing, &error))
}

pub(super) async fn settle_refused<DB: SqlDatabase>(
    store: &SqlStore<DB>,
    statement: &'static str,
    id: i64,
) -> Result<u64, StoreError> {
    let doing = "settling a refused event of the outbox";
    let values = [Value::Int(id), Value::Int(NEVER)];
    store.execute(doing, statement, &values).await
}
