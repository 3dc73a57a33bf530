//! A clock that tests drive.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use futures_util::StreamExt;
use lapin::types::AMQPValue;
use lightbus_broker::Broker;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use support::*;

async fn manual() -> (Broker, lapin::Channel) {
    let broker = Broker::builder().manual_clock().start().await.unwrap();
    let channel = connect(&broker).await.create_channel().await.unwrap();
    channel.confirm_select(Default::default()).await.unwrap();
    (broker, channel)
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

#[tokio::test]
async fn time_passes_only_when_told() {
    let (broker, channel) = manual().await;
    declare(&channel, "q", &[("x-message-ttl", int(1))]).await;
    publish(&channel, "", "q", b"m").await;
    // Where the clock goes by itself, what came later is gone.
    let (other, _connection, going) = start().await;
    declare(&going, "q", &[("x-message-ttl", int(1))]).await;
    publish(&going, "", "q", b"m").await;
    until(&other, "it expires", |s| s.queue("q").unwrap().ready == 0).await;
    assert_eq!(broker.snapshot().queue("q").unwrap().ready, 1);
    broker.advance(ms(1)).unwrap();
    assert_eq!(broker.snapshot().queue("q").unwrap().ready, 0);
}

#[tokio::test]
async fn a_clock_that_goes_by_itself_is_not_moved() {
    let broker = Broker::start().await.unwrap();
    let error = broker.advance(ms(1)).unwrap_err();
    assert!(error.to_string().contains("manual_clock()"), "{error}");
}

/// Messages go round a chain of waiting queues; each step's deadline follows from the moment of the one before.
#[tokio::test]
async fn what_is_due_happens_in_order_at_its_own_moment() {
    let before = unix();
    let (broker, channel) = manual().await;
    let chain = [("a", 1000, "b"), ("b", 2000, "c"), ("c", 4000, "end")];
    declare(&channel, "end", &[]).await;
    for (queue, ttl, next) in chain {
        let arguments = [
            ("x-message-ttl", int(ttl)),
            ("x-dead-letter-exchange", text("")),
            ("x-dead-letter-routing-key", text(next)),
        ];
        declare(&channel, queue, &arguments).await;
    }
    publish(&channel, "", "a", b"m").await;
    broker.advance(ms(6999)).unwrap();
    assert_eq!(broker.snapshot().queue("c").unwrap().ready, 1);
    broker.advance(Duration::from_secs(3600)).unwrap();
    let dead = get(&channel, "end").await.unwrap();
    let Some(AMQPValue::FieldArray(deaths)) = header(&dead.delivery, "x-death") else {
        panic!("no x-death")
    };
    let times: Vec<_> = deaths
        .as_slice()
        .iter()
        .map(|death| match death {
            AMQPValue::FieldTable(death) => match death.inner().get("time") {
                Some(AMQPValue::Timestamp(time)) => *time,
                other => panic!("no time: {other:?}"),
            },
            other => panic!("no death: {other:?}"),
        })
        .collect();
    // The latest first: at 7 s, 3 s and 1 s, whatever the fraction of a second the clock started at.
    let [c, b, a] = times[..] else {
        panic!("{times:?}")
    };
    assert!(c - b == 4 && b - a == 2, "{times:?}");
    assert!((before..=unix()).contains(&(a - 1)), "{a} {before}");
}

#[tokio::test]
async fn queues_expire_by_it() {
    let (broker, channel) = manual().await;
    declare(&channel, "soon", &[("x-expires", int(60_000))]).await;
    declare(&channel, "late", &[("x-expires", int(90_000))]).await;
    broker.advance(Duration::from_secs(60)).unwrap();
    let left = |broker: &Broker| broker.snapshot().queues.len();
    assert_eq!(left(&broker), 1);
    broker.advance(Duration::from_secs(30)).unwrap();
    assert_eq!(left(&broker), 0);
    broker.advance(Duration::MAX).unwrap();
    broker.advance(Duration::MAX).unwrap();
}

#[tokio::test]
async fn deliveries_time_out_by_it() {
    let broker = Broker::builder()
        .manual_clock()
        .consumer_timeout(Duration::from_secs(60))
        .start()
        .await
        .unwrap();
    let channel = connect(&broker).await.create_channel().await.unwrap();
    channel.confirm_select(Default::default()).await.unwrap();
    declare(&channel, "q", &[]).await;
    let mut consumer = consume(&channel, "q").await;
    publish(&channel, "", "q", b"m").await;
    let held = consumer.next().await.unwrap().unwrap();
    broker.advance(Duration::from_secs(60)).unwrap();
    assert_eq!(broker.snapshot().queue("q").unwrap().unacked, 1);
    broker.advance(Duration::from_secs(60)).unwrap();
    let snapshot = broker.snapshot();
    let queue = snapshot.queue("q").unwrap();
    assert_eq!((queue.ready, queue.unacked, queue.consumers), (1, 0, 0));
    drop(held);
}

#[tokio::test]
async fn its_bytes_are_in_the_sockets_when_it_returns() {
    let (broker, channel) = manual().await;
    declare(&channel, "late", &[]).await;
    let arguments = [
        ("x-message-ttl", int(1000)),
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text("late")),
    ];
    declare(&channel, "wait", &arguments).await;
    let mut socket = raw(&broker).await;
    socket.open().await;
    // basic.consume of "late", no-ack, no-wait.
    let consume = [
        0,
        60,
        0,
        20,
        0,
        0,
        4,
        b'l',
        b'a',
        b't',
        b'e',
        1,
        b'c',
        2 | 8,
    ];
    socket.send(1, consume.into_iter().chain([0; 4])).await;
    until(&broker, "it consumes", |s| {
        s.queue("late").unwrap().consumers == 1
    })
    .await;
    for _ in 0..100 {
        publish(&channel, "", "wait", b"m").await;
    }
    broker.advance(ms(1000)).unwrap();
    // Cut at once: what was not in the socket by now never will be.
    broker.drop_connections();
    let mut bodies = 0;
    while let Some((kind, _, payload)) = socket.frame().await {
        bodies += usize::from(kind == 3 && payload == b"m");
    }
    assert_eq!(bodies, 100);
}

#[tokio::test]
async fn nobody_waits_for_connections_that_stand_still() {
    let (broker, channel) = manual().await;
    declare(
        &channel,
        "wait",
        &[
            ("x-message-ttl", int(1000)),
            ("x-dead-letter-exchange", text("")),
            ("x-dead-letter-routing-key", text("late")),
        ],
    )
    .await;
    declare(&channel, "late", &[]).await;
    let mut socket = raw(&broker).await;
    socket.open_with_heartbeat(1).await;
    socket.send(1, basic_consume("late", true)).await;
    socket.frame().await.expect("basic.consume-ok");
    publish(&channel, "", "wait", b"m").await;
    broker.faults().stall_all();
    // Its heartbeat is due, and finds the gate shut: that of a connection which came later, to another broker, is there.
    let other = Broker::start().await.unwrap();
    let mut later = raw(&other).await;
    later.open_with_heartbeat(1).await;
    assert_eq!(later.frame().await.expect("a heartbeat").0, 8);
    let start = Instant::now();
    broker.advance(ms(1000)).unwrap();
    assert!(
        start.elapsed() < Duration::from_secs(4),
        "{:?}",
        start.elapsed()
    );
    broker.faults().resume_all();
    while socket.frame().await.expect("the message").2 != b"m" {}
}

fn unix() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}
