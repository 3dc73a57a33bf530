//! The everyday paths, through lapin. What every client may rely on, method by method, is in `conformance`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use futures_util::StreamExt;
use lapin::{
    Confirmation, ExchangeKind,
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
