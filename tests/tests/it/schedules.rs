//! Schedules: fired in time, by one of the replicas, and not forgotten over losses.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::StreamExt;
use lapin::BasicProperties;
use lapin::options::BasicConsumeOptions;
use lapin::types::FieldTable;
use lightbus::{Bus, Error, Missed, Overlap, RunOutcome, ScheduleStatus, Scheduled};
use lightbus_tests::proxy::Proxy;
use lightbus_tests::{TestBroker, eventually, queue_of};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;

const TICK: Duration = Duration::from_millis(300);

/// The occurrences in a task's queue: how often each message id came, by the time that it is for.
#[derive(Clone, Default)]
struct Ticks(Arc<Mutex<BTreeMap<i64, Vec<String>>>>);

impl Ticks {
    /// Takes what is in the queue from now on, as no worker of ours would.
    async fn of(broker: &TestBroker, queue: &str) -> anyhow::Result<(Self, JoinHandle<()>)> {
        let ticks = Self::default();
        let foreign = broker.foreign().await?;
        let channel = foreign.channel().await?;
        let options = BasicConsumeOptions {
            no_ack: true,
            ..BasicConsumeOptions::default()
        };
        let none = FieldTable::default();
        let mut consumer = channel
            .basic_consume(queue.into(), "".into(), options, none)
            .await?;
        let all = ticks.clone();
        let taking = tokio::spawn(async move {
            let _connected = foreign;
            while let Some(Ok(delivery)) = consumer.next().await {
                let at = scheduled_at(&delivery.properties);
                let id = delivery.properties.message_id().clone();
                let id = id.map(|id| id.to_string()).unwrap_or_default();
                all.0.lock().await.entry(at).or_default().push(id);
            }
        });
        Ok((ticks, taking))
    }

    async fn len(&self) -> usize {
        self.0.lock().await.len()
    }

    async fn until(&self, n: usize) -> anyhow::Result<()> {
        let what = format!("there are {n} occurrences");
        eventually(&what, async || self.len().await >= n).await
    }

    async fn times(&self) -> Vec<i64> {
        self.0.lock().await.keys().copied().collect()
    }

    /// None is missing between the first and the last, and a double has the same id.
    async fn assert_complete(&self) {
        let times = self.times().await;
        let (first, last) = (times[0], times[times.len() - 1]);
        let step = usize::try_from(TICK.as_millis()).unwrap();
        let expected: Vec<i64> = (first..=last).step_by(step).collect();
        assert_eq!(times, expected);
        for (at, ids) in &*self.0.lock().await {
            let ids: BTreeSet<&String> = ids.iter().collect();
            assert_eq!(ids.len(), 1, "at {at}: {ids:?}");
        }
    }
}

fn scheduled_at(properties: &BasicProperties) -> i64 {
    let headers = properties.headers().clone().unwrap_or_default();
    match headers.inner().get("lb-cron-at") {
        Some(lapin::types::AMQPValue::LongLongInt(at)) => *at,
        other => panic!("no occurrence: {other:?}"),
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_millis().try_into().unwrap()
}

/// A broker on which a task's queue is empty: a RabbitMQ still has what earlier runs left in it.
async fn start_with(queues: &[&str]) -> anyhow::Result<TestBroker> {
    let broker = TestBroker::start().await?;
    let foreign = broker.foreign().await?;
    for queue in queues {
        foreign.drain(queue).await?;
    }
    Ok(broker)
}

/// The present, in the middle of an interval of about ten minutes: nothing is due for minutes.
fn quiet_interval() -> i64 {
    (600_000..)
        .find(|ms| (ms / 4..ms / 2).contains(&(now() % ms)))
        .unwrap()
}

async fn wait(
    scheduled: &Scheduled,
    what: &str,
    is: impl Fn(&ScheduleStatus) -> bool,
) -> anyhow::Result<()> {
    eventually(what, async || {
        scheduled.status().await.is_ok_and(|status| is(&status))
    })
    .await
}

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
    tokio::time::sleep(4 * TICK).await;
    let before = ticks.len().await;
    embedded.unblock_publishers();
    ticks.until(before + 5).await?;
    ticks.assert_complete().await;
    bus.close().await;
    Ok(())
}

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
    tokio::time::sleep(8 * TICK).await;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_holds_for_all_replicas_and_outlasts_them() -> anyhow::Result<()> {
    #[lightbus::api(name = "schedules_pause")]
    trait Api {
        #[task]
        async fn tick(&self) -> Result<(), String>;
    }
    async fn start(broker: &TestBroker) -> anyhow::Result<(Bus, Scheduled)> {
        let bus = broker.bus("pausing").await?;
        let schedule = bus.schedule("poll").every(TICK).missed(Missed::All);
        let scheduled = schedule.run(ApiClient::new(&bus).tick()).await?;
        Ok((bus, scheduled))
    }
    let broker = start_with(&["lb.task.schedules_pause"]).await?;
    let (first, _) = start(&broker).await?;
    let (second, scheduled) = start(&broker).await?;
    let (ticks, _taking) = Ticks::of(&broker, "lb.task.schedules_pause").await?;
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
    tokio::time::sleep(3 * TICK).await;
    assert_eq!(ticks.len().await, before + 1, "but for the one asked for");
    let listed = operator.schedules().list().await?;
    let names: Vec<&str> = listed.iter().map(|status| status.name.as_str()).collect();
    assert_eq!(names, ["poll"]);
    assert_eq!(listed[0].task.as_deref(), Some("schedules_pause.tick"));
    assert_eq!(listed[0].when.as_deref(), Some("every 300ms"));
    assert!(listed[0].history.last().is_some_and(|run| run.manual));
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_tell_how_runs_end_and_that_is_remembered() -> anyhow::Result<()> {
    #[lightbus::api(name = "schedules_history")]
    trait Api {
        #[task(retries = 0)]
        async fn odd(&self, fails: bool) -> Result<(), String>;
    }
    struct Provider;
    impl Api for Provider {
        async fn odd(&self, fails: bool) -> Result<(), String> {
            if fails { Err("odd".to_owned()) } else { Ok(()) }
        }
    }
    async fn start(broker: &TestBroker) -> anyhow::Result<(Bus, [Scheduled; 2])> {
        let bus = broker.bus("history").await?;
        let api = ApiClient::new(&bus);
        let yearly = |name| bus.schedule(name).cron("@yearly");
        let good = yearly("good").run(api.odd(false)).await?;
        let bad = yearly("bad").run(api.odd(true)).await?;
        Ok((bus, [good, bad]))
    }
    let broker = TestBroker::start().await?;
    let provider = broker.bus("history-provider").await?;
    provider.serve(ApiServer::new(Provider)).await?;
    let (bus, schedules) = start(&broker).await?;
    for scheduled in &schedules {
        scheduled.run_now().await?;
    }
    let ended = |outcome| {
        move |status: &ScheduleStatus| {
            let ended = status.history.first().and_then(|run| run.ended);
            ended.is_some_and(|(at, how)| how == outcome && at <= SystemTime::now())
        }
    };
    wait(&schedules[0], "one is done", ended(RunOutcome::Done)).await?;
    wait(&schedules[1], "one failed", ended(RunOutcome::Failed)).await?;
    bus.close().await;
    let (bus, schedules) = start(&broker).await?;
    wait(&schedules[0], "it is remembered", ended(RunOutcome::Done)).await?;
    wait(&schedules[1], "it is remembered", ended(RunOutcome::Failed)).await?;
    assert_eq!(provider.counts().schedule_reports_lost, 0);
    bus.close().await;
    provider.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_occurrence_waits_for_no_earlier_one_but_may_be_left_out_for_it() -> anyhow::Result<()> {
    #[lightbus::api(name = "schedules_overlap")]
    trait Api {
        #[task]
        async fn slow(&self) -> Result<(), String>;
    }
    struct Provider(mpsc::UnboundedSender<()>, Arc<tokio::sync::Semaphore>);
    impl Api for Provider {
        async fn slow(&self) -> Result<(), String> {
            let _ = self.0.send(());
            self.1.acquire().await.map_err(|e| e.to_string())?.forget();
            Ok(())
        }
    }
    let broker = TestBroker::start().await?;
    let (begun, mut begins) = mpsc::unbounded_channel();
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let provider = broker.bus("overlap-provider").await?;
    let slow = Provider(begun, Arc::clone(&gate));
    provider.serve(ApiServer::new(slow)).await?;
    let bus = broker.bus("overlap").await?;
    let schedule = bus.schedule("poll").every(TICK).overlap(Overlap::Skip);
    schedule.run(ApiClient::new(&bus).slow()).await?;
    for n in 1..=3 {
        begins.recv().await.unwrap();
        let left_out = bus.counts().schedules_overlapped;
        eventually("some are left out", async || {
            bus.counts().schedules_overlapped >= left_out + 2
        })
        .await?;
        assert_eq!(bus.counts().schedules_fired, n);
        gate.add_permits(1);
    }
    begins.recv().await.unwrap();
    gate.add_permits(100);
    bus.close().await;
    provider.close().await;
    Ok(())
}

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

#[tokio::test]
async fn what_cannot_be_a_schedule_is_told() -> anyhow::Result<()> {
    #[lightbus::api(name = "schedules_wrong")]
    trait Api {
        #[task]
        async fn tick(&self) -> Result<(), String>;
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
