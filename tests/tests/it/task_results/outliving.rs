//! Results outlive processes, and attempts that were the last.

use super::*;

#[lightbus::test]
async fn a_result_outlives_who_enqueued_it_and_who_made_it(bus: TestBus) -> anyhow::Result<()> {
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
    let mut ids = Vec::new();
    let enqueuer = bus.app("peer").await?;
    for n in [1, 2] {
        let handle = ApiClient::new(&enqueuer).work(n).enqueue().await?;
        ids.push(serde_json::to_string(handle.id())?);
    }
    enqueuer.close().await;
    let other = bus.app("peer").await?;
    let handle = |n: usize| -> anyhow::Result<TaskHandle<u32, String>> {
        Ok(other.task(serde_json::from_str(&ids[n])?))
    };
    let worker = bus.app("gone").await?;
    worker.serve(ApiServer::new(Worker)).await?;
    until_it_is(&handle(0)?, "done").await?;
    until_it_is(&handle(1)?, "to be tried again, attempt 1 failed: not yet").await?;
    worker.close().await;
    let worker = bus.app("gone").await?;
    worker.serve(ApiServer::new(Worker)).await?;
    assert_eq!(handle(1)?.result().await, Ok(20));
    worker.close().await;
    other.close().await;
    let later = bus.app("peer").await?;
    let handle = later.task::<u32, String>(serde_json::from_str(&ids[0])?);
    assert_eq!(handle.result().await, Ok(10));
    Ok(())
}

#[lightbus::test]
async fn what_is_replayed_from_the_dead_letters_begins_anew(bus: TestBus) -> anyhow::Result<()> {
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
    let dead = bus.dead_tasks("result_replayed")?;
    let works = Arc::<AtomicBool>::default();
    bus.serve(ApiServer::new(Worker(Arc::clone(&works))))
        .await?;
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
