//! Listeners that handle each message once, by a store in a database.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use lightbus::{
    Begun, Claim, Context, DedupStore, HandlerError, Outbox, Retry, SqlDatabase, SqlStore,
    StoreError, StoreFuture,
};
use lightbus_tests::copies::{duplicates, event, payload};
use lightbus_tests::{TestBroker, eventually};
use tokio::sync::{Semaphore, mpsc};

use crate::databases::{Database, on_each_database};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn replicas_share_a_store() -> anyhow::Result<()> {
    on_each_database("replicas", async |database| match database {
        Database::Sqlite(pool) => replicas_on(SqlStore::new(pool), "sqlite").await,
        Database::Postgres(pool) => replicas_on(SqlStore::new(pool), "postgres").await,
    })
    .await
}

async fn replicas_on<DB: SqlDatabase>(store: SqlStore<DB>, name: &str) -> anyhow::Result<()> {
    #[lightbus::api(name = "dedup_replicas")]
    trait Api {
        #[event]
        fn happened(n: u32);
    }
    store.migrate().await?;
    store.migrate().await?;
    let broker = TestBroker::start().await?;
    let (sender, mut handled) = mpsc::unbounded_channel();
    // Shut: handlers wait.
    let gate = Arc::new(Semaphore::new(0));
    let mut replicas = Vec::new();
    for _ in 0..2 {
        let bus = broker.bus(&format!("dedup-{name}")).await?;
        let (sender, gate) = (sender.clone(), Arc::clone(&gate));
        let handler = move |event: Happened| {
            let (sender, gate) = (sender.clone(), Arc::clone(&gate));
            async move {
                let _open = gate.acquire().await;
                let _ = sender.send(event.n);
            }
        };
        let happened = ApiClient::new(&bus).happened();
        happened
            .deduplicate(store.clone())
            .listen("replicas", handler)
            .await?;
        replicas.push(bus);
    }
    let foreign = broker.foreign().await?;
    let (exchange, key) = ("lb.ev.dedup_replicas", "dedup_replicas.happened");
    for n in 0..30 {
        for _ in 0..3 {
            let id = format!("id {n}");
            foreign
                .publish(exchange, key, event(&id), &payload(n))
                .await?;
        }
    }
    eventually("both have put off what the other is at", async || {
        replicas.iter().all(|bus| bus.counts().events_put_off > 0)
    })
    .await?;
    gate.close();
    eventually("all copies are dealt with", async || {
        let counts = replicas.iter().map(|bus| bus.counts().events_duplicate);
        counts.sum::<u64>() == 60
    })
    .await?;
    let mut all: Vec<_> = std::iter::from_fn(|| handled.try_recv().ok()).collect();
    all.sort_unstable();
    assert_eq!(all, (0..30).collect::<Vec<u32>>());
    for bus in replicas {
        bus.close().await;
    }
    Ok(())
}

#[tokio::test]
async fn sql_claims_end_by_lease_and_old_rows_go() -> anyhow::Result<()> {
    on_each_database("lease", async |database| match database {
        Database::Sqlite(pool) => lease_on(SqlStore::new(pool)).await,
        Database::Postgres(pool) => lease_on(SqlStore::new(pool)).await,
    })
    .await
}

/// Claims as a listener makes them, taken from its handler.
async fn claims<const N: usize>(api: &str) -> anyhow::Result<[Claim; N]> {
    #[derive(Debug)]
    struct Spy(mpsc::UnboundedSender<Claim>);
    impl DedupStore for Spy {
        fn begin<'a>(&'a self, claim: &'a Claim) -> StoreFuture<'a, Begun> {
            let _ = self.0.send(claim.clone());
            Box::pin(async { Ok(Begun::Done) })
        }
        fn renew<'a>(&'a self, _: &'a Claim) -> StoreFuture<'a, ()> {
            Box::pin(async { Ok(()) })
        }
        fn done<'a>(&'a self, _: &'a Claim) -> StoreFuture<'a, ()> {
            Box::pin(async { Ok(()) })
        }
        fn release<'a>(&'a self, _: &'a Claim) -> StoreFuture<'a, ()> {
            Box::pin(async { Ok(()) })
        }
        fn lease_time(&self) -> Duration {
            SECOND
        }
    }
    #[lightbus::api(name = "dedup_spied")]
    trait Api {
        #[event]
        fn happened(n: u32);
    }
    let broker = TestBroker::start().await?;
    let bus = broker.bus(api).await?;
    let (sender, mut claims) = mpsc::unbounded_channel();
    let happened = ApiClient::new(&bus).happened();
    happened
        .deduplicate(Spy(sender))
        .listen("spied", |_: Happened| std::future::ready(()))
        .await?;
    let foreign = broker.foreign().await?;
    for _ in 0..N {
        foreign
            .publish(
                "lb.ev.dedup_spied",
                "dedup_spied.happened",
                event("x"),
                &payload(1),
            )
            .await?;
    }
    let mut all = Vec::new();
    for _ in 0..N {
        all.push(claims.recv().await.expect("a claim"));
    }
    bus.close().await;
    all.try_into().map_err(|_| anyhow::anyhow!("not {N}"))
}

async fn lease_on<DB: SqlDatabase>(store: SqlStore<DB>) -> anyhow::Result<()> {
    store.migrate().await?;
    let [one, two] = claims("dedup-spied").await?;
    let long = store.clone().lease(60 * SECOND);
    let short = store.clone().lease(Duration::from_millis(50));
    assert_eq!(long.begin(&one).await?, Begun::New);
    assert_eq!(long.begin(&one).await?, Begun::New, "its own");
    let held = long.begin(&two).await?;
    assert!(
        matches!(held, Begun::Running { left } if left > 50 * SECOND),
        "{held:?}"
    );
    store.release(&two).await?;
    assert!(
        matches!(long.begin(&two).await?, Begun::Running { .. }),
        "another's"
    );
    // Its process is gone.
    short.renew(&one).await?;
    eventually("the lease has ended", async || {
        matches!(long.begin(&two).await, Ok(Begun::New))
    })
    .await?;
    // Not gone, only slow: it is not for it to give the message back.
    store.release(&one).await?;
    assert!(matches!(long.begin(&one).await?, Begun::Running { .. }));
    store.done(&two).await?;
    store.done(&one).await?;
    store.release(&two).await?;
    assert_eq!(long.begin(&one).await?, Begun::Done);
    // A week has not passed; with a store that keeps nothing, it goes.
    assert_eq!(store.prune().await?, 0);
    let keeps_nothing = store.clone().keep(Duration::ZERO);
    eventually("it goes when a moment has passed", async || {
        matches!(keeps_nothing.prune().await, Ok(1))
    })
    .await?;
    assert_eq!(long.begin(&one).await?, Begun::New);
    Ok(())
}

#[tokio::test]
async fn an_effect_and_its_note_are_stored_together() -> anyhow::Result<()> {
    on_each_database("effect", async |database| match database {
        Database::Sqlite(pool) => effect_on(SqlStore::new(pool), "sqlite").await,
        Database::Postgres(pool) => effect_on(SqlStore::new(pool), "postgres").await,
    })
    .await
}

async fn effect_on<DB: SqlDatabase>(store: SqlStore<DB>, name: &str) -> anyhow::Result<()> {
    #[lightbus::api(name = "dedup_effect")]
    trait Api {
        #[event]
        fn sold(n: u32);
    }
    store.migrate().await?;
    let broker = TestBroker::start().await?;
    let bus = broker.bus(&format!("dedup-effect-{name}")).await?;
    // The effect is a row in the database: here, one of an outbox that nobody relays.
    let effects = Outbox::new(store.clone());
    let attempts = Arc::new(AtomicU32::new(0));
    let (in_handler, count) = ((store.clone(), effects.clone()), Arc::clone(&attempts));
    let handler = move |event: Sold| {
        let (store, effects) = in_handler.clone();
        let nth = count.fetch_add(1, Ordering::SeqCst);
        async move {
            let message = Context::current().ok_or("no context")?;
            let mut tx = store.pool().begin().await?;
            effects.publish(&mut tx, event).await?;
            if nth == 0 {
                return Err("dies before the note".into());
            }
            store.done_in(&mut tx, &message).await?;
            if nth == 1 {
                return Err("dies before the commit".into());
            }
            tx.commit().await?;
            // Had the process died here, it would be the same: the message comes once more.
            Err(HandlerError::from("dies after the commit"))
        }
    };
    let sold = ApiClient::new(&bus).sold();
    sold.deduplicate(store.clone())
        .retry(Retry::immediate().attempts(9))
        .listen("effect", handler)
        .await?;
    ApiEvents::new(&bus).sold().publish(Sold { n: 7 }).await?;
    duplicates(&bus, 1).await?;
    assert_eq!(attempts.load(Ordering::SeqCst), 3);
    assert_eq!(effects.counts().await?.waiting, 1);
    bus.close().await;
    Ok(())
}

#[tokio::test]
async fn a_handler_that_was_overtaken_cannot_commit() -> anyhow::Result<()> {
    #[lightbus::api(name = "dedup_slow")]
    trait Api {
        #[event]
        fn sold(n: u32);
    }
    let Database::Sqlite(pool) = crate::databases::sqlite("slow").await? else {
        unreachable!("it is SQLite")
    };
    let store = SqlStore::new(pool.clone());
    store.migrate().await?;
    let broker = TestBroker::start().await?;
    let bus = broker.bus("dedup-slow").await?;
    let (sender, mut errors) = mpsc::unbounded_channel();
    let handler_store = store.clone();
    let handler = move |_: Sold| {
        let (store, sender) = (handler_store.clone(), sender.clone());
        async move {
            let message = Context::current().ok_or("no context")?;
            // Meanwhile the lease has ended, and another replica was quicker.
            sqlx::query("UPDATE lightbus_handled SET owner = 'another', done = TRUE")
                .execute(store.pool())
                .await?;
            let mut tx = store.pool().begin_with("BEGIN IMMEDIATE").await?;
            let noted = store.done_in(&mut tx, &message).await;
            let _ = sender.send(noted.clone());
            noted?;
            tx.commit().await?;
            Ok::<(), HandlerError>(())
        }
    };
    let sold = ApiClient::new(&bus).sold();
    sold.deduplicate(store)
        .retry(Retry::immediate())
        .listen("slow", handler)
        .await?;
    ApiEvents::new(&bus).sold().publish(Sold { n: 7 }).await?;
    let lost = errors.recv().await.expect("an outcome");
    assert!(
        matches!(lost, Err(StoreError::ClaimLost { .. })),
        "{lost:?}"
    );
    duplicates(&bus, 1).await
}
