//! Deadlines: what a call has left goes with it, and every call ends by its own.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use lightbus::health::State;
use lightbus::testing::TestBus;
use lightbus::{Bus, CallError, Context};
use lightbus_broker::{Broker, Refusal};
use lightbus_tests::{Foreign, embedded, eventually};
use tokio::sync::{Semaphore, mpsc};

const MS: Duration = Duration::from_millis(1);

#[lightbus::api(name = "deadlines_never")]
trait Never {
    async fn answer(&self);
}

/// Never answers: a call ends by its deadline, and by nothing else.
struct Silent;

impl Never for Silent {
    async fn answer(&self) {
        std::future::pending().await
    }
}

/// Makes a call that ends when this time is over.
async fn call_for(time: Duration, api: &NeverClient) {
    let error = api.answer().timeout(time).await;
    assert!(matches!(error, Err(CallError::Timeout(_))), "{error:?}");
}

#[tokio::test]
async fn calls_within_calls_get_what_is_left() -> anyhow::Result<()> {
    #[lightbus::api(name = "deadlines_first")]
    trait First {
        async fn run(&self);
    }
    #[lightbus::api(name = "deadlines_second")]
    trait Second {
        async fn run(&self);
    }
    #[lightbus::api(name = "deadlines_third")]
    trait Third {
        #[rpc(timeout = "30s")]
        async fn run(&self);
    }
    /// What each handler had left, and how its own call ended.
    type Told = mpsc::UnboundedSender<(u8, Duration, Option<bool>)>;
    fn left() -> Duration {
        Context::current().and_then(|it| it.time_left()).unwrap()
    }
    struct Forward<C>(C, NeverClient, Told);
    impl First for Forward<SecondClient> {
        async fn run(&self) {
            self.2.send((1, left(), None)).unwrap();
            call_for(200 * MS, &self.1).await;
            let error = self.0.run().timeout(30_000 * MS).await.unwrap_err();
            let timeout = matches!(error, CallError::Timeout(_));
            let _ = self.2.send((1, left(), Some(timeout)));
        }
    }
    impl Second for Forward<ThirdClient> {
        async fn run(&self) {
            self.2.send((2, left(), None)).unwrap();
            call_for(200 * MS, &self.1).await;
            let error = self.0.run().await.unwrap_err();
            let timeout = matches!(error, CallError::Timeout(_));
            let _ = self.2.send((2, left(), Some(timeout)));
        }
    }
    struct Last(Told);
    impl Third for Last {
        async fn run(&self) {
            self.0.send((3, left(), None)).unwrap();
            std::future::pending::<()>().await;
        }
    }
    let bus = TestBus::start().await?;
    let provider = bus.app_builder("provider").grace(100 * MS);
    let provider = provider.connect().await?;
    let (told, mut tell) = mpsc::unbounded_channel();
    provider.serve(ThirdServer::new(Last(told.clone()))).await?;
    provider.serve(NeverServer::new(Silent)).await?;
    let never = NeverClient::new(&provider);
    let second = Forward(ThirdClient::new(&provider), never.clone(), told.clone());
    provider.serve(SecondServer::new(second)).await?;
    let first = Forward(SecondClient::new(&provider), never, told);
    provider.serve(FirstServer::new(first)).await?;
    // A busy machine may take its time to set things up: then the chain did not get to its end.
    let timeout = 5000 * MS;
    let asked = Instant::now();
    let error = FirstClient::new(&bus).run().timeout(timeout).await;
    assert!(matches!(error, Err(CallError::Timeout(_))), "{error:?}");
    assert!(asked.elapsed() < timeout + 1000 * MS);
    let mut most = timeout;
    for handler in 1..=3 {
        let (who, left, end) = tell.recv().await.unwrap();
        assert_eq!((who, end), (handler, None));
        assert!(left <= most, "handler {who} had {left:?} of {most:?}");
        assert!(left > Duration::ZERO);
        most = left - 199 * MS;
    }
    // The inner calls ended with the outer one, not after their own 30 s.
    for _ in 0..2 {
        let (_, left, end) = tell.recv().await.unwrap();
        assert_eq!(end, Some(true));
        assert!(left < 100 * MS, "{left:?}");
    }
    assert!(asked.elapsed() < timeout + 2000 * MS);
    Ok(())
}

#[tokio::test]
async fn a_wrong_clock_neither_drops_a_call_nor_lets_an_expired_one_run() -> anyhow::Result<()> {
    #[lightbus::api(name = "deadlines_clocks")]
    trait Api {
        async fn work(&self);
    }
    struct Provider(mpsc::UnboundedSender<Duration>, Arc<Semaphore>);
    impl Api for Provider {
        async fn work(&self) {
            let context = Context::current().unwrap();
            self.0.send(context.time_left().unwrap()).unwrap();
            self.1.acquire().await.unwrap().forget();
        }
    }
    let (runs, mut ran) = mpsc::unbounded_channel();
    let go_on = Arc::new(Semaphore::new(0));
    let bus = TestBus::start().await?;
    bus.serve(ApiServer::new(Provider(runs, Arc::clone(&go_on))))
        .concurrency(1)
        .await?;
    bus.serve(NeverServer::new(Silent)).await?;
    let peer = bus.app("caller").await?;
    let never = NeverClient::new(&peer);
    let foreign = Foreign::connect(&bus.url()).await?;
    let exchange = "lb.rpc.deadlines_clocks";
    let send = async |caller: char, ahead_ms: i64, timeout: i64| {
        let instance = caller.to_string().repeat(32);
        foreign.reply_address("clocks-peer", &instance).await?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
        let deadline = i64::try_from(now)? + ahead_ms + timeout;
        let mut headers = FieldTable::default();
        headers.insert("lb-deadline".into(), AMQPValue::LongLongInt(deadline));
        let properties = BasicProperties::default()
            .with_type("lb1.req".into())
            .with_reply_to(format!("clocks-peer/{instance}").into())
            .with_correlation_id("1".into())
            .with_expiration(timeout.to_string().into())
            .with_content_type("application/json".into())
            .with_headers(headers);
        foreign.publish(exchange, "work", properties, b"{}").await
    };
    for (caller, ahead) in [('a', 0), ('b', -10_000), ('c', 10_000)] {
        let refused = bus.counts().calls_refused;
        // Of five seconds all are left, whatever the clock says.
        send(caller, ahead, 5000).await?;
        let left = ran.recv().await.unwrap();
        assert!(left <= 5000 * MS && left > 3000 * MS, "{ahead}: {left:?}");
        // It holds the only slot while the next one expires.
        send(caller, ahead, 1000).await?;
        foreign.until(exchange, 0, 1).await?;
        call_for(1500 * MS, &never).await;
        go_on.add_permits(1);
        eventually(
            "the expired one is refused, or was by the broker",
            async || {
                let refused = bus.counts().calls_refused > refused;
                refused
                    || foreign
                        .queue(exchange)
                        .await
                        .is_ok_and(|it| it == Some((0, 1)))
            },
        )
        .await?;
        // Served in order: the expired one would have run before.
        send(caller, ahead, 4000).await?;
        let left = ran.recv().await.unwrap();
        assert!(left > 2000 * MS, "{ahead}: the expired one ran: {left:?}");
        go_on.add_permits(1);
    }
    assert!(bus.counts().calls_refused > 0, "none was refused here");
    Ok(())
}

#[lightbus::api(name = "deadlines_ends")]
trait Ends {
    async fn nothing(&self);
    #[rpc(cancel)]
    async fn report(&self);
}

struct Ready;

impl Ends for Ready {
    async fn nothing(&self) {}
    async fn report(&self) {}
}

/// Calls on a bus that has made some, and on one that has made none.
async fn calls_end(used: &Bus, fresh: &Bus, trouble: &str) -> Vec<CallError<Infallible>> {
    let mut errors = Vec::new();
    for bus in [used, fresh] {
        let api = EndsClient::new(bus);
        let asked = Instant::now();
        let calls = tokio::join!(
            api.nothing().timeout(400 * MS).into_future(),
            api.report().timeout(400 * MS).into_future()
        );
        let took = asked.elapsed();
        assert!(took < 1400 * MS, "{trouble}: {took:?}");
        errors.extend([calls.0.unwrap_err(), calls.1.unwrap_err()]);
    }
    errors
}

#[tokio::test]
async fn every_call_ends_by_its_deadline_whatever_becomes_of_the_broker() -> anyhow::Result<()> {
    let bus = TestBus::start().await?;
    let Some(embedded) = embedded(&bus) else {
        return Ok(());
    };
    let provider = bus.app("provider").await?;
    provider.serve(EndsServer::new(Ready)).await?;
    let used = bus.app("used").await?;
    let api = EndsClient::new(&used);
    api.nothing().await?;
    api.report().await?;
    let gone = |embedded: &Broker| {
        embedded.faults().refuse_connections(Refusal::Silent);
        embedded.drop_connections();
    };
    let back = |embedded: &Broker| embedded.faults().admit_connections();
    type Lever<'a> = &'a dyn Fn(&Broker);
    let troubles: [(&str, Lever<'_>, Lever<'_>); 3] = [
        (
            "blocked",
            &|embedded| embedded.block_publishers("low on memory"),
            &|embedded| embedded.unblock_publishers(),
        ),
        (
            "stalled",
            &|embedded| embedded.faults().stall_all(),
            &|embedded| embedded.faults().resume_all(),
        ),
        ("gone", &gone, &back),
    ];
    for (trouble, begin, end) in troubles {
        let fresh = bus.app("fresh").await?;
        begin(embedded);
        // What it takes to know of it, a call that is already on its way may take.
        for error in calls_end(&used, &fresh, trouble).await {
            let known = match trouble {
                "stalled" => matches!(error, CallError::Timeout(_) | CallError::Connection(_)),
                "gone" => matches!(error, CallError::Timeout(_) | CallError::Connection(_)),
                _ => matches!(error, CallError::Timeout(_) | CallError::Blocked(_)),
            };
            assert!(known, "{trouble}: {error:?}");
        }
        end(embedded);
        api.nothing().await?;
        fresh.close().await;
    }
    Ok(())
}

#[lightbus::test(broker = "embedded")]
async fn a_blocked_broker_and_a_full_budget_refuse_calls_at_once(
    bus: TestBus,
) -> anyhow::Result<()> {
    #[lightbus::api(name = "deadlines_blocked")]
    trait Api {
        async fn length(&self, bytes: Vec<u8>) -> usize;
    }
    struct Provider;
    impl Api for Provider {
        async fn length(&self, bytes: Vec<u8>) -> usize {
            bytes.len()
        }
    }
    let embedded = bus.broker();
    let provider = bus.app("provider").await?;
    provider.serve(ApiServer::new(Provider)).await?;
    let api = ApiClient::new(&bus);
    assert_eq!(api.length([1, 2]).await?, 2);
    embedded.block_publishers("low on memory");
    // What leaves before it is known keeps its place until the end of the alarm.
    eventually("the alarm is known", async || {
        let parts = bus.health().parts;
        parts.iter().any(|part| part.state == State::Blocked)
    })
    .await?;
    let error = api.length([1]).timeout(50 * MS).await.unwrap_err();
    assert!(matches!(error, CallError::Blocked(_)), "{error:?}");
    assert!(error.is_retryable() && error.to_string().contains("alarm"));
    // 32 MiB of calls wait for the end of the alarm.
    let megabyte = vec![7; (1 << 20) - 100];
    let polled = Arc::<AtomicUsize>::default();
    let waiting: Vec<_> = (0..32)
        .map(|_| {
            let (api, megabyte) = (api.clone(), megabyte.clone());
            let polled = Arc::clone(&polled);
            tokio::spawn(async move {
                let call = api.length(megabyte).into_future();
                polled.fetch_add(1, Ordering::SeqCst);
                call.await
            })
        })
        .collect();
    eventually("all of them wait", async || {
        polled.load(Ordering::SeqCst) == 32
    })
    .await?;
    let asked = Instant::now();
    let error = api.length([1]).await.unwrap_err();
    assert!(asked.elapsed() < 5000 * MS, "{:?}", asked.elapsed());
    assert!(matches!(error, CallError::Blocked(_)), "{error:?}");
    assert!(error.to_string().contains("share of memory"), "{error}");
    embedded.unblock_publishers();
    for call in waiting {
        assert_eq!(call.await??, megabyte.len());
    }
    assert_eq!(api.length([1]).await?, 1);
    Ok(())
}
