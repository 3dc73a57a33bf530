//! Streams, through lapin.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use futures_util::StreamExt;
use lapin::{
    Channel, Consumer,
    options::*,
    protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError},
    types::AMQPValue,
};
use support::*;

async fn declare_stream(channel: &Channel, more: &[(&str, AMQPValue)]) {
    let mut arguments = vec![("x-queue-type", text("stream"))];
    arguments.extend_from_slice(more);
    declare(channel, "s", &arguments).await;
}

async fn read(channel: &Channel, tag: &str, offset: AMQPValue) -> lapin::Result<Consumer> {
    let arguments = table(&[("x-stream-offset", offset)]);
    let options = BasicConsumeOptions::default();
    channel
        .basic_consume("s".into(), tag.into(), options, arguments)
        .await
}

/// Takes messages until one has this body, acknowledging each; returns where in the stream they were.
async fn take_until(consumer: &mut Consumer, last: &[u8]) -> Vec<AMQPValue> {
    let mut offsets = Vec::new();
    loop {
        let delivery = consumer.next().await.unwrap().unwrap();
        offsets.extend(header(&delivery, "x-stream-offset"));
        delivery.ack(BasicAckOptions::default()).await.unwrap();
        if delivery.data == last {
            return offsets;
        }
    }
}

fn longs(range: std::ops::Range<i64>) -> Vec<AMQPValue> {
    range.map(AMQPValue::LongLongInt).collect()
}

#[tokio::test]
async fn a_stream_is_read_from_anywhere_and_again() {
    let (broker, connection, channel) = start().await;
    declare_stream(&channel, &[]).await;
    for number in 0..50 {
        assert!(
            publish(&channel, "", "s", format!("{number}").as_bytes())
                .await
                .is_ack()
        );
    }
    let readers = connection.create_channel().await.unwrap();
    readers
        .basic_qos(3, BasicQosOptions::default())
        .await
        .unwrap();
    for (tag, start, range) in [
        ("all", text("first"), 0..50),
        ("again", text("first"), 0..50),
        ("last", text("last"), 49..50),
        ("from", AMQPValue::LongLongInt(40), 40..50),
        ("recent", text("1h"), 0..50),
    ] {
        let mut consumer = read(&readers, tag, start).await.unwrap();
        assert_eq!(
            take_until(&mut consumer, b"49").await,
            longs(range),
            "{tag}"
        );
    }
    let mut next = read(&readers, "next", text("next")).await.unwrap();
    publish(&channel, "", "s", b"50").await;
    assert_eq!(take_until(&mut next, b"50").await, longs(50..51));
    assert_eq!(broker.snapshot().queue("s").unwrap().ready, 51);
    connection.close(200, "done".into()).await.unwrap();
    let snapshot = broker.snapshot();
    let stream = snapshot.queue("s").unwrap();
    assert_eq!((stream.ready, stream.consumers, stream.unacked), (51, 0, 0));
}

#[tokio::test]
async fn what_a_stream_takes_it_gives_to_consumers_only() {
    let (broker, _connection, channel) = start().await;
    declare_stream(&channel, &[]).await;
    let refused = read(&channel, "c", text("first")).await.unwrap_err();
    assert!(matches!(
        refused.kind(),
        lapin::ErrorKind::ProtocolError(error) if *error.kind() == AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED)
    ));
    let connection = connect(&broker).await;
    let channel = connection.create_channel().await.unwrap();
    let refused = channel
        .basic_get("s".into(), BasicGetOptions::default())
        .await
        .unwrap_err();
    assert!(matches!(
        refused.kind(),
        lapin::ErrorKind::ProtocolError(error) if *error.kind() == AMQPErrorKind::Hard(AMQPHardError::NOTIMPLEMENTED)
    ));
}

#[tokio::test]
async fn dead_letters_can_be_kept_in_a_stream() {
    let (broker, _connection, channel) = start().await;
    declare_stream(&channel, &[("x-max-age", text("1D"))]).await;
    let arguments = [
        ("x-max-length", int(0)),
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text("s")),
    ];
    declare(&channel, "q", &arguments).await;
    publish(&channel, "", "q", b"m").await;
    until(&broker, "it died", |now| now.queue("s").unwrap().ready == 1).await;
    channel
        .basic_qos(1, BasicQosOptions::default())
        .await
        .unwrap();
    let mut consumer = read(&channel, "c", text("first")).await.unwrap();
    let delivery = consumer.next().await.unwrap().unwrap();
    assert_eq!(
        header(&delivery, "x-first-death-reason"),
        Some(text("maxlen"))
    );
    assert_eq!(
        header(&delivery, "x-stream-offset"),
        Some(AMQPValue::LongLongInt(0))
    );
}

#[tokio::test]
async fn unsettled_deliveries_close_the_channel_in_the_end() {
    let limit = std::time::Duration::from_millis(50);
    let broker = lightbus_broker::Broker::builder()
        .consumer_timeout(limit)
        .start()
        .await
        .unwrap();
    let connection = connect(&broker).await;
    let channel = connection.create_channel().await.unwrap();
    declare(&channel, "q", &[]).await;
    let mut consumer = consume(&channel, "q").await;
    let options = BasicPublishOptions::default();
    let properties = lapin::BasicProperties::default();
    channel
        .basic_publish("".into(), "q".into(), options, b"m", properties)
        .await
        .unwrap();
    consumer.next().await.unwrap().unwrap();
    until(&broker, "the message is back", |now| {
        now.queue("q").unwrap().ready == 1
    })
    .await;
    let error = consumer.next().await.unwrap().unwrap_err();
    assert!(
        error
            .to_string()
            .contains("delivery acknowledgement on channel 1 timed out"),
        "{error}"
    );
}
