//! Tasks: enqueued by one program, worked on by another.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use futures_util::future::try_join_all;
use lightbus::{Context, DeadReason, EnqueueError, Error, Priority};
use lightbus_tests::{TestBroker, eventually};
use tokio::sync::{Semaphore, mpsc};

const SECOND: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(30);

/// The next `count` of what a worker reports.
async fn reports<T>(
    reported: &mut mpsc::UnboundedReceiver<T>,
    count: usize,
) -> anyhow::Result<Vec<T>> {
    let mut all = Vec::new();
    while all.len() < count {
        let next = tokio::time::timeout(LONG, reported.recv()).await?;
        all.push(next.ok_or_else(|| anyhow::anyhow!("the worker is gone"))?);
    }
    Ok(all)
}

#[tokio::test]
async fn a_task_waits_for_its_worker_and_is_run_there() -> anyhow::Result<()> {
    #[lightbus::api(name = "task_waits")]
    trait Api {
        #[task]
        async fn resize(&self, user: u64, sizes: Vec<u32>) -> Result<(), String>;
        async fn ping(&self) -> u32;
    }
    struct Worker(mpsc::UnboundedSender<(u64, Vec<u32>, String, Option<String>)>);
    impl Api for Worker {
        async fn resize(&self, user: u64, sizes: Vec<u32>) -> Result<(), String> {
            let context = Context::current().expect("a task has a context");
            let (id, tenant) = (context.message_id(), context.header("tenant"));
            let report = (user, sizes, id.to_owned(), tenant.map(str::to_owned));
            self.0.send(report).map_err(|error| error.to_string())
        }
        async fn ping(&self) -> u32 {
            1
        }
    }
    let broker = TestBroker::start().await?;
    let peer = broker.bus("peer").await?;
    let api = ApiClient::new(&peer);
    // Before anybody has ever worked on this API.
    let handle = api
        .resize(7, vec![16, 32])
        .header("tenant", "acme")
        .enqueue()
        .await?;
    let (sender, mut reported) = mpsc::unbounded_channel();
    let worker = broker.bus("worker").await?;
    worker.serve(ApiServer::new(Worker(sender))).await?;
    let all = reports(&mut reported, 1).await?;
    let expected = (
        7,
        vec![16, 32],
        handle.id().message_id().to_owned(),
        Some("acme".to_owned()),
    );
    assert_eq!(all, [expected]);
    assert_eq!(api.ping().await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_process_may_serve_calls_only_or_tasks_only() -> anyhow::Result<()> {
    #[lightbus::api(name = "task_parts")]
    trait Api {
        #[task]
        async fn work(&self);
        async fn who(&self) -> String;
    }
    #[derive(Clone)]
    struct Part(&'static str, mpsc::UnboundedSender<&'static str>);
    impl Api for Part {
        async fn work(&self) {
            let _ = self.1.send(self.0);
        }
        async fn who(&self) -> String {
            self.0.to_owned()
        }
    }
    let broker = TestBroker::start().await?;
    let (web, worker) = (broker.bus("parts").await?, broker.bus("parts").await?);
    let (sender, mut reported) = mpsc::unbounded_channel();
    let server = |name| ApiServer::new(Part(name, sender.clone()));
    web.serve(server("web")).calls_only().await?;
    worker.serve(server("worker")).tasks_only().await?;
    let api = ApiClient::new(&web);
    for _ in 0..10 {
        api.work().enqueue().await?;
        assert_eq!(api.who().await?, "web");
    }
    assert_eq!(reports(&mut reported, 10).await?, ["worker"; 10]);
    let wrong = web.serve(server("web")).queue_concurrency("slow", 2).await;
    assert!(matches!(wrong, Err(Error::Config(text)) if text.contains("slow")));
    Ok(())
}

#[tokio::test]
async fn workers_that_begin_at_the_same_time_all_work() -> anyhow::Result<()> {
    #[lightbus::api(name = "task_together")]
    trait Api {
        #[task]
        async fn work(&self);
    }
    struct Worker(usize, mpsc::UnboundedSender<usize>);
    impl Api for Worker {
        async fn work(&self) {
            let _ = self.1.send(self.0);
        }
    }
    const WORKERS: usize = 8;
    let broker = TestBroker::start().await?;
    let (sender, mut reported) = mpsc::unbounded_channel();
    let buses = (0..WORKERS).map(|_| broker.bus("worker"));
    let buses = try_join_all(buses).await?;
    let serving = buses.iter().enumerate().map(|(n, bus)| {
        let worker = ApiServer::new(Worker(n, sender.clone()));
        bus.serve(worker).task_concurrency(1).into_future()
    });
    try_join_all(serving).await?;
    let api = ApiClient::new(&buses[0]);
    let mut idle: HashSet<_> = (0..WORKERS).collect();
    while !idle.is_empty() {
        for _ in 0..WORKERS {
            api.work().enqueue().await?;
        }
        for worker in reports(&mut reported, WORKERS).await? {
            idle.remove(&worker);
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_failing_task_is_tried_again_and_then_dead_and_replayed() -> anyhow::Result<()> {
    #[lightbus::api(name = "task_retries")]
    trait Api {
        #[task(retries = 2, backoff = "20ms, 1s")]
        async fn fragile(&self, n: u32) -> Result<(), Trouble>;
    }
    #[derive(Debug, serde::Serialize, serde::Deserialize)]
    enum Trouble {
        NoDisk { path: String },
        NoSuchUser,
    }
    struct Worker(mpsc::UnboundedSender<(u32, u32, Instant)>, Arc<AtomicUsize>);
    impl Api for Worker {
        async fn fragile(&self, n: u32) -> Result<(), Trouble> {
            let attempt = Context::current().expect("a context").attempt();
            let _ = self.0.send((n, attempt, Instant::now()));
            match n {
                _ if self.1.load(Ordering::SeqCst) > 0 => Ok(()),
                1 => Err(Trouble::NoDisk {
                    path: "/var".to_owned(),
                }),
                2 => Err(Context::permanent(Trouble::NoSuchUser)),
                3 if attempt == 0 => Err(Context::retry_after(SECOND, Trouble::NoSuchUser)),
                4 if attempt == 0 => panic!("at first"),
                _ => Ok(()),
            }
        }
    }
    let broker = TestBroker::start().await?;
    let bus = broker.bus("retries").await?;
    let dead = bus.dead_tasks("task_retries")?;
    dead.discard(|_| true).await?;
    let (sender, mut reported) = mpsc::unbounded_channel();
    let works = Arc::new(AtomicUsize::new(0));
    bus.serve(ApiServer::new(Worker(sender, Arc::clone(&works))))
        .await?;
    let api = ApiClient::new(&bus);
    let story = api.fragile(1).priority(Priority::High).enqueue().await?;
    let tries = reports(&mut reported, 3).await?;
    let attempts: Vec<_> = tries.iter().map(|(n, attempt, _)| (*n, *attempt)).collect();
    assert_eq!(attempts, [(1, 0), (1, 1), (1, 2)]);
    assert!(tries[2].2 - tries[1].2 >= SECOND);
    api.fragile(2).enqueue().await?;
    reports(&mut reported, 1).await?;
    api.fragile(3).enqueue().await?;
    let tries = reports(&mut reported, 2).await?;
    assert!(tries[1].2 - tries[0].2 >= SECOND);
    api.fragile(4).enqueue().await?;
    reports(&mut reported, 2).await?;
    let two = async || dead.count().await.is_ok_and(|count| count == 2);
    eventually("two are dead", two).await?;
    let letters = dead.list(10).await?;
    let told: Vec<_> = letters
        .iter()
        .map(|letter| {
            (
                letter.id == story.id().message_id(),
                letter.attempts,
                letter.error.as_deref(),
                &letter.reason,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (
                true,
                Some(3),
                Some(r#"{"NoDisk":{"path":"/var"}}"#),
                &DeadReason::Failed
            ),
            (false, Some(1), Some("NoSuchUser"), &DeadReason::Failed),
        ]
    );
    assert_eq!(
        (bus.counts().tasks_retried, bus.counts().tasks_dead),
        (2, 2)
    );
    works.store(1, Ordering::SeqCst);
    assert_eq!(
        dead.replay(|letter| letter.id == story.id().message_id())
            .await?,
        1
    );
    let again = reports(&mut reported, 1).await?;
    assert_eq!((again[0].0, again[0].1), (1, 0));
    assert_eq!(dead.discard(|_| true).await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_delayed_task_is_never_early_and_hardly_late() -> anyhow::Result<()> {
    #[lightbus::api(name = "task_delays")]
    trait Api {
        #[task]
        async fn due(&self, at_ms: u64);
    }
    struct Worker(mpsc::UnboundedSender<(u64, u64)>);
    impl Api for Worker {
        async fn due(&self, at_ms: u64) {
            let _ = self.0.send((at_ms, now_ms()));
        }
    }
    fn now_ms() -> u64 {
        let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or_default()
    }
    let broker = TestBroker::start().await?;
    let bus = broker.bus("delays").await?;
    let (sender, mut reported) = mpsc::unbounded_channel();
    bus.serve(ApiServer::new(Worker(sender))).await?;
    let api = ApiClient::new(&bus);
    let mut expected = 0;
    for ms in [1, 300, 1000, 1001, 1700, 2500, 3100] {
        let delay = Duration::from_millis(ms);
        api.due(now_ms() + ms).after(delay).enqueue().await?;
        let at = SystemTime::now() + delay;
        api.due(now_ms() + ms).at(at).enqueue().await?;
        expected += 2;
    }
    let past = SystemTime::now() - SECOND;
    api.due(now_ms()).at(past).enqueue().await?;
    for (due, begun) in reports(&mut reported, expected + 1).await? {
        assert!(begun >= due, "{} ms early", due - begun);
        assert!(begun - due < 5000, "{} ms late", begun - due);
    }
    let far = api
        .due(0)
        .after(Duration::from_secs(1 << 30))
        .enqueue()
        .await;
    assert!(matches!(far, Err(EnqueueError::Rejected { reason, .. }) if reason.contains("days")));
    Ok(())
}

#[tokio::test]
async fn what_waited_too_long_is_not_begun_any_more() -> anyhow::Result<()> {
    #[lightbus::api(name = "task_expires")]
    trait Api {
        #[task(expires = "1h")]
        async fn soon(&self, n: u32);
    }
    struct Worker(mpsc::UnboundedSender<u32>);
    impl Api for Worker {
        async fn soon(&self, n: u32) {
            let _ = self.0.send(n);
        }
    }
    let broker = TestBroker::start().await?;
    let bus = broker.bus("expires").await?;
    let api = ApiClient::new(&bus);
    api.soon(1)
        .expires(Duration::from_millis(1))
        .enqueue()
        .await?;
    api.soon(2).enqueue().await?;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let dead = bus.dead_tasks("task_expires")?;
    dead.discard(|_| true).await?;
    let (sender, mut reported) = mpsc::unbounded_channel();
    bus.serve(ApiServer::new(Worker(sender))).await?;
    assert_eq!(reports(&mut reported, 1).await?, [2]);
    eventually("it is dead", async || {
        dead.count().await.is_ok_and(|count| count == 1)
    })
    .await?;
    let letters = dead.list(1).await?;
    assert_eq!(letters[0].reason, DeadReason::Expired);
    assert_eq!(bus.counts().tasks_expired, 1);
    dead.discard(|_| true).await?;
    Ok(())
}

#[tokio::test]
async fn an_attempt_ends_at_its_timeout() -> anyhow::Result<()> {
    #[lightbus::api(name = "task_timeout")]
    trait Api {
        #[task(timeout = "50ms", retries = 1, backoff = "10ms fixed")]
        async fn slow(&self);
    }
    struct Worker(mpsc::UnboundedSender<Duration>);
    impl Api for Worker {
        async fn slow(&self) {
            let left = Context::current().and_then(|context| context.time_left());
            let _ = self.0.send(left.expect("time is limited"));
            std::future::pending().await
        }
    }
    let broker = TestBroker::start().await?;
    let bus = broker.bus("timeout").await?;
    let dead = bus.dead_tasks("task_timeout")?;
    dead.discard(|_| true).await?;
    let (sender, mut reported) = mpsc::unbounded_channel();
    bus.serve(ApiServer::new(Worker(sender))).await?;
    ApiClient::new(&bus).slow().enqueue().await?;
    for left in reports(&mut reported, 2).await? {
        assert!(
            left > Duration::ZERO && left <= Duration::from_millis(50),
            "{left:?}"
        );
    }
    eventually("it is dead", async || {
        dead.count().await.is_ok_and(|count| count == 1)
    })
    .await?;
    let letters = dead.list(1).await?;
    let error = letters[0].error.as_deref();
    assert_eq!(error, Some("it took longer than its timeout, 50ms"));
    dead.discard(|_| true).await?;
    Ok(())
}

#[tokio::test]
async fn higher_priorities_go_first_and_low_ones_never_starve() -> anyhow::Result<()> {
    #[lightbus::api(name = "task_priorities")]
    trait Api {
        #[task]
        async fn work(&self, priority: String);
    }
    struct Worker(mpsc::UnboundedSender<String>, Arc<Semaphore>);
    impl Api for Worker {
        async fn work(&self, priority: String) {
            self.1.acquire().await.expect("open").forget();
            let _ = self.0.send(priority);
        }
    }
    const EACH: usize = 60;
    let broker = TestBroker::start().await?;
    let bus = broker.bus("priorities").await?;
    let api = ApiClient::new(&bus);
    for (name, priority) in [
        ("low", Priority::Low),
        ("normal", Priority::Normal),
        ("high", Priority::High),
    ] {
        for _ in 0..EACH {
            api.work(name).priority(priority).enqueue().await?;
        }
    }
    let (sender, mut reported) = mpsc::unbounded_channel();
    let leave = Arc::new(Semaphore::new(0));
    let server = ApiServer::new(Worker(sender, Arc::clone(&leave)));
    bus.serve(server).task_concurrency(2).await?;
    // Each is held until all three queues have had the time to send something.
    for _ in 0..3 * EACH {
        tokio::time::sleep(Duration::from_millis(10)).await;
        leave.add_permits(1);
    }
    let order = reports(&mut reported, 3 * EACH).await?;
    let count = |name: &str| order[..EACH].iter().filter(|done| *done == name).count();
    let (high, normal, low) = (count("high"), count("normal"), count("low"));
    assert!(
        high > normal && normal > low && low > 0,
        "{high} {normal} {low}"
    );
    assert!(
        high >= EACH * 4 / 10,
        "{high} of {EACH}, and not about six in ten"
    );
    Ok(())
}

#[tokio::test]
async fn limits_hold_across_all_workers() -> anyhow::Result<()> {
    #[lightbus::api(name = "task_limits")]
    trait Api {
        #[task(concurrency = 3)]
        async fn few(&self);
        #[task(rate = "20/s")]
        async fn paced(&self);
        #[task]
        async fn free(&self);
    }
    #[derive(Clone)]
    struct Worker(mpsc::UnboundedSender<(usize, Instant)>, Arc<AtomicUsize>);
    impl Api for Worker {
        async fn few(&self) {
            let running = self.1.fetch_add(1, Ordering::SeqCst) + 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
            self.1.fetch_sub(1, Ordering::SeqCst);
            let _ = self.0.send((running, Instant::now()));
        }
        async fn paced(&self) {
            let _ = self.0.send((0, Instant::now()));
        }
        async fn free(&self) {
            let _ = self.0.send((0, Instant::now()));
        }
    }
    let broker = TestBroker::start().await?;
    let (sender, mut reported) = mpsc::unbounded_channel();
    let worker = Worker(sender, Arc::default());
    let mut replicas = Vec::new();
    for _ in 0..3 {
        let bus = broker.bus("limits").await?;
        bus.serve(ApiServer::new(worker.clone())).await?;
        replicas.push(bus);
    }
    let api = ApiClient::new(&replicas[0]);
    for _ in 0..30 {
        api.few().enqueue().await?;
    }
    let most = reports(&mut reported, 30).await?;
    let most = most.iter().map(|(running, _)| *running).max();
    assert_eq!(most, Some(3));
    for _ in 0..41 {
        api.paced().enqueue().await?;
    }
    let times = reports(&mut reported, 41).await?;
    let (first, last) = (times[0].1, times[40].1);
    assert!(
        last - first >= Duration::from_millis(1800),
        "{:?}",
        last - first
    );
    let wrong = api.few().priority(Priority::High).enqueue().await;
    assert!(matches!(wrong, Err(EnqueueError::Rejected { .. })));
    Ok(())
}

#[tokio::test]
async fn what_a_stopping_worker_has_not_begun_another_one_runs() -> anyhow::Result<()> {
    #[lightbus::api(name = "task_handover")]
    trait Api {
        #[task]
        async fn work(&self, n: u32);
    }
    struct Worker(mpsc::UnboundedSender<u32>, Arc<Semaphore>);
    impl Api for Worker {
        async fn work(&self, n: u32) {
            let leave = self.1.acquire().await.expect("open");
            leave.forget();
            let _ = self.0.send(n);
        }
    }
    const ALL: u32 = 40;
    let broker = TestBroker::start().await?;
    let (sender, mut reported) = mpsc::unbounded_channel();
    let leave = Arc::new(Semaphore::new(0));
    let server = || ApiServer::new(Worker(sender.clone(), Arc::clone(&leave)));
    let (first, second) = (broker.bus("handover").await?, broker.bus("handover").await?);
    first.serve(server()).task_concurrency(4).await?;
    let api = ApiClient::new(&second);
    for n in 0..ALL {
        api.work(n).enqueue().await?;
    }
    let closing = tokio::spawn(async move { first.close().await });
    second.serve(server()).await?;
    leave.add_permits(ALL as usize + 4);
    closing.await?;
    let mut done = reports(&mut reported, ALL as usize).await?;
    done.sort_unstable();
    assert_eq!(
        done,
        (0..ALL).collect::<Vec<_>>(),
        "each one, and none twice"
    );
    Ok(())
}

#[tokio::test]
async fn a_call_runs_no_task_and_a_foreign_message_no_method() -> anyhow::Result<()> {
    #[lightbus::api(name = "task_kinds")]
    trait Api {
        #[task]
        async fn work(&self);
        async fn call(&self);
    }
    struct Worker;
    impl Api for Worker {
        async fn work(&self) {}
        async fn call(&self) {}
    }
    let broker = TestBroker::start().await?;
    let bus = broker.bus("kinds").await?;
    let dead = bus.dead_tasks("task_kinds")?;
    dead.discard(|_| true).await?;
    bus.serve(ApiServer::new(Worker)).await?;
    let foreign = broker.foreign().await?;
    foreign
        .publish(
            "lb.task.task_kinds",
            "lb.task.task_kinds",
            lapin::BasicProperties::default(),
            b"\x80",
        )
        .await?;
    eventually("it is dead", async || {
        dead.count().await.is_ok_and(|count| count == 1)
    })
    .await?;
    assert_eq!(dead.list(1).await?[0].reason, DeadReason::WrongKind);
    dead.discard(|_| true).await?;
    Ok(())
}

#[tokio::test]
async fn a_unique_task_is_there_once_until_it_is_done_or_dead() -> anyhow::Result<()> {
    #[lightbus::api(name = "task_unique")]
    trait Api {
        #[task(retries = 0)]
        async fn sync(&self, user: u32) -> Result<(), String>;
        #[task(unique)]
        async fn once(&self, user: u32);
    }
    struct Worker(mpsc::UnboundedSender<u32>, Arc<Semaphore>);
    impl Api for Worker {
        async fn sync(&self, user: u32) -> Result<(), String> {
            self.1.acquire().await.expect("open").forget();
            let _ = self.0.send(user);
            match user {
                0 => Err("nobody".to_owned()),
                _ => Ok(()),
            }
        }
        async fn once(&self, user: u32) {
            self.1.acquire().await.expect("open").forget();
            let _ = self.0.send(user);
        }
    }
    let broker = TestBroker::start().await?;
    let (bus, peer) = (
        broker.bus("unique").await?,
        broker.bus("unique-peer").await?,
    );
    let dead = bus.dead_tasks("task_unique")?;
    let (api, other) = (ApiClient::new(&bus), ApiClient::new(&peer));
    let key = format!("user {}", std::process::id());
    let one = api.sync(1).unique(&key).enqueue().await?;
    // Another lease, as it is due later.
    let later = other
        .sync(2)
        .unique(&key)
        .after(10 * SECOND)
        .enqueue()
        .await;
    let Err(EnqueueError::Duplicate {
        holder, key: told, ..
    }) = later
    else {
        anyhow::bail!("{later:?}");
    };
    assert_eq!((holder.as_str(), &told), (one.id().message_id(), &key));
    let joined = other.sync(2).unique(&key).or_join().enqueue().await?;
    assert_eq!(joined.id(), one.id());
    // Another key, another task.
    other.sync(3).unique(format!("{key}!")).enqueue().await?;
    let (sender, mut reported) = mpsc::unbounded_channel();
    let leave = Arc::new(Semaphore::new(0));
    bus.serve(ApiServer::new(Worker(sender, Arc::clone(&leave))))
        .await?;
    // It runs, and still has its key.
    assert!(matches!(
        api.sync(1).unique(&key).enqueue().await,
        Err(EnqueueError::Duplicate { .. })
    ));
    leave.add_permits(2);
    let mut done = reports(&mut reported, 2).await?;
    done.sort_unstable();
    assert_eq!(done, [1, 3]);
    // Done, and dead, set it free.
    let free = async || api.sync(0).unique(&key).enqueue().await.is_ok();
    eventually("the key is free", free).await?;
    leave.add_permits(1);
    reports(&mut reported, 1).await?;
    eventually("the key is free again", async || {
        api.sync(5).unique(&key).enqueue().await.is_ok()
    })
    .await?;
    leave.add_permits(1);
    reports(&mut reported, 1).await?;
    // By its arguments.
    let first = api.once(7).enqueue().await?;
    assert!(matches!(
        api.once(7).enqueue().await,
        Err(EnqueueError::Duplicate { .. })
    ));
    assert_eq!(api.once(7).or_join().enqueue().await?.id(), first.id());
    api.once(8).enqueue().await?;
    leave.add_permits(2);
    reports(&mut reported, 2).await?;
    let long = api.once(1).unique("x".repeat(101)).enqueue().await;
    assert!(matches!(long, Err(EnqueueError::Rejected { .. })));
    dead.discard(|_| true).await?;
    Ok(())
}

#[tokio::test]
async fn many_are_enqueued_together_and_each_is_run_once() -> anyhow::Result<()> {
    #[lightbus::api(name = "task_many")]
    trait Api {
        #[task]
        async fn work(&self, n: u32);
    }
    struct Worker(mpsc::UnboundedSender<u32>);
    impl Api for Worker {
        async fn work(&self, n: u32) {
            let _ = self.0.send(n);
        }
    }
    const MANY: u32 = 5000;
    let broker = TestBroker::start().await?;
    let bus = broker.bus("many").await?;
    let api = ApiClient::new(&bus);
    let tasks = (0..MANY).map(move |n| api.work(n));
    let enqueued = lightbus::enqueue_many(tasks).await;
    let ids: std::collections::HashSet<_> = enqueued
        .into_iter()
        .map(|enqueued| enqueued.map(|handle| handle.id().to_owned()))
        .collect::<Result<_, _>>()?;
    assert_eq!(ids.len(), MANY as usize);
    let (sender, mut reported) = mpsc::unbounded_channel();
    bus.serve(ApiServer::new(Worker(sender))).await?;
    let mut done = reports(&mut reported, MANY as usize).await?;
    done.sort_unstable();
    assert_eq!(done, (0..MANY).collect::<Vec<_>>());
    Ok(())
}

/// Messages move after 100 ms, come anew every 200 ms, and are back a second after their process was lost.
fn impatient(builder: lightbus::BusBuilder) -> lightbus::BusBuilder {
    let times = [100, 200, 1000].map(Duration::from_millis);
    builder.hold_tasks(times[0], times[1], times[2])
}

/// Reports the number of its bus when it begins a task, and ends it when it may.
#[derive(Clone)]
struct Slow {
    bus: u32,
    begun: mpsc::UnboundedSender<u32>,
    leave: Arc<Semaphore>,
}

impl Slow {
    async fn work(&self) {
        let _ = self.begun.send(self.bus);
        self.leave.acquire().await.expect("open").forget();
    }
}

#[tokio::test]
async fn a_task_that_takes_long_is_nobody_elses_meanwhile() -> anyhow::Result<()> {
    #[lightbus::api(name = "task_long")]
    trait Api {
        #[task]
        async fn work(&self);
    }
    impl Api for Slow {
        async fn work(&self) {
            self.work().await;
        }
    }
    let broker = TestBroker::start().await?;
    let Some(embedded) = broker.embedded() else {
        return Ok(());
    };
    let (begun, mut reported) = mpsc::unbounded_channel();
    let leave = Arc::new(Semaphore::new(0));
    let mut workers = Vec::new();
    for bus in 0..2 {
        let slow = Slow {
            bus,
            begun: begun.clone(),
            leave: Arc::clone(&leave),
        };
        let bus = impatient(broker.builder("long")).connect().await?;
        bus.serve(ApiServer::new(slow)).await?;
        workers.push(bus);
    }
    ApiClient::new(&workers[0]).work().enqueue().await?;
    reports(&mut reported, 1).await?;
    let foreign = broker.foreign().await?;
    let hold = async || {
        let mut held = 0;
        for bus in &workers {
            let queue = format!("lb.hold.{}.{}", bus.app(), bus.instance());
            held += usize::from(
                foreign
                    .queue(&queue)
                    .await
                    .is_ok_and(|queue| queue.is_some()),
            );
        }
        held == 1
    };
    eventually("its message has moved", hold).await?;
    // Several deliveries of it later, and over the loss of all connections, it is still in one worker's hands.
    tokio::time::sleep(Duration::from_millis(700)).await;
    embedded.drop_connections();
    for bus in &workers {
        bus.ready().await?;
    }
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(reported.try_recv().is_err(), "nobody began it again");
    leave.add_permits(1);
    for bus in &workers {
        bus.close().await;
    }
    let third = broker.bus("long").await?;
    let slow = Slow {
        bus: 3,
        begun,
        leave,
    };
    third.serve(ApiServer::new(slow)).await?;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(reported.try_recv().is_err(), "it was done");
    Ok(())
}

#[tokio::test]
async fn a_task_that_takes_too_long_to_stop_is_handed_back() -> anyhow::Result<()> {
    #[lightbus::api(name = "task_long_stop")]
    trait Api {
        #[task]
        async fn work(&self);
    }
    impl Api for Slow {
        async fn work(&self) {
            self.work().await;
        }
    }
    let broker = TestBroker::start().await?;
    let (begun, mut reported) = mpsc::unbounded_channel();
    let leave = Arc::new(Semaphore::new(0));
    let first = impatient(broker.builder("long-stop")).grace(Duration::from_millis(300));
    let first = first.connect().await?;
    let slow = |bus| {
        ApiServer::new(Slow {
            bus,
            begun: begun.clone(),
            leave: Arc::clone(&leave),
        })
    };
    first.serve(slow(1)).await?;
    let second = impatient(broker.builder("long-stop")).connect().await?;
    ApiClient::new(&second).work().enqueue().await?;
    reports(&mut reported, 1).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    second.serve(slow(2)).await?;
    first.close().await;
    assert_eq!(reports(&mut reported, 1).await?, [2]);
    leave.add_permits(1);
    second.close().await;
    Ok(())
}

#[tokio::test]
async fn a_bus_that_works_on_tasks_closes_at_once() -> anyhow::Result<()> {
    #[lightbus::api(name = "task_close")]
    trait Api {
        #[task]
        async fn work(&self);
    }
    struct Worker;
    impl Api for Worker {
        async fn work(&self) {}
    }
    let broker = TestBroker::start().await?;
    let mut shortest = LONG;
    for _ in 0..5 {
        let bus = broker.bus("close").await?;
        bus.serve(ApiServer::new(Worker)).await?;
        let began = Instant::now();
        bus.close().await;
        shortest = shortest.min(began.elapsed());
    }
    // What does not end by itself is left behind after a second.
    assert!(shortest < Duration::from_millis(900), "{shortest:?}");
    Ok(())
}
