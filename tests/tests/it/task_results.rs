//! What becomes of a task after it was enqueued: its result, its status, its progress, its checkpoints, and its end by word of somebody else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use lightbus::{Bus, CheckpointError, Context, TaskError, TaskHandle, TaskId, TaskStatus};
use lightbus_tests::proxy::{Mode, Proxy};
use lightbus_tests::raw::{RawProperties, nested_tables};
use lightbus_tests::{TestBroker, eventually};
use tokio::sync::{Semaphore, mpsc};

const LONG: Duration = Duration::from_secs(30);

/// The same task, as another process finds it.
fn elsewhere<T, E>(bus: &Bus, handle: &TaskHandle<T, E>) -> anyhow::Result<TaskHandle<T, E>>
where
    T: serde::de::DeserializeOwned,
    E: serde::de::DeserializeOwned,
{
    let id: TaskId = handle.id().to_string().parse()?;
    assert_eq!(&id, handle.id());
    Ok(bus.task(id))
}

async fn status<T, E>(handle: &TaskHandle<T, E>) -> String {
    match handle.status().await {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    }
}

async fn until_it_is<T, E>(handle: &TaskHandle<T, E>, wanted: &str) -> anyhow::Result<()> {
    eventually(&format!("the task is {wanted}"), async || {
        status(handle).await.starts_with(wanted)
    })
    .await
}

macro_rules! typed {
    ($module:ident, $api:literal) => {
        #[allow(dead_code)]
        mod $module {
            #[lightbus::api(name = $api)]
            pub(super) trait Api {
                #[task(retries = 0)]
                async fn divide(&self, a: i64, b: i64) -> Result<Quotient, MathError>;
                #[task(result_ttl = "1m")]
                async fn plain(&self, n: u32) -> u32;
                #[task(retries = 0, timeout = "100ms")]
                async fn bad(&self, how: String) -> Result<Vec<u8>, MathError>;
            }
            #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
            pub(super) struct Quotient {
                pub(super) value: i64,
                pub(super) rest: i64,
            }
            #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
            pub(super) enum MathError {
                DivisionByZero { dividend: i64 },
            }
            pub(super) struct Worker;
            impl Api for Worker {
                async fn divide(&self, a: i64, b: i64) -> Result<Quotient, MathError> {
                    match b {
                        0 => Err(MathError::DivisionByZero { dividend: a }),
                        _ => Ok(Quotient {
                            value: a / b,
                            rest: a % b,
                        }),
                    }
                }
                async fn plain(&self, n: u32) -> u32 {
                    n + 1
                }
                async fn bad(&self, how: String) -> Result<Vec<u8>, MathError> {
                    match how.as_str() {
                        "panics" => panic!("the secret"),
                        "hangs" => std::future::pending().await,
                        _ => Ok(vec![255; 3 << 20]),
                    }
                }
            }
        }
    };
}

typed!(types, "result_types");
typed!(ends, "result_ends");
typed!(unkept, "result_unkept");
typed!(many, "result_many");

#[tokio::test]
async fn a_value_and_an_error_keep_their_types_in_every_process() -> anyhow::Result<()> {
    use types::*;
    let broker = TestBroker::start().await?;
    let (peer, worker, other) = (
        broker.bus("typed-peer").await?,
        broker.bus("typed-worker").await?,
        broker.bus("typed-other").await?,
    );
    let api = ApiClient::new(&peer);
    let good = api.divide(17, 5).keep_result().enqueue().await?;
    let bad = api.divide(17, 0).keep_result().enqueue().await?;
    let plain = api.plain(7).enqueue().await?;
    assert_eq!(good.status().await?, TaskStatus::Waiting);
    let short = good.result().timeout(Duration::from_millis(50)).await;
    assert!(
        matches!(&short, Err(TaskError::Timeout(why)) if why.detail.contains("has not begun")),
        "{short:?}"
    );
    worker.serve(ApiServer::new(Worker)).await?;
    let quotient = Quotient { value: 3, rest: 2 };
    assert_eq!(good.result().await, Ok(quotient));
    assert_eq!(plain.result().await, Ok(8));
    let zero = TaskError::Domain(MathError::DivisionByZero { dividend: 17 });
    assert_eq!(bad.result().await, Err(zero.clone()));
    assert_eq!(elsewhere(&other, &bad)?.result().await, Err(zero));
    let good = elsewhere(&other, &good)?;
    assert_eq!(good.result().await, Ok(Quotient { value: 3, rest: 2 }));
    assert_eq!(good.status().await?, TaskStatus::Done);
    assert_eq!(bad.status().await?, TaskStatus::Failed);
    // Another version of the API.
    let other_type = other.task::<String, String>(good.id().clone());
    let misread = other_type.result().await;
    assert!(
        matches!(misread, Err(TaskError::BadResult(_))),
        "{misread:?}"
    );
    assert_eq!(worker.counts().task_records_ignored, 0);
    Ok(())
}

#[tokio::test]
async fn other_ends_are_told_without_what_is_for_the_log() -> anyhow::Result<()> {
    use ends::*;
    let broker = TestBroker::start().await?;
    let bus = broker.bus("ends").await?;
    bus.serve(ApiServer::new(Worker)).await?;
    let api = ApiClient::new(&bus);
    let panics = api.bad("panics").keep_result().enqueue().await?;
    let hangs = api.bad("hangs").keep_result().enqueue().await?;
    let large = api.bad("large").keep_result().enqueue().await?;
    for (handle, says) in [(&panics, "it panicked"), (&hangs, "its timeout")] {
        let Err(TaskError::Failed(failure)) = handle.result().await else {
            anyhow::bail!("it failed otherwise");
        };
        assert!(failure.detail.contains(says), "{failure}");
        assert!(!failure.detail.contains("secret"), "{failure}");
        assert_eq!(failure.attempts, 1);
    }
    let large = large.result().await;
    assert!(
        matches!(&large, Err(TaskError::BadResult(why)) if why.detail.contains("limit")),
        "{large:?}"
    );
    assert_eq!(bus.counts().results_lost, 1);
    let late = api.divide(1, 1).keep_result();
    let late = late.expires(Duration::ZERO).enqueue().await?;
    assert!(matches!(late.result().await, Err(TaskError::Expired(_))));
    assert_eq!(late.status().await?, TaskStatus::Expired);
    Ok(())
}

#[tokio::test]
async fn what_nobody_asked_to_keep_is_not_kept_and_says_so_at_once() -> anyhow::Result<()> {
    use unkept::*;
    let broker = TestBroker::start().await?;
    let bus = broker.bus("unkept").await?;
    bus.serve(ApiServer::new(Worker)).await?;
    let api = ApiClient::new(&bus);
    let handle = api.divide(4, 2).enqueue().await?;
    assert!(handle.id().to_string().ends_with("~unkept"));
    let by_id = elsewhere(&bus, &handle)?;
    for result in [handle.result().await, by_id.result().await] {
        let told = result.map_err(|error| format!("{error:?}"));
        assert!(told.is_err_and(|told| told.contains("keep_result")));
    }
    assert!(matches!(handle.status().await, Err(TaskError::NotKept(_))));
    assert_eq!(handle.progress().next().await, None);
    let long = api.divide(4, 2).result_ttl(Duration::from_secs(8 * 86_400));
    assert!(long.enqueue().await.is_err());
    // Kept for no time at all.
    let gone = api
        .divide(4, 2)
        .result_ttl(Duration::ZERO)
        .enqueue()
        .await?;
    eventually("it is gone", async || {
        matches!(gone.status().await, Err(TaskError::Gone(_)))
    })
    .await?;
    assert!(matches!(gone.result().await, Err(TaskError::Gone(_))));
    Ok(())
}

#[tokio::test]
async fn a_thousand_wait_at_once() -> anyhow::Result<()> {
    use many::*;
    let broker = TestBroker::start().await?;
    let (peer, worker) = (broker.bus("many-peer").await?, broker.bus("many").await?);
    let api = ApiClient::new(&peer);
    let mut waiting = tokio::task::JoinSet::new();
    for n in 0..1000 {
        let enqueue = api.plain(n).enqueue();
        waiting.spawn(async move {
            let handle = enqueue.await?;
            let value = handle.result().timeout(2 * LONG).await;
            anyhow::ensure!(value == Ok(n + 1), "{n}: {value:?}");
            Ok(())
        });
    }
    worker.serve(ApiServer::new(Worker)).await?;
    while let Some(waited) = waiting.join_next().await {
        waited??;
    }
    Ok(())
}

#[tokio::test]
async fn progress_comes_in_its_order_and_the_last_word_always() -> anyhow::Result<()> {
    #[lightbus::api(name = "result_progress")]
    trait Api {
        #[task(result_ttl = "1h")]
        async fn import(&self) -> u32;
    }
    struct Worker(Arc<Semaphore>);
    impl Api for Worker {
        async fn import(&self) -> u32 {
            let task = Context::current().expect("a task has a context");
            for n in 0..10 {
                self.0.acquire().await.expect("never closed").forget();
                let from_a_thread = task.clone();
                let told = tokio::task::spawn_blocking(move || {
                    from_a_thread.progress(f64::from(n) / 10.0, &format!("row {n}"));
                });
                told.await.expect("it does not panic");
            }
            task.progress(1.0, "all");
            10
        }
    }
    let broker = TestBroker::start().await?;
    let (peer, worker) = (broker.bus("rows-peer").await?, broker.bus("rows").await?);
    let steps = Arc::new(Semaphore::new(0));
    worker
        .serve(ApiServer::new(Worker(Arc::clone(&steps))))
        .await?;
    let handle = ApiClient::new(&peer).import().enqueue().await?;
    let by_id = peer.task::<u32, String>(handle.id().to_string().parse()?);
    let mut updates = by_id.progress();
    steps.add_permits(1);
    let first = tokio::time::timeout(LONG, updates.next()).await?;
    assert_eq!(
        first.map(|it| it.to_string()),
        Some("0 % (row 0)".to_owned())
    );
    let TaskStatus::Running {
        attempt, progress, ..
    } = handle.status().await?
    else {
        anyhow::bail!("it runs");
    };
    assert_eq!((attempt, progress.map(|it| it.part)), (0, Some(0.0)));
    steps.add_permits(9);
    let mut parts = vec![0.0];
    while let Some(update) = tokio::time::timeout(LONG, updates.next()).await? {
        parts.push(update.part);
    }
    assert!(parts.is_sorted(), "{parts:?}");
    assert_eq!(parts.last(), Some(&1.0));
    assert!(parts.len() < 11, "no more than a few a second: {parts:?}");
    assert_eq!(handle.result().await, Ok(10));
    Ok(())
}

#[tokio::test]
async fn a_result_outlives_who_enqueued_it_and_who_made_it() -> anyhow::Result<()> {
    #[lightbus::api(name = "result_restarts")]
    trait Api {
        #[task(result_ttl = "1h", retries = 1, backoff = "1s")]
        async fn work(&self, n: u32) -> Result<u32, String>;
    }
    struct Worker;
    impl Api for Worker {
        async fn work(&self, n: u32) -> Result<u32, String> {
            match Context::current().map_or(0, |it| it.attempt()) {
                0 if n == 2 => Err("not yet".to_owned()),
                _ => Ok(n * 10),
            }
        }
    }
    let broker = TestBroker::start().await?;
    let mut ids = Vec::new();
    let enqueuer = broker.bus("gone-peer").await?;
    for n in [1, 2] {
        let handle = ApiClient::new(&enqueuer).work(n).enqueue().await?;
        ids.push(serde_json::to_string(handle.id())?);
    }
    enqueuer.close().await;
    let other = broker.bus("gone-peer").await?;
    let handle = |n: usize| -> anyhow::Result<TaskHandle<u32, String>> {
        Ok(other.task(serde_json::from_str(&ids[n])?))
    };
    let worker = broker.bus("gone").await?;
    worker.serve(ApiServer::new(Worker)).await?;
    until_it_is(&handle(0)?, "done").await?;
    until_it_is(&handle(1)?, "to be tried again, attempt 1 failed: not yet").await?;
    worker.close().await;
    let worker = broker.bus("gone").await?;
    worker.serve(ApiServer::new(Worker)).await?;
    assert_eq!(handle(1)?.result().await, Ok(20));
    worker.close().await;
    other.close().await;
    let later = broker.bus("gone-peer").await?;
    let handle = later.task::<u32, String>(serde_json::from_str(&ids[0])?);
    assert_eq!(handle.result().await, Ok(10));
    Ok(())
}

macro_rules! cancellable {
    ($module:ident, $api:literal) => {
        #[allow(dead_code)]
        mod $module {
            use super::*;

            #[lightbus::api(name = $api)]
            pub(super) trait Api {
                #[task(result_ttl = "1h")]
                async fn work(&self, n: u32) -> u32;
                #[task(retries = 3, backoff = "1s", result_ttl = "1h")]
                async fn stubborn(&self, how: String) -> Result<u32, String>;
            }
            pub(super) struct Worker(
                pub(super) mpsc::UnboundedSender<String>,
                pub(super) Arc<AtomicUsize>,
            );
            impl Api for Worker {
                async fn work(&self, n: u32) -> u32 {
                    let _ = self.0.send(n.to_string());
                    n
                }
                async fn stubborn(&self, how: String) -> Result<u32, String> {
                    let _ = self.0.send(how.clone());
                    let task = Context::current().ok_or("no task")?;
                    self.1.fetch_add(1, Ordering::SeqCst);
                    if how == "fails" {
                        return Err("as always".to_owned());
                    }
                    assert!(!task.is_cancelled());
                    task.cancelled().await;
                    assert!(task.is_cancelled());
                    match how.as_str() {
                        "obeys" => Err("cancelled".to_owned()),
                        _ => Ok(1),
                    }
                }
            }
        }
    };
}

cancellable!(never, "result_cancel");
cancellable!(stop, "result_stop");
cancellable!(cutoff, "result_cutoff");

#[tokio::test]
async fn a_cancelled_task_never_begins_whatever_restarts() -> anyhow::Result<()> {
    use never::*;
    let broker = TestBroker::start().await?;
    // What an earlier run left behind.
    let foreign = broker.foreign().await?;
    foreign.delete_queue("lb.task.result_cancel").await?;
    let peer = broker.bus("cancel-peer").await?;
    let api = ApiClient::new(&peer);
    let waits = api.work(1).enqueue().await?;
    let delayed = api.work(2).after(Duration::from_secs(1)).enqueue().await?;
    let next_year = api.work(3).after(Duration::from_secs(365 * 86_400));
    let next_year = next_year.enqueue().await?;
    let lets_be = api.work(4).enqueue().await?;
    let unknown: TaskId = "result_cancel.work/019aa9f4-3c00-7a3b-8f5e-2f1d5c3b7a90".parse()?;
    for handle in [&waits, &delayed, &next_year] {
        handle.cancel().await?;
    }
    peer.task::<u32, String>(unknown).cancel().await?;
    peer.close().await;
    let other = broker.bus("cancel-peer").await?;
    // Those who wait hear it now, and not when it comes up.
    for id in [&waits, &delayed, &next_year] {
        let handle = other.task::<u32, String>(id.id().clone());
        let result = handle.result().await;
        assert!(matches!(result, Err(TaskError::Cancelled(_))), "{result:?}");
        assert_eq!(handle.status().await?, TaskStatus::Cancelled);
    }
    let (sender, mut begun) = mpsc::unbounded_channel();
    let worker = broker.bus("cancel").await?;
    let count = Arc::default();
    worker.serve(ApiServer::new(Worker(sender, count))).await?;
    assert_eq!(begun.recv().await.as_deref(), Some("4"));
    let lets_be = other.task::<u32, String>(lets_be.id().clone());
    assert_eq!(lets_be.result().await, Ok(4));
    let both = async || worker.counts().tasks_cancelled == 2;
    eventually("both have come up and were not run", both).await?;
    // One that has ended stays as it is.
    lets_be.cancel().await?;
    assert_eq!(lets_be.status().await?, TaskStatus::Done);
    assert!(begun.try_recv().is_err());
    Ok(())
}

#[tokio::test]
async fn a_running_task_is_asked_to_stop_and_not_tried_again() -> anyhow::Result<()> {
    use stop::*;
    let broker = TestBroker::start().await?;
    // What an earlier run left behind.
    let foreign = broker.foreign().await?;
    foreign.delete_queue("lb.task.result_stop").await?;
    let (peer, worker) = (broker.bus("stop-peer").await?, broker.bus("stop").await?);
    let (sender, mut begun) = mpsc::unbounded_channel();
    let made = Arc::<AtomicUsize>::default();
    worker
        .serve(ApiServer::new(Worker(sender, Arc::clone(&made))))
        .await?;
    let api = ApiClient::new(&peer);
    let obeys = api.stubborn("obeys").enqueue().await?;
    let finishes = api.stubborn("finishes").enqueue().await?;
    begun.recv().await;
    begun.recv().await;
    let fails = api.stubborn("fails").enqueue().await?;
    until_it_is(&fails, "to be tried again").await?;
    for handle in [&obeys, &finishes, &fails] {
        handle.cancel().await?;
    }
    assert!(matches!(obeys.result().await, Err(TaskError::Cancelled(_))));
    assert_eq!(finishes.result().await, Ok(1));
    assert!(matches!(fails.result().await, Err(TaskError::Cancelled(_))));
    let two = async || worker.counts().tasks_cancelled == 2;
    eventually("two are given up", two).await?;
    assert_eq!(made.load(Ordering::SeqCst), 3);
    Ok(())
}

#[tokio::test]
async fn what_is_cancelled_while_the_workers_are_cut_off_does_not_begin() -> anyhow::Result<()> {
    use cutoff::*;
    let broker = TestBroker::start().await?;
    // What an earlier run left behind.
    let foreign = broker.foreign().await?;
    foreign.delete_queue("lb.task.result_cutoff").await?;
    let peer = broker.bus("cutoff-peer").await?;
    let proxy = Proxy::start(broker.url()).await?;
    let worker = broker.builder("cutoff").url(proxy.url()).connect().await?;
    let (sender, mut begun) = mpsc::unbounded_channel();
    worker
        .serve(ApiServer::new(Worker(sender, Arc::default())))
        .await?;
    proxy.set(Mode::Refuse);
    proxy.cut();
    let api = ApiClient::new(&peer);
    let mut last = None;
    for n in 0..20 {
        let handle = api.work(100 + n).enqueue().await?;
        match n {
            19 => last = Some(handle),
            _ => handle.cancel().await?,
        }
    }
    proxy.set(Mode::Pass);
    let last = last.expect("it was enqueued");
    assert_eq!(last.result().await, Ok(119));
    // One whose acknowledgement is lost comes up once more.
    let all = async || worker.counts().tasks_cancelled >= 19;
    let all = eventually("all others have come up and were not run", all).await;
    let mut run = Vec::new();
    while let Ok(next) = begun.try_recv() {
        run.push(next);
    }
    assert_eq!(run, ["119"], "of {}", worker.counts().tasks_cancelled);
    all
}

#[tokio::test]
async fn a_cancelled_unique_task_frees_its_key() -> anyhow::Result<()> {
    #[lightbus::api(name = "result_key")]
    trait Api {
        #[task]
        async fn once(&self) -> u32;
    }
    struct Worker;
    impl Api for Worker {
        async fn once(&self) -> u32 {
            1
        }
    }
    let broker = TestBroker::start().await?;
    let bus = broker.bus("key").await?;
    let api = ApiClient::new(&bus);
    let once = || api.once().unique("the one").keep_result();
    let first = once().enqueue().await?;
    let joined = once().or_join().enqueue().await?;
    assert_eq!(joined.id(), first.id());
    joined.cancel().await?;
    bus.serve(ApiServer::new(Worker)).await?;
    let free = async || once().enqueue().await.is_ok_and(|it| it.id() != first.id());
    eventually("its key is free", free).await?;
    let cancelled = first.result().await;
    assert!(matches!(cancelled, Err(TaskError::Cancelled(_))));
    Ok(())
}

macro_rules! paged {
    ($module:ident, $api:literal) => {
        #[allow(dead_code)]
        mod $module {
            use super::*;

            #[lightbus::api(name = $api)]
            pub(super) trait Api {
                #[task(retries = 2, backoff = "20ms, 1s", result_ttl = "1h")]
                async fn pages(&self, pages: u32) -> Result<Vec<String>, String>;
                #[task]
                async fn crashes(&self) -> Result<(), String>;
                async fn call(&self) -> bool;
            }
            #[derive(Clone)]
            pub(super) struct Worker {
                pub(super) name: &'static str,
                pub(super) begins: mpsc::UnboundedSender<(&'static str, Option<Place>)>,
                pub(super) hold: Arc<Semaphore>,
            }
            #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
            pub(super) struct Place {
                pub(super) page: u32,
                pub(super) done: Vec<String>,
            }
            impl Api for Worker {
                async fn pages(&self, pages: u32) -> Result<Vec<String>, String> {
                    let task = Context::current().ok_or("no task")?;
                    let place = task.resume::<Place>().await;
                    let _ = self.begins.send((self.name, place.clone()));
                    let mut place = place.unwrap_or(Place {
                        page: 0,
                        done: Vec::new(),
                    });
                    while place.page < pages {
                        place
                            .done
                            .push(format!("{}/{}", task.attempt(), place.page));
                        place.page += 1;
                        let stored = task.checkpoint(&place).await;
                        stored.map_err(|error| error.to_string())?;
                        if place.page < pages {
                            return Err("one page an attempt".to_owned());
                        }
                    }
                    let large = task.checkpoint(&"x".repeat(20_000)).await;
                    assert!(matches!(large, Err(CheckpointError::Rejected(_))));
                    Ok(place.done)
                }
                async fn crashes(&self) -> Result<(), String> {
                    let task = Context::current().ok_or("no task")?;
                    let place = task.resume::<Place>().await;
                    for page in [1, 2] {
                        let done = vec![self.name.to_owned()];
                        let stored = task.checkpoint(&Place { page, done }).await;
                        stored.map_err(|error| error.to_string())?;
                    }
                    let _ = self.begins.send((self.name, place));
                    self.hold
                        .acquire()
                        .await
                        .map_err(|error| error.to_string())?
                        .forget();
                    Ok(())
                }
                async fn call(&self) -> bool {
                    let context = Context::current().expect("a call has a context");
                    let stored = context.checkpoint(&1).await;
                    stored == Err(CheckpointError::NoTask)
                        && context.resume::<u32>().await.is_none()
                }
            }
        }
    };
}

paged!(pages, "result_pages");
paged!(lost, "result_lost");
paged!(held, "result_held");

#[tokio::test]
async fn an_attempt_goes_on_where_the_last_one_was() -> anyhow::Result<()> {
    use pages::*;
    let broker = TestBroker::start().await?;
    let bus = broker.bus("pages").await?;
    let (begins, _reported) = mpsc::unbounded_channel();
    let worker = Worker {
        name: "only",
        begins,
        hold: Arc::new(Semaphore::new(0)),
    };
    bus.serve(ApiServer::new(worker)).await?;
    let api = ApiClient::new(&bus);
    // The second attempt in this process, the third over the ladder.
    let handle = api.pages(3).enqueue().await?;
    let all = ["0/0", "1/1", "2/2"].map(str::to_owned).to_vec();
    assert_eq!(handle.result().await, Ok(all));
    assert!(api.call().await?);
    Ok(())
}

#[tokio::test]
async fn a_lost_workers_checkpoint_is_found_by_the_next_one() -> anyhow::Result<()> {
    use lost::*;
    let broker = TestBroker::start().await?;
    // What an earlier run left behind.
    let foreign = broker.foreign().await?;
    foreign.delete_queue("lb.task.result_lost").await?;
    let proxy = Proxy::start(broker.url()).await?;
    let lost = broker.builder("lost").url(proxy.url()).connect().await?;
    let (begins, mut reported) = mpsc::unbounded_channel();
    let hold = Arc::new(Semaphore::new(0));
    let worker = |name| Worker {
        name,
        begins: begins.clone(),
        hold: Arc::clone(&hold),
    };
    lost.serve(ApiServer::new(worker("lost"))).await?;
    let other = broker.bus("next").await?;
    // Of a task that keeps nothing else.
    ApiClient::new(&other).crashes().enqueue().await?;
    let first = tokio::time::timeout(LONG, reported.recv()).await?;
    assert_eq!(first, Some(("lost", None)));
    other.serve(ApiServer::new(worker("next"))).await?;
    proxy.set(Mode::Refuse);
    proxy.cut();
    let next = tokio::time::timeout(LONG, reported.recv()).await?;
    let place = Place {
        page: 2,
        done: vec!["lost".to_owned()],
    };
    assert_eq!(next, Some(("next", Some(place))));
    hold.add_permits(2);
    Ok(())
}

#[tokio::test]
async fn a_checkpoint_outlives_a_process_that_held_its_task_for_long() -> anyhow::Result<()> {
    use held::*;
    let broker = TestBroker::start().await?;
    // What an earlier run left behind.
    let foreign = broker.foreign().await?;
    foreign.delete_queue("lb.task.result_held").await?;
    let proxy = Proxy::start(broker.url()).await?;
    let times = [100, 200, 1000].map(Duration::from_millis);
    let lost = broker.builder("held").url(proxy.url());
    let lost = lost.hold_tasks(times[0], times[1], times[2]);
    let lost = lost.connect().await?;
    let (begins, mut reported) = mpsc::unbounded_channel();
    let hold = Arc::new(Semaphore::new(0));
    let worker = |name| Worker {
        name,
        begins: begins.clone(),
        hold: Arc::clone(&hold),
    };
    lost.serve(ApiServer::new(worker("lost"))).await?;
    let other = broker.bus("held-next").await?;
    ApiClient::new(&other).crashes().enqueue().await?;
    let first = tokio::time::timeout(LONG, reported.recv()).await?;
    assert_eq!(first, Some(("lost", None)));
    let queue = format!("lb.hold.{}.{}", lost.app(), lost.instance());
    eventually("its message moves", async || {
        let found = foreign.queue(&queue).await;
        found.is_ok_and(|found| found.is_some_and(|(_, consumers)| consumers == 1))
    })
    .await?;
    other.serve(ApiServer::new(worker("next"))).await?;
    proxy.set(Mode::Refuse);
    proxy.cut();
    let next = tokio::time::timeout(LONG, reported.recv()).await?;
    let place = Place {
        page: 2,
        done: vec!["lost".to_owned()],
    };
    assert_eq!(next, Some(("next", Some(place))));
    hold.add_permits(2);
    Ok(())
}

#[tokio::test]
async fn what_is_replayed_from_the_dead_letters_begins_anew() -> anyhow::Result<()> {
    #[lightbus::api(name = "result_replayed")]
    trait Api {
        #[task(retries = 0, result_ttl = "1h")]
        async fn work(&self) -> Result<u32, String>;
    }
    struct Worker(Arc<AtomicBool>);
    impl Api for Worker {
        async fn work(&self) -> Result<u32, String> {
            match self.0.load(Ordering::SeqCst) {
                true => Ok(1),
                false => Err("the disk is full".to_owned()),
            }
        }
    }
    let broker = TestBroker::start().await?;
    let bus = broker.bus("replayed").await?;
    let dead = bus.dead_tasks("result_replayed")?;
    let works = Arc::<AtomicBool>::default();
    bus.serve(ApiServer::new(Worker(Arc::clone(&works))))
        .await?;
    dead.discard(|_| true).await?;
    let handle = ApiClient::new(&bus).work().enqueue().await?;
    let full = TaskError::Domain("the disk is full".to_owned());
    assert_eq!(handle.result().await, Err(full));
    works.store(true, Ordering::SeqCst);
    eventually("it is replayed", async || {
        let this = |letter: &lightbus::DeadLetter| letter.id == handle.id().message_id();
        dead.replay(this).await.is_ok_and(|count| count == 1)
    })
    .await?;
    until_it_is(&handle, "done").await?;
    assert_eq!(handle.result().await, Ok(1));
    Ok(())
}

fn record(task: &str, state: &str) -> BasicProperties {
    let mut headers = FieldTable::default();
    let state = AMQPValue::LongString(state.into());
    headers.insert("lb-state".into(), state);
    headers.insert("lb-ts".into(), AMQPValue::LongLongInt(1_700_000_000_000));
    BasicProperties::default()
        .with_type("lb1.task-log".into())
        .with_content_type("application/json".into())
        .with_correlation_id(task.into())
        .with_headers(headers)
}

macro_rules! large {
    ($module:ident, $api:literal) => {
        #[allow(dead_code)]
        mod $module {
            #[lightbus::api(name = $api)]
            pub(super) trait Api {
                #[task(result_ttl = "1h")]
                async fn large(&self, n: u8) -> Vec<u8>;
            }
            pub(super) struct Worker;
            impl Api for Worker {
                async fn large(&self, n: u8) -> Vec<u8> {
                    vec![n; 450_000]
                }
            }
        }
    };
}

large!(old, "result_old");
large!(bad, "result_bad");

#[tokio::test]
async fn what_was_read_long_ago_is_read_once_more() -> anyhow::Result<()> {
    use old::*;
    let broker = TestBroker::start().await?;
    let (peer, worker) = (broker.bus("old-peer").await?, broker.bus("old").await?);
    worker.serve(ApiServer::new(Worker)).await?;
    let api = ApiClient::new(&peer);
    let mut handles = Vec::new();
    // More than is kept of those that nobody waits for.
    for n in 0..25 {
        handles.push(api.large(n).enqueue().await?);
    }
    for n in [24, 0, 1] {
        let value = handles[n].result().timeout(LONG).await;
        assert!(value == Ok(vec![u8::try_from(n)?; 450_000]), "{n}");
    }
    // Ids that tell no time are looked for from the journal's beginning on; and JSON is read as well.
    let foreign = broker.foreign().await?;
    let done = record("nightly:7", "done");
    let key = ("lb.journal.result_old", "journal");
    foreign.publish(key.0, key.1, done, b"[1, 2]").await?;
    let handle = peer.task::<Vec<u8>, String>("result_old.large/nightly:7".parse()?);
    assert_eq!(handle.result().timeout(LONG).await, Ok(vec![1, 2]));
    let unknown = peer.task::<Vec<u8>, String>("result_old.large/nightly:8".parse()?);
    assert!(matches!(unknown.status().await, Err(TaskError::Gone(_))));
    Ok(())
}

#[tokio::test]
async fn what_is_no_record_is_ignored_and_counted() -> anyhow::Result<()> {
    use bad::*;
    let broker = TestBroker::start().await?;
    let (peer, worker) = (broker.bus("bad-peer").await?, broker.bus("bad").await?);
    let api = ApiClient::new(&peer);
    let handle = api.large(1).keep_result().enqueue().await?;
    let id = handle.id().message_id();
    assert_eq!(status(&handle).await, "waiting");
    let key = ("lb.journal.result_bad", "journal");
    let depth = if broker.embedded().is_some() {
        60
    } else {
        20_000
    };
    let deep = RawProperties::default().headers(&nested_tables(depth));
    let mut raw = broker.raw().await?;
    raw.publish(key.0, key.1.as_bytes(), &deep, b"1").await?;
    let foreign = broker.foreign().await?;
    let good = || record(id, "done");
    let bad: Vec<(BasicProperties, Vec<u8>)> = vec![
        (BasicProperties::default(), b"hello".to_vec()),
        (good().with_type("lb1.task".into()), b"1".to_vec()),
        (good().with_correlation_id("".into()), b"1".to_vec()),
        (record(id, "exploded"), b"1".to_vec()),
        (record(id, "progress"), b"[[1]]".to_vec()),
        (good(), vec![b'['; 500]),
        (good(), vec![b'1'; 3 << 20]),
        (good().with_content_type("text/html".into()), b"1".to_vec()),
    ];
    let count = u64::try_from(bad.len())? + 1;
    for (properties, payload) in bad {
        foreign.publish(key.0, key.1, properties, &payload).await?;
    }
    let all = async || peer.counts().task_records_ignored == count;
    eventually("all are counted", all).await?;
    assert_eq!(handle.status().await?, TaskStatus::Waiting);
    worker.serve(ApiServer::new(Worker)).await?;
    let value = handle.result().timeout(LONG).await;
    assert!(value == Ok(vec![1; 450_000]));
    Ok(())
}
