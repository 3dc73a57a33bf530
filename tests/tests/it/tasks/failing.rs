//! Attempts that fail, or take too long.

use super::*;

#[lightbus::test]
async fn a_failing_task_is_tried_again_and_then_dead_and_replayed(
    bus: TestBus,
) -> anyhow::Result<()> {
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
    let dead = bus.dead_tasks("task_retries")?;
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

#[lightbus::test]
async fn an_attempt_ends_at_its_timeout(bus: TestBus) -> anyhow::Result<()> {
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
    let dead = bus.dead_tasks("task_timeout")?;
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
    Ok(())
}

#[lightbus::test]
async fn what_every_worker_is_lost_over_is_dead_and_all_who_wait_hear_of_it(
    bus: TestBus,
) -> anyhow::Result<()> {
    #[lightbus::api(name = "task_deadly")]
    trait Api {
        #[task(result_ttl = "1h")]
        async fn deadly(&self) -> u32;
        #[task(queue = "cron")]
        async fn scheduled(&self);
    }
    struct Worker(Arc<AtomicUsize>);
    impl Api for Worker {
        async fn deadly(&self) -> u32 {
            u32::try_from(self.0.fetch_add(1, Ordering::SeqCst)).unwrap()
        }
        async fn scheduled(&self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let foreign = Foreign::connect(&bus.url()).await?;
    let api = ApiClient::new(&bus);
    let key = format!("key {}", std::process::id());
    let once = || api.deadly().unique(&key).enqueue();
    let lost = once().await?;
    let schedule = bus.schedule("yearly").cron("@yearly");
    let schedule = schedule.run(api.scheduled()).await?;
    schedule.run_now().await?;
    foreign.until("lb.task.task_deadly:cron", 1, 0).await?;
    for queue in ["lb.task.task_deadly", "lb.task.task_deadly:cron"] {
        foreign.give_back(queue, 20).await?;
    }
    let dead = bus.dead_tasks("task_deadly")?;
    let runs = Arc::<AtomicUsize>::default();
    bus.serve(ApiServer::new(Worker(Arc::clone(&runs)))).await?;
    let Err(TaskError::Failed(failure)) = lost.result().timeout(LONG).await else {
        anyhow::bail!("it is not dead");
    };
    assert!(failure.detail.contains("lost 20 times"), "{failure}");
    eventually("its schedule knows", async || {
        let history = schedule.history().await.unwrap_or_default();
        let ended = history.first().and_then(|run| run.ended);
        ended.is_some_and(|(_, outcome)| outcome == RunOutcome::Failed)
    })
    .await?;
    assert_eq!(runs.load(Ordering::SeqCst), 0, "neither was run");
    let letters = dead.list(2).await?;
    assert_eq!(letters[0].reason, DeadReason::DeliveryLimit);
    let free = async || once().await.is_ok_and(|it| it.id() != lost.id());
    eventually("its key is free", free).await?;
    bus.close().await;
    Ok(())
}
