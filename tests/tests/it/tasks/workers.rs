//! Which process works on what, and what a worker leaves to others.

use super::*;

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
