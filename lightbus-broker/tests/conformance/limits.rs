//! Time to live, expiring queues, lengths, priorities.

use crate::prelude::*;

#[tokio::test]
async fn the_shorter_time_to_live_counts() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let queue = stage
        .queue(&mut wire, "q", &[("x-message-ttl", int(600_000))])
        .await;
    let brief = AMQPProperties::default().with_expiration("1".into());
    wire.put_with(&queue, "brief", brief).await;
    wire.put(&queue, "long").await;
    wire.until_ready(&queue, 1).await;
    assert_eq!(wire.get(&queue).await.text(), "long");
}

#[tokio::test]
async fn no_time_to_live_is_to_be_taken_at_once_or_not_at_all() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let queue = stage
        .queue(&mut wire, "q", &[("x-message-ttl", int(0))])
        .await;
    wire.put(&queue, "missed").await;
    wire.get_nothing(&queue).await;
    wire.consume(&queue, "c").await;
    wire.publish(1, "", &queue, "taken").await;
    assert_eq!(wire.message(1).await.text(), "taken");
}

#[tokio::test]
async fn an_unused_queue_expires() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let queue = stage.queue(&mut wire, "q", &[("x-expires", int(1))]).await;
    let passive = queue::Declare {
        queue: queue.as_str().into(),
        passive: true,
        ..Default::default()
    };
    let is_gone = async || {
        wire.send(1, passive.clone()).await;
        match wire.method(1).await {
            AMQPClass::Channel(channel::AMQPMethod::Close(close)) => {
                assert_eq!(close.reply_code, 404);
                true
            }
            _ => false,
        }
    };
    eventually("it expires", is_gone).await;
}

#[tokio::test]
async fn the_oldest_goes_where_there_are_too_many() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let queue = stage
        .queue(&mut wire, "q", &[("x-max-length", int(2))])
        .await;
    for body in ["1", "2", "3"] {
        wire.put(&queue, body).await;
    }
    wire.until_ready(&queue, 2).await;
    assert_eq!(wire.get(&queue).await.text(), "2");
    let queue = stage
        .queue(&mut wire, "q", &[("x-max-length-bytes", int(5))])
        .await;
    for body in ["aaa", "bb", "c"] {
        wire.put(&queue, body).await;
    }
    wire.until_ready(&queue, 2).await;
    assert_eq!(wire.get(&queue).await.text(), "bb");
}

#[tokio::test]
async fn what_is_being_worked_on_does_not_count() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let queue = stage
        .queue(&mut wire, "q", &[("x-max-length", int(1))])
        .await;
    wire.consume(&queue, "c").await;
    for body in ["1", "2", "3"] {
        wire.publish(1, "", &queue, body).await;
        assert_eq!(wire.message(1).await.text(), body);
    }
}

#[tokio::test]
async fn higher_priorities_come_first() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let queue = stage
        .queue(&mut wire, "q", &[("x-max-priority", int(5))])
        .await;
    for (body, priority) in [
        ("none", None),
        ("1", Some(1)),
        ("5", Some(5)),
        ("9", Some(9)),
        ("0", Some(0)),
    ] {
        let properties = match priority {
            None => AMQPProperties::default(),
            Some(priority) => AMQPProperties::default().with_priority(priority),
        };
        wire.publish_with(1, "", &queue, body, properties).await;
    }
    wire.until_ready(&queue, 5).await;
    for expected in ["5", "9", "1", "none", "0"] {
        assert_eq!(wire.get(&queue).await.text(), expected);
    }
}
