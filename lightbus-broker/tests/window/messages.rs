//! What becomes of a message, as events.

use crate::prelude::*;

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
