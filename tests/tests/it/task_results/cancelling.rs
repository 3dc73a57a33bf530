//! Tasks that somebody cancels.

use super::*;

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

#[lightbus::test]
async fn a_cancelled_task_never_begins_whatever_restarts(bus: TestBus) -> anyhow::Result<()> {
    use never::*;
    let peer = bus.app("peer").await?;
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
    let other = bus.app("peer").await?;
    // Those who wait hear it now, and not when it comes up.
    for id in [&waits, &delayed, &next_year] {
        let handle = other.task::<u32, String>(id.id().clone());
        let result = handle.result().await;
        assert!(matches!(result, Err(TaskError::Cancelled(_))), "{result:?}");
        assert_eq!(handle.status().await?, TaskStatus::Cancelled);
    }
    let (sender, mut begun) = mpsc::unbounded_channel();
    let worker = bus.app("cancel").await?;
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

#[lightbus::test]
async fn a_running_task_is_asked_to_stop_and_not_tried_again(bus: TestBus) -> anyhow::Result<()> {
    use stop::*;
    let (peer, worker) = (bus.app("peer").await?, bus.app("stop").await?);
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

#[lightbus::test]
async fn what_is_cancelled_while_the_workers_are_cut_off_does_not_begin(
    bus: TestBus,
) -> anyhow::Result<()> {
    use cutoff::*;
    let proxy = Proxy::start(&bus.url()).await?;
    let worker = bus.app_builder("cutoff").url(proxy.url()).connect().await?;
    let (sender, mut begun) = mpsc::unbounded_channel();
    worker
        .serve(ApiServer::new(Worker(sender, Arc::default())))
        .await?;
    proxy.set(Mode::Refuse);
    proxy.cut();
    let api = ApiClient::new(&bus);
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

#[lightbus::test]
async fn a_cancelled_unique_task_frees_its_key(bus: TestBus) -> anyhow::Result<()> {
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
