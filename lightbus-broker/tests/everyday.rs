//! The everyday paths, through lapin.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use futures_util::StreamExt;
use lapin::{
    BasicProperties, Confirmation, ExchangeKind,
    options::*,
    protocol::{AMQPErrorKind, AMQPSoftError},
    types::FieldTable,
};
use support::*;

#[tokio::test]
async fn publishes_consumes_and_leaves_nothing() {
    let (broker, connection, channel) = start().await;
    declare(&channel, "q", &[]).await;
    let mut consumer = consume(&channel, "q").await;
    assert!(publish(&channel, "", "q", b"hello").await.is_ack());
    let delivery = consumer.next().await.unwrap().unwrap();
    assert_eq!(delivery.data, b"hello");
    assert_eq!(delivery.routing_key.as_str(), "q");
    assert_eq!(broker.snapshot().queue("q").unwrap().unacked, 1);
    delivery.ack(BasicAckOptions::default()).await.unwrap();
    drop(consumer);
    channel
        .queue_delete("q".into(), QueueDeleteOptions::default())
        .await
        .unwrap();
    connection.close(200, "done".into()).await.unwrap();
    let snapshot = broker.snapshot();
    assert!(
        snapshot.queues.is_empty() && snapshot.connections.is_empty(),
        "{snapshot:?}"
    );
    assert_eq!(snapshot.message_bytes, 0);
}

#[tokio::test]
async fn large_bodies_and_all_properties_survive() {
    let (_broker, _connection, channel) = start().await;
    declare(&channel, "q", &[]).await;
    let body: Vec<u8> = (0..3_000_000_u32).map(|n| n as u8).collect();
    let properties = BasicProperties::default()
        .with_content_type("text/plain".into())
        .with_headers(table(&[("k", text("v")), ("n", int(-1))]))
        .with_delivery_mode(2)
        .with_correlation_id("c".into())
        .with_reply_to("r".into())
        .with_message_id("m".into())
        .with_timestamp(12)
        .with_type("t".into())
        .with_app_id("a".into());
    publish_with(&channel, "", "q", &body, properties.clone()).await;
    publish(&channel, "", "q", b"").await;
    let got = get(&channel, "q").await.unwrap();
    assert!(got.data == body);
    assert_eq!(got.properties, properties);
    assert_eq!(got.message_count, 1);
    assert!(get(&channel, "q").await.unwrap().data.is_empty());
    assert!(get(&channel, "q").await.is_none());
}

#[tokio::test]
async fn unroutable_messages_come_back_and_others_do_not() {
    let (_broker, _connection, channel) = start().await;
    declare(&channel, "q", &[]).await;
    let Confirmation::Ack(Some(returned)) = publish(&channel, "", "nowhere", b"lost").await else {
        panic!("not returned")
    };
    assert_eq!(
        (returned.reply_code, returned.data.as_slice()),
        (312, &b"lost"[..])
    );
    assert!(matches!(
        publish(&channel, "", "q", b"kept").await,
        Confirmation::Ack(None)
    ));
}

#[tokio::test]
async fn a_full_queue_says_no() {
    let (_broker, _connection, channel) = start().await;
    declare(
        &channel,
        "q",
        &[
            ("x-max-length", int(1)),
            ("x-overflow", text("reject-publish")),
        ],
    )
    .await;
    assert!(publish(&channel, "", "q", b"1").await.is_ack());
    assert!(publish(&channel, "", "q", b"2").await.is_nack());
    assert_eq!(get(&channel, "q").await.unwrap().data, b"1");
    assert!(publish(&channel, "", "q", b"3").await.is_ack());
}

#[tokio::test]
async fn rejected_and_expired_messages_reach_their_dead_letter_queue() {
    let (_broker, _connection, channel) = start().await;
    let options = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    channel
        .exchange_declare(
            "dead".into(),
            ExchangeKind::Direct,
            options,
            FieldTable::default(),
        )
        .await
        .unwrap();
    declare(&channel, "q.dead", &[("x-queue-type", text("quorum"))]).await;
    let bind = channel.queue_bind(
        "q.dead".into(),
        "dead".into(),
        "q".into(),
        QueueBindOptions::default(),
        FieldTable::default(),
    );
    bind.await.unwrap();
    let arguments = [
        ("x-queue-type", text("quorum")),
        ("x-dead-letter-exchange", text("dead")),
    ];
    declare(&channel, "q", &arguments).await;
    let mut dead = consume(&channel, "q.dead").await;

    let expiring = BasicProperties::default().with_expiration("1".into());
    publish_with(&channel, "", "q", b"expires", expiring).await;
    let delivery = dead.next().await.unwrap().unwrap();
    assert_eq!(delivery.data, b"expires");
    assert_eq!(
        header(&delivery, "x-first-death-reason"),
        Some(text("expired"))
    );

    let mut consumer = consume(&channel, "q").await;
    publish(&channel, "", "q", b"rejected").await;
    let delivery = consumer.next().await.unwrap().unwrap();
    delivery
        .reject(BasicRejectOptions { requeue: false })
        .await
        .unwrap();
    let delivery = dead.next().await.unwrap().unwrap();
    assert_eq!(delivery.data, b"rejected");
    assert_eq!(
        header(&delivery, "x-first-death-reason"),
        Some(text("rejected"))
    );
    assert_eq!(header(&delivery, "x-first-death-queue"), Some(text("q")));
}

#[tokio::test]
async fn prefetch_and_multiple_acks() {
    let (broker, _connection, channel) = start().await;
    declare(&channel, "q", &[]).await;
    channel
        .basic_qos(3, BasicQosOptions::default())
        .await
        .unwrap();
    let mut consumer = consume(&channel, "q").await;
    for n in 0..7_u8 {
        publish(&channel, "", "q", &[n]).await;
    }
    let queue = broker.snapshot().queue("q").cloned().unwrap();
    assert_eq!((queue.unacked, queue.ready), (3, 4));
    let mut seen = Vec::new();
    for n in 0..7 {
        let delivery = consumer.next().await.unwrap().unwrap();
        seen.push(delivery.data[0]);
        if n % 3 == 2 {
            delivery
                .ack(BasicAckOptions { multiple: true })
                .await
                .unwrap();
        }
    }
    assert_eq!(seen, [0, 1, 2, 3, 4, 5, 6]);
    until(&broker, "six are acknowledged", |s| {
        s.queue("q").is_some_and(|q| q.unacked == 1)
    })
    .await;
}

#[tokio::test]
async fn what_a_lost_consumer_had_is_redelivered() {
    let (broker, first, channel) = start().await;
    declare(&channel, "q", &[]).await;
    let mut consumer = consume(&channel, "q").await;
    publish(&channel, "", "q", b"m").await;
    assert!(!consumer.next().await.unwrap().unwrap().redelivered);
    first.close(200, "gone".into()).await.unwrap();
    let second = connect(&broker).await;
    let channel = second.create_channel().await.unwrap();
    let mut consumer = consume(&channel, "q").await;
    assert!(consumer.next().await.unwrap().unwrap().redelivered);
}

#[tokio::test]
async fn a_consumers_stream_ends_when_its_queue_is_deleted() {
    let (_broker, connection, channel) = start().await;
    declare(&channel, "q", &[]).await;
    let mut consumer = consume(&channel, "q").await;
    let other = connection.create_channel().await.unwrap();
    other
        .queue_delete("q".into(), QueueDeleteOptions::default())
        .await
        .unwrap();
    assert!(consumer.next().await.is_none());
    assert!(channel.status().connected());
}

#[tokio::test]
async fn an_unused_queue_expires() {
    let (broker, _connection, channel) = start().await;
    declare(&channel, "q", &[("x-expires", int(30))]).await;
    until(&broker, "the queue is gone", |s| s.queue("q").is_none()).await;
    assert!(matches!(
        publish(&channel, "", "q", b"m").await,
        Confirmation::Ack(Some(_))
    ));
}

#[tokio::test]
async fn a_mismatch_closes_one_channel_with_the_difference() {
    let (broker, connection, channel) = start().await;
    declare(&channel, "q", &[("x-expires", int(60_000))]).await;
    let throwaway = connection.create_channel().await.unwrap();
    let error = try_declare(&throwaway, "q", &[("x-expires", int(1))])
        .await
        .unwrap_err();
    let lapin::ErrorKind::ProtocolError(error) = error.kind() else {
        panic!("{error:?}")
    };
    assert_eq!(
        *error.kind(),
        AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED)
    );
    assert!(
        error
            .get_message()
            .as_str()
            .contains("inequivalent arg 'x-expires' for queue 'q' in vhost '/'")
    );
    declare(&channel, "q", &[("x-expires", int(60_000))]).await;
    assert_eq!(broker.snapshot().connections.len(), 1);
}

#[tokio::test]
async fn the_delay_ladder_delays() {
    let (_broker, _connection, channel) = start().await;
    let durable = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    for name in ["delay.1", "delay.0", "delay.out"] {
        channel
            .exchange_declare(
                name.into(),
                ExchangeKind::Topic,
                durable,
                FieldTable::default(),
            )
            .await
            .unwrap();
    }
    for (level, next, ttl, wait, pass) in [
        ("delay.1", "delay.0", 60, "1.#", "0.#"),
        ("delay.0", "delay.out", 30, "*.1.#", "*.0.#"),
    ] {
        let arguments = [
            ("x-queue-type", text("quorum")),
            ("x-message-ttl", int(ttl)),
            ("x-dead-letter-exchange", text(next)),
            ("x-dead-letter-strategy", text("at-least-once")),
            ("x-overflow", text("reject-publish")),
        ];
        declare(&channel, level, &arguments).await;
        let bind = channel.queue_bind(
            level.into(),
            level.into(),
            wait.into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        );
        bind.await.unwrap();
        let bind = channel.exchange_bind(
            next.into(),
            level.into(),
            pass.into(),
            ExchangeBindOptions::default(),
            FieldTable::default(),
        );
        bind.await.unwrap();
    }
    declare(&channel, "target", &[]).await;
    let bind = channel.queue_bind(
        "target".into(),
        "delay.out".into(),
        "#.target".into(),
        QueueBindOptions::default(),
        FieldTable::default(),
    );
    bind.await.unwrap();
    let mut consumer = consume(&channel, "target").await;
    let start = std::time::Instant::now();
    for key in ["1.1.target", "0.1.target", "0.0.target"] {
        assert!(matches!(
            publish(&channel, "delay.1", key, key.as_bytes()).await,
            Confirmation::Ack(None)
        ));
    }
    let mut seen = Vec::new();
    for _ in 0..3 {
        let delivery = consumer.next().await.unwrap().unwrap();
        seen.push((
            String::from_utf8(delivery.data.clone()).unwrap(),
            start.elapsed().as_millis(),
        ));
    }
    let keys: Vec<_> = seen.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["0.0.target", "0.1.target", "1.1.target"]);
    assert!(seen[1].1 >= 30 && seen[2].1 >= 90, "{seen:?}");
}

#[tokio::test]
async fn many_channels_and_publishers_lose_nothing() {
    let (broker, connection, channel) = start().await;
    declare(&channel, "q", &[]).await;
    channel
        .basic_qos(100, BasicQosOptions::default())
        .await
        .unwrap();
    let consumer = consume(&channel, "q").await;
    let publishers = (0..8_u8).map(|n| {
        let connection = &connection;
        async move {
            let channel = connection.create_channel().await.unwrap();
            channel
                .confirm_select(ConfirmSelectOptions::default())
                .await
                .unwrap();
            for i in 0..250_u8 {
                assert!(publish(&channel, "", "q", &[n, i]).await.is_ack());
            }
        }
    });
    let consuming = consumer.take(2000).for_each(|delivery| async move {
        delivery
            .unwrap()
            .ack(BasicAckOptions::default())
            .await
            .unwrap();
    });
    tokio::join!(futures_util::future::join_all(publishers), consuming);
    until(&broker, "all are acknowledged", |s| {
        s.queue("q").is_some_and(|q| q.unacked + q.ready == 0)
    })
    .await;
}
