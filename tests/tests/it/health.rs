//! What a bus says of itself: its connections and consumers, and each change of them.

use std::collections::VecDeque;
use std::time::Duration;

use lapin::ExchangeKind;
use lapin::options::ExchangeDeclareOptions;
use lapin::types::FieldTable;
use lightbus::Bus;
use lightbus::health::{HealthChanges, Part, PartHealth, State};
use lightbus::testing::TestBus;
use lightbus_broker::Broker;
use lightbus_tests::{Foreign, eventually, reporting};
use tokio::sync::mpsc;

#[lightbus::api(name = "health")]
trait Api {
    async fn echo(&self, n: u32) -> u32;
    #[event]
    fn happened(n: u32);
}

struct Provider;

impl Api for Provider {
    async fn echo(&self, n: u32) -> u32 {
        n
    }
}

/// Waits for a part to be in a state.
async fn until(
    changes: &mut HealthChanges,
    part: &Part,
    state: State,
) -> anyhow::Result<PartHealth> {
    let waiting = async {
        loop {
            let change = changes
                .next()
                .await
                .ok_or_else(|| anyhow::anyhow!("the bus has ended"))?;
            if change.part == *part && change.state == state {
                return Ok(change);
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting).await?
}

#[tokio::test]
async fn an_app_may_start_before_its_broker() -> anyhow::Result<()> {
    // A port that is free, and will be the broker's.
    let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let bus = Bus::builder("early-shop")
        .url(format!("amqp://{address}"))
        .lazy()
        .connect()
        .await?;
    bus.serve(ApiServer::new(Provider)).await?;
    let (handler, mut heard) = reporting(|event: Happened| event.n);
    let listener = ApiClient::new(&bus)
        .happened()
        .listen("early", handler)
        .await?;
    eventually("it says that there is no broker", async || {
        let text = bus.health().to_string();
        !bus.health().is_ready()
            && text.contains("connection `publish`: lost")
            && text.contains("refused")
    })
    .await?;
    let call = tokio::spawn({
        let api = ApiClient::new(&bus);
        async move { api.echo(7).timeout(Duration::from_secs(30)).await }
    });
    let broker = Broker::builder().listen(address).start().await?;
    bus.ready().await?;
    assert_eq!(call.await??, 7);
    ApiEvents::new(&bus)
        .happened()
        .publish(Happened { n: 1 })
        .await?;
    assert_eq!(heard.recv().await, Some(1));
    let consumer = Part::Consumer(listener.queue().to_owned());
    assert!(
        bus.health()
            .parts
            .iter()
            .any(|part| part.part == consumer && part.state == State::Ready)
    );
    bus.close().await;
    drop(broker);
    Ok(())
}

#[lightbus::test]
async fn a_lost_queue_and_a_pause_are_told_and_mended(bus: TestBus) -> anyhow::Result<()> {
    #[lightbus::api(name = "health_queue")]
    trait Api {
        #[event]
        fn happened(n: u32);
    }
    let (handler, mut heard) = reporting(|event: Happened| event.n);
    let listener = ApiClient::new(&bus)
        .happened()
        .listen("mended", handler)
        .await?;
    let events = ApiEvents::new(&bus).happened();
    let part = Part::Consumer(listener.queue().to_owned());
    let mut changes = bus.health_changes();
    Foreign::connect(&bus.url())
        .await?
        .delete_queue(listener.queue())
        .await?;
    let lost = until(&mut changes, &part, State::Lost).await?;
    assert!(
        lost.reason
            .is_some_and(|reason| reason.contains("was the queue deleted?"))
    );
    until(&mut changes, &part, State::Ready).await?;
    events.publish(Happened { n: 1 }).await?;
    assert_eq!(heard.recv().await, Some(1));
    listener.pause();
    until(&mut changes, &part, State::Paused).await?;
    assert!(bus.health().is_ready(), "a pause is meant");
    listener.resume();
    until(&mut changes, &part, State::Ready).await?;
    listener.stop().await;
    until(&mut changes, &part, State::Ended).await?;
    assert!(bus.health().parts.iter().all(|known| known.part != part));
    bus.close().await;
    until(&mut changes, &Part::Connection("publish"), State::Ended).await?;
    assert!(bus.ready().await.is_err());
    while changes.next().await.is_some() {}
    Ok(())
}

#[lightbus::test(broker = "embedded")]
async fn a_cut_and_an_alarm_are_told(bus: TestBus) -> anyhow::Result<()> {
    let embedded = bus.broker();
    bus.ready().await?;
    let mut changes = bus.health_changes();
    let (publish, consume) = (Part::Connection("publish"), Part::Connection("consume"));
    embedded.drop_connections();
    let (mut before, mut later) = (VecDeque::new(), VecDeque::new());
    for part in [&publish, &consume] {
        let mut states = Vec::new();
        while states.last() != Some(&State::Ready) {
            // Attempts that fail tell their reasons, each a change of its own.
            let change = before.pop_front();
            let change = match change {
                Some(change) => change,
                None => changes.next().await.expect("a change"),
            };
            match change.part == *part {
                true => states.push(change.state),
                false => later.push_back(change),
            }
        }
        states.dedup();
        assert_eq!(states, [State::Lost, State::Ready], "{part:?}");
        before.append(&mut later);
    }
    // The broker tells only those that publish.
    let events = ApiEvents::new(&bus).happened();
    events.publish(Happened { n: 0 }).await?;
    embedded.block_publishers("low on memory");
    let held = tokio::spawn(async move { events.publish(Happened { n: 1 }).await });
    let blocked = until(&mut changes, &publish, State::Blocked).await?;
    assert_eq!(blocked.reason.as_deref(), Some("low on memory"));
    assert!(!bus.health().is_ready());
    embedded.unblock_publishers();
    until(&mut changes, &publish, State::Ready).await?;
    held.await??;
    bus.ready().await?;
    Ok(())
}

/// Half a minute goes by for the runtime that the bus is on.
async fn half_a_minute() {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(40)).await;
    tokio::time::resume();
}

#[lightbus::test(broker = "embedded")]
async fn bindings_that_went_with_their_exchange_come_back(bus: TestBus) -> anyhow::Result<()> {
    #[lightbus::api(name = "health_bindings")]
    trait Api {
        #[event]
        fn happened(n: u32);
    }
    const EXCHANGE: &str = "lb.ev.health_bindings";
    let shop = bus.app("shop").await?;
    let (handler, mut heard) = reporting(|event: Happened| event.n);
    let listening = ApiClient::new(&shop).happened().listen("bindings", handler);
    let listener = listening.await?;
    let events = ApiEvents::new(&bus).happened();
    events.publish(Happened { n: 0 }).await?;
    assert_eq!(heard.recv().await, Some(0));

    Foreign::connect(&bus.url())
        .await?
        .delete_exchange(EXCHANGE)
        .await?;
    events.publish(Happened { n: 1 }).await?;
    half_a_minute().await;
    let mut n = 2;
    eventually("events are heard again", async || {
        events.publish(Happened { n }).await.unwrap();
        n += 1;
        !heard.is_empty()
    })
    .await?;
    assert!(heard.recv().await > Some(1), "the first one went unheard");
    // What has a deadline of its own must not be under way when time leaps.
    eventually("nothing is being declared any more", async || {
        let snapshot = bus.broker().snapshot();
        let connection = snapshot.connection("shop consume");
        connection.is_some_and(|connection| connection.channels.len() == 1)
    })
    .await?;

    let part = Part::Bindings(listener.queue().to_owned());
    let is_lost = || shop.health().parts.iter().any(|lost| lost.part == part);
    assert!(!is_lost());
    let foreign = Foreign::connect(&bus.url()).await?;
    foreign.delete_exchange(EXCHANGE).await?;
    let (channel, fanout) = (foreign.channel().await?, ExchangeKind::Fanout);
    let (options, none) = (ExchangeDeclareOptions::default(), FieldTable::default());
    let declaring = channel.exchange_declare(EXCHANGE.into(), fanout, options, none);
    declaring.await?;
    half_a_minute().await;
    eventually("it is told that the listener hears nothing", async || {
        is_lost()
    })
    .await?;
    assert!(
        shop.health().to_string().contains(EXCHANGE),
        "{}",
        shop.health()
    );
    let foreign = Foreign::connect(&bus.url()).await?;
    foreign.delete_exchange(EXCHANGE).await?;
    half_a_minute().await;
    eventually("it is mended", async || !is_lost()).await?;
    Ok(())
}

#[lightbus::test]
async fn ways_to_a_task_queue_and_to_the_schedules_come_back(bus: TestBus) -> anyhow::Result<()> {
    #[lightbus::api(name = "health_ways")]
    trait Api {
        #[task]
        async fn work(&self, n: u32);
    }
    struct Worker(mpsc::UnboundedSender<u32>);
    impl Api for Worker {
        async fn work(&self, n: u32) {
            let _ = self.0.send(n);
        }
    }
    let short = Duration::from_millis(500);
    let ways = bus.app_builder("ways").call_timeout(short);
    let ways = ways.connect().await?;
    let (sender, mut done) = mpsc::unbounded_channel();
    ways.serve(ApiServer::new(Worker(sender))).await?;
    let api = ApiClient::new(&bus);
    let schedule = ways.schedule("yearly").cron("@yearly").run(api.work(7));
    let schedule = schedule.await?;
    let is_paused = async |paused| {
        let status = schedule.status().await;
        status.is_ok_and(|status| status.paused == paused)
    };
    schedule.pause().await?;
    eventually("it is paused", async || is_paused(true).await).await?;
    api.work(0).enqueue().await?;
    assert_eq!(done.recv().await, Some(0));

    let (tasks, back) = ("lb.task.health_ways", "#.lb.task.health_ways");
    let channel = Foreign::connect(&bus.url()).await?.channel().await?;
    for (queue, exchange, key) in [
        (tasks, tasks, tasks),
        (tasks, "lb.delay.out", back),
        ("lb.q.ways.cron", "lb.cron.ways", "#"),
    ] {
        let (exchange, key, none) = (exchange.into(), key.into(), FieldTable::default());
        channel
            .queue_unbind(queue.into(), exchange, key, none)
            .await?;
    }
    api.work(1).enqueue().await?;
    schedule.resume().await?;
    assert!(schedule.status().await.is_err(), "it cannot be asked");
    half_a_minute().await;
    let mut n = 2;
    eventually("tasks come to their queue again", async || {
        api.work(n).enqueue().await.unwrap();
        n += 1;
        !done.is_empty()
    })
    .await?;
    assert!(done.recv().await > Some(1), "the first one went elsewhere");
    api.work(1000)
        .after(Duration::from_millis(1))
        .enqueue()
        .await?;
    eventually("and over the ladder", async || done.try_recv() == Ok(1000)).await?;
    eventually("the schedule is heard of", async || {
        schedule.resume().await.is_ok() && is_paused(false).await
    })
    .await?;
    Ok(())
}
