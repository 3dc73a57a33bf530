//! Providers that stop while they are called: no call fails, and none runs twice.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use lapin::options::BasicConsumeOptions;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel};
use lightbus::testing::TestBus;
use lightbus::{Bus, CallError};
use lightbus_tests::{Foreign, TestBroker, eventually};
use tokio::sync::{Semaphore, watch};

#[derive(Clone, Default)]
struct Runs(Arc<Mutex<HashMap<u64, u32>>>);

impl Runs {
    fn note(&self, id: u64) {
        *self.0.lock().unwrap().entry(id).or_default() += 1;
    }

    fn most(&self) -> u32 {
        self.0.lock().unwrap().values().copied().max().unwrap_or(0)
    }

    fn calls(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_of_two_providers_fails_no_call() -> anyhow::Result<()> {
    #[lightbus::api(name = "restarting_rolling")]
    trait Api {
        async fn quick(&self, id: u64) -> u64;
        async fn slow(&self, id: u64) -> u64;
        #[rpc(idempotent)]
        async fn lookup(&self, id: u64) -> u64;
    }
    #[derive(Clone)]
    struct Provider {
        runs: Runs,
        running: Arc<AtomicUsize>,
        open: watch::Receiver<bool>,
    }
    impl Api for Provider {
        async fn quick(&self, id: u64) -> u64 {
            self.runs.note(id);
            id
        }
        async fn slow(&self, id: u64) -> u64 {
            self.runs.note(id);
            self.running.fetch_add(1, Ordering::SeqCst);
            self.open.clone().wait_for(|open| *open).await.unwrap();
            self.running.fetch_sub(1, Ordering::SeqCst);
            id
        }
        async fn lookup(&self, id: u64) -> u64 {
            tokio::task::yield_now().await;
            id
        }
    }
    const CALLERS: u64 = 64;
    let broker = TestBroker::start().await?;
    let (gate, open) = watch::channel(true);
    let provider = Provider {
        runs: Runs::default(),
        running: Arc::default(),
        open,
    };
    // Few slots: when a provider stops, calls have been delivered to it that it has not begun.
    let start = async || -> anyhow::Result<Bus> {
        let bus = broker.builder("rolling-provider").concurrency(8);
        let bus = bus.connect().await?;
        bus.serve(ApiServer::new(provider.clone())).await?;
        Ok(bus)
    };
    let mut replicas = [start().await?, start().await?];
    let peer = broker.bus("rolling-peer").await?;
    let (stop, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let (api, stop, answered) = (ApiClient::new(&peer), stop.clone(), answered.clone());
            tokio::spawn(async move {
                let mut id = caller;
                while !stop.load(Ordering::Relaxed) {
                    let answer = match id / CALLERS % 3 {
                        0 => api.quick(id).await,
                        1 => api.slow(id).await,
                        _ => api.lookup(id).await,
                    };
                    assert_eq!(answer, Ok(id));
                    answered.fetch_add(1, Ordering::Relaxed);
                    id += CALLERS;
                }
            })
        })
        .collect();
    for restart in 0..6 {
        let before = answered.load(Ordering::Relaxed);
        eventually("calls are answered, or one failed", async || {
            let failed = callers.iter().any(tokio::task::JoinHandle::is_finished);
            failed || answered.load(Ordering::Relaxed) > before + 2 * CALLERS
        })
        .await?;
        gate.send_replace(false);
        eventually("all slots are taken, or a call failed", async || {
            let failed = callers.iter().any(tokio::task::JoinHandle::is_finished);
            failed || provider.running.load(Ordering::SeqCst) == 16
        })
        .await?;
        let replica = &mut replicas[restart % 2];
        let retried = peer.counts().calls_retried;
        let closing = tokio::spawn({
            let replica = replica.clone();
            async move { replica.close().await }
        });
        eventually("calls are given back that were not begun", async || {
            peer.counts().calls_retried > retried
        })
        .await?;
        gate.send_replace(true);
        closing.await?;
        *replica = start().await?;
    }
    stop.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await?;
    }
    let runs = provider.runs;
    assert!(runs.calls() > 500, "{} calls", runs.calls());
    assert_eq!(runs.most(), 1, "a call ran twice");
    Ok(())
}

#[lightbus::test]
async fn what_a_stopping_provider_has_not_begun_another_one_runs(
    bus: TestBus,
) -> anyhow::Result<()> {
    #[lightbus::api(name = "restarting_handover")]
    trait Api {
        async fn who(&self, id: u64) -> u8;
    }
    struct Provider {
        me: u8,
        runs: Runs,
        begun: Arc<AtomicUsize>,
        go_on: Arc<Semaphore>,
    }
    impl Api for Provider {
        async fn who(&self, id: u64) -> u8 {
            self.runs.note(id);
            self.begun.fetch_add(1, Ordering::SeqCst);
            self.go_on.acquire().await.unwrap().forget();
            self.me
        }
    }
    let (runs, go_on) = (Runs::default(), Arc::new(Semaphore::new(0)));
    let begun = Arc::<AtomicUsize>::default();
    let provider = |me| Provider {
        me,
        runs: runs.clone(),
        begun: Arc::clone(&begun),
        go_on: Arc::clone(&go_on),
    };
    let one = bus.app("provider").await?;
    let serve = one.serve(ApiServer::new(provider(1)));
    serve.concurrency(1).await?;
    let call = |id| {
        let api = ApiClient::new(&bus);
        tokio::spawn(async move { api.who(id).await })
    };
    let first = call(1);
    eventually("the first call runs", async || {
        begun.load(Ordering::SeqCst) == 1
    })
    .await?;
    let second = call(2);
    let foreign = Foreign::connect(&bus.url()).await?;
    foreign.until("lb.rpc.restarting_handover", 0, 1).await?;
    // The second call has been delivered, and there is no slot for it.
    let closing = tokio::spawn({
        let one = one.clone();
        async move { one.close().await }
    });
    eventually("the second call is given back", async || {
        bus.counts().calls_retried == 1
    })
    .await?;
    assert_eq!(one.counts().calls_refused, 1);
    let two = bus.app("provider").await?;
    two.serve(ApiServer::new(provider(2))).await?;
    eventually("another provider runs it", async || {
        begun.load(Ordering::SeqCst) == 2
    })
    .await?;
    assert!(!closing.is_finished(), "the first call is still running");
    go_on.add_permits(2);
    assert_eq!((first.await??, second.await??), (1, 2));
    closing.await?;
    assert_eq!((runs.calls(), runs.most()), (2, 1));
    Ok(())
}

#[lightbus::test]
async fn a_call_that_was_given_back_to_the_end_is_known_not_to_have_run(
    bus: TestBus,
) -> anyhow::Result<()> {
    #[lightbus::api(name = "restarting_given_back")]
    trait Api {
        async fn work(&self);
    }
    let foreign = Foreign::connect(&bus.url()).await?;
    let queue = "lb.rpc.restarting_given_back";
    let api = ApiClient::new(&bus);
    let unserved = api.work().await.unwrap_err();
    assert!(matches!(unserved, CallError::NoProvider(_)), "{unserved}");
    foreign.declare_plain_queue(queue).await?;
    let channel = foreign.channel().await?;
    let none = FieldTable::default;
    let (name, key) = (queue.into(), "work".into());
    channel
        .queue_bind(queue.into(), name, key, Default::default(), none())
        .await?;
    let provider = tokio::spawn(give_back(
        channel.clone(),
        queue,
        "test".to_owned(),
        bus.instance().to_owned(),
    ));
    // A try may be under way when the time is over: then nothing is known.
    let mut known = None;
    eventually("the last try was answered in time", async || {
        let asked = Instant::now();
        let error = api.work().timeout(Duration::from_millis(300)).await;
        let error = error.unwrap_err();
        assert!(asked.elapsed() < Duration::from_millis(1300));
        known = matches!(error, CallError::NotExecuted(_)).then_some(error);
        known.is_some()
    })
    .await?;
    let error = known.unwrap();
    assert!(error.is_retryable());
    assert!(error.to_string().contains("shutting down"), "{error}");
    assert!(bus.counts().calls_retried > 1, "it is tried again");
    provider.abort();
    channel
        .queue_delete(queue.into(), Default::default())
        .await?;
    Ok(())
}

/// A provider that is always shutting down.
async fn give_back(channel: Channel, queue: &'static str, app: String, instance: String) {
    let options = BasicConsumeOptions {
        no_ack: true,
        ..BasicConsumeOptions::default()
    };
    let none = FieldTable::default();
    let consuming = channel.basic_consume(queue.into(), "c".into(), options, none);
    let mut requests = consuming.await.unwrap();
    while let Some(Ok(request)) = requests.next().await {
        let mut headers = FieldTable::default();
        let status = AMQPValue::LongString("shutting-down".into());
        headers.insert("lb-status".into(), status);
        let properties = BasicProperties::default()
            .with_type("lb1.rep".into())
            .with_correlation_id(request.properties.correlation_id().clone().unwrap())
            .with_headers(headers);
        let exchange = format!("lb.reply.{app}").into();
        let key = instance.as_str().into();
        channel
            .basic_publish(exchange, key, Default::default(), b"", properties)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_handler_that_outlasts_the_grace_period_is_ended_and_counted() -> anyhow::Result<()> {
    #[lightbus::api(name = "restarting_grace")]
    trait Api {
        async fn endless(&self);
    }
    struct Provider(Arc<AtomicUsize>);
    impl Api for Provider {
        async fn endless(&self) {
            self.0.fetch_add(1, Ordering::SeqCst);
            std::future::pending::<()>().await;
        }
    }
    let grace = Duration::from_millis(200);
    let bus = TestBus::start().await?;
    let provider = bus.app_builder("provider").grace(grace);
    let (provider, begun) = (provider.connect().await?, Arc::<AtomicUsize>::default());
    let serve = provider.serve(ApiServer::new(Provider(Arc::clone(&begun))));
    serve.await?;
    let api = ApiClient::new(&bus);
    let call = tokio::spawn(async move { api.endless().await });
    eventually("the handler runs", async || {
        begun.load(Ordering::SeqCst) == 1
    })
    .await?;
    let asked = Instant::now();
    provider.close().await;
    assert!(asked.elapsed() < Duration::from_secs(4));
    assert_eq!(provider.counts().calls_unanswered, 1);
    call.abort();
    // It was acknowledged when it began: nobody runs it again.
    let foreign = Foreign::connect(&bus.url()).await?;
    foreign.until("lb.rpc.restarting_grace", 0, 0).await
}
