//! When a task may begin: from when on, and until when.

use super::*;

#[lightbus::test]
async fn a_delayed_task_is_never_early_and_hardly_late(bus: TestBus) -> anyhow::Result<()> {
    #[lightbus::api(name = "task_delays")]
    trait Api {
        #[task]
        async fn due(&self, at_ms: u64);
    }
    struct Worker(mpsc::UnboundedSender<(u64, u64)>);
    impl Api for Worker {
        async fn due(&self, at_ms: u64) {
            let _ = self.0.send((at_ms, now_ms()));
        }
    }
    fn now_ms() -> u64 {
        let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or_default()
    }
    let (sender, mut reported) = mpsc::unbounded_channel();
    bus.serve(ApiServer::new(Worker(sender))).await?;
    let api = ApiClient::new(&bus);
    let mut expected = 0;
    for ms in [1, 300, 1000, 1001, 1700, 2500, 3100] {
        let delay = Duration::from_millis(ms);
        api.due(now_ms() + ms).after(delay).enqueue().await?;
        let at = SystemTime::now() + delay;
        api.due(now_ms() + ms).at(at).enqueue().await?;
        expected += 2;
    }
    let past = SystemTime::now() - SECOND;
    api.due(now_ms()).at(past).enqueue().await?;
    for (due, begun) in reports(&mut reported, expected + 1).await? {
        assert!(begun >= due, "{} ms early", due - begun);
        assert!(begun - due < 5000, "{} ms late", begun - due);
    }
    let far = api
        .due(0)
        .after(Duration::from_secs(1 << 30))
        .enqueue()
        .await;
    assert!(matches!(far, Err(EnqueueError::Rejected { reason, .. }) if reason.contains("days")));
    Ok(())
}

#[lightbus::test]
async fn what_waited_too_long_is_not_begun_any_more(bus: TestBus) -> anyhow::Result<()> {
    #[lightbus::api(name = "task_expires")]
    trait Api {
        #[task(expires = "1h")]
        async fn soon(&self, n: u32);
    }
    struct Worker(mpsc::UnboundedSender<u32>);
    impl Api for Worker {
        async fn soon(&self, n: u32) {
            let _ = self.0.send(n);
        }
    }
    let api = ApiClient::new(&bus);
    let key = format!("key {}", std::process::id());
    let late = api.soon(1).expires(Duration::from_millis(1)).unique(&key);
    late.enqueue().await?;
    api.soon(2).enqueue().await?;
    passed(Duration::from_millis(2)).await?;
    let dead = bus.dead_tasks("task_expires")?;
    let (sender, mut reported) = mpsc::unbounded_channel();
    bus.serve(ApiServer::new(Worker(sender))).await?;
    assert_eq!(reports(&mut reported, 1).await?, [2]);
    eventually("it is dead", async || {
        dead.count().await.is_ok_and(|count| count == 1)
    })
    .await?;
    let letters = dead.list(1).await?;
    assert_eq!(letters[0].reason, DeadReason::Expired);
    assert_eq!(bus.counts().tasks_expired, 1);
    eventually("its key is free", async || {
        api.soon(3).unique(&key).enqueue().await.is_ok()
    })
    .await?;
    Ok(())
}
