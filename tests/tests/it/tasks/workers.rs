//! Which process works on what, and what a worker leaves to others.

use std::collections::HashSet;

use futures_util::future::try_join_all;
use lapin::types::{AMQPValue, FieldTable};

use super::*;

#[lightbus::test]
async fn a_process_may_serve_calls_only_or_tasks_only(bus: TestBus) -> anyhow::Result<()> {
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
    let (web, worker) = (bus.app("parts").await?, bus.app("parts").await?);
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

#[lightbus::test]
async fn workers_that_begin_at_the_same_time_all_work(bus: TestBus) -> anyhow::Result<()> {
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
    let (sender, mut reported) = mpsc::unbounded_channel();
    let buses = (0..WORKERS).map(|_| bus.app("worker"));
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

#[lightbus::test]
async fn what_a_stopping_worker_has_not_begun_another_one_runs(bus: TestBus) -> anyhow::Result<()> {
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
    let (sender, mut reported) = mpsc::unbounded_channel();
    let leave = Arc::new(Semaphore::new(0));
    let server = || ApiServer::new(Worker(sender.clone(), Arc::clone(&leave)));
    let (first, second) = (bus.app("handover").await?, bus.app("handover").await?);
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

#[lightbus::test]
async fn a_bus_that_works_on_tasks_closes_at_once(bus: TestBus) -> anyhow::Result<()> {
    #[lightbus::api(name = "task_close")]
    trait Api {
        #[task]
        async fn work(&self);
    }
    struct Worker;
    impl Api for Worker {
        async fn work(&self) {}
    }
    let mut shortest = LONG;
    for _ in 0..5 {
        let worker = bus.app("closing").await?;
        worker.serve(ApiServer::new(Worker)).await?;
        let began = Instant::now();
        worker.close().await;
        shortest = shortest.min(began.elapsed());
    }
    // What does not end by itself is left behind after a second.
    assert!(shortest < Duration::from_millis(900), "{shortest:?}");
    Ok(())
}

#[lightbus::test]
async fn a_call_runs_no_task_and_a_foreign_message_no_method(bus: TestBus) -> anyhow::Result<()> {
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
    let dead = bus.dead_tasks("task_kinds")?;
    bus.serve(ApiServer::new(Worker)).await?;
    let foreign = Foreign::connect(&bus.url()).await?;
    let queue = "lb.task.task_kinds";
    let no_task = lapin::BasicProperties::default();
    let no_name = unknown("no name", "1");
    for (properties, reason) in [
        (no_task, DeadReason::WrongKind),
        (no_name, DeadReason::Undecodable),
    ] {
        foreign.publish(queue, queue, properties, b"\x80").await?;
        eventually("it is dead", async || {
            dead.count().await.is_ok_and(|count| count == 1)
        })
        .await?;
        assert_eq!(dead.list(1).await?[0].reason, reason);
        dead.discard(|_| true).await?;
    }
    Ok(())
}

/// A message of a task that was put off as often as it may be.
fn unknown(name: &str, id: &str) -> lapin::BasicProperties {
    let mut headers = FieldTable::default();
    let name = AMQPValue::LongString(name.into());
    headers.insert("lb-name".into(), name);
    headers.insert("lb-unknown".into(), AMQPValue::LongUInt(15));
    headers.insert("lb-result-ttl".into(), AMQPValue::LongUInt(60_000));
    lapin::BasicProperties::default()
        .with_type("lb1.task".into())
        .with_message_id(id.into())
        .with_content_type("application/msgpack".into())
        .with_headers(headers)
}

#[lightbus::test]
async fn what_a_worker_does_not_know_waits_for_a_newer_one(bus: TestBus) -> anyhow::Result<()> {
    mod old {
        #[lightbus::api(name = "task_newer")]
        pub(super) trait Api {
            #[task]
            async fn before(&self);
        }
        pub(super) struct Worker;
        impl Api for Worker {
            async fn before(&self) {}
        }
    }
    mod new {
        #[lightbus::api(name = "task_newer")]
        pub(super) trait Api {
            #[task(retries = 0, result_ttl = "1h")]
            async fn added(&self) -> u32;
        }
        pub(super) struct Worker;
        impl Api for Worker {
            async fn added(&self) -> u32 {
                lightbus::Context::current().expect("a context").attempt()
            }
        }
    }
    let (peer, worker) = (bus.app("peer").await?, bus.app("newer").await?);
    worker.serve(old::ApiServer::new(old::Worker)).await?;
    let added = new::ApiClient::new(&peer).added().enqueue().await?;
    eventually("it is put off, and again", async || {
        worker.counts().tasks_put_off >= 2
    })
    .await?;
    worker.close().await;
    let newer = bus.app("newer").await?;
    newer.serve(new::ApiServer::new(new::Worker)).await?;
    // Though it may be tried only once.
    assert_eq!(added.result().timeout(LONG).await, Ok(0));
    assert_eq!(newer.counts().tasks_put_off, 0);
    Ok(())
}

#[lightbus::test]
async fn what_no_worker_knows_for_long_is_dead_and_says_so(bus: TestBus) -> anyhow::Result<()> {
    #[lightbus::api(name = "task_unknown")]
    trait Api {
        #[task]
        async fn known(&self);
    }
    struct Worker;
    impl Api for Worker {
        async fn known(&self) {}
    }
    let dead = bus.dead_tasks("task_unknown")?;
    bus.serve(ApiServer::new(Worker)).await?;
    let foreign = Foreign::connect(&bus.url()).await?;
    let (queue, id) = (
        "lb.task.task_unknown",
        format!("last-{}", std::process::id()),
    );
    let message = unknown("added", &id);
    foreign.publish(queue, queue, message, b"\x80").await?;
    eventually("it is among the dead", async || {
        dead.count().await.is_ok_and(|count| count == 1)
    })
    .await?;
    // Its id tells no time: before anything is written of it, it counts as forgotten.
    let handle = bus.task::<(), String>(format!("task_unknown.added/{id}").parse()?);
    let mut failure = None;
    eventually("its failure is known", async || {
        if let Err(TaskError::Failed(known)) = handle.result().timeout(LONG).await {
            failure = Some(known);
        }
        failure.is_some()
    })
    .await?;
    let told = failure.map(|failure| failure.detail).unwrap_or_default();
    assert!(told.contains("has no task `added`"), "{told}");
    assert_eq!(dead.list(1).await?[0].reason, DeadReason::Unknown);
    assert_eq!(bus.counts().tasks_put_off, 0);
    // It has another ten minutes when somebody replays it.
    dead.replay(|_| true).await?;
    eventually("it is put off", async || bus.counts().tasks_put_off == 1).await?;
    handle.cancel().await?;
    Ok(())
}

#[lightbus::test]
async fn a_worker_may_be_there_for_some_queues_alone(bus: TestBus) -> anyhow::Result<()> {
    #[lightbus::api(name = "task_choice")]
    trait Api {
        #[task(queue = "slow")]
        async fn slow(&self);
        #[task]
        async fn usual(&self);
    }
    struct Worker(
        &'static str,
        mpsc::UnboundedSender<(&'static str, &'static str)>,
    );
    impl Api for Worker {
        async fn slow(&self) {
            let _ = self.1.send((self.0, "slow"));
        }
        async fn usual(&self) {
            let _ = self.1.send((self.0, "usual"));
        }
    }
    let (sender, mut reported) = mpsc::unbounded_channel();
    let server = |name| ApiServer::new(Worker(name, sender.clone()));
    bus.serve(server("large")).queues(["slow"]).await?;
    bus.serve(server("small")).queues_except(["slow"]).await?;
    let api = ApiClient::new(&bus);
    for _ in 0..10 {
        api.slow().enqueue().await?;
        api.usual().enqueue().await?;
    }
    let mut all = reports(&mut reported, 20).await?;
    all.sort_unstable();
    let expected = [[("large", "slow"); 10], [("small", "usual"); 10]].concat();
    assert_eq!(all, expected);
    let wrong = bus.serve(server("none")).queues(["fast"]).await;
    assert!(matches!(wrong, Err(Error::Config(text)) if text.contains("fast")));
    Ok(())
}
