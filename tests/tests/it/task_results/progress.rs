//! How far a task has come.

use super::*;

#[lightbus::test]
async fn progress_comes_in_its_order_and_the_last_word_always(bus: TestBus) -> anyhow::Result<()> {
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
    let (peer, worker) = (bus.app("peer").await?, bus.app("rows").await?);
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
