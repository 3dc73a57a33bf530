//! Listeners that handle each message once, whatever comes twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use lightbus::testing::TestBus;
use lightbus::{
    Begun, Bus, Claim, Context, DedupStore, HandlerError, MemoryStore, Retry, StoreError,
    StoreFuture,
};
use lightbus_tests::copies::{duplicates, event, payload};
use lightbus_tests::{Foreign, eventually};
use tokio::sync::{Notify, mpsc};

const SECOND: Duration = Duration::from_secs(1);
const SHORT: Duration = Duration::from_millis(10);

#[lightbus::test]
async fn the_same_id_is_handled_once_and_by_each_listener(bus: TestBus) -> anyhow::Result<()> {
    #[lightbus::api(name = "dedup_twice")]
    trait Api {
        #[event]
        fn happened(n: u32);
    }
    let store = MemoryStore::new();
    let (sender, mut handled) = mpsc::unbounded_channel();
    for listener in ["one", "two"] {
        let sender = sender.clone();
        let handler = move |event: Happened| {
            let _ = sender.send((listener, event.n));
            std::future::ready(())
        };
        let happened = ApiClient::new(&bus).happened();
        happened
            .deduplicate(store.clone())
            .listen(listener, handler)
            .await?;
    }
    let foreign = Foreign::connect(&bus.url()).await?;
    let (exchange, key) = ("lb.ev.dedup_twice", "dedup_twice.happened");
    for (id, n) in [
        ("a", 1),
        ("b", 2),
        ("a", 3),
        ("b", 4),
        ("a", 5),
        ("", 6),
        ("", 7),
    ] {
        foreign
            .publish(exchange, key, event(id), &payload(n))
            .await?;
    }
    // Two of each id, and both without one, for both listeners.
    let mut all = Vec::new();
    for _ in 0..8 {
        all.extend(handled.recv().await);
    }
    all.sort_unstable();
    let each = |name| [1, 2, 6, 7].map(|n| (name, n));
    assert_eq!(all, [each("one"), each("two")].concat());
    duplicates(&bus, 6).await?;
    assert!(handled.try_recv().is_err());
    Ok(())
}

#[lightbus::test(broker = "embedded")]
async fn a_cut_during_the_handler_handles_the_message_once(bus: TestBus) -> anyhow::Result<()> {
    #[lightbus::api(name = "dedup_cut")]
    trait Api {
        #[event]
        fn happened(n: u32);
    }
    let embedded = bus.broker();
    let (sender, mut begun) = mpsc::unbounded_channel();
    let go_on = Arc::new(Notify::new());
    let proceed = Arc::clone(&go_on);
    let handler = move |event: Happened| {
        let (sender, proceed) = (sender.clone(), Arc::clone(&proceed));
        async move {
            let _ = sender.send(event.n);
            proceed.notified().await;
        }
    };
    let happened = ApiClient::new(&bus).happened();
    happened
        .deduplicate(MemoryStore::new())
        .listen("cut", handler)
        .await?;
    let events = ApiEvents::new(&bus);
    events.happened().publish(Happened { n: 1 }).await?;
    assert_eq!(begun.recv().await, Some(1));
    // It comes again while its handler still runs, and has to wait for it.
    embedded.drop_connections();
    bus.ready().await?;
    eventually("it is put off", async || bus.counts().events_put_off >= 1).await?;
    go_on.notify_one();
    duplicates(&bus, 1).await?;
    events.happened().publish(Happened { n: 2 }).await?;
    assert_eq!(begun.recv().await, Some(2), "and nothing before it");
    go_on.notify_one();
    Ok(())
}

#[lightbus::test]
async fn a_failure_gives_the_message_back_for_attempts_and_replays(
    bus: TestBus,
) -> anyhow::Result<()> {
    #[lightbus::api(name = "dedup_failed")]
    trait Api {
        #[event]
        fn happened(n: u32);
    }
    let (works, tried) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU32::new(0)),
    );
    let (switch, count) = (Arc::clone(&works), Arc::clone(&tried));
    let handler = move |event: Happened| {
        let nth = count.fetch_add(1, Ordering::SeqCst);
        let works = switch.load(Ordering::SeqCst);
        async move {
            assert!(nth != 1, "attempt {nth} of event {}", event.n);
            works.then_some(()).ok_or("not yet")
        }
    };
    let happened = ApiClient::new(&bus).happened();
    happened
        .deduplicate(MemoryStore::new())
        .retry(Retry::list([SHORT, SECOND]))
        .listen("failed", handler)
        .await?;
    let foreign = Foreign::connect(&bus.url()).await?;
    let (exchange, key) = ("lb.ev.dedup_failed", "dedup_failed.happened");
    foreign
        .publish(exchange, key, event("x"), &payload(1))
        .await?;
    let dead = bus.dead_letters("failed")?;
    let is_dead = async || dead.count().await.is_ok_and(|count| count == 1);
    eventually("it is dead", is_dead).await?;
    // An error, a panic in place, and an error after the ladder.
    assert_eq!(tried.load(Ordering::SeqCst), 3);
    works.store(true, Ordering::SeqCst);
    assert_eq!(dead.replay(|_| true).await?, 1);
    eventually("the replay runs", async || {
        tried.load(Ordering::SeqCst) == 4
    })
    .await?;
    // Once handled, another copy is a duplicate, a replayed one too.
    foreign
        .publish(exchange, key, event("x"), &payload(1))
        .await?;
    duplicates(&bus, 1).await?;
    assert_eq!(tried.load(Ordering::SeqCst), 4);
    Ok(())
}

#[lightbus::test]
async fn a_replay_of_what_was_handled_as_another_copy_is_a_duplicate(
    bus: TestBus,
) -> anyhow::Result<()> {
    #[lightbus::api(name = "dedup_copy")]
    trait Api {
        #[event]
        fn happened(n: u32);
    }
    let (sender, mut handled) = mpsc::unbounded_channel();
    let handler = move |event: Happened| {
        let _ = sender.send(event.n);
        std::future::ready(match event.n {
            1 => Err(HandlerError::permanent("the first copy fails")),
            _ => Ok(()),
        })
    };
    let happened = ApiClient::new(&bus).happened();
    happened
        .deduplicate(MemoryStore::new())
        .listen("copy", handler)
        .await?;
    let foreign = Foreign::connect(&bus.url()).await?;
    let (exchange, key) = ("lb.ev.dedup_copy", "dedup_copy.happened");
    foreign
        .publish(exchange, key, event("x"), &payload(1))
        .await?;
    assert_eq!(handled.recv().await, Some(1));
    let dead = bus.dead_letters("copy")?;
    let is_dead = async || dead.count().await.is_ok_and(|count| count == 1);
    eventually("it is dead", is_dead).await?;
    foreign
        .publish(exchange, key, event("x"), &payload(2))
        .await?;
    assert_eq!(handled.recv().await, Some(2));
    assert_eq!(dead.replay(|_| true).await?, 1);
    duplicates(&bus, 1).await?;
    assert!(handled.try_recv().is_err());
    Ok(())
}

/// A store that does not work, until it does, and counts how often a claim is renewed.
#[derive(Clone, Debug)]
struct Broken {
    store: MemoryStore,
    works: Arc<AtomicBool>,
    renewals: Arc<AtomicU32>,
}

impl Broken {
    fn new(store: MemoryStore) -> Self {
        Self {
            store,
            works: Arc::default(),
            renewals: Arc::default(),
        }
    }

    fn ask<'a, T: Send + 'a>(&self, asked: StoreFuture<'a, T>) -> StoreFuture<'a, T> {
        match self.works.load(Ordering::SeqCst) {
            true => asked,
            false => Box::pin(async { Err(StoreError::failed("asking", "the disk is full")) }),
        }
    }
}

impl DedupStore for Broken {
    fn begin<'a>(&'a self, claim: &'a Claim) -> StoreFuture<'a, Begun> {
        // Not even asked: it would note the claim.
        match self.works.load(Ordering::SeqCst) {
            true => self.store.begin(claim),
            false => self.ask(Box::pin(async { Ok(Begun::New) })),
        }
    }

    fn renew<'a>(&'a self, claim: &'a Claim) -> StoreFuture<'a, ()> {
        self.renewals.fetch_add(1, Ordering::SeqCst);
        self.ask(self.store.renew(claim))
    }

    fn done<'a>(&'a self, claim: &'a Claim) -> StoreFuture<'a, ()> {
        self.ask(self.store.done(claim))
    }

    fn release<'a>(&'a self, claim: &'a Claim) -> StoreFuture<'a, ()> {
        self.ask(self.store.release(claim))
    }

    fn lease_time(&self) -> Duration {
        self.store.lease_time()
    }
}

#[lightbus::test]
async fn a_store_that_fails_is_a_failed_attempt_and_loses_nothing(
    bus: TestBus,
) -> anyhow::Result<()> {
    #[lightbus::api(name = "dedup_broken")]
    trait Api {
        #[event]
        fn happened(n: u32);
    }
    let store = Broken::new(MemoryStore::new());
    let works = Arc::clone(&store.works);
    let (sender, mut handled) = mpsc::unbounded_channel();
    let broken_later = Arc::clone(&works);
    let handler = move |event: Happened| {
        let _ = sender.send(event.n);
        // The second one finds its store gone when it is done.
        broken_later.store(event.n != 2, Ordering::SeqCst);
        std::future::ready(())
    };
    let happened = ApiClient::new(&bus).happened();
    happened
        .deduplicate(store)
        .retry(Retry::immediate().attempts(2))
        .listen("broken", handler)
        .await?;
    let events = ApiEvents::new(&bus);
    events.happened().publish(Happened { n: 1 }).await?;
    let dead = bus.dead_letters("broken")?;
    let is_dead = async || dead.count().await.is_ok_and(|count| count == 1);
    eventually("it is dead", is_dead).await?;
    assert!(
        handled.try_recv().is_err(),
        "nobody knew whether to handle it"
    );
    let letter = &dead.list(1).await?[0];
    assert_eq!(letter.attempts, Some(2));
    let error = letter.error.as_deref().unwrap_or_default();
    assert!(error.contains("the disk is full"), "{error}");
    works.store(true, Ordering::SeqCst);
    // What was only looked at may take a moment to be back.
    eventually("it is replayed", async || {
        dead.replay(|_| true).await.is_ok_and(|count| count == 1)
    })
    .await?;
    assert_eq!(handled.recv().await, Some(1));
    // Handled, and it cannot be noted: that is said, and the event is not lost.
    events.happened().publish(Happened { n: 2 }).await?;
    assert_eq!(handled.recv().await, Some(2));
    eventually("it is counted", async || bus.counts().events_not_noted == 1).await
}

#[lightbus::test]
async fn a_stream_handles_each_message_once(bus: TestBus) -> anyhow::Result<()> {
    #[lightbus::api(name = "dedup_stream")]
    trait Api {
        #[event]
        fn happened(n: u32);
    }
    let happened = ApiClient::new(&bus).happened();
    let store = MemoryStore::new();
    let mut events = happened.deduplicate(store).stream("stream").await?;
    let foreign = Foreign::connect(&bus.url()).await?;
    let (exchange, key) = ("lb.ev.dedup_stream", "dedup_stream.happened");
    for (id, n) in [("a", 1), ("a", 2), ("b", 3)] {
        foreign
            .publish(exchange, key, event(id), &payload(n))
            .await?;
    }
    let first = events.next().await.expect("an event").ack();
    let second = events.next().await.expect("an event").ack();
    assert_eq!((first.n, second.n), (1, 3));
    duplicates(&bus, 1).await
}

#[lightbus::test]
async fn a_claim_outlives_a_long_handler_and_ends_after_a_crash(
    bus: TestBus,
) -> anyhow::Result<()> {
    #[lightbus::api(name = "dedup_lease")]
    trait Api {
        #[event]
        fn happened(n: u32);
    }
    // Nothing renews it after the crash; before, somebody does.
    let store = Broken::new(MemoryStore::new().lease(Duration::from_millis(600)));
    store.works.store(true, Ordering::SeqCst);
    let their_store = store.clone();
    let crashes = Arc::<AtomicBool>::default();
    let crashed = Arc::clone(&crashes);
    let url = bus.url();
    let (listening, listens) = tokio::sync::oneshot::channel();
    let (begun, mut begins) = mpsc::unbounded_channel();
    // A process that is killed at work: its runtime goes, and nothing is given back.
    let crash = std::thread::spawn(move || -> anyhow::Result<()> {
        tokio::runtime::Runtime::new()?.block_on(async {
            let bus = Bus::builder("shop").url(url).connect().await?;
            let at_work = Arc::new(Notify::new());
            let works = Arc::clone(&at_work);
            let handler = move |_: Happened| {
                works.notify_one();
                let _ = begun.send(());
                std::future::pending::<()>()
            };
            let happened = ApiClient::new(&bus).happened();
            let renewals = Arc::clone(&their_store.renewals);
            let deduplicating = happened.deduplicate(their_store);
            deduplicating.listen("lease", handler).await?;
            let _ = listening.send(());
            at_work.notified().await;
            eventually("it has been at work for three leases", async || {
                renewals.load(Ordering::SeqCst) >= 9
            })
            .await?;
            crashes.store(true, Ordering::SeqCst);
            anyhow::Ok(())
        })
    });
    listens.await?;
    let foreign = Foreign::connect(&bus.url()).await?;
    let (exchange, key) = ("lb.ev.dedup_lease", "dedup_lease.happened");
    foreign
        .publish(exchange, key, event("x"), &payload(1))
        .await?;
    begins.recv().await.expect("it begins");
    let shop = bus.app("shop").await?;
    let (sender, mut handled) = mpsc::unbounded_channel();
    let handler = move |_: Happened| {
        let _ = sender.send(Context::current().map(|message| message.attempt()));
        std::future::ready(())
    };
    let happened = ApiClient::new(&shop).happened();
    let deduplicating = happened.deduplicate(store);
    deduplicating.listen("lease", handler).await?;
    foreign
        .publish(exchange, key, event("x"), &payload(1))
        .await?;
    let attempt = handled.recv().await.expect("it is handled");
    assert_eq!(attempt, Some(0), "no attempt is used up by waiting");
    assert!(crashed.load(Ordering::SeqCst), "the other was still at it");
    crash.join().expect("the other process")?;
    // The other copy.
    duplicates(&shop, 1).await?;
    assert!(handled.try_recv().is_err() && begins.try_recv().is_err());
    Ok(())
}
