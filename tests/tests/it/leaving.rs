//! Leaving the bus: nothing is lost, and nothing stays behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lightbus::CallError;
use lightbus::testing::TestBus;
use lightbus_broker::Refusal;
use lightbus_tests::{Foreign, embedded, eventually, passed};
use tokio::sync::{Barrier, Notify, Semaphore};

use crate::connecting::threads;

#[lightbus::api(name = "leaving")]
trait Api {
    async fn echo(&self, n: u64) -> u64;
    async fn wait(&self);
    #[event]
    fn happened(n: u32);
}

/// Its handlers wait until they may go on, and tell that they do.
#[derive(Clone, Default)]
struct Provider {
    begun: Arc<Notify>,
    go_on: Arc<Notify>,
}

impl Api for Provider {
    async fn echo(&self, n: u64) -> u64 {
        n
    }
    async fn wait(&self) {
        self.begun.notify_one();
        self.go_on.notified().await;
    }
}

/// Waits until a queue's consumer is cancelled. RabbitMQ goes on to count it until its messages are settled, and tells nothing of it.
pub(crate) async fn until_cancelled(
    bus: &TestBus,
    foreign: &Foreign,
    queue: &str,
) -> anyhow::Result<()> {
    if embedded(bus).is_none() {
        return passed(Duration::from_secs(1)).await;
    }
    eventually("nobody consumes any more", async || {
        let counted = foreign.queue(queue).await;
        counted.is_ok_and(|counted| counted.is_some_and(|(_, consumers)| consumers == 0))
    })
    .await
}

#[lightbus::test]
async fn what_is_in_progress_finishes(bus: TestBus) -> anyhow::Result<()> {
    #[lightbus::api(name = "leaving_drain")]
    trait Drain {
        async fn echo(&self, n: u64) -> u64;
        #[event]
        fn happened(n: u32);
    }
    struct Counting(Arc<AtomicUsize>, Arc<Semaphore>);
    impl Drain for Counting {
        async fn echo(&self, n: u64) -> u64 {
            self.0.fetch_add(1, Ordering::SeqCst);
            self.1.acquire().await.unwrap().forget();
            n
        }
    }
    let provider = bus.app("provider").await?;
    let begun = Arc::new(AtomicUsize::new(0));
    let handled = Arc::new(AtomicUsize::new(0));
    let go_on = Arc::new(Semaphore::new(0));
    let counting = Counting(Arc::clone(&begun), Arc::clone(&go_on));
    provider.serve(DrainServer::new(counting)).await?;
    let (counter, done, may) = (Arc::clone(&begun), Arc::clone(&handled), Arc::clone(&go_on));
    let handler = move |_: Happened| {
        counter.fetch_add(1, Ordering::SeqCst);
        let (done, may) = (Arc::clone(&done), Arc::clone(&may));
        async move {
            may.acquire().await.unwrap().forget();
            done.fetch_add(1, Ordering::SeqCst);
        }
    };
    DrainClient::new(&provider)
        .happened()
        .listen("drain", handler)
        .await?;
    let call = tokio::spawn({
        let api = DrainClient::new(&bus);
        async move { api.echo(300).await }
    });
    DrainEvents::new(&bus)
        .happened()
        .publish(Happened { n: 1 })
        .await?;
    eventually("both handlers run", async || {
        begun.load(Ordering::SeqCst) == 2 || call.is_finished()
    })
    .await?;
    let running = tokio::spawn({
        let provider = provider.clone();
        async move { provider.run_until_shutdown().await }
    });
    provider.shutdown();
    let foreign = Foreign::connect(&bus.url()).await?;
    for queue in ["lb.q.provider.drain", "lb.rpc.leaving_drain"] {
        until_cancelled(&bus, &foreign, queue).await?;
    }
    assert!(!running.is_finished(), "both handlers are still running");
    go_on.add_permits(2);
    running.await??;
    assert_eq!(call.await??, 300);
    assert_eq!(handled.load(Ordering::SeqCst), 1);
    foreign.until("lb.q.provider.drain", 0, 0).await?;
    // A closed bus says so.
    let closed = DrainClient::new(&provider)
        .echo(1)
        .timeout(Duration::from_secs(1))
        .await
        .unwrap_err();
    assert!(matches!(closed, CallError::Connection(_)), "{closed}");
    assert!(closed.to_string().contains("closed"), "{closed}");
    Ok(())
}

#[lightbus::test]
async fn answers_on_their_way_are_not_overtaken_by_the_close(bus: TestBus) -> anyhow::Result<()> {
    const CALLS: usize = 40;
    const ANSWER: usize = 1000 << 10;
    #[lightbus::api(name = "leaving_answers")]
    trait Answers {
        async fn report(&self) -> String;
    }
    struct AllAtOnce(Arc<Barrier>);
    impl Answers for AllAtOnce {
        async fn report(&self) -> String {
            self.0.wait().await;
            "x".repeat(ANSWER)
        }
    }
    let provider = bus.app("provider").await?;
    let all_begun = Arc::new(Barrier::new(CALLS + 1));
    provider
        .serve(AnswersServer::new(AllAtOnce(Arc::clone(&all_begun))))
        .await?;
    let calls: Vec<_> = (0..CALLS)
        .map(|_| {
            let api = AnswersClient::new(&bus);
            tokio::spawn(async move { api.report().timeout(Duration::from_secs(60)).await })
        })
        .collect();
    all_begun.wait().await;
    provider.close().await;
    for call in calls {
        assert_eq!(call.await??.len(), ANSWER);
    }
    Ok(())
}

#[lightbus::test]
async fn the_grace_period_ends_handlers_that_go_on_for_ever(bus: TestBus) -> anyhow::Result<()> {
    #[lightbus::api(name = "leaving_grace")]
    trait Grace {
        #[event]
        fn happened(n: u32);
    }
    let shop = bus
        .app_builder("shop")
        .grace(Duration::from_millis(200))
        .connect()
        .await?;
    let begun = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&begun);
    let handler = move |_: Happened| {
        counter.fetch_add(1, Ordering::SeqCst);
        std::future::pending::<()>()
    };
    GraceClient::new(&shop)
        .happened()
        .listen("grace", handler)
        .await?;
    GraceEvents::new(&shop)
        .happened()
        .publish(Happened { n: 1 })
        .await?;
    eventually("the handler runs", async || {
        begun.load(Ordering::SeqCst) == 1
    })
    .await?;
    let asked = Instant::now();
    shop.close().await;
    assert!(
        asked.elapsed() < Duration::from_secs(2),
        "{:?}",
        asked.elapsed()
    );
    // Its event goes back.
    let foreign = Foreign::connect(&bus.url()).await?;
    foreign.until("lb.q.shop.grace", 1, 0).await
}

#[lightbus::test]
async fn a_dropped_bus_leaves_no_thread_no_queue_and_no_connection(
    bus: TestBus,
) -> anyhow::Result<()> {
    let provider = bus.app_builder("leave-provider").connect().await?;
    let peer = bus.app_builder("leave-peer").connect().await?;
    let serving = Provider::default();
    provider.serve(ApiServer::new(serving.clone())).await?;
    let (instance, foreign) = (
        peer.instance().to_owned(),
        Foreign::connect(&bus.url()).await?,
    );
    {
        let api = ApiClient::new(&peer);
        assert_eq!(api.echo(1).await?, 1);
        drop(api.wait().timeout(Duration::from_millis(10)).await);
        serving.go_on.notify_one();
        let broadcast = api.happened().broadcast("leave-b", |_| async {}).await?;
        assert!(foreign.queue(broadcast.queue()).await?.is_some());
        api.happened().listen("leave-l", |_| async {}).await?;
        drop(api.happened().stream("leave-s").await?);
    }
    let reply_queue = format!("lb.r.leave-peer.{instance}");
    let broadcast_queue = format!("lb.b.leave-peer.leave-b.{instance}");
    assert!(foreign.queue(&reply_queue).await?.is_some());
    assert!(threads("lightbus leave-peer") > 0);
    drop((peer, provider));
    eventually("the threads are gone", async || {
        threads("lightbus leave-") == 0
    })
    .await?;
    assert_eq!(foreign.queue(&reply_queue).await?, None);
    assert_eq!(foreign.queue(&broadcast_queue).await?, None);
    for stays in [
        "lb.q.leave-peer.leave-l",
        "lb.q.leave-peer.leave-s",
        "lb.rpc.leaving",
    ] {
        eventually("no consumer remains", async || {
            foreign
                .queue(stays)
                .await
                .is_ok_and(|queue| queue.is_some_and(|(_, n)| n == 0))
        })
        .await?;
    }
    if let Some(broker) = embedded(&bus) {
        eventually("no connection remains", async || {
            let connections = broker.snapshot().connections.into_iter();
            let mut names = connections.filter_map(|connection| connection.name);
            !names.any(|name| name.starts_with("leave-"))
        })
        .await?;
    }
    Ok(())
}

#[lightbus::test]
async fn an_api_that_is_no_longer_served_takes_no_calls(bus: TestBus) -> anyhow::Result<()> {
    #[lightbus::api(name = "leaving_stop")]
    trait Stop {
        async fn ping(&self) -> u8;
    }
    impl Stop for Provider {
        async fn ping(&self) -> u8 {
            1
        }
    }
    let serving = bus.serve(StopServer::new(Provider::default())).await?;
    assert_eq!(serving.api(), "leaving_stop");
    let peer = bus.app("peer").await?;
    let api = StopClient::new(&peer);
    assert_eq!(api.ping().await?, 1);
    serving.stop().await;
    let waited = api.ping().timeout(Duration::from_millis(200)).await;
    assert!(
        matches!(waited, Err(CallError::Timeout(_))),
        "within a minute a provider may come back: {waited:?}"
    );
    bus.serve(StopServer::new(Provider::default())).await?;
    assert_eq!(api.ping().await?, 1);
    Ok(())
}

/// How long a bus takes to close that has a grace period of a second, with a call in progress that can be answered by then.
async fn closing_time(bus: &TestBus, disturb: impl FnOnce()) -> anyhow::Result<Duration> {
    let builder = bus.app_builder("provider");
    let provider = builder.grace(Duration::from_secs(1)).connect().await?;
    let serving = Provider::default();
    provider.serve(ApiServer::new(serving.clone())).await?;
    let api = ApiClient::new(bus);
    let listener = ApiClient::new(&provider).happened();
    let listening = listener.listen("trouble", |_| async {}).await?;
    assert_eq!(api.echo(0).await?, 0);
    // The provider has called itself, too: it has a queue of its own to delete.
    assert_eq!(ApiClient::new(&provider).echo(1).await?, 1);
    let call = tokio::spawn(async move { api.wait().await });
    serving.begun.notified().await;
    disturb();
    let asked = Instant::now();
    let closing = tokio::time::timeout(Duration::from_secs(20), provider.close());
    let (closed, ()) = tokio::join!(closing, async { serving.go_on.notify_one() });
    let took = asked.elapsed();
    assert!(closed.is_ok(), "the bus was not closed within 20 s");
    call.abort();
    drop(listening);
    Ok(took)
}

#[tokio::test]
async fn a_bus_is_closed_in_time_while_the_broker_blocks_hangs_or_is_gone() -> anyhow::Result<()> {
    // A second of grace, a second each to stop consuming, to read the last answers and to send them, two to take leave; and a busy machine.
    const IN_TIME: Duration = Duration::from_secs(8);
    let bus = TestBus::start().await?;
    let Some(embedded) = embedded(&bus) else {
        return Ok(());
    };
    let took = closing_time(&bus, || embedded.block_publishers("low on memory")).await?;
    assert!(took < IN_TIME, "blocked: {took:?}");
    embedded.unblock_publishers();
    let took = closing_time(&bus, || embedded.faults().stall_all()).await?;
    assert!(took < IN_TIME, "stalled: {took:?}");
    embedded.faults().resume_all();
    let gone = || {
        embedded.faults().refuse_connections(Refusal::Closed);
        embedded.drop_connections();
    };
    let took = closing_time(&bus, gone).await?;
    assert!(took < IN_TIME, "gone: {took:?}");
    Ok(())
}
