//! What is enqueued waits for its worker, and is run there.

use super::*;

#[lightbus::test]
async fn a_task_waits_for_its_worker_and_is_run_there(bus: TestBus) -> anyhow::Result<()> {
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
    let api = ApiClient::new(&bus);
    // Before anybody has ever worked on this API.
    let handle = api
        .resize(7, vec![16, 32])
        .header("tenant", "acme")
        .enqueue()
        .await?;
    let (sender, mut reported) = mpsc::unbounded_channel();
    let worker = bus.app("worker").await?;
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

#[lightbus::test]
async fn many_are_enqueued_together_and_each_is_run_once(bus: TestBus) -> anyhow::Result<()> {
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
