//! Purging and deleting queues.

use crate::prelude::*;

fn delete(queue: &str) -> queue::Delete {
    queue::Delete {
        queue: queue.into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn purging_counts_what_is_ready() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let queue = stage.queue(&mut wire, "q", &[]).await;
    for _ in 0..3 {
        wire.publish(1, "", &queue, "m").await;
    }
    wire.until_ready(&queue, 3).await;
    wire.fetch(&queue).await;
    let purge = queue::Purge {
        queue: queue.as_str().into(),
        nowait: false,
    };
    wire.call(1, purge.clone(), queue::PurgeOk { message_count: 2 })
        .await;
    wire.call(1, basic::Recover { requeue: true }, basic::RecoverOk {})
        .await;
    wire.until_ready(&queue, 1).await;
    wire.call(1, purge, queue::PurgeOk { message_count: 1 })
        .await;
}

#[tokio::test]
async fn deleting_counts_and_is_no_error_twice() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let queue = stage.queue(&mut wire, "q", &[]).await;
    wire.publish(1, "", &queue, "m").await;
    wire.until_ready(&queue, 1).await;
    wire.call(1, delete(&queue), queue::DeleteOk { message_count: 1 })
        .await;
    wire.call(1, delete(&queue), queue::DeleteOk { message_count: 0 })
        .await;
}

#[tokio::test]
async fn one_in_use_or_not_empty_may_be_spared() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let queue = stage.queue(&mut wire, "q", &[]).await;
    wire.publish(1, "", &queue, "m").await;
    wire.until_ready(&queue, 1).await;
    let if_empty = queue::Delete {
        if_empty: true,
        ..delete(&queue)
    };
    let text = format!("PRECONDITION_FAILED - queue '{queue}' in vhost '/' not empty");
    wire.refused(1, if_empty.clone(), 406, &text).await;
    // Used or not, that it is not empty is said first.
    wire.qos(1, false).await;
    wire.put(&queue, "another").await;
    wire.consume(&queue, "c").await;
    wire.message(1).await;
    wire.open_channel(2).await;
    let both = queue::Delete {
        if_unused: true,
        ..if_empty
    };
    wire.refused(2, both, 406, &text).await;
    wire.ack(1, false).await;
    wire.message(1).await;
    let if_unused = queue::Delete {
        if_unused: true,
        ..delete(&queue)
    };
    let text = format!("PRECONDITION_FAILED - queue '{queue}' in vhost '/' in use");
    wire.refused(2, if_unused.clone(), 406, &text).await;
    let both = queue::Delete {
        if_empty: true,
        ..if_unused
    };
    wire.refused(2, both.clone(), 406, &text).await;
    wire.ack(2, false).await;
    wire.cancel("c").await;
    wire.call(1, both, queue::DeleteOk { message_count: 0 })
        .await;
}

#[tokio::test]
async fn its_consumers_are_told_after_whoever_deleted_it() {
    let stage = Stage::start().await;
    let (mut one, mut other) = (stage.wire().await, stage.wire().await);
    let queue = stage.queue(&mut one, "q", &[]).await;
    one.consume(&queue, "mine").await;
    other.consume(&queue, "theirs").await;
    one.send(1, delete(&queue)).await;
    let cancelled = |tag: &str| basic::Cancel {
        consumer_tag: tag.into(),
        nowait: true,
    };
    one.expect(1, queue::DeleteOk { message_count: 0 }).await;
    assert_eq!(
        one.method(1).await,
        AMQPClass::Basic(basic::AMQPMethod::Cancel(cancelled("mine")))
    );
    assert_eq!(
        other.method(1).await,
        AMQPClass::Basic(basic::AMQPMethod::Cancel(cancelled("theirs")))
    );
}
