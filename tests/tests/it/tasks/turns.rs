//! Which task begins before which, and how many at a time.

use super::*;

#[tokio::test]
async fn higher_priorities_go_first_and_low_ones_never_starve() -> anyhow::Result<()> {
    #[lightbus::api(name = "task_priorities")]
    trait Api {
        #[task]
        async fn work(&self, priority: String);
    }
    struct Worker(mpsc::UnboundedSender<String>, Arc<Semaphore>);
    impl Api for Worker {
        async fn work(&self, priority: String) {
            self.1.acquire().await.expect("open").forget();
            let _ = self.0.send(priority);
        }
    }
    const EACH: usize = 60;
    let broker = TestBroker::start().await?;
    let bus = broker.bus("priorities").await?;
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
    let (sender, mut reported) = mpsc::unbounded_channel();
    let leave = Arc::new(Semaphore::new(0));
    let server = ApiServer::new(Worker(sender, Arc::clone(&leave)));
    bus.serve(server).task_concurrency(2).await?;
    // Each is held until all three queues have had the time to send something.
    for _ in 0..3 * EACH {
        tokio::time::sleep(Duration::from_millis(10)).await;
        leave.add_permits(1);
    }
    let order = reports(&mut reported, 3 * EACH).await?;
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

#[tokio::test]
async fn limits_hold_across_all_workers() -> anyhow::Result<()> {
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
    struct Worker(mpsc::UnboundedSender<(usize, Instant)>, Arc<AtomicUsize>);
    impl Api for Worker {
        async fn few(&self) {
            let running = self.1.fetch_add(1, Ordering::SeqCst) + 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
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
    let broker = TestBroker::start().await?;
    let (sender, mut reported) = mpsc::unbounded_channel();
    let worker = Worker(sender, Arc::default());
    let mut replicas = Vec::new();
    for _ in 0..3 {
        let bus = broker.bus("limits").await?;
        bus.serve(ApiServer::new(worker.clone())).await?;
        replicas.push(bus);
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
