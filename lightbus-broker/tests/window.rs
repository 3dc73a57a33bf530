//! Watching a broker: events, snapshots, counters.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use futures_util::StreamExt;
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    options::*,
    types::{AMQPValue, FieldTable},
};
use lightbus_broker::{
    Broker, CancelReason, CloseReason, DeleteReason, DropReason, Event, EventKind, Events,
    RefuseReason,
};
use std::time::Duration;
use support::*;

/// The next event, which must come.
async fn next(events: &mut Events) -> Event {
    tokio::time::timeout(Duration::from_secs(10), events.next())
        .await
        .expect("no event came")
        .expect("the broker is gone")
}

/// The next so many events, as people read them, without their numbers.
async fn lines(events: &mut Events, count: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for _ in 0..count {
        let line = next(events).await.to_string();
        lines.push(line.split_once(' ').unwrap().1.to_owned());
    }
    lines
}

async fn consume_as(channel: &Channel, queue: &str, tag: &str) -> lapin::Consumer {
    let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
    channel
        .basic_consume(queue.into(), tag.into(), options, none)
        .await
        .unwrap()
}

async fn bind(channel: &Channel, queue: &str, exchange: &str, key: &str) {
    let options = QueueBindOptions::default();
    channel
        .queue_bind(
            queue.into(),
            exchange.into(),
            key.into(),
            options,
            FieldTable::default(),
        )
        .await
        .unwrap();
}

#[tokio::test]
async fn a_message_is_followed_from_publishing_to_acknowledging() {
    let (broker, _connection, channel) = start().await;
    declare(&channel, "a", &[]).await;
    declare(&channel, "b", &[]).await;
    bind(&channel, "a", "amq.topic", "k.#").await;
    bind(&channel, "b", "amq.topic", "k.x").await;
    let mut events = broker.events();
    let mut consumer = consume_as(&channel, "a", "c").await;
    let headers = table(&[("lang", text("en"))]);
    let properties = BasicProperties::default()
        .with_message_id("id".into())
        .with_correlation_id("co".into())
        .with_headers(headers.clone());
    publish_with(&channel, "amq.topic", "k.x", b"body", properties).await;
    consumer
        .next()
        .await
        .unwrap()
        .unwrap()
        .ack(BasicAckOptions::default())
        .await
        .unwrap();
    assert_eq!(
        lines(&mut events, 5).await,
        [
            "test consumes a (c)",
            "message 1 published by test to amq.topic with key 'k.x'",
            "message 1 routed to a, b",
            "message 1 delivered from a to test (c)",
            "message 1 acknowledged by test in a",
        ]
    );
    get(&channel, "b").await.unwrap();
    let event = next(&mut events).await;
    let EventKind::Delivered {
        message,
        no_ack: true,
        consumer: None,
        ..
    } = event.kind
    else {
        panic!("{event}")
    };
    assert_eq!(message.body(), b"body");
    assert_eq!(
        (message.message_id(), message.correlation_id()),
        (Some("id"), Some("co"))
    );
    assert_eq!((message.type_name(), message.reply_to()), (None, None));
    assert_eq!(message.headers(), headers);
}

#[tokio::test]
async fn a_dead_letter_keeps_its_number() {
    let broker = Broker::builder().manual_clock().start().await.unwrap();
    let channel = connect(&broker).await.create_channel().await.unwrap();
    channel.confirm_select(Default::default()).await.unwrap();
    let to = |key| {
        [
            ("x-dead-letter-exchange", text("")),
            ("x-dead-letter-routing-key", text(key)),
            ("x-message-ttl", int(1000)),
        ]
    };
    declare(&channel, "wait", &to("work")).await;
    declare(&channel, "work", &to("nobody")).await;
    let mut events = broker.events();
    publish(&channel, "", "wait", b"m").await;
    broker.advance(Duration::from_secs(1)).unwrap();
    let mut consumer = consume_as(&channel, "work", "c").await;
    let delivery = consumer.next().await.unwrap().unwrap();
    delivery
        .nack(BasicNackOptions {
            requeue: true,
            multiple: false,
        })
        .await
        .unwrap();
    let delivery = consumer.next().await.unwrap().unwrap();
    delivery
        .reject(BasicRejectOptions { requeue: false })
        .await
        .unwrap();
    assert_eq!(
        lines(&mut events, 10).await,
        [
            "message 1 published by test to the default exchange with key 'wait'",
            "message 1 routed to wait",
            "message 1 expired in wait",
            "message 1 dead-lettered by wait (Expired) through the default exchange to work",
            "test consumes work (c)",
            "message 1 delivered from work to test (c)",
            "message 1 came back to work from test",
            "message 1 delivered again from work to test (c)",
            "message 1 rejected by test in work",
            "message 1 dead-lettered by work (Rejected) through the default exchange to nowhere",
        ]
    );
}

#[tokio::test]
async fn what_is_lost_says_why() {
    let (broker, _connection, channel) = start().await;
    declare(&channel, "short", &[("x-max-length", int(1))]).await;
    let full = [
        ("x-max-length", int(0)),
        ("x-overflow", text("reject-publish")),
    ];
    declare(&channel, "full", &full).await;
    let mut events = broker.events();
    let mut why = async || loop {
        let event = next(&mut events).await;
        match event.kind {
            EventKind::Dropped { why, queue, .. } => {
                break (
                    queue.map(|queue| queue.name.to_string()),
                    format!("{why:?}"),
                );
            }
            EventKind::Refused { why, queue, .. } => {
                assert_eq!(why, RefuseReason::QueueFull);
                break (
                    queue.map(|queue| queue.name.to_string()),
                    "refused".to_owned(),
                );
            }
            EventKind::Unroutable { returned, .. } => break (None, format!("returned {returned}")),
            _ => {}
        }
    };
    let short = |why: DropReason| (Some("short".to_owned()), format!("{why:?}"));
    publish(&channel, "", "short", b"1").await;
    publish(&channel, "", "short", b"2").await;
    assert_eq!(why().await, short(DropReason::Overflow));
    channel
        .queue_purge("short".into(), Default::default())
        .await
        .unwrap();
    assert_eq!(why().await, short(DropReason::Purged));
    publish(&channel, "", "short", b"3").await;
    let got = channel
        .basic_get("short".into(), Default::default())
        .await
        .unwrap()
        .unwrap();
    got.reject(BasicRejectOptions { requeue: false })
        .await
        .unwrap();
    assert_eq!(why().await, short(DropReason::Rejected));
    publish(&channel, "", "short", b"4").await;
    channel
        .queue_delete("short".into(), Default::default())
        .await
        .unwrap();
    assert_eq!(why().await, short(DropReason::QueueDeleted));
    publish(&channel, "", "full", b"5").await;
    assert_eq!(why().await, (Some("full".to_owned()), "refused".to_owned()));
    publish(&channel, "", "missing", b"6").await;
    assert_eq!(why().await, (None, "returned true".to_owned()));
    let totals = broker.snapshot().totals;
    assert_eq!((totals.publishing.published, totals.queues.dropped), (6, 4));
}

#[tokio::test]
async fn an_alternate_exchange_on_the_way_is_named() {
    let (broker, _connection, channel) = start().await;
    let alternate = table(&[("alternate-exchange", text("amq.fanout"))]);
    channel
        .exchange_declare(
            "x".into(),
            lapin::ExchangeKind::Direct,
            Default::default(),
            alternate,
        )
        .await
        .unwrap();
    declare(&channel, "rest", &[]).await;
    bind(&channel, "rest", "amq.fanout", "").await;
    let mut events = broker.events();
    publish(&channel, "x", "unknown", b"m").await;
    assert_eq!(
        lines(&mut events, 2).await[1],
        "message 1 routed to rest through amq.fanout"
    );
    let snapshot = broker.snapshot();
    let counted = |name| snapshot.exchange(name).unwrap().counters;
    assert_eq!((counted("x").received, counted("x").routed), (1, 1));
    assert_eq!(counted("amq.fanout").received, 0);
}

#[tokio::test]
async fn direct_replies_are_seen_too() {
    let (broker, _connection, channel) = start().await;
    let mut events = broker.events();
    let no_ack = BasicConsumeOptions {
        no_ack: true,
        ..Default::default()
    };
    let queue = "amq.rabbitmq.reply-to";
    let _replies = channel
        .basic_consume(queue.into(), "r".into(), no_ack, FieldTable::default())
        .await
        .unwrap();
    let EventKind::ConsumerAdded { queue: address, .. } = next(&mut events).await.kind else {
        panic!("no consumer")
    };
    publish(&channel, "", &address.name, b"reply").await;
    channel
        .basic_cancel("r".into(), Default::default())
        .await
        .unwrap();
    assert_eq!(
        lines(&mut events, 3).await,
        [
            format!("message 1 published by test to the default exchange with key '{address}'"),
            format!("message 1 delivered from {address} to test (r)"),
            format!("test no longer consumes {address} (r): Client"),
        ]
    );
    assert_eq!(broker.snapshot().totals.publishing.unroutable, 0);
}

#[tokio::test]
async fn streams_and_safe_dead_letters_are_seen_too() {
    let (broker, _connection, channel) = start().await;
    declare(&channel, "stream", &[("x-queue-type", text("stream"))]).await;
    declare(&channel, "dead", &[]).await;
    let safe = [
        ("x-queue-type", text("quorum")),
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text("dead")),
        ("x-dead-letter-strategy", text("at-least-once")),
        ("x-overflow", text("reject-publish")),
    ];
    declare(&channel, "safe", &safe).await;
    publish(&channel, "", "stream", b"kept").await;
    channel.basic_qos(1, Default::default()).await.unwrap();
    let mut events = broker.events();
    let first = table(&[("x-stream-offset", text("first"))]);
    let (tag, options) = ("s".into(), BasicConsumeOptions::default());
    let mut consumer = channel
        .basic_consume("stream".into(), tag, options, first)
        .await
        .unwrap();
    let delivery = consumer.next().await.unwrap().unwrap();
    delivery.ack(Default::default()).await.unwrap();
    publish(&channel, "", "safe", b"m").await;
    let got = channel
        .basic_get("safe".into(), Default::default())
        .await
        .unwrap()
        .unwrap();
    got.reject(Default::default()).await.unwrap();
    assert_eq!(
        lines(&mut events, 8).await,
        [
            "test consumes stream (s)",
            "message 1 delivered from stream to test (s)",
            "message 1 acknowledged by test in stream",
            "message 2 published by test to the default exchange with key 'safe'",
            "message 2 routed to safe",
            "message 2 delivered from safe to test (basic.get)",
            "message 2 rejected by test in safe",
            "message 2 dead-lettered by safe (Rejected) through the default exchange to dead",
        ]
    );
    broker.faults().delete_queue("stream");
    assert_eq!(
        lines(&mut events, 3).await[1],
        "message 1 dropped by stream: QueueDeleted"
    );
    assert_eq!(broker.snapshot().totals.queues.dropped, 1);
}

/// A reader that keeps up sees everything, however much happens at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_keeps_up_misses_nothing() {
    const EACH: u64 = 2000;
    let broker = Broker::builder()
        .event_buffer(20 * EACH as usize)
        .start()
        .await
        .unwrap();
    let mut events = broker.events();
    let mut publishers = Vec::new();
    for publisher in 0..3 {
        let channel = connect(&broker).await.create_channel().await.unwrap();
        let queue = format!("q{publisher}");
        declare(&channel, &queue, &[("x-max-length", int(10))]).await;
        publishers.push(tokio::spawn(async move {
            for _ in 0..EACH {
                let (options, properties) = (Default::default(), Default::default());
                channel
                    .basic_publish("".into(), queue.as_str().into(), options, b"m", properties)
                    .await
                    .unwrap();
            }
            channel
        }));
    }
    let (mut number, mut published, mut dropped) = (0, 0, 0);
    while published < 3 * EACH || dropped < 3 * (EACH - 10) {
        let event = next(&mut events).await;
        assert_eq!(event.number, number + 1, "{event}");
        number = event.number;
        published += u64::from(matches!(event.kind, EventKind::Published { .. }));
        dropped += u64::from(matches!(event.kind, EventKind::Dropped { .. }));
    }
    for publisher in publishers {
        publisher.await.unwrap();
    }
    assert_eq!((published, dropped), (3 * EACH, 3 * (EACH - 10)));
}

#[tokio::test]
async fn topology_and_connections_come_and_go() {
    let broker = Broker::start().await.unwrap();
    let mut events = broker.events();
    let connection = connect(&broker).await;
    let channel = connection.create_channel().await.unwrap();
    let auto_delete = ExchangeDeclareOptions {
        auto_delete: true,
        ..Default::default()
    };
    channel
        .exchange_declare(
            "x".into(),
            lapin::ExchangeKind::Fanout,
            auto_delete,
            Default::default(),
        )
        .await
        .unwrap();
    let exclusive = QueueDeclareOptions {
        exclusive: true,
        ..Default::default()
    };
    channel
        .queue_declare("q".into(), exclusive, Default::default())
        .await
        .unwrap();
    for _ in 0..2 {
        bind(&channel, "q", "x", "k").await;
    }
    consume_as(&channel, "q", "c").await;
    assert!(
        channel
            .queue_purge("none".into(), Default::default())
            .await
            .is_err()
    );
    let channel = connection.create_channel().await.unwrap();
    channel
        .queue_unbind("q".into(), "x".into(), "k".into(), Default::default())
        .await
        .unwrap();
    connection.close(200, "bye".into()).await.unwrap();
    assert_eq!(
        lines(&mut events, 11).await,
        [
            "connection test of guest opened /",
            "exchange x declared",
            "queue q declared",
            "bound: x -'k'-> q",
            "test consumes q (c)",
            "channel 1 of test closed: 404 NOT_FOUND - no queue 'none' in vhost '/'",
            "test no longer consumes q (c): ChannelClosed",
            "unbound: x -'k'-> q",
            "exchange x deleted",
            "connection test closed by its client: 200 bye",
            "queue q deleted: Exclusive",
        ]
    );
}

#[tokio::test]
async fn ends_say_why() {
    let (broker, _connection, channel) = start().await;
    declare(&channel, "q", &[]).await;
    let mut events = broker.events();
    let _consumer = consume_as(&channel, "q", "c").await;
    channel
        .queue_delete("q".into(), Default::default())
        .await
        .unwrap();
    next(&mut events).await;
    let kind = next(&mut events).await.kind;
    assert!(matches!(
        kind,
        EventKind::ConsumerCancelled {
            why: CancelReason::QueueDeleted,
            ..
        }
    ));
    let kind = next(&mut events).await.kind;
    assert!(matches!(
        kind,
        EventKind::QueueDeleted {
            why: DeleteReason::Client,
            ..
        }
    ));
    broker.block_publishers("test");
    publish_without_waiting(&channel).await;
    assert_eq!(lines(&mut events, 3).await[0], "test blocked: test");
    broker.unblock_publishers();
    assert_eq!(lines(&mut events, 1).await[0], "test no longer blocked");
    broker.drop_connections();
    let kind = next(&mut events).await.kind;
    assert!(
        matches!(
            kind,
            EventKind::ConnectionClosed {
                why: CloseReason::Lost,
                ..
            }
        ),
        "{kind:?}"
    );
    let properties = ConnectionProperties::default();
    let _connection = Connection::connect(&broker.url(), properties)
        .await
        .unwrap();
    next(&mut events).await;
    broker.shutdown().await;
    let kind = next(&mut events).await.kind;
    let EventKind::ConnectionClosed {
        why: CloseReason::Broker { code: 320, .. },
        ..
    } = kind
    else {
        panic!("{kind:?}")
    };
    assert!(events.next().await.is_none());
}

/// The publication is what blocks the connection, so that it is handled, but nothing after it.
async fn publish_without_waiting(channel: &Channel) {
    let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
    channel
        .basic_publish("".into(), "q".into(), options, b"m", properties)
        .await
        .unwrap();
}

#[tokio::test]
async fn who_reads_too_slowly_misses_the_oldest_and_nobody_waits() {
    let broker = Broker::builder().event_buffer(10).start().await.unwrap();
    let channel = connect(&broker).await.create_channel().await.unwrap();
    channel.confirm_select(Default::default()).await.unwrap();
    declare(&channel, "q", &[]).await;
    let (mut slow, mut fast) = (broker.events(), broker.events());
    for _ in 0..50 {
        publish(&channel, "", "q", b"m").await;
        assert_eq!(lines(&mut fast, 2).await.len(), 2);
    }
    let missed = next(&mut slow).await;
    assert!(
        matches!(missed.kind, EventKind::Missed { count: 90 }),
        "{missed}"
    );
    let mut numbers = Vec::new();
    while let Some(event) = slow.try_next() {
        numbers.push(event.number);
    }
    assert_eq!(numbers, (91..=100).collect::<Vec<_>>());
}

#[tokio::test]
async fn unread_events_never_hold_much_memory() {
    let broker = Broker::builder()
        .memory_limit(1 << 20)
        .start()
        .await
        .unwrap();
    let channel = connect(&broker).await.create_channel().await.unwrap();
    channel.confirm_select(Default::default()).await.unwrap();
    let mut events = broker.events();
    for _ in 0..50 {
        publish(&channel, "", "nowhere", &[0; 50_000]).await;
    }
    assert!(broker.snapshot().message_bytes <= 1 << 17);
    assert!(matches!(
        next(&mut events).await.kind,
        EventKind::Missed { .. }
    ));
    drop(events);
    assert_eq!(broker.snapshot().message_bytes, 0);
}

#[tokio::test]
async fn a_snapshot_tells_consumers_arguments_and_rates() {
    let broker = Broker::builder().manual_clock().start().await.unwrap();
    let channel = connect(&broker).await.create_channel().await.unwrap();
    channel.confirm_select(Default::default()).await.unwrap();
    let arguments = [
        ("x-single-active-consumer", AMQPValue::Boolean(true)),
        ("x-max-length", int(9)),
    ];
    declare(&channel, "q", &arguments).await;
    let of = table(&[("x-match", text("any")), ("n", int(1))]);
    channel
        .queue_bind(
            "q".into(),
            "amq.headers".into(),
            "".into(),
            Default::default(),
            of,
        )
        .await
        .unwrap();
    channel
        .basic_qos(3, BasicQosOptions::default())
        .await
        .unwrap();
    let mut first = consume_as(&channel, "q", "first").await;
    let _second = consume_as(&channel, "q", "second").await;
    let earlier = broker.snapshot();
    for _ in 0..4 {
        publish(&channel, "", "q", b"m").await;
    }
    first
        .next()
        .await
        .unwrap()
        .unwrap()
        .ack(Default::default())
        .await
        .unwrap();
    until(&broker, "one is acknowledged", |s| {
        s.queue("q").unwrap().counters.acked == 1
    })
    .await;
    broker.advance(Duration::from_secs(2)).unwrap();
    let snapshot = broker.snapshot();
    let queue = snapshot.queue("q").unwrap();
    assert_eq!(queue.arguments["x-single-active-consumer"], "true");
    assert_eq!(queue.arguments["x-max-length"], "9");
    assert_eq!(snapshot.bindings[0].arguments["n"], "1");
    let [one, two] = &queue.subscriptions[..] else {
        panic!("{queue:?}")
    };
    assert_eq!(
        (one.tag.as_str(), one.active, one.prefetch, one.unacked),
        ("first", true, 3, 3)
    );
    assert_eq!(
        (two.tag.as_str(), two.active, two.unacked),
        ("second", false, 0)
    );
    assert_eq!((one.connection.as_deref(), one.channel), (Some("test"), 1));
    let rates = snapshot.rates_since(&earlier);
    assert_eq!(rates.per_second(rates.totals.publishing.published), 2.0);
    assert_eq!(rates.queue("q").unwrap().delivered, 4);
    let shown = snapshot.to_string();
    for line in [
        "queue q: 0 ready, 3 unacked, 4 enqueued, 4 delivered, 1 acked (classic, durable, x-max-length=9, x-single-active-consumer=true)",
        "  consumer first on connection test channel 1: 3 unacked of 3",
        "  consumer second on connection test channel 1: 0 unacked of 3, waiting for its turn",
        "binding amq.headers -''-> queue q, n=1, x-match=any",
        "exchange (default) (direct): 4 received, 4 copies routed, 0 unroutable",
    ] {
        assert!(
            shown.lines().any(|other| other == line),
            "no line {line:?} in\n{shown}"
        );
    }
}
