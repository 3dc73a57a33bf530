//! Consumers, and fetching one message at a time.

use crate::prelude::*;

fn consume(queue: &str, tag: &str) -> basic::Consume {
    basic::Consume {
        queue: queue.into(),
        consumer_tag: tag.into(),
        ..Default::default()
    }
}

fn consuming(tag: &str) -> basic::ConsumeOk {
    basic::ConsumeOk {
        consumer_tag: tag.into(),
    }
}

#[tokio::test]
async fn a_delivery_says_where_it_comes_from() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let exchange = stage.exchange(&mut wire, "x", "topic").await;
    let queue = stage.queue(&mut wire, "q", &[]).await;
    wire.bind(&exchange, "#", &queue).await;
    wire.consume(&queue, "c").await;
    for (tag, key) in [(1, "a.b"), (2, "")] {
        wire.publish(1, &exchange, key, "m").await;
        let expected = basic::Deliver {
            consumer_tag: "c".into(),
            delivery_tag: tag,
            redelivered: false,
            exchange: exchange.as_str().into(),
            routing_key: key.into(),
        };
        assert_eq!(*wire.message(1).await.delivery(), expected);
    }
}

#[tokio::test]
async fn the_broker_makes_up_a_tag() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let queue = stage.queue(&mut wire, "q", &[]).await;
    wire.send(1, consume(&queue, "")).await;
    let AMQPClass::Basic(basic::AMQPMethod::ConsumeOk(ok)) = wire.method(1).await else {
        panic!("not consuming")
    };
    assert!(
        ok.consumer_tag.as_str().starts_with("amq.ctag-"),
        "{}",
        ok.consumer_tag
    );
    // One that is told nothing of it cannot know.
    wire.send(
        1,
        basic::Consume {
            nowait: true,
            ..consume(&queue, "known")
        },
    )
    .await;
    wire.publish(1, "", &queue, "1").await;
    wire.publish(1, "", &queue, "2").await;
    let tags = [wire.message(1).await, wire.message(1).await];
    let mut tags: Vec<_> = tags
        .iter()
        .map(|m| m.delivery().consumer_tag.to_string())
        .collect();
    tags.sort_unstable();
    assert_eq!(tags, [ok.consumer_tag.to_string(), "known".into()]);
}

#[tokio::test]
async fn a_tag_twice_ends_the_connection() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let queue = stage.queue(&mut wire, "q", &[]).await;
    wire.consume(&queue, "c").await;
    wire.open_channel(2).await;
    wire.call(2, consume(&queue, "c"), consuming("c")).await;
    wire.fatal(
        1,
        consume(&queue, "c"),
        530,
        "NOT_ALLOWED - attempt to reuse consumer tag 'c'",
    )
    .await;
}

#[tokio::test]
async fn an_exclusive_consumer_is_alone() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let queue = stage.queue(&mut wire, "q", &[]).await;
    wire.open_channel(2).await;
    let exclusive = |tag| basic::Consume {
        exclusive: true,
        ..consume(&queue, tag)
    };
    let text = format!("ACCESS_REFUSED - queue '{queue}' in vhost '/' in exclusive use");
    wire.call(1, exclusive("a"), consuming("a")).await;
    wire.refused(2, consume(&queue, "b"), 403, &text).await;
    wire.refused(2, exclusive("b"), 403, &text).await;
    wire.cancel("a").await;
    wire.call(2, consume(&queue, "b"), consuming("b")).await;
    wire.refused(1, exclusive("a"), 403, &text).await;
}

#[tokio::test]
async fn consumers_take_turns() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let queue = stage.queue(&mut wire, "q", &[]).await;
    for tag in ["a", "b", "c"] {
        wire.consume(&queue, tag).await;
    }
    let mut counts = std::collections::BTreeMap::new();
    for _ in 0..9 {
        wire.publish(1, "", &queue, "m").await;
        *counts
            .entry(wire.message(1).await.delivery().consumer_tag.to_string())
            .or_insert(0) += 1;
    }
    assert_eq!(counts.into_values().collect::<Vec<_>>(), [3, 3, 3]);
}

#[tokio::test]
async fn the_higher_priority_is_served_first() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let queue = stage.queue(&mut wire, "q", &[]).await;
    wire.qos(1, false).await;
    for (tag, priority) in [
        ("low", int(-1)),
        ("high", int(9)),
        ("none", AMQPValue::Void),
    ] {
        let arguments = match priority {
            AMQPValue::Void => table(&[]),
            priority => table(&[("x-priority", priority)]),
        };
        let consume = basic::Consume {
            arguments,
            ..consume(&queue, tag)
        };
        wire.call(1, consume, consuming(tag)).await;
    }
    for expected in ["high", "none", "low"] {
        wire.publish(1, "", &queue, "m").await;
        assert_eq!(
            wire.message(1).await.delivery().consumer_tag.as_str(),
            expected
        );
    }
}

#[tokio::test]
async fn cancelling_stops_deliveries_and_keeps_what_was_delivered() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let queue = stage.queue(&mut wire, "q", &[]).await;
    wire.consume(&queue, "c").await;
    wire.publish(1, "", &queue, "1").await;
    wire.message(1).await;
    let cancel = |tag: &str| basic::Cancel {
        consumer_tag: tag.into(),
        nowait: false,
    };
    wire.call(
        1,
        cancel("c"),
        basic::CancelOk {
            consumer_tag: "c".into(),
        },
    )
    .await;
    // So is the end of a consumer that never was.
    wire.call(
        1,
        cancel("never"),
        basic::CancelOk {
            consumer_tag: "never".into(),
        },
    )
    .await;
    wire.publish(1, "", &queue, "2").await;
    wire.until_ready(&queue, 1).await;
    wire.ack(1, false).await;
    assert_eq!(wire.get(&queue).await.text(), "2");
    // The tag is free again.
    wire.consume(&queue, "c").await;
    wire.send(
        1,
        basic::Cancel {
            nowait: true,
            ..cancel("c")
        },
    )
    .await;
    wire.call(1, basic::Qos::default(), basic::QosOk {}).await;
}

#[tokio::test]
async fn only_those_who_can_be_are_told_of_a_cancelled_consumer() {
    let stage = Stage::start().await;
    let (user, password) = stage.credentials();
    let mut wire = Wire::connect(&stage.address()).await;
    wire.greet().await;
    wire.introduce("PLAIN", format!("\0{user}\0{password}").as_bytes(), &[])
        .await;
    wire.method(0).await;
    let tune = connection::Tune {
        channel_max: 2047,
        frame_max: 131_072,
        heartbeat: 0,
    };
    wire.enter(&tune, "/").await;
    wire.expect(0, connection::OpenOk {}).await;
    wire.open_channel(1).await;
    let queue = stage.queue(&mut wire, "q", &[]).await;
    wire.consume(&queue, "c").await;
    let delete = queue::Delete {
        queue: queue.as_str().into(),
        ..Default::default()
    };
    wire.call(1, delete, queue::DeleteOk { message_count: 0 })
        .await;
    wire.call(1, basic::Qos::default(), basic::QosOk {}).await;
    wire.call(1, channel::Close::default(), channel::CloseOk {})
        .await;
}

#[tokio::test]
async fn get_takes_one_and_counts_the_rest() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let queue = stage.queue(&mut wire, "q", &[]).await;
    wire.get_nothing(&queue).await;
    for body in ["1", "2"] {
        wire.publish(1, "", &queue, body).await;
    }
    wire.until_ready(&queue, 2).await;
    let message = wire.fetch(&queue).await;
    let expected = basic::GetOk {
        delivery_tag: 1,
        redelivered: false,
        exchange: "".into(),
        routing_key: queue.as_str().into(),
        message_count: 1,
    };
    assert_eq!(*message.get_ok(), expected);
    wire.reject(1, true).await;
    wire.until_ready(&queue, 2).await;
    let again = wire.get(&queue).await;
    assert_eq!(
        (
            again.text(),
            again.get_ok().redelivered,
            again.get_ok().delivery_tag
        ),
        ("1", true, 2)
    );
}

#[tokio::test]
async fn a_single_active_consumer_is_followed_by_the_next() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let queue = stage
        .queue(
            &mut wire,
            "q",
            &[("x-single-active-consumer", AMQPValue::Boolean(true))],
        )
        .await;
    wire.consume(&queue, "a").await;
    wire.consume(&queue, "b").await;
    for _ in 0..3 {
        wire.publish(1, "", &queue, "m").await;
        assert_eq!(wire.message(1).await.delivery().consumer_tag.as_str(), "a");
    }
    wire.cancel("a").await;
    wire.publish(1, "", &queue, "m").await;
    assert_eq!(wire.message(1).await.delivery().consumer_tag.as_str(), "b");
    let exclusive = basic::Consume {
        exclusive: true,
        ..consume(&queue, "c")
    };
    let text = format!("ACCESS_REFUSED - queue '{queue}' in vhost '/' in exclusive use");
    wire.refused(1, exclusive, 403, &text).await;
}
