//! An attempt goes on where the last one was.

use super::*;

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

#[lightbus::test]
async fn an_attempt_goes_on_where_the_last_one_was(bus: TestBus) -> anyhow::Result<()> {
    use pages::*;
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

#[lightbus::test]
async fn a_lost_workers_checkpoint_is_found_by_the_next_one(bus: TestBus) -> anyhow::Result<()> {
    use lost::*;
    let proxy = Proxy::start(&bus.url()).await?;
    let lost = bus.app_builder("lost").url(proxy.url()).connect().await?;
    let (begins, mut reported) = mpsc::unbounded_channel();
    let hold = Arc::new(Semaphore::new(0));
    let worker = |name| Worker {
        name,
        begins: begins.clone(),
        hold: Arc::clone(&hold),
    };
    lost.serve(ApiServer::new(worker("lost"))).await?;
    let other = bus.app("next").await?;
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

#[lightbus::test]
async fn a_checkpoint_outlives_a_process_that_held_its_task_for_long(
    bus: TestBus,
) -> anyhow::Result<()> {
    use held::*;
    let foreign = Foreign::connect(&bus.url()).await?;
    let proxy = Proxy::start(&bus.url()).await?;
    let times = [100, 200, 1000].map(Duration::from_millis);
    let lost = bus.app_builder("held").url(proxy.url());
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
    let other = bus.app("next").await?;
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
