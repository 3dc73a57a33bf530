//! Callers that give up, and handlers that are dropped for it: `#[rpc(cancel)]`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lightbus::testing::TestBus;
use lightbus::{Bus, CallError, Context};
use lightbus_tests::{Foreign, eventually};
use tokio::sync::{Semaphore, mpsc};

/// What became of handlers.
#[derive(Clone, Default)]
struct Seen {
    begun: Arc<AtomicUsize>,
    dropped: Arc<AtomicUsize>,
    finished: Arc<AtomicUsize>,
}

impl Seen {
    /// A handler that goes on until `go_on` has a permit for it.
    async fn handle(&self, go_on: &Semaphore) {
        struct Handler<'a>(&'a Seen);
        impl Drop for Handler<'_> {
            fn drop(&mut self) {
                self.0.dropped.fetch_add(1, Ordering::SeqCst);
            }
        }
        let _handler = Handler(self);
        self.begun.fetch_add(1, Ordering::SeqCst);
        go_on.acquire().await.unwrap().forget();
        self.finished.fetch_add(1, Ordering::SeqCst);
    }

    async fn until_begun(&self, handlers: usize) -> anyhow::Result<()> {
        let what = format!("{handlers} handlers have begun");
        eventually(&what, async || {
            self.begun.load(Ordering::SeqCst) >= handlers
        })
        .await
    }

    async fn until_dropped(&self, handlers: usize) -> anyhow::Result<()> {
        let what = format!("{handlers} handlers are dropped");
        eventually(&what, async || {
            self.dropped.load(Ordering::SeqCst) >= handlers
        })
        .await
    }

    fn finished(&self) -> usize {
        self.finished.load(Ordering::SeqCst)
    }
}

/// Begins a call, and gives it up when its handler runs.
async fn give_up<F: IntoFuture<IntoFuture: Send + 'static>>(
    call: F,
    seen: &Seen,
    begun: usize,
) -> anyhow::Result<()>
where
    F::Output: Send + 'static,
{
    let call = tokio::spawn(call.into_future());
    seen.until_begun(begun).await?;
    call.abort();
    assert!(call.await.is_err_and(|error| error.is_cancelled()));
    Ok(())
}

#[tokio::test]
async fn a_call_that_is_given_up_ends_its_handler_if_the_method_says_so() -> anyhow::Result<()> {
    #[lightbus::api(name = "cancelling_dropped")]
    trait Api {
        #[rpc(cancel)]
        async fn report(&self) -> u8;
        #[rpc(cancel, idempotent)]
        async fn lookup(&self) -> u8;
        async fn order(&self) -> u8;
        async fn ping(&self) -> u8;
    }
    #[derive(Clone)]
    struct Provider {
        cancelled: Seen,
        ordered: Seen,
        go_on: Arc<Semaphore>,
    }
    impl Api for Provider {
        async fn report(&self) -> u8 {
            self.cancelled.handle(&self.go_on).await;
            1
        }
        async fn lookup(&self) -> u8 {
            self.report().await
        }
        async fn order(&self) -> u8 {
            self.ordered.handle(&self.go_on).await;
            2
        }
        async fn ping(&self) -> u8 {
            3
        }
    }
    let provider = Provider {
        cancelled: Seen::default(),
        ordered: Seen::default(),
        go_on: Arc::new(Semaphore::new(0)),
    };
    let bus = TestBus::start().await?;
    bus.serve(ApiServer::new(provider.clone())).await?;
    let api = ApiClient::new(&bus);
    let (cancelled, ordered) = (&provider.cancelled, &provider.ordered);

    give_up(api.order(), ordered, 1).await?;
    give_up(api.report(), cancelled, 1).await?;
    cancelled.until_dropped(1).await?;
    give_up(api.lookup(), cancelled, 2).await?;
    cancelled.until_dropped(2).await?;
    // So does a timeout.
    let timeout = Duration::from_millis(100);
    let error = api.report().timeout(timeout).await.unwrap_err();
    assert!(matches!(error, CallError::Timeout(_)), "{error}");
    cancelled.until_dropped(3).await?;
    assert_eq!(cancelled.finished(), 0);
    // The caller has said so, each time it was for it to say.
    eventually("it is counted", async || {
        bus.counts().calls_given_up == 3 && bus.counts().calls_cancelled == 3
    })
    .await?;

    // The method without the word runs on, and what is answered is cancelled by nobody.
    provider.go_on.add_permits(2);
    assert_eq!(api.report().await?, 1);
    eventually("the order is finished", async || ordered.finished() == 1).await?;
    assert_eq!(api.ping().await?, 3);
    let mut counts = bus.counts();
    assert_eq!((counts.calls_given_up, counts.cancels_lost), (3, 0));
    eventually("only the order was answered too late", async || {
        counts = bus.counts();
        counts.replies_ignored == 1
    })
    .await?;
    // Every call was acknowledged.
    let foreign = Foreign::connect(&bus.url()).await?;
    bus.close().await;
    foreign.until("lb.rpc.cancelling_dropped", 0, 0).await?;
    let control = format!("lb.c.{}.{}", "test", bus.instance());
    assert_eq!(foreign.queue(&control).await?, None);
    Ok(())
}

#[tokio::test]
async fn the_calls_of_a_cancelled_handler_are_cancelled_in_turn() -> anyhow::Result<()> {
    #[lightbus::api(name = "cancelling_first")]
    trait First {
        #[rpc(cancel)]
        async fn run(&self);
    }
    #[lightbus::api(name = "cancelling_second")]
    trait Second {
        #[rpc(cancel)]
        async fn run(&self);
    }
    #[lightbus::api(name = "cancelling_third")]
    trait Third {
        #[rpc(cancel)]
        async fn run(&self);
    }
    struct Forward<C>(C, Seen);
    impl First for Forward<SecondClient> {
        async fn run(&self) {
            let go_on = Semaphore::new(1);
            self.1.handle(&go_on).await;
            self.0.run().await.unwrap();
        }
    }
    impl Second for Forward<ThirdClient> {
        async fn run(&self) {
            let go_on = Semaphore::new(1);
            self.1.handle(&go_on).await;
            self.0.run().await.unwrap();
        }
    }
    struct Last(Seen);
    impl Third for Last {
        async fn run(&self) {
            self.0.handle(&Semaphore::new(0)).await;
        }
    }
    let bus = TestBus::start().await?;
    let (one, two, three) = (
        bus.app("one").await?,
        bus.app("two").await?,
        bus.app("three").await?,
    );
    let (passed, last) = (Seen::default(), Seen::default());
    three.serve(ThirdServer::new(Last(last.clone()))).await?;
    let second = Forward(ThirdClient::new(&two), passed.clone());
    two.serve(SecondServer::new(second)).await?;
    let first = Forward(SecondClient::new(&one), passed.clone());
    one.serve(FirstServer::new(first)).await?;
    give_up(FirstClient::new(&bus).run(), &last, 1).await?;
    last.until_dropped(1).await?;
    assert_eq!((passed.finished(), last.finished()), (2, 0));
    eventually("each of the three was cancelled", async || {
        [&one, &two, &three].map(|bus| bus.counts().calls_cancelled) == [1, 1, 1]
    })
    .await
}

#[tokio::test]
async fn the_replica_that_has_the_call_is_told_also_before_it_begins() -> anyhow::Result<()> {
    #[lightbus::api(name = "cancelling_replicas")]
    trait Api {
        #[rpc(cancel)]
        async fn report(&self);
    }
    struct Provider(Seen, Arc<Semaphore>);
    impl Api for Provider {
        async fn report(&self) {
            self.0.handle(&self.1).await;
        }
    }
    let bus = TestBus::start().await?;
    let (seen, go_on) = (Seen::default(), Arc::new(Semaphore::new(0)));
    let start = async || -> anyhow::Result<Bus> {
        let provider = Provider(seen.clone(), Arc::clone(&go_on));
        let bus = bus.app("provider").await?;
        let serve = bus.serve(ApiServer::new(provider));
        serve.concurrency(1).await?;
        Ok(bus)
    };
    let (one, two) = (start().await?, start().await?);
    let call = || {
        let api = ApiClient::new(&bus);
        tokio::spawn(async move { api.report().await })
    };
    // One runs in each of the two, and each has one more that waits for a slot.
    let running = [call(), call()];
    seen.until_begun(2).await?;
    let waiting = [call(), call()];
    let foreign = Foreign::connect(&bus.url()).await?;
    foreign.until("lb.rpc.cancelling_replicas", 0, 2).await?;
    for call in waiting {
        call.abort();
        assert!(call.await.is_err());
    }
    eventually("both replicas have heard of both", async || {
        [&one, &two].map(|bus| bus.counts().cancels_unmatched) == [2, 2]
    })
    .await?;
    go_on.add_permits(3);
    for call in running {
        call.await??;
    }
    eventually("the two that waited do not begin", async || {
        one.counts().calls_cancelled + two.counts().calls_cancelled == 2
    })
    .await?;
    call().await??;
    assert_eq!((seen.begun.load(Ordering::SeqCst), seen.finished()), (3, 3));
    Ok(())
}

#[tokio::test]
async fn a_bus_that_is_closed_gives_up_its_calls() -> anyhow::Result<()> {
    #[lightbus::api(name = "cancelling_closed")]
    trait Api {
        #[rpc(cancel)]
        async fn report(&self);
    }
    struct Provider(Seen);
    impl Api for Provider {
        async fn report(&self) {
            self.0.handle(&Semaphore::new(0)).await;
        }
    }
    let bus = TestBus::start().await?;
    let (provider, seen) = (bus.app("provider").await?, Seen::default());
    provider
        .serve(ApiServer::new(Provider(seen.clone())))
        .await?;
    let peer = bus.app("peer").await?;
    let api = ApiClient::new(&peer);
    let call = tokio::spawn(async move { api.report().await });
    seen.until_begun(1).await?;
    peer.close().await;
    seen.until_dropped(1).await?;
    let error = call.await?.unwrap_err();
    assert!(matches!(error, CallError::Timeout(_)), "{error}");
    assert!(!error.is_retryable() && error.to_string().contains("the bus was closed"));
    Ok(())
}

/// A message of a call's life, as another program sends it.
async fn send(
    foreign: &Foreign,
    (kind, exchange, key): (&str, &str, &str),
    (reply_to, id): (&str, &str),
    headers: FieldTable,
) -> anyhow::Result<()> {
    let properties = BasicProperties::default()
        .with_type(kind.into())
        .with_reply_to(reply_to.into())
        .with_correlation_id(ShortString::from(id))
        .with_content_type("application/json".into())
        .with_headers(headers);
    foreign.publish(exchange, key, properties, b"{}").await
}

#[tokio::test]
async fn nobody_else_cancels_a_call_but_its_deadline() -> anyhow::Result<()> {
    #[lightbus::api(name = "cancelling_others")]
    trait Api {
        #[rpc(cancel)]
        async fn report(&self);
    }
    struct Provider(Seen, mpsc::UnboundedSender<String>);
    impl Api for Provider {
        async fn report(&self) {
            let context = Context::current().unwrap();
            self.1.send(context.message_id().to_owned()).unwrap();
            self.0.handle(&Semaphore::new(0)).await;
        }
    }
    let bus = TestBus::start().await?;
    let (provider, seen) = (bus.app("provider").await?, Seen::default());
    let (ids, mut begun) = mpsc::unbounded_channel();
    provider
        .serve(ApiServer::new(Provider(seen.clone(), ids)))
        .await?;
    let api = ApiClient::new(&bus);
    let _call = tokio::spawn(async move { api.report().await });
    let id = begun.recv().await.unwrap();
    let foreign = Foreign::connect(&bus.url()).await?;
    let none = FieldTable::default;
    let cancel = ("lb1.ctl", "lb.ctl", "cancel.cancelling_others");
    let other = format!("test/{}", provider.instance());
    send(&foreign, cancel, (&other, &id), none()).await?;
    let request = ("lb1.req", "lb.ctl", "cancel.cancelling_others");
    let own = format!("test/{}", bus.instance());
    send(&foreign, request, (&own, &id), none()).await?;
    eventually("both were read, and meant nothing", async || {
        let counts = provider.counts();
        (counts.cancels_unmatched, counts.control_ignored) == (1, 1)
    })
    .await?;
    assert_eq!(seen.dropped.load(Ordering::SeqCst), 0);
    send(&foreign, cancel, (&own, &id), none()).await?;
    seen.until_dropped(1).await?;

    // A caller that never says anything more.
    let mut headers = none();
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let deadline = AMQPValue::LongLongInt(i64::try_from(now)? + 300);
    headers.insert("lb-deadline".into(), deadline);
    let call = ("lb1.req", "lb.rpc.cancelling_others", "report");
    send(&foreign, call, (&own, "one-more"), headers).await?;
    assert_eq!(begun.recv().await.as_deref(), Some("one-more"));
    seen.until_dropped(2).await?;
    assert_eq!(seen.finished(), 0);
    assert_eq!(provider.counts().calls_cancelled, 2);
    Ok(())
}
