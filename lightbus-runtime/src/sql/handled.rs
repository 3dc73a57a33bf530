//! Handled messages in a table, shared by all replicas; and the note in the handler's own transaction.

use std::time::Duration;

use super::{SqlDatabase, SqlStore, Value, failed, millis};
use crate::context::Context;
use crate::idempotence::{Begun, Claim, DedupStore, StoreError, StoreFuture};

/// How often old rows are looked for, and how many go at a time.
const PRUNING: Duration = Duration::from_secs(60);
const PRUNED_AT_ONCE: i64 = 1000;

impl<DB: SqlDatabase> SqlStore<DB> {
    /// Notes within a handler's own transaction that its message is handled: what the handler did in it and the note are stored together, or not at all. After a crash at any
    /// moment, the effect is there exactly once.
    ///
    /// `message` is the handler's [`Context`]; the listener [deduplicates](crate::Subscription::deduplicate) by this store.
    ///
    #[cfg_attr(
        feature = "sqlite",
        doc = r#"
```
# use lightbus_runtime::{Context, Event, HandlerError, SqlStore, Subscription};
# async fn example<E: Event>(store: SqlStore<sqlx::Sqlite>, order_placed: Subscription<E>) -> Result<(), Box<dyn std::error::Error>> {
let book = {
    let store = store.clone();
    move |order: E| {
        let store = store.clone();
        async move {
            let message = Context::current().ok_or("not in a handler")?;
            let mut tx = store.pool().begin_with("BEGIN IMMEDIATE").await?;
            sqlx::query("INSERT INTO invoices (customer) VALUES ($1)")
                .bind(format!("{order:?}"))
                .execute(&mut *tx)
                .await?;
            store.done_in(&mut tx, &message).await?;
            tx.commit().await?;
            Ok::<(), HandlerError>(())
        }
    }
};
order_placed.deduplicate(store).listen("send-invoice", book).await?;
# Ok(()) }
```"#
    )]
    ///
    /// # Errors
    /// [`StoreError::ClaimLost`] when the lease had ended, and another replica handled the message or is at it: drop the transaction and return the error.
    /// [`StoreError::NoClaim`] when the message is not deduplicated. [`StoreError::Failed`] with the database's words.
    pub async fn done_in(
        &self,
        transaction: &mut DB::Connection,
        message: &Context,
    ) -> Result<(), StoreError> {
        let claim = message.claim().ok_or(StoreError::NoClaim)?;
        let doing = "noting in the handler's transaction that the message is handled";
        let owner = owner_text(claim);
        let noted = DB::execute(transaction, DB::HANDLED.done_by_owner, &of(claim, &owner)).await;
        match noted.map_err(|error| failed(doing, &error))? {
            0 => Err(StoreError::ClaimLost {
                scope: claim.scope().to_owned(),
                message_id: claim.message_id().to_owned(),
            }),
            _ => Ok(()),
        }
    }

    /// Removes up to 1000 rows of messages that were handled longer ago than the store [keeps](Self::keep) them, and says how many. It happens by itself, too, once a minute.
    ///
    /// # Errors
    /// [`StoreError::Failed`], with the database's words.
    pub async fn prune(&self) -> Result<u64, StoreError> {
        let values = [Value::Int(millis(self.keep)), Value::Int(PRUNED_AT_ONCE)];
        let doing = "removing old rows of handled messages";
        self.execute(doing, DB::HANDLED.prune, &values).await
    }

    async fn prune_in_turn(&self) {
        if !self.may_prune(PRUNING) {
            return;
        }
        match self.prune().await {
            Ok(removed) if removed >= PRUNED_AT_ONCE.unsigned_abs() => self.prune_again(),
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "old rows stay for another minute"),
        }
    }

    async fn look(&self, claim: &Claim) -> Result<Begun, StoreError> {
        let doing = "reading whether the message is handled";
        let values = [Value::Text(claim.scope()), Value::Text(claim.message_id())];
        let rows = self.fetch(doing, DB::HANDLED.look, &values).await?;
        let Some(row) = rows.first() else {
            // Given back since: the next question has another answer.
            let left = Duration::ZERO;
            return Ok(Begun::Running { left });
        };
        let int = |column| DB::int(row, column).map_err(|error| failed(doing, &error));
        if int(0)? == 1 {
            return Ok(Begun::Done);
        }
        let left = Duration::from_millis(u64::try_from(int(1)?).unwrap_or_default());
        Ok(Begun::Running { left })
    }
}

impl<DB: SqlDatabase> DedupStore for SqlStore<DB> {
    fn begin<'a>(&'a self, claim: &'a Claim) -> StoreFuture<'a, Begun> {
        Box::pin(async move {
            let owner = owner_text(claim);
            let doing = "claiming the message";
            let values = with_lease(claim, &owner, millis(self.lease));
            let begun = self.execute(doing, DB::HANDLED.begin, &values).await?;
            match begun {
                0 => self.look(claim).await,
                _ => Ok(Begun::New),
            }
        })
    }

    fn renew<'a>(&'a self, claim: &'a Claim) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let owner = owner_text(claim);
            let values = with_lease(claim, &owner, millis(self.lease));
            let renewed = self.execute("renewing a lease", DB::HANDLED.renew, &values);
            renewed.await.map(drop)
        })
    }

    fn done<'a>(&'a self, claim: &'a Claim) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let owner = owner_text(claim);
            let doing = "noting that the message is handled";
            self.execute(doing, DB::HANDLED.done, &of(claim, &owner))
                .await?;
            self.prune_in_turn().await;
            Ok(())
        })
    }

    fn release<'a>(&'a self, claim: &'a Claim) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let owner = owner_text(claim);
            let doing = "giving the message back";
            let values = of(claim, &owner);
            let released = self.execute(doing, DB::HANDLED.release, &values);
            released.await.map(drop)
        })
    }

    fn lease_time(&self) -> Duration {
        self.lease
    }
}

fn owner_text(claim: &Claim) -> String {
    format!("{:032x}", claim.owner())
}

fn of<'a>(claim: &'a Claim, owner: &'a str) -> [Value<'a>; 3] {
    [
        Value::Text(claim.scope()),
        Value::Text(claim.message_id()),
        Value::Text(owner),
    ]
}

fn with_lease<'a>(claim: &'a Claim, owner: &'a str, lease: i64) -> [Value<'a>; 4] {
    let [scope, id, owner] = of(claim, owner);
    [scope, id, owner, Value::Int(lease)]
}
