//! What cannot be a schedule, and what is no word about one.

use super::*;

#[tokio::test]
async fn what_cannot_be_a_schedule_is_told() -> anyhow::Result<()> {
    #[lightbus::api(name = "schedules_wrong")]
    trait Api {
        #[task]
        async fn tick(&self) -> Result<(), String>;
        #[task(unique)]
        async fn once(&self);
    }
    let broker = TestBroker::start().await?;
    let bus = broker.bus("wrong").await?;
    let tick = || ApiClient::new(&bus).tick();
    let minute = Duration::from_secs(60);
    let schedule = |name| bus.schedule(name);
    for (wrong, says) in [
        (
            schedule("Nightly").every(minute).run(tick()),
            "`Nightly` is not a legal schedule name",
        ),
        (
            schedule("a").cron("0 25 * * *").run(tick()),
            "`0 25 * * *` is not legal",
        ),
        (
            schedule("a").cron("@daily").time_zone("Mars").run(tick()),
            "time zone `Mars`",
        ),
        (
            schedule("a").every(Duration::ZERO).run(tick()),
            "cannot fire every 0ns",
        ),
        (schedule("a").run(tick()), "does not say when"),
        (
            schedule("a").every(minute).cron("@daily").run(tick()),
            "it has `cron` and `every`",
        ),
        (
            schedule("a").every(minute).run(tick().after(minute)),
            "leave out `after`",
        ),
        (
            schedule("a").every(minute).run(tick().unique("key")),
            "use `.overlap(Overlap::Skip)`",
        ),
        (
            schedule("a").every(minute).run(ApiClient::new(&bus).once()),
            "schedule a task that enqueues it",
        ),
    ] {
        let error = wrong.await.map_err(|error| error.to_string());
        assert!(
            error.as_ref().is_err_and(|text| text.contains(says)),
            "{error:?} does not say: {says}"
        );
    }
    schedule("a").every(minute).run(tick()).await?.stop();
    let again = schedule("a").every(minute).run(tick()).await?;
    let twice = schedule("a").every(minute).run(tick()).await;
    assert!(twice.is_err_and(|error| error.to_string().contains("already")));
    again.stop();
    let alone = broker
        .builder("wrong-none")
        .call_timeout(Duration::from_millis(200));
    let alone = alone.connect().await?;
    let nobody = alone.schedules().list().await;
    assert!(nobody.is_err_and(|error| {
        error
            .to_string()
            .contains("no replica answered within 200 ms")
    }));
    Ok(())
}

#[tokio::test]
async fn noise_in_the_state_queue_is_counted_and_does_no_harm() -> anyhow::Result<()> {
    #[lightbus::api(name = "schedules_noise")]
    trait Api {
        #[task]
        async fn tick(&self) -> Result<(), String>;
    }
    let broker = TestBroker::start().await?;
    let bus = broker.bus("noise").await?;
    let exchange = format!("lb.cron.{}", bus.app());
    let scheduled = bus
        .schedule("poll")
        .cron("@yearly")
        .run(ApiClient::new(&bus).tick())
        .await?;
    let foreign = broker.foreign().await?;
    let words = [
        ("poll", &b"no occurrence"[..]),
        ("poll.ctl", b"{\"word\":\"dance\"}"),
        ("poll.done", b"{\"word\":\"pause\",\"at\":1}"),
        ("Poll.ctl", b"{\"word\":\"pause\",\"at\":1}"),
        ("_.ask", b""),
        ("", b""),
    ];
    for (key, payload) in words {
        let none = BasicProperties::default();
        foreign.publish(&exchange, key, none, payload).await?;
    }
    eventually("all of it is counted", async || {
        bus.counts().control_ignored == 6
    })
    .await?;
    assert!(!scheduled.status().await?.paused);
    assert_eq!(
        foreign
            .queue(&queue_of("noise", "cron"))
            .await?
            .map(|(_, consumers)| consumers),
        Some(1)
    );
    bus.close().await;
    // What is kept is that there is such a schedule: said by the one who wrote it, and by the one who fires.
    foreign.until(&queue_of("noise", "cron"), 2, 0).await?;
    Ok(())
}
