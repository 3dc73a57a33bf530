//! What waits for hours, in milliseconds.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use anyhow::Context as _;
use lightbus::testing::TestBus;
use lightbus::{CallError, Context, Retry};

const HOUR: Duration = Duration::from_secs(3600);

#[lightbus::api(name = "waiting")]
trait Api {
    #[task(retries = 3, backoff = "1h fixed", result_ttl = "7d")]
    async fn fragile(&self) -> Result<u32, String>;
    #[task(result_ttl = "7d")]
    async fn usual(&self, n: u32) -> u32;
    #[task(expires = "1h")]
    async fn urgent(&self) -> u32;
    #[task(rate = "1/h")]
    async fn seldom(&self);
    async fn slow(&self) -> u32;
    #[rpc(cancel)]
    async fn patient(&self) -> u32;
    #[event]
    fn rang();
}

/// Counts its attempts.
struct Worker(Arc<AtomicU32>);

impl Api for Worker {
    async fn fragile(&self) -> Result<u32, String> {
        self.0.fetch_add(1, SeqCst);
        match Context::current().map(|it| it.attempt()) {
            Some(attempt @ 2..) => Ok(attempt),
            attempt => Err(format!("attempt {attempt:?}")),
        }
    }

    async fn usual(&self, n: u32) -> u32 {
        self.0.fetch_add(1, SeqCst);
        n
    }

    async fn urgent(&self) -> u32 {
        self.0.fetch_add(1, SeqCst)
    }

    async fn seldom(&self) {
        self.0.fetch_add(1, SeqCst);
    }

    async fn patient(&self) -> u32 {
        tokio::task::yield_now().await;
        1
    }

    async fn slow(&self) -> u32 {
        std::future::pending().await
    }
}

#[tokio::test]
async fn hours_pass_one_after_the_other() -> anyhow::Result<()> {
    let bus = TestBus::with_virtual_time().await?;
    let ran = Arc::<AtomicU32>::default();
    let worker = ApiServer::new(Worker(Arc::clone(&ran)));
    bus.app("worker").await?.serve(worker).await?;
    let api = ApiClient::new(&bus);
    let fragile = api.fragile().enqueue().await?;
    let tomorrow = api.usual(1).after(24 * HOUR).enqueue().await?;
    let soon = api.usual(2).after(2 * HOUR).enqueue().await?;
    bus.settled().await;
    assert_eq!(ran.load(SeqCst), 1);
    // An hour, more or less: the delays of retries vary.
    bus.advance(5 * HOUR / 4).await;
    assert_eq!(ran.load(SeqCst), 2);
    bus.advance(5 * HOUR / 4).await;
    assert_eq!(ran.load(SeqCst), 4);
    assert_eq!(fragile.result().await, Ok(2));
    assert_eq!(soon.result().await?, 2);
    bus.advance(24 * HOUR).await;
    assert_eq!(ran.load(SeqCst), 5);
    assert_eq!(tomorrow.result().await?, 1);
    Ok(())
}

#[lightbus::test(broker = "embedded")]
#[should_panic(expected = "with_virtual_time")]
async fn time_that_goes_by_itself_is_not_moved(bus: TestBus) {
    bus.advance(HOUR).await;
}

/// A bus with virtual time and a worker, which counts what it runs.
async fn stage() -> anyhow::Result<(TestBus, Arc<AtomicU32>, ApiClient)> {
    let bus = TestBus::with_virtual_time().await?;
    let ran = Arc::<AtomicU32>::default();
    let worker = ApiServer::new(Worker(Arc::clone(&ran)));
    bus.app("worker").await?.serve(worker).await?;
    let client = ApiClient::new(&bus);
    Ok((bus, ran, client))
}

#[tokio::test]
async fn deadlines_pass() -> anyhow::Result<()> {
    let (bus, _, client) = stage().await?;
    let slow = tokio::spawn(client.slow().timeout(HOUR).into_future());
    bus.advance(HOUR - Duration::from_millis(1)).await;
    assert!(!slow.is_finished());
    bus.advance(Duration::from_millis(1)).await;
    let answer = slow.await?;
    assert!(matches!(answer, Err(CallError::Timeout(_))), "{answer:?}");
    Ok(())
}

#[tokio::test]
async fn a_deadline_is_as_far_away_as_ever_when_time_was_moved() -> anyhow::Result<()> {
    let (bus, _, client) = stage().await?;
    bus.advance(24 * HOUR).await;
    assert_eq!(client.patient().await, Ok(1));
    Ok(())
}

#[tokio::test]
async fn a_stub_answers_after_hours() -> anyhow::Result<()> {
    let bus = TestBus::with_virtual_time().await?;
    let client = ApiClient::new(&bus);
    bus.stub(client.slow()).after(HOUR).returns(7).await?;
    let early = tokio::spawn(client.slow().timeout(HOUR / 2).into_future());
    let patient = tokio::spawn(client.slow().timeout(2 * HOUR).into_future());
    bus.settled().await;
    assert!(!early.is_finished() && !patient.is_finished());
    bus.advance(HOUR).await;
    assert!(matches!(early.await?, Err(CallError::Timeout(_))));
    assert_eq!(patient.await?, Ok(7));
    Ok(())
}

#[tokio::test]
async fn retries_within_a_second_wait_for_the_clock_as_well() -> anyhow::Result<()> {
    let bus = TestBus::with_virtual_time().await?;
    let (heard, app) = (Arc::<AtomicU32>::default(), bus.app("door").await?);
    let count = Arc::clone(&heard);
    let answer = move |_: Rang| {
        let tries = count.fetch_add(1, SeqCst);
        async move { (tries > 1).then_some(()).ok_or("not yet") }
    };
    let retry = Retry::fixed(Duration::from_millis(200)).jitter(0.0);
    let rang = ApiClient::new(&app).rang();
    rang.retry(retry).listen("answer", answer).await?;
    bus.simulate(Rang {}).await?;
    bus.settled().await;
    assert_eq!(heard.load(SeqCst), 1);
    bus.advance(Duration::from_millis(199)).await;
    assert_eq!(heard.load(SeqCst), 1);
    bus.advance(Duration::from_millis(1)).await;
    assert_eq!(heard.load(SeqCst), 2);
    bus.advance(Duration::from_secs(1)).await;
    assert_eq!(heard.load(SeqCst), 3);
    Ok(())
}

#[tokio::test]
async fn tasks_expire() -> anyhow::Result<()> {
    let (bus, ran, client) = stage().await?;
    bus.faults().pause_queue("lb.task.waiting");
    client.urgent().enqueue().await?;
    bus.advance(2 * HOUR).await;
    bus.faults().resume_queue("lb.task.waiting");
    client.urgent().enqueue().await?;
    bus.settled().await;
    assert_eq!(ran.load(SeqCst), 1, "{}", bus.story());
    assert!(
        bus.story()
            .contains("dead in lb.task.waiting after 1 attempt, expired"),
        "{}",
        bus.story()
    );
    Ok(())
}

#[tokio::test]
async fn a_rate_lets_one_run_each_hour() -> anyhow::Result<()> {
    let (bus, ran, client) = stage().await?;
    for _ in 0..3 {
        client.seldom().enqueue().await?;
    }
    bus.settled().await;
    for hours in 1..=3 {
        assert_eq!(ran.load(SeqCst), hours, "{}", bus.story());
        bus.advance(HOUR).await;
    }
    Ok(())
}

#[tokio::test]
async fn schedules_fire_when_they_are_due_and_when_they_are_told_to() -> anyhow::Result<()> {
    let (bus, ran, _) = stage().await?;
    let app = bus.app_builder("planner").connect().await?;
    let (nightly, each) = (ApiClient::new(&app).usual(1), ApiClient::new(&app).usual(2));
    app.schedule("nightly")
        .cron("0 3 * * *")
        .run(nightly)
        .await?;
    app.schedule("each").every(6 * HOUR).run(each).await?;
    bus.advance(10 * 24 * HOUR).await;
    let client = ApiClient::new(&bus);
    bus.enqueued(client.usual(1)).by("planner").times(10).await;
    bus.enqueued(client.usual(2)).times(40).await;
    assert_eq!(ran.load(SeqCst), 50);
    bus.run_schedule("nightly").await?;
    assert_eq!(ran.load(SeqCst), 51);
    Ok(())
}

#[tokio::test]
async fn a_schedule_that_nobody_has_is_named() {
    let text = crate::failure(|bus| async move {
        bus.run_schedule("nightly").await.unwrap();
    });
    assert!(
        text.await
            .starts_with("no app of this test has a schedule `nightly`")
    );
}

#[tokio::test]
async fn what_is_dead_by_virtual_time_is_listed_and_replayed() -> anyhow::Result<()> {
    let bus = TestBus::with_virtual_time().await?;
    let (heard, app) = (Arc::<AtomicU32>::default(), bus.app("door").await?);
    let count = Arc::clone(&heard);
    let answer = move |_: Rang| {
        let tries = count.fetch_add(1, SeqCst);
        async move { (tries > 1).then_some(()).ok_or("not yet") }
    };
    let retry = Retry::fixed(HOUR).attempts(2);
    let rang = ApiClient::new(&app).rang();
    rang.retry(retry).listen("answer", answer).await?;
    bus.advance(24 * HOUR).await;
    bus.simulate(Rang {}).await?;
    bus.advance(24 * HOUR).await;
    let dead = app.dead_letters("answer")?;
    let letters = dead.list(10).await?;
    assert_eq!(letters.len(), 1, "{}", bus.story());
    let (first, last) = (letters[0].first_failed, letters[0].died);
    let between = last
        .context("died")?
        .duration_since(first.context("failed")?)?;
    assert!(between >= HOUR && between < 2 * HOUR, "{between:?}");
    assert_eq!(dead.replay(|_| true).await?, 1);
    bus.settled().await;
    assert_eq!(heard.load(SeqCst), 3);
    Ok(())
}

#[tokio::test]
async fn a_call_that_is_given_up_is_nothing_to_wait_for() -> anyhow::Result<()> {
    let bus = TestBus::start().await?;
    bus.app("worker")
        .await?
        .serve(ApiServer::new(Worker(Arc::default())))
        .await?;
    let caller = bus.app("caller").await?;
    let client = ApiClient::new(&caller);
    let slow = tokio::spawn(client.slow().timeout(HOUR).into_future());
    bus.called(ApiClient::new(&bus).slow()).by("caller").await;
    slow.abort();
    bus.settled().await;
    // And one of an app that is closed.
    let closing = bus.app("closing").await?;
    let slow = ApiClient::new(&closing).slow().timeout(HOUR);
    let slow = tokio::spawn(slow.into_future());
    bus.called(ApiClient::new(&bus).slow()).by("closing").await;
    closing.close().await;
    assert!(slow.await?.is_err());
    bus.settled().await;
    Ok(())
}

#[tokio::test]
async fn a_task_that_is_cancelled_is_not_handled() -> anyhow::Result<()> {
    let (bus, ran, client) = stage().await?;
    let task = client.usual(7).after(HOUR).enqueue().await?;
    task.cancel().await?;
    bus.advance(2 * HOUR).await;
    assert_eq!(ran.load(SeqCst), 0);
    bus.enqueued(client.usual(7))
        .handled_by("worker")
        .never()
        .await;
    assert!(bus.story().contains("not run by worker"), "{}", bus.story());
    Ok(())
}

/// Answers when nobody waits for it any more, and says so.
struct Late(ApiEvents);

impl Api for Late {
    async fn fragile(&self) -> Result<u32, String> {
        Ok(0)
    }

    async fn usual(&self, n: u32) -> u32 {
        n
    }

    async fn urgent(&self) -> u32 {
        0
    }

    async fn seldom(&self) {}

    async fn slow(&self) -> u32 {
        tokio::time::sleep(Duration::from_millis(150)).await;
        let _ = self.0.rang().publish(Rang {}).await;
        0
    }

    async fn patient(&self) -> u32 {
        0
    }
}

#[tokio::test]
async fn a_handler_whose_caller_has_given_up_is_waited_for() -> anyhow::Result<()> {
    let bus = TestBus::start().await?;
    let app = bus.app("late").await?;
    app.serve(ApiServer::new(Late(ApiEvents::new(&app))))
        .await?;
    let slow = ApiClient::new(&bus).slow();
    assert!(slow.timeout(Duration::from_millis(50)).await.is_err());
    bus.settled().await;
    bus.published(Rang {}).by("late").once().await;
    Ok(())
}
