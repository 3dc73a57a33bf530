//! Events published by a transaction: with what they tell of, or not at all.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use lightbus::health::{Part, State};
use lightbus::{Bus, Context, MemoryStore, Outbox, OutboxError, SqlDatabase, SqlStore, StoreError};
use lightbus_broker::{Broker, Permissions, Refusal, User};
use lightbus_tests::{TestBroker, eventually};
use tokio::sync::mpsc::{self, UnboundedReceiver};

use crate::databases::{Database, on_each_database, sqlite};

const SECOND: Duration = Duration::from_secs(1);

#[lightbus::api(name = "outbox_orders")]
trait Orders {
    #[event]
    fn placed(#[key] customer: String, n: u32);
}

/// Tests share a RabbitMQ: each has customers of its own.
fn placed(hearing: &Bus, n: u32) -> Placed {
    Placed {
        customer: hearing.app().into(),
        n,
    }
}

/// What an ordered listener of its own app hears: message ids and numbers.
async fn listen(bus: &Bus) -> anyhow::Result<UnboundedReceiver<(String, u32)>> {
    let (sender, heard) = mpsc::unbounded_channel();
    let handler = move |event: Placed| {
        let message = Context::current().expect("a handler has a context");
        let _ = sender.send((message.message_id().to_owned(), event.n));
        std::future::ready(())
    };
    let own = Placed::customer_is(bus.app());
    let orders = OrdersClient::new(bus).placed().only(own).ordered();
    orders.listen("heard", handler).await?;
    Ok(heard)
}

async fn insert<DB: SqlDatabase>(
    outbox: &Outbox<DB>,
    store: &SqlStore<DB>,
    hearing: &Bus,
    n: u32,
) -> String {
    let mut tx = store.pool().begin().await.expect("a transaction");
    let published = outbox
        .publish(&mut tx, placed(hearing, n))
        .header("tenant", "acme");
    let id = published.await.expect("an id");
    tx.commit().await.expect("a commit");
    id
}

async fn is_empty<DB: SqlDatabase>(outbox: &Outbox<DB>) -> anyhow::Result<()> {
    eventually("the outbox is empty", async || {
        outbox
            .counts()
            .await
            .is_ok_and(|counts| counts.waiting == 0)
    })
    .await
}

async fn sqlite_store(name: &str) -> anyhow::Result<SqlStore<sqlx::Sqlite>> {
    let Database::Sqlite(pool) = sqlite(name).await? else {
        unreachable!("it is SQLite")
    };
    let store = SqlStore::new(pool);
    store.migrate().await?;
    Ok(store)
}

#[tokio::test]
async fn what_is_committed_is_published_in_order_and_what_is_rolled_back_is_not()
-> anyhow::Result<()> {
    on_each_database("commit", async |database| match database {
        Database::Sqlite(pool) => commit_on(SqlStore::new(pool), "sqlite").await,
        Database::Postgres(pool) => commit_on(SqlStore::new(pool), "postgres").await,
    })
    .await
}

async fn commit_on<DB: SqlDatabase>(store: SqlStore<DB>, name: &str) -> anyhow::Result<()> {
    store.migrate().await?;
    let broker = TestBroker::start().await?;
    let hearing = broker.bus(&format!("outbox-heard-{name}")).await?;
    let mut heard = listen(&hearing).await?;
    let outbox = Outbox::new(store.clone());
    let before = insert(&outbox, &store, &hearing, 0).await;
    let bus = broker.bus(&format!("outbox-shop-{name}")).await?;
    let relay = outbox.relay(&bus).await?;
    let mut expected = vec![(before, 0)];
    for n in 1..20 {
        let mut tx = store.pool().begin().await?;
        outbox.publish(&mut tx, placed(&hearing, 1000 + n)).await?;
        tx.rollback().await?;
        let mut tx = store.pool().begin().await?;
        for nth in 0..20 {
            let number = n * 20 + nth;
            let id = outbox.publish(&mut tx, placed(&hearing, number)).await?;
            expected.push((id, number));
        }
        tx.commit().await?;
    }
    for expected in expected {
        assert_eq!(heard.recv().await, Some(expected));
    }
    is_empty(&outbox).await?;
    // After the relay's end nothing is published, and nothing is lost.
    relay.stop().await;
    let late = insert(&outbox, &store, &hearing, 7).await;
    assert_eq!(outbox.counts().await?.waiting, 1);
    assert!(heard.try_recv().is_err());
    outbox.relay(&bus).await?;
    assert_eq!(heard.recv().await, Some((late, 7)));
    bus.close().await;
    assert_eq!(bus.counts().outbox_repeated, 0);
    Ok(())
}

#[tokio::test]
async fn replicas_share_the_work_and_publish_nothing_twice() -> anyhow::Result<()> {
    on_each_database("share", async |database| match database {
        Database::Sqlite(pool) => share_on(SqlStore::new(pool), "sqlite").await,
        Database::Postgres(pool) => share_on(SqlStore::new(pool), "postgres").await,
    })
    .await
}

async fn share_on<DB: SqlDatabase>(store: SqlStore<DB>, name: &str) -> anyhow::Result<()> {
    store.migrate().await?;
    let broker = TestBroker::start().await?;
    let hearing = broker.bus(&format!("share-heard-{name}")).await?;
    let mut heard = listen(&hearing).await?;
    // Three processes would not share a handle.
    let outboxes = [(); 3].map(|()| Outbox::new(store.clone()));
    let mut buses = Vec::new();
    for outbox in &outboxes {
        let bus = broker.bus(&format!("share-shop-{name}")).await?;
        outbox.relay(&bus).await?;
        buses.push(bus);
    }
    let mut expected = HashMap::new();
    for round in 0..10 {
        let mut tx = store.pool().begin().await?;
        for n in 0..100 {
            let id = outboxes[0]
                .publish(&mut tx, placed(&hearing, round * 100 + n))
                .await?;
            expected.insert(id, round * 100 + n);
        }
        tx.commit().await?;
        outboxes.iter().for_each(Outbox::wake);
    }
    while !expected.is_empty() {
        let (id, n) = heard.recv().await.expect("an event");
        assert_eq!(expected.remove(&id), Some(n), "not twice");
    }
    is_empty(&outboxes[0]).await?;
    for bus in buses {
        bus.close().await;
    }
    assert!(heard.try_recv().is_err());
    Ok(())
}

#[tokio::test]
async fn a_relay_that_was_lost_after_publishing_publishes_again_under_the_same_id()
-> anyhow::Result<()> {
    let store = sqlite_store("lost").await?;
    // As if the relay died before it could remove what it had published.
    let keep = "CREATE TRIGGER no_delete BEFORE DELETE ON lightbus_outbox BEGIN SELECT RAISE(ABORT, 'killed'); END";
    sqlx::query(keep).execute(store.pool()).await?;
    let broker = TestBroker::start().await?;
    let hearing = broker.bus("lost-heard").await?;
    let mut heard = listen(&hearing).await?;
    let once = broker.bus("lost-once").await?;
    let (sender, mut handled) = mpsc::unbounded_channel();
    let handler = move |event: Placed| {
        let _ = sender.send(event.n);
        std::future::ready(())
    };
    let orders = OrdersClient::new(&once).placed();
    let own = orders.only(Placed::customer_is(hearing.app()));
    own.deduplicate(MemoryStore::new())
        .listen("once", handler)
        .await?;
    let outbox = Outbox::new(store.clone());
    let first = broker.bus("lost-shop").await?;
    outbox.relay(&first).await?;
    let id = insert(&outbox, &store, &hearing, 1).await;
    assert_eq!(heard.recv().await, Some((id.clone(), 1)));
    eventually("its database failed it", async || {
        let parts = first.health().parts;
        parts.iter().any(|part| {
            part.part == Part::Outbox
                && part.state == State::Lost
                && part
                    .reason
                    .as_ref()
                    .is_some_and(|reason| reason.contains("killed"))
        })
    })
    .await?;
    first.close().await;
    assert_eq!(outbox.counts().await?.waiting, 1);
    // Another replica, after the lease.
    for statement in [
        "DROP TRIGGER no_delete",
        "UPDATE lightbus_outbox SET not_before_ms = 0",
    ] {
        sqlx::query(statement).execute(store.pool()).await?;
    }
    let second = broker.bus("lost-shop").await?;
    outbox.relay(&second).await?;
    assert_eq!(heard.recv().await, Some((id, 1)));
    is_empty(&outbox).await?;
    eventually("the second copy is known", async || {
        once.counts().events_duplicate == 1
    })
    .await?;
    assert_eq!(
        (handled.try_recv(), handled.try_recv().is_err()),
        (Ok(1), true)
    );
    Ok(())
}

#[tokio::test]
async fn events_wait_for_a_broker_that_is_away() -> anyhow::Result<()> {
    let store = sqlite_store("away").await?;
    let broker = TestBroker::start().await?;
    let Some(embedded) = broker.embedded() else {
        return Ok(());
    };
    let hearing = broker.bus("away-heard").await?;
    let mut heard = listen(&hearing).await?;
    let outbox = Outbox::new(store.clone());
    let bus = broker.bus("away-shop").await?;
    outbox.relay(&bus).await?;
    embedded.faults().refuse_connections(Refusal::Closed);
    embedded.drop_connections();
    eventually("the bus knows", async || !bus.health().is_ready()).await?;
    let mut expected = Vec::new();
    for n in 0..5 {
        expected.push((insert(&outbox, &store, &hearing, n).await, n));
    }
    eventually("health says how many wait", async || {
        let text = bus.health().to_string();
        text.contains("outbox: lost") && text.contains("5 event(s) wait")
    })
    .await?;
    embedded.faults().admit_connections();
    for expected in expected {
        assert_eq!(heard.recv().await, Some(expected));
    }
    is_empty(&outbox).await?;
    bus.ready().await?;
    // A bus that closes while the broker is away does not wait for it.
    embedded.faults().refuse_connections(Refusal::Closed);
    embedded.drop_connections();
    insert(&outbox, &store, &hearing, 9).await;
    let closing = Instant::now();
    bus.close().await;
    assert!(closing.elapsed() < 10 * SECOND, "{:?}", closing.elapsed());
    assert_eq!(outbox.counts().await?.waiting, 1);
    Ok(())
}

#[tokio::test]
async fn what_is_not_confirmed_is_published_again() -> anyhow::Result<()> {
    let store = sqlite_store("unconfirmed").await?;
    let broker = TestBroker::start().await?;
    let Some(embedded) = broker.embedded() else {
        return Ok(());
    };
    let hearing = broker.bus("unconfirmed-heard").await?;
    let mut heard = listen(&hearing).await?;
    let outbox = Outbox::new(store.clone());
    let patience = 2 * SECOND;
    let builder = broker.builder("unconfirmed-shop").publish_timeout(patience);
    let bus = builder.connect().await?;
    outbox.relay(&bus).await?;
    let first = insert(&outbox, &store, &hearing, 0).await;
    assert_eq!(heard.recv().await, Some((first, 0)));
    is_empty(&outbox).await?;
    embedded.faults().withhold_confirms(1);
    let id = insert(&outbox, &store, &hearing, 1).await;
    assert_eq!(heard.recv().await, Some((id.clone(), 1)));
    assert_eq!(heard.recv().await, Some((id, 1)));
    is_empty(&outbox).await?;
    assert!(bus.counts().outbox_repeated >= 1);
    // A cut in the middle of many: all come, some perhaps twice.
    let mut ids = HashMap::new();
    let mut tx = store.pool().begin().await?;
    for n in 0..500 {
        ids.insert(outbox.publish(&mut tx, placed(&hearing, n)).await?, n);
    }
    tx.commit().await?;
    while !ids.is_empty() {
        let (id, _) = heard.recv().await.expect("an event");
        if ids.len() == 400 {
            embedded.drop_connections();
        }
        ids.remove(&id);
    }
    is_empty(&outbox).await
}

#[tokio::test]
async fn a_full_queue_is_waited_for_and_holds_up_nobody() -> anyhow::Result<()> {
    let store = sqlite_store("full").await?;
    let broker = TestBroker::start().await?;
    let Some(embedded) = broker.embedded() else {
        return Ok(());
    };
    let hearing = broker.bus("full-heard").await?;
    let mut heard = listen(&hearing).await?;
    let outbox = Outbox::new(store.clone());
    let bus = broker.bus("full-shop").await?;
    embedded.faults().fail_publishes(1);
    let refused = insert(&outbox, &store, &hearing, 1).await;
    let other = insert(&outbox, &store, &hearing, 2).await;
    outbox.relay(&bus).await?;
    assert_eq!(heard.recv().await, Some((other, 2)));
    assert_eq!(heard.recv().await, Some((refused, 1)));
    assert_eq!(bus.counts().outbox_repeated, 1);
    is_empty(&outbox).await
}

#[tokio::test]
async fn what_is_refused_for_good_is_kept_apart() -> anyhow::Result<()> {
    #[lightbus::api(name = "outbox_forbidden")]
    trait Forbidden {
        #[event]
        fn forged(text: String);
    }
    let store = sqlite_store("refused").await?;
    let own = Permissions::all().write(r"^lb\.(sys|ev\.outbox_orders|q|dead|delay)");
    let broker = Broker::builder()
        .add_user(User::new("shop", "secret").access("/", own))
        .start()
        .await?;
    let hearing = Bus::builder("refused-heard")
        .url(broker.url())
        .connect()
        .await?;
    let mut heard = listen(&hearing).await?;
    let url = broker.url().replace("guest:guest", "shop:secret");
    let bus = Bus::builder("refused-shop").url(url).payload_limit(2000);
    let bus = bus.connect().await?;
    let outbox = Outbox::new(store.clone());
    let mut tx = store.pool().begin().await?;
    let forged = |text: &str| Forged { text: text.into() };
    let denied = outbox.publish(&mut tx, forged("x")).await?;
    let between = outbox.publish(&mut tx, placed(&hearing, 1)).await?;
    // Not too large for this outbox, but for the bus that publishes it.
    let too_large = outbox.publish(&mut tx, forged(&"x".repeat(3000))).await?;
    let last = outbox.publish(&mut tx, placed(&hearing, 2)).await?;
    tx.commit().await?;
    outbox.relay(&bus).await?;
    assert_eq!(heard.recv().await, Some((between, 1)));
    assert_eq!(heard.recv().await, Some((last, 2)));
    is_empty(&outbox).await?;
    assert_eq!(
        (outbox.counts().await?.refused, bus.counts().outbox_refused),
        (2, 2)
    );
    let refused = outbox.refused(10).await?;
    let told: Vec<_> = refused.iter().map(|one| one.message_id.clone()).collect();
    assert_eq!(told, [denied.clone(), too_large]);
    assert_eq!(refused[0].event, "outbox_forbidden.forged");
    assert!(
        refused[0].error.to_lowercase().contains("access"),
        "{}",
        refused[0]
    );
    assert!(
        refused[1].error.contains("the limit is 2000"),
        "{}",
        refused[1]
    );
    assert_eq!(outbox.refused(1).await?.len(), 1);
    // One is dropped, the other one tried again, in vain.
    assert_eq!(outbox.discard(|one| one.message_id != denied).await?, 1);
    assert_eq!(outbox.retry(|_| true).await?, 1);
    eventually("it is refused again", async || {
        bus.counts().outbox_refused == 3
    })
    .await?;
    eventually("and kept", async || {
        outbox
            .counts()
            .await
            .is_ok_and(|counts| counts.refused == 1)
    })
    .await
}

#[tokio::test]
async fn what_cannot_be_published_does_not_get_in() -> anyhow::Result<()> {
    let Database::Sqlite(pool) = sqlite("reject").await? else {
        unreachable!("it is SQLite")
    };
    let store = SqlStore::new(pool.clone());
    let outbox = Outbox::new(store.clone()).payload_limit(100);
    let broker = TestBroker::start().await?;
    let bus = broker.bus("reject-shop").await?;
    let error = outbox.relay(&bus).await.expect_err("there is no table");
    assert!(matches!(error, StoreError::Failed { .. }));
    assert!(error.to_string().contains("migrate()"), "{error}");
    store.migrate().await?;
    let mut tx = pool.begin().await?;
    let named = |customer: &str| Placed {
        customer: customer.into(),
        n: 1,
    };
    let error = outbox.publish(&mut tx, named(&"x".repeat(200))).await;
    let error = error.expect_err("it is too large");
    assert!(matches!(error, OutboxError::Rejected { .. }), "{error}");
    assert!(error.to_string().contains("the limit is 100"), "{error}");
    let error = Outbox::new(store)
        .publish(&mut tx, named(&"x".repeat(300)))
        .await;
    let error = error.expect_err("its key is too long");
    assert!(error.to_string().contains("routing key"), "{error}");
    let error = outbox
        .publish(&mut tx, placed(&bus, 1))
        .header("", "x")
        .await;
    let error = error.expect_err("a header needs a name");
    assert!(error.to_string().contains("header name"), "{error}");
    tx.commit().await?;
    assert_eq!(outbox.counts().await?.waiting, 0);
    Ok(())
}
