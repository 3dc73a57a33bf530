//! Schedules that rest.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_holds_for_all_replicas_and_outlasts_them() -> anyhow::Result<()> {
    #[lightbus::api(name = "schedules_pause")]
    trait Api {
        #[task]
        async fn tick(&self) -> Result<(), String>;
        #[task(queue = "other")]
        async fn other(&self) -> Result<(), String>;
    }
    async fn start(broker: &TestBroker) -> anyhow::Result<(Bus, Scheduled)> {
        let bus = broker.bus("pausing").await?;
        let schedule = bus.schedule("poll").every(TICK).missed(Missed::All);
        let api = ApiClient::new(&bus);
        let scheduled = schedule.run(api.tick()).await?;
        bus.schedule("beside").every(TICK).run(api.other()).await?;
        Ok((bus, scheduled))
    }
    let queues = ["lb.task.schedules_pause", "lb.task.schedules_pause:other"];
    let broker = start_with(&queues).await?;
    let (first, _) = start(&broker).await?;
    let (second, scheduled) = start(&broker).await?;
    let (ticks, _taking) = Ticks::of(&broker, queues[0]).await?;
    let (beside, _taking_beside) = Ticks::of(&broker, queues[1]).await?;
    ticks.until(2).await?;
    scheduled.pause().await?;
    wait(&scheduled, "it is paused", |status| status.paused).await?;
    assert_eq!(scheduled.next().await?, None);
    let before = ticks.len().await;
    first.close().await;
    second.close().await;
    let (third, scheduled) = start(&broker).await?;
    wait(&scheduled, "it is still paused", |status| status.paused).await?;
    // Somebody else, who has no schedules in its code, asks for one run.
    let operator = broker.bus("pausing").await?;
    let same = operator.schedules().get("poll")?;
    same.run_now().await?;
    ticks.until(before + 1).await?;
    beside.until(beside.len().await + 3).await?;
    assert_eq!(ticks.len().await, before + 1, "but for the one asked for");
    let listed = operator.schedules().list().await?;
    let names: Vec<&str> = listed.iter().map(|status| status.name.as_str()).collect();
    assert_eq!(names, ["beside", "poll"]);
    assert_eq!(listed[1].task.as_deref(), Some("schedules_pause.tick"));
    assert_eq!(listed[1].when.as_deref(), Some("every 300ms"));
    assert!(listed[1].history.last().is_some_and(|run| run.manual));
    let resumed_at = now();
    same.resume().await?;
    ticks.until(before + 3).await?;
    let times = ticks.times().await;
    let after = times.iter().filter(|at| **at > resumed_at).count();
    assert_eq!(after, times.len() - before - 1, "nothing is made up for");
    assert!(!scheduled.status().await?.paused);
    third.close().await;
    operator.close().await;
    Ok(())
}
