//! Which task begins before which, and how many at a time.

use super::*;

#[lightbus::test]
async fn higher_priorities_go_first_and_low_ones_never_starve(bus: TestBus) -> anyhow::Result<()> {
    #[lightbus::api(name = "task_priorities")]
    trait Api {
        #[task]
        async fn work(&self, priority: String);
    }
    /// Tells what it begins and what it ends, which it does when it may.
    struct Worker(
        mpsc::UnboundedSender<String>,
        mpsc::UnboundedSender<String>,
        Arc<Semaphore>,
    );
    impl Api for Worker {
        async fn work(&self, priority: String) {
            let _ = self.0.send(priority.clone());
            self.2.acquire().await.expect("open").forget();
            let _ = self.1.send(priority);
        }
    }
    const EACH: usize = 60;
    fn note(waiting: &mut [(&str, &str, usize)], begun: &str) {
        for (.., left) in waiting.iter_mut().filter(|(name, ..)| *name == begun) {
            *left -= 1;
        }
    }
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
    let (begins, mut begun) = mpsc::unbounded_channel();
    let (ends, mut ended) = mpsc::unbounded_channel();
    let leave = Arc::new(Semaphore::new(0));
    let server = ApiServer::new(Worker(begins, ends, Arc::clone(&leave)));
    bus.serve(server).task_concurrency(2).await?;
    let foreign = Foreign::connect(&bus.url()).await?;
    let mut waiting = [
        ("low", "+low", EACH),
        ("normal", "", EACH),
        ("high", "+high", EACH),
    ];
    for name in reports(&mut begun, 2).await? {
        note(&mut waiting, &name);
    }
    let mut order = Vec::new();
    for _ in 0..3 * EACH {
        // Each queue that has something left has sent it: there is a choice.
        for (_, suffix, left) in waiting.iter().filter(|(.., left)| *left > 0) {
            let queue = format!("lb.task.task_priorities{suffix}");
            eventually("one of them is here", async || {
                let counted = foreign.queue(&queue).await;
                counted.is_ok_and(|it| it.is_some_and(|(ready, _)| (ready as usize) < *left))
            })
            .await?;
        }
        leave.add_permits(1);
        order.extend(reports(&mut ended, 1).await?);
        if waiting.iter().any(|(.., left)| *left > 0) {
            note(&mut waiting, &reports(&mut begun, 1).await?[0]);
        }
    }
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

#[lightbus::test]
async fn limits_hold_across_all_workers(bus: TestBus) -> anyhow::Result<()> {
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
    struct Worker(
        mpsc::UnboundedSender<(usize, Instant)>,
        Arc<AtomicUsize>,
        Arc<Barrier>,
    );
    impl Api for Worker {
        async fn few(&self) {
            let running = self.1.fetch_add(1, Ordering::SeqCst) + 1;
            self.2.wait().await;
            // A fourth one would begin now.
            tokio::task::yield_now().await;
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
    let (sender, mut reported) = mpsc::unbounded_channel();
    let worker = Worker(sender, Arc::default(), Arc::new(Barrier::new(3)));
    let mut replicas = Vec::new();
    for _ in 0..3 {
        let replica = bus.app("limits").await?;
        replica.serve(ApiServer::new(worker.clone())).await?;
        replicas.push(replica);
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
