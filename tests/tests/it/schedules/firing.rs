//! Each occurrence is fired, once, whatever is cut, full or blocked.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_replicas_fire_each_occurrence_once_over_cuts() -> anyhow::Result<()> {
    #[lightbus::api(name = "schedules_cuts")]
    trait Api {
        #[task]
        async fn tick(&self, n: u32) -> Result<(), String>;
    }
    let broker = start_with(&["lb.task.schedules_cuts"]).await?;
    let mut replicas = Vec::new();
    for _ in 0..3 {
        let proxy = Proxy::start(broker.url()).await?;
        let bus = broker.builder("cuts").url(proxy.url()).connect().await?;
        let tick = ApiClient::new(&bus).tick(7);
        let schedule = bus.schedule("poll").every(TICK).missed(Missed::All);
        schedule.run(tick).await?;
        replicas.push((proxy, bus));
    }
    let (ticks, taking) = Ticks::of(&broker, "lb.task.schedules_cuts").await?;
    ticks.until(3).await?;
    for turn in 0..9 {
        // Whichever of them fires: all are cut, one after the other.
        let before = ticks.len().await;
        replicas[turn % 3].0.cut();
        ticks.until(before + 2).await?;
    }
    ticks.assert_complete().await;
    let leaders = replicas
        .iter()
        .filter(|(_, bus)| bus.counts().schedules_fired > 0);
    assert!(leaders.count() >= 2, "another one took over");
    // The one who leaves hands over at once.
    for (_, bus) in &replicas[..2] {
        let before = ticks.len().await;
        bus.close().await;
        ticks.until(before + 3).await?;
    }
    ticks.assert_complete().await;
    replicas[2].1.close().await;
    taking.abort();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_full_queue_refuses_is_fired_again() -> anyhow::Result<()> {
    #[lightbus::api(name = "schedules_refused")]
    trait Api {
        #[task]
        async fn tick(&self) -> Result<(), String>;
    }
    let broker = start_with(&["lb.task.schedules_refused"]).await?;
    let bus = broker.bus("refused").await?;
    let tick = ApiClient::new(&bus).tick();
    let schedule = bus.schedule("poll").every(TICK).missed(Missed::All);
    schedule.run(tick).await?;
    let (ticks, _taking) = Ticks::of(&broker, "lb.task.schedules_refused").await?;
    ticks.until(2).await?;
    let foreign = broker.foreign().await?;
    let (full, exchange) = (
        format!("full.{}", bus.app()),
        format!("lb.cron.{}", bus.app()),
    );
    foreign.declare_full_queue(&full, &exchange).await?;
    let refused = async || bus.counts().schedules_refused >= 2;
    eventually("it is refused more than once", refused).await?;
    foreign.delete_queue(&full).await?;
    let before = ticks.len().await;
    ticks.until(before + 5).await?;
    ticks.assert_complete().await;
    bus.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alarm_is_waited_out() -> anyhow::Result<()> {
    #[lightbus::api(name = "schedules_alarm")]
    trait Api {
        #[task]
        async fn tick(&self) -> Result<(), String>;
    }
    let broker = TestBroker::start().await?;
    let Some(embedded) = broker.embedded() else {
        return Ok(());
    };
    let bus = broker.bus("alarm").await?;
    let tick = ApiClient::new(&bus).tick();
    let schedule = bus.schedule("poll").every(TICK).missed(Missed::All);
    schedule.run(tick).await?;
    let (ticks, _taking) = Ticks::of(&broker, "lb.task.schedules_alarm").await?;
    ticks.until(2).await?;
    embedded.block_publishers("low on memory");
    let publish = lightbus::health::Part::Connection("publish");
    eventually("it is blocked", async || {
        let parts = bus.health().parts;
        let blocked = lightbus::health::State::Blocked;
        parts
            .iter()
            .any(|part| part.part == publish && part.state == blocked)
    })
    .await?;
    passed(4 * TICK).await?;
    let before = ticks.len().await;
    embedded.unblock_publishers();
    ticks.until(before + 5).await?;
    ticks.assert_complete().await;
    bus.close().await;
    Ok(())
}
