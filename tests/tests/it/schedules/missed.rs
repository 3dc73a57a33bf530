//! What nobody was there to fire.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_was_there_to_fire_is_fired_once_or_all() -> anyhow::Result<()> {
    #[lightbus::api(name = "schedules_missed")]
    trait Api {
        #[task(queue = "once")]
        async fn once(&self) -> Result<(), String>;
        #[task(queue = "all")]
        async fn all(&self) -> Result<(), String>;
    }
    async fn start(broker: &TestBroker) -> anyhow::Result<Bus> {
        let bus = broker.bus("missed").await?;
        let api = ApiClient::new(&bus);
        bus.schedule("once").every(TICK).run(api.once()).await?;
        let all = bus.schedule("all").every(TICK).missed(Missed::All);
        all.run(api.all()).await?;
        Ok(bus)
    }
    let broker = start_with(&[
        "lb.task.schedules_missed:once",
        "lb.task.schedules_missed:all",
    ])
    .await?;
    let bus = start(&broker).await?;
    let (once, _taking) = Ticks::of(&broker, "lb.task.schedules_missed:once").await?;
    let (all, _taking_all) = Ticks::of(&broker, "lb.task.schedules_missed:all").await?;
    once.until(2).await?;
    all.until(2).await?;
    bus.close().await;
    let (before, closed_at) = (once.len().await, now());
    passed(8 * TICK).await?;
    let began = now();
    let bus = start(&broker).await?;
    all.until(before + 10).await?;
    once.until(before + 3).await?;
    all.assert_complete().await;
    let missed: Vec<i64> = once
        .times()
        .await
        .into_iter()
        .filter(|at| (closed_at..began - 300).contains(at))
        .collect();
    assert!(
        missed.len() <= 1,
        "between {closed_at} and {began}: {missed:?}"
    );
    assert!(bus.counts().schedules_missed >= 6, "{:?}", bus.counts());
    bus.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_missed_long_ago_follows_the_policy() -> anyhow::Result<()> {
    #[lightbus::api(name = "schedules_policies")]
    trait Api {
        #[task]
        async fn tick(&self) -> Result<(), String>;
    }
    let broker = TestBroker::start().await?;
    let interval = quiet_interval();
    let last = now() / interval * interval;
    for (name, missed, expected) in [
        ("skip", Missed::Skip, vec![]),
        ("once", Missed::Once, vec![last]),
        (
            "all",
            Missed::All,
            vec![last - 2 * interval, last - interval, last],
        ),
    ] {
        // What another process has fired three intervals ago.
        let bus = broker.bus(&format!("policies-{name}")).await?;
        let exchange = format!("lb.cron.{}", bus.app());
        let every = Duration::from_millis(interval.try_into()?);
        let api = ApiClient::new(&bus);
        bus.schedule("other").every(every).run(api.tick()).await?;
        let after = last - 3 * interval;
        let state = format!(
            r#"{{"word":"state","state":{{"after":{after},"born":1,"seen":1,"paused":{{"at":0,"value":false}},"queue":{{"at":0,"value":""}},"runs":[]}}}}"#
        );
        let foreign = broker.foreign().await?;
        let key = format!("{name}.state");
        foreign
            .publish(
                &exchange,
                &key,
                BasicProperties::default(),
                state.as_bytes(),
            )
            .await?;
        let schedule = bus.schedule(name).every(every).missed(missed);
        let scheduled = schedule.run(api.tick()).await?;
        let settled = |status: &ScheduleStatus| {
            let next = status
                .next
                .map(|next| next.duration_since(UNIX_EPOCH).unwrap());
            next.is_some_and(|next| next.as_millis() == u128::try_from(last + interval).unwrap())
        };
        wait(&scheduled, "what was missed is settled", settled).await?;
        let runs = scheduled.history().await?;
        let times: Vec<i64> = runs
            .iter()
            .map(|run| run.time.duration_since(UNIX_EPOCH).unwrap().as_millis())
            .map(|ms| i64::try_from(ms).unwrap())
            .collect();
        assert_eq!(times, expected, "{name}");
        bus.close().await;
    }
    Ok(())
}
