//! Schedules that the code of the app has no more, or otherwise.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_that_is_in_nobodys_code_goes_after_the_time_of_grace() -> anyhow::Result<()> {
    #[lightbus::api(name = "schedules_removed")]
    trait Api {
        #[task]
        async fn tick(&self) -> Result<(), String>;
    }
    let broker = start_with(&["lb.task.schedules_removed"]).await?;
    let connect = || {
        broker
            .builder("removed")
            .schedule_grace(Duration::from_secs(2))
            .connect()
    };
    let tick = |bus: &Bus| ApiClient::new(bus).tick();
    let old = connect().await?;
    let daily = |bus: &Bus, name: &str| bus.schedule(name).cron("@daily");
    let kept = daily(&old, "kept").run(tick(&old)).await?;
    let gone = daily(&old, "gone").run(tick(&old)).await?;
    // The new version does not have one of them.
    let new = connect().await?;
    daily(&new, "kept").run(tick(&new)).await?;
    gone.run_now().await?;
    wait(&gone, "it has run", |status| status.history.len() == 1).await?;
    kept.run_now().await?;
    wait(&kept, "it has run", |status| status.history.len() == 1).await?;
    old.close().await;
    let kept = new.schedules().get("kept")?;
    let gone = new.schedules().get("gone")?;
    wait(&gone, "the new one knows it", |status| {
        status.task.is_none()
    })
    .await?;
    let removed =
        async || matches!(gone.status().await, Err(Error::Config(text)) if text.contains("`gone`"));
    eventually("it is gone", removed).await?;
    assert_eq!(kept.history().await?.len(), 1);
    // Its way to the queue is gone too.
    let foreign = broker.foreign().await?;
    let queue = "lb.task.schedules_removed";
    let messages = foreign.drain(queue).await?.len();
    assert_eq!(messages, 2);
    let none = BasicProperties::default();
    let exchange = format!("lb.cron.{}", new.app());
    foreign
        .publish(&exchange, "gone", none.clone(), b"")
        .await?;
    foreign.publish(&exchange, "kept", none, b"").await?;
    foreign.until(queue, 1, 0).await?;
    new.close().await;
    Ok(())
}

#[tokio::test]
async fn a_schedule_whose_task_changes_its_queue_leaves_the_old_one() -> anyhow::Result<()> {
    #[lightbus::api(name = "schedules_moved")]
    trait Api {
        #[task]
        async fn before(&self) -> Result<(), String>;
        #[task(queue = "slow")]
        async fn after(&self) -> Result<(), String>;
    }
    let broker = start_with(&["lb.task.schedules_moved", "lb.task.schedules_moved:slow"]).await?;
    let foreign = broker.foreign().await?;
    let old = broker.bus("moved").await?;
    let before = ApiClient::new(&old).before();
    let one = old.schedule("nightly").cron("@yearly").run(before).await?;
    one.run_now().await?;
    foreign.until("lb.task.schedules_moved", 1, 0).await?;
    old.close().await;
    let new = broker.bus("moved").await?;
    let after = ApiClient::new(&new).after();
    let one = new.schedule("nightly").cron("@yearly").run(after).await?;
    one.run_now().await?;
    foreign.until("lb.task.schedules_moved:slow", 1, 0).await?;
    foreign.until("lb.task.schedules_moved", 1, 0).await?;
    new.close().await;
    Ok(())
}
