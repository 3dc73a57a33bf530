//! Calls, from both sides.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lightbus::testing::TestBus;
use lightbus::{CallError, Context};
use serde::{Deserialize, Serialize};
use tokio::sync::{Barrier, Notify, Semaphore, mpsc};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
pub(crate) enum AuthError {
    #[error("locked since {since}")]
    Locked { since: u64 },
}

#[lightbus::test]
async fn an_answer_and_an_error_keep_their_types(bus: TestBus) -> anyhow::Result<()> {
    #[lightbus::api(name = "calls_typed")]
    trait Api {
        async fn check(&self, username: String, password: String) -> Result<bool, AuthError>;
        async fn sum(&self, numbers: Vec<i64>, start: Option<i64>) -> i64;
        async fn reverse(&self, bytes: Vec<u8>) -> Vec<u8>;
        async fn greet(&self, name: String) -> String {
            format!("hello {name}")
        }
        async fn nothing(&self);
    }
    struct Provider;
    impl Api for Provider {
        async fn check(&self, username: String, password: String) -> Result<bool, AuthError> {
            match username.as_str() {
                "locked" => Err(AuthError::Locked { since: 7 }),
                _ => Ok(password == "secret"),
            }
        }
        async fn sum(&self, numbers: Vec<i64>, start: Option<i64>) -> i64 {
            numbers.iter().sum::<i64>() + start.unwrap_or_default()
        }
        async fn reverse(&self, bytes: Vec<u8>) -> Vec<u8> {
            bytes.into_iter().rev().collect()
        }
        async fn nothing(&self) {}
    }
    let provider = bus.app("provider").await?;
    provider.serve(ApiServer::new(Provider)).await?;
    let api = ApiClient::new(&bus);

    assert!(api.check("ada", "secret").await?);
    assert!(!api.check(String::from("ada"), "x").await?);
    assert_eq!(
        api.check("locked", "x").await,
        Err(CallError::Domain(AuthError::Locked { since: 7 }))
    );
    assert_eq!(api.sum(vec![1, 2, 3], None).await?, 6);
    assert_eq!(api.sum(vec![], Some(-4)).await?, -4);
    assert_eq!(api.reverse([1, 2, 255]).await?, [255, 2, 1]);
    assert_eq!(api.greet("ada").await?, "hello ada");
    api.nothing().await?;
    Ok(())
}

#[lightbus::test]
async fn nobody_serves_it_and_the_caller_hears_at_once(bus: TestBus) -> anyhow::Result<()> {
    #[lightbus::api(name = "calls_unserved")]
    trait Api {
        async fn ping(&self) -> u8;
    }
    let api = ApiClient::new(&bus);
    let mut best = Duration::MAX;
    for _ in 0..20 {
        let asked = Instant::now();
        let error = api.ping().await.unwrap_err();
        best = best.min(asked.elapsed());
        assert!(matches!(error, CallError::NoProvider(_)), "{error}");
        assert!(error.is_retryable());
        assert!(
            error.to_string().contains("nobody serves `calls_unserved`"),
            "{error}"
        );
    }
    // The best of twenty: other tests share the machine.
    assert!(best < Duration::from_millis(50), "it took {best:?}");
    Ok(())
}

#[lightbus::test]
async fn a_provider_of_another_version_lacks_the_method(bus: TestBus) -> anyhow::Result<()> {
    mod old {
        #[lightbus::api(name = "calls_versions")]
        pub trait Api {
            async fn old(&self) -> u8;
        }
        pub(super) struct Provider;
        impl Api for Provider {
            async fn old(&self) -> u8 {
                1
            }
        }
    }
    #[lightbus::api(name = "calls_versions")]
    trait Api {
        async fn newest(&self) -> u8;
    }
    let provider = bus.app("provider").await?;
    provider.serve(old::ApiServer::new(old::Provider)).await?;
    let error = ApiClient::new(&bus).newest().await.unwrap_err();
    assert!(matches!(error, CallError::UnknownMethod(_)), "{error}");
    assert!(error.to_string().contains("another version"), "{error}");
    assert_eq!(old::ApiClient::new(&bus).old().await?, 1);
    Ok(())
}

#[lightbus::test]
async fn a_call_ends_by_its_timeout_and_a_late_answer_harms_nobody(
    bus: TestBus,
) -> anyhow::Result<()> {
    #[lightbus::api(name = "calls_timeout")]
    trait Api {
        async fn echo(&self, n: u64) -> u64;
        #[rpc(timeout = "50ms")]
        async fn impatient(&self) -> u64;
    }
    struct Provider(Arc<Semaphore>);
    impl Api for Provider {
        async fn echo(&self, n: u64) -> u64 {
            self.0.acquire().await.unwrap().forget();
            n
        }
        async fn impatient(&self) -> u64 {
            self.echo(300).await
        }
    }
    let provider = bus.app("provider").await?;
    let go_on = Arc::new(Semaphore::new(1));
    provider
        .serve(ApiServer::new(Provider(Arc::clone(&go_on))))
        .await?;
    let api = ApiClient::new(&bus);
    assert_eq!(api.echo(0).await?, 0);
    let asked = Instant::now();
    let error = api
        .echo(200)
        .timeout(Duration::from_millis(50))
        .await
        .unwrap_err();
    assert!(matches!(error, CallError::Timeout(_)), "{error}");
    assert!(
        asked.elapsed() < Duration::from_millis(1050),
        "{:?}",
        asked.elapsed()
    );
    assert!(matches!(api.impatient().await, Err(CallError::Timeout(_))));
    // The late answers arrive during this call, before its own, and are nobody's.
    let (answer, ()) = tokio::join!(api.echo(400).into_future(), async {
        go_on.add_permits(3);
    });
    assert_eq!(answer?, 400);
    Ok(())
}

#[tokio::test]
async fn a_handler_knows_its_message_and_its_calls_inherit_the_deadline() -> anyhow::Result<()> {
    let bus = TestBus::start().await?;
    #[lightbus::api(name = "calls_inner")]
    trait Inner {
        async fn slow(&self) -> u8;
    }
    struct Slow(Arc<Notify>);
    impl Inner for Slow {
        async fn slow(&self) -> u8 {
            self.0.notified().await;
            1
        }
    }
    #[lightbus::api(name = "calls_outer")]
    trait Outer {
        async fn who(&self) -> (String, Option<String>, u32);
        async fn call_slow(&self);
    }
    struct Forward(InnerClient, mpsc::UnboundedSender<CallError<Infallible>>);
    impl Outer for Forward {
        async fn who(&self) -> (String, Option<String>, u32) {
            let context = Context::current().expect("a handler has a context");
            assert_eq!((context.api(), context.name()), ("calls_outer", "who"));
            assert!(!context.message_id().is_empty() && !context.is_redelivered());
            assert!(
                context
                    .time_left()
                    .is_some_and(|left| left <= Duration::from_secs(20))
            );
            let tenant = context.header("tenant").map(str::to_owned);
            (
                context.caller().unwrap_or_default().to_owned(),
                tenant,
                context.attempt(),
            )
        }
        async fn call_slow(&self) {
            self.1.send(self.0.slow().await.unwrap_err()).unwrap();
        }
    }
    let provider = bus.app("provider").await?;
    let go_on = Arc::new(Notify::new());
    provider
        .serve(InnerServer::new(Slow(Arc::clone(&go_on))))
        .await?;
    let (told, mut errors) = mpsc::unbounded_channel();
    let forward = Forward(InnerClient::new(&provider), told);
    provider.serve(OuterServer::new(forward)).await?;
    let api = OuterClient::new(&bus);
    assert!(Context::current().is_none());
    let who = api.who().timeout(Duration::from_secs(20));
    let answer = who.header("tenant", "acme").await?;
    assert_eq!(answer, ("test".to_owned(), Some("acme".into()), 0));
    // The inner call gives up before the outer caller does, or with it.
    let asked = Instant::now();
    match api.call_slow().timeout(Duration::from_millis(500)).await {
        Ok(()) => {}
        Err(error) => assert!(matches!(error, CallError::Timeout(_)), "{error}"),
    }
    let inner = errors.recv().await.expect("an error");
    assert!(matches!(inner, CallError::Timeout(_)), "{inner}");
    assert!(asked.elapsed() < Duration::from_secs(3));
    go_on.notify_one();
    provider.close().await;
    assert!(asked.elapsed() < Duration::from_secs(10));
    Ok(())
}

#[lightbus::test]
async fn a_call_whose_deadline_has_passed_is_not_started(bus: TestBus) -> anyhow::Result<()> {
    #[lightbus::api(name = "calls_expired")]
    trait Api {
        async fn work(&self, call: String);
    }
    struct Provider(mpsc::UnboundedSender<String>, Arc<Semaphore>);
    impl Api for Provider {
        async fn work(&self, call: String) {
            self.0.send(call).unwrap();
            self.1.acquire().await.unwrap().forget();
        }
    }
    let provider = bus.app("provider").await?;
    let (runs, mut ran) = mpsc::unbounded_channel();
    let go_on = Arc::new(Semaphore::new(1));
    provider
        .serve(ApiServer::new(Provider(runs, Arc::clone(&go_on))))
        .concurrency(1)
        .await?;
    let api = ApiClient::new(&bus);
    api.work("first").await?;
    let long = tokio::spawn({
        let api = api.clone();
        async move { api.work("long").await }
    });
    assert_eq!(ran.recv().await.as_deref(), Some("first"));
    assert_eq!(ran.recv().await.as_deref(), Some("long"));
    let expired = api.work("expired").timeout(Duration::from_millis(100));
    assert!(matches!(expired.await, Err(CallError::Timeout(_))));
    // Over for the caller is hardly over for the provider; when the next one is over, it is.
    let next = api.work("next").timeout(Duration::from_millis(300));
    assert!(matches!(next.await, Err(CallError::Timeout(_))));
    go_on.add_permits(3);
    long.await??;
    // Served in order: when this one runs, the expired one would have.
    api.work("last").await?;
    while let Ok(call) = ran.try_recv() {
        assert_ne!(call, "expired");
    }
    Ok(())
}

#[lightbus::test]
async fn few_slots_serve_many_calls(bus: TestBus) -> anyhow::Result<()> {
    #[lightbus::api(name = "calls_slots")]
    trait Api {
        async fn nap(&self) -> usize;
    }
    struct Provider {
        running: AtomicUsize,
        most: Arc<AtomicUsize>,
        two: Barrier,
    }
    impl Api for Provider {
        async fn nap(&self) -> usize {
            let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(running, Ordering::SeqCst);
            self.two.wait().await;
            // A third one would begin now.
            tokio::task::yield_now().await;
            self.running.fetch_sub(1, Ordering::SeqCst)
        }
    }
    let provider = bus.app("provider").await?;
    let most = Arc::new(AtomicUsize::new(0));
    let napping = Provider {
        running: AtomicUsize::new(0),
        most: Arc::clone(&most),
        two: Barrier::new(2),
    };
    provider
        .serve(ApiServer::new(napping))
        .concurrency(2)
        .await?;
    let api = ApiClient::new(&bus);
    let calls = (0..200).map(|_| {
        let api = api.clone();
        tokio::spawn(async move { api.nap().timeout(Duration::from_secs(20)).await })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await??;
    }
    assert_eq!(most.load(Ordering::SeqCst), 2);
    Ok(())
}

#[lightbus::test]
async fn a_panic_is_the_callers_error_and_the_provider_goes_on(bus: TestBus) -> anyhow::Result<()> {
    #[lightbus::api(name = "calls_panic")]
    trait Api {
        async fn divide(&self, a: u32, b: u32) -> u32;
    }
    struct Provider;
    impl Api for Provider {
        async fn divide(&self, a: u32, b: u32) -> u32 {
            a / b
        }
    }
    let provider = bus.app("provider").await?;
    provider.serve(ApiServer::new(Provider)).await?;
    let api = ApiClient::new(&bus);
    let error = api.divide(1, 0).await.unwrap_err();
    assert!(matches!(error, CallError::ProviderFailed(_)), "{error}");
    assert!(
        !error.to_string().contains("divide by zero"),
        "details stay in the provider's log: {error}"
    );
    assert_eq!(api.divide(6, 3).await?, 2);
    Ok(())
}

#[lightbus::test]
async fn what_is_too_large_is_refused_before_it_is_sent(bus: TestBus) -> anyhow::Result<()> {
    #[lightbus::api(name = "calls_large")]
    trait Api {
        async fn length(&self, data: Vec<u8>) -> usize;
        async fn make(&self, length: usize) -> String;
    }
    struct Provider;
    impl Api for Provider {
        async fn length(&self, data: Vec<u8>) -> usize {
            data.len()
        }
        async fn make(&self, length: usize) -> String {
            "x".repeat(length)
        }
    }
    let provider = bus.app("provider").await?;
    provider.serve(ApiServer::new(Provider)).await?;
    let api = ApiClient::new(&bus);
    let megabyte = vec![7; 1024 * 1024 - 100];
    assert_eq!(api.length(&megabyte).await?, megabyte.len());
    let error = api
        .length([megabyte.as_slice(), &megabyte].concat())
        .await
        .unwrap_err();
    assert!(matches!(error, CallError::Rejected(_)), "{error}");
    assert!(
        error.to_string().contains("the limit is 1048576"),
        "{error}"
    );
    let error = api.make(2 * 1024 * 1024).await.unwrap_err();
    assert!(matches!(error, CallError::ProviderFailed(_)), "{error}");
    assert_eq!(api.make(3).await?, "xxx");
    // Sent by a peer with a higher limit, it is refused by the provider, who says so.
    let generous = bus
        .app_builder("generous")
        .payload_limit(4 * 1024 * 1024)
        .connect()
        .await?;
    let error = ApiClient::new(&generous)
        .length(vec![0; 2 * 1024 * 1024])
        .await
        .unwrap_err();
    assert!(matches!(error, CallError::Rejected(_)), "{error}");
    assert!(
        error
            .to_string()
            .contains("the provider's limit of 1048576 bytes"),
        "{error}"
    );
    Ok(())
}

#[lightbus::test]
async fn replicas_share_the_calls(bus: TestBus) -> anyhow::Result<()> {
    #[lightbus::api(name = "calls_replicas")]
    trait Api {
        async fn who(&self) -> u8;
    }
    struct Replica(u8);
    impl Api for Replica {
        async fn who(&self) -> u8 {
            self.0
        }
    }
    let (one, two) = (bus.app("provider").await?, bus.app("provider").await?);
    let serving = one.serve(ApiServer::new(Replica(1))).await?;
    two.serve(ApiServer::new(Replica(2))).await?;
    let api = ApiClient::new(&bus);
    let mut answers = [0; 3];
    for _ in 0..20 {
        answers[usize::from(api.who().await?)] += 1;
    }
    assert_eq!(answers, [0, 10, 10]);
    // One leaves: no call is lost.
    serving.stop().await;
    for _ in 0..20 {
        assert_eq!(api.who().await?, 2);
    }
    Ok(())
}

#[lightbus::test]
async fn a_dropped_call_is_forgotten(bus: TestBus) -> anyhow::Result<()> {
    #[lightbus::api(name = "calls_dropped")]
    trait Api {
        async fn echo(&self, n: u32) -> u32;
    }
    struct Provider(Notify);
    impl Api for Provider {
        async fn echo(&self, n: u32) -> u32 {
            match n {
                // Answered at once, and before the call that follows it.
                0..1000 if n.is_multiple_of(3) => {}
                0..1000 => self.0.notified().await,
                _ => {
                    self.0.notify_waiters();
                    tokio::task::yield_now().await;
                }
            }
            n
        }
    }
    let provider = bus.app("provider").await?;
    provider
        .serve(ApiServer::new(Provider(Notify::new())))
        .await?;
    let api = ApiClient::new(&bus);
    for n in 0..100 {
        let call = api.echo(n).into_future();
        // Sent, and given up at some moment of its way.
        let _ = tokio::time::timeout(Duration::from_micros(u64::from(n) * 20), call).await;
        assert_eq!(
            api.echo(n + 1000).await?,
            n + 1000,
            "an answer went to the wrong call"
        );
    }
    Ok(())
}
