//! Calls, from both sides.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lightbus::{CallError, Context};
use lightbus_tests::TestBroker;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
pub(crate) enum AuthError {
    #[error("locked since {since}")]
    Locked { since: u64 },
}

#[tokio::test]
async fn an_answer_and_an_error_keep_their_types() -> anyhow::Result<()> {
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
    let broker = TestBroker::start().await?;
    let provider = broker.bus("typed-provider").await?;
    provider.serve(ApiServer::new(Provider)).await?;
    let peer = broker.bus("typed-peer").await?;
    let api = ApiClient::new(&peer);

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

#[tokio::test]
async fn nobody_serves_it_and_the_caller_hears_at_once() -> anyhow::Result<()> {
    #[lightbus::api(name = "calls_unserved")]
    trait Api {
        async fn ping(&self) -> u8;
    }
    let broker = TestBroker::start().await?;
    let peer = broker.bus("unserved-peer").await?;
    let api = ApiClient::new(&peer);
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

#[tokio::test]
async fn a_provider_of_another_version_lacks_the_method() -> anyhow::Result<()> {
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
    let broker = TestBroker::start().await?;
    let provider = broker.bus("versions-provider").await?;
    provider.serve(old::ApiServer::new(old::Provider)).await?;
    let peer = broker.bus("versions-peer").await?;
    let error = ApiClient::new(&peer).newest().await.unwrap_err();
    assert!(matches!(error, CallError::UnknownMethod(_)), "{error}");
    assert!(error.to_string().contains("another version"), "{error}");
    assert_eq!(old::ApiClient::new(&peer).old().await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_call_ends_by_its_timeout_and_a_late_answer_harms_nobody() -> anyhow::Result<()> {
    #[lightbus::api(name = "calls_timeout")]
    trait Api {
        async fn echo_after(&self, ms: u64) -> u64;
        #[rpc(timeout = "50ms")]
        async fn impatient(&self) -> u64;
    }
    struct Provider;
    impl Api for Provider {
        async fn echo_after(&self, ms: u64) -> u64 {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            ms
        }
        async fn impatient(&self) -> u64 {
            self.echo_after(300).await
        }
    }
    let broker = TestBroker::start().await?;
    let provider = broker.bus("timeout-provider").await?;
    provider.serve(ApiServer::new(Provider)).await?;
    let peer = broker.bus("timeout-peer").await?;
    let api = ApiClient::new(&peer);
    assert_eq!(api.echo_after(0).await?, 0);
    let asked = Instant::now();
    let error = api
        .echo_after(200)
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
    // The late answers arrive during this call, and are nobody's.
    assert_eq!(api.echo_after(400).await?, 400);
    Ok(())
}

#[tokio::test]
async fn a_handler_knows_its_message_and_its_calls_inherit_the_deadline() -> anyhow::Result<()> {
    #[lightbus::api(name = "calls_inner")]
    trait Inner {
        async fn slow(&self) -> u8;
    }
    struct Slow;
    impl Inner for Slow {
        async fn slow(&self) -> u8 {
            tokio::time::sleep(Duration::from_secs(4)).await;
            1
        }
    }
    #[lightbus::api(name = "calls_outer")]
    trait Outer {
        async fn who(&self) -> (String, Option<String>, u32);
        async fn call_slow(&self) -> String;
    }
    struct Forward(InnerClient);
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
        async fn call_slow(&self) -> String {
            self.0.slow().await.unwrap_err().to_string()
        }
    }
    let broker = TestBroker::start().await?;
    let provider = broker.bus("inherit-provider").await?;
    provider.serve(InnerServer::new(Slow)).await?;
    provider
        .serve(OuterServer::new(Forward(InnerClient::new(&provider))))
        .await?;
    let peer = broker.bus("inherit-peer").await?;
    let api = OuterClient::new(&peer);
    assert!(Context::current().is_none());
    let who = api.who().timeout(Duration::from_secs(20));
    let answer = who.header("tenant", "acme").await?;
    assert_eq!(answer, (peer.app().to_owned(), Some("acme".into()), 0));
    // The inner call gives up before the outer caller does, or with it.
    let asked = Instant::now();
    match api.call_slow().timeout(Duration::from_millis(500)).await {
        Ok(error) => assert!(error.contains("no answer within"), "{error}"),
        Err(error) => assert!(matches!(error, CallError::Timeout(_)), "{error}"),
    }
    assert!(asked.elapsed() < Duration::from_secs(3));
    provider.close().await;
    assert!(asked.elapsed() < Duration::from_secs(10));
    Ok(())
}

#[tokio::test]
async fn a_call_whose_deadline_has_passed_is_not_started() -> anyhow::Result<()> {
    #[lightbus::api(name = "calls_expired")]
    trait Api {
        async fn work(&self, ms: u64);
    }
    struct Provider(Arc<AtomicUsize>);
    impl Api for Provider {
        async fn work(&self, ms: u64) {
            self.0.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(ms)).await;
        }
    }
    let broker = TestBroker::start().await?;
    let provider = broker.bus("expired-provider").await?;
    let runs = Arc::new(AtomicUsize::new(0));
    provider
        .serve(ApiServer::new(Provider(Arc::clone(&runs))))
        .concurrency(1)
        .await?;
    let peer = broker.bus("expired-peer").await?;
    let api = ApiClient::new(&peer);
    api.work(0).await?;
    let long = tokio::spawn({
        let api = api.clone();
        async move { api.work(1500).await }
    });
    lightbus_tests::eventually("the long call runs", async || {
        runs.load(Ordering::SeqCst) == 2
    })
    .await?;
    let expired = api.work(0).timeout(Duration::from_millis(100)).await;
    assert!(matches!(expired, Err(CallError::Timeout(_))));
    long.await??;
    // Served in order: when this one has run, the expired one would have.
    api.work(0).await?;
    assert_eq!(runs.load(Ordering::SeqCst), 3);
    Ok(())
}

#[tokio::test]
async fn few_slots_serve_many_calls() -> anyhow::Result<()> {
    #[lightbus::api(name = "calls_slots")]
    trait Api {
        async fn nap(&self) -> usize;
    }
    #[derive(Default)]
    struct Provider {
        running: AtomicUsize,
        most: Arc<AtomicUsize>,
    }
    impl Api for Provider {
        async fn nap(&self) -> usize {
            let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(running, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(1)).await;
            self.running.fetch_sub(1, Ordering::SeqCst)
        }
    }
    let broker = TestBroker::start().await?;
    let provider = broker.bus("slots-provider").await?;
    let most = Arc::new(AtomicUsize::new(0));
    let napping = Provider {
        most: Arc::clone(&most),
        ..Provider::default()
    };
    provider
        .serve(ApiServer::new(napping))
        .concurrency(2)
        .await?;
    let peer = broker.bus("slots-peer").await?;
    let api = ApiClient::new(&peer);
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

#[tokio::test]
async fn a_panic_is_the_callers_error_and_the_provider_goes_on() -> anyhow::Result<()> {
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
    let broker = TestBroker::start().await?;
    let provider = broker.bus("panic-provider").await?;
    provider.serve(ApiServer::new(Provider)).await?;
    let peer = broker.bus("panic-peer").await?;
    let api = ApiClient::new(&peer);
    let error = api.divide(1, 0).await.unwrap_err();
    assert!(matches!(error, CallError::ProviderFailed(_)), "{error}");
    assert!(
        !error.to_string().contains("divide by zero"),
        "details stay in the provider's log: {error}"
    );
    assert_eq!(api.divide(6, 3).await?, 2);
    Ok(())
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_it_is_sent() -> anyhow::Result<()> {
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
    let broker = TestBroker::start().await?;
    let provider = broker.bus("large-provider").await?;
    provider.serve(ApiServer::new(Provider)).await?;
    let peer = broker.bus("large-peer").await?;
    let api = ApiClient::new(&peer);
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
    let generous = broker
        .builder("large-generous")
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

#[tokio::test]
async fn replicas_share_the_calls() -> anyhow::Result<()> {
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
    let broker = TestBroker::start().await?;
    let (one, two) = (
        broker.bus("replicas-provider").await?,
        broker.bus("replicas-provider").await?,
    );
    let serving = one.serve(ApiServer::new(Replica(1))).await?;
    two.serve(ApiServer::new(Replica(2))).await?;
    let peer = broker.bus("replicas-peer").await?;
    let api = ApiClient::new(&peer);
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

#[tokio::test]
async fn a_dropped_call_is_forgotten() -> anyhow::Result<()> {
    #[lightbus::api(name = "calls_dropped")]
    trait Api {
        async fn echo(&self, n: u32) -> u32;
    }
    struct Provider;
    impl Api for Provider {
        async fn echo(&self, n: u32) -> u32 {
            tokio::time::sleep(Duration::from_millis(u64::from(n % 3))).await;
            n
        }
    }
    let broker = TestBroker::start().await?;
    let provider = broker.bus("dropped-provider").await?;
    provider.serve(ApiServer::new(Provider)).await?;
    let peer = broker.bus("dropped-peer").await?;
    let api = ApiClient::new(&peer);
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
