//! Acknowledging, rejecting, recovering.

use crate::prelude::*;

/// A queue of so many messages, all delivered on channel 1.
async fn delivered(stage: &Stage, wire: &mut Wire, messages: u64) -> String {
    let queue = stage.queue(wire, "q", &[]).await;
    wire.consume(&queue, "c").await;
    for n in 1..=messages {
        wire.publish(1, "", &queue, &n.to_string()).await;
        assert_eq!(wire.message(1).await.delivery().delivery_tag, n);
    }
    queue
}

/// Closes the channel and gives what comes back to the queue, in its order.
async fn left(wire: &mut Wire, queue: &str, messages: u32) -> Vec<String> {
    wire.call(1, channel::Close::default(), channel::CloseOk {})
        .await;
    wire.open_channel(1).await;
    wire.until_ready(queue, messages).await;
    let mut left = Vec::new();
    for _ in 0..messages {
        left.push(wire.get(queue).await.text().to_owned());
    }
    wire.get_nothing(queue).await;
    left
}

#[tokio::test]
async fn one_by_one_or_all_up_to_one() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let queue = delivered(&stage, &mut wire, 6).await;
    wire.ack(2, false).await;
    wire.ack(4, true).await;
    assert_eq!(left(&mut wire, &queue, 2).await, ["5", "6"]);
}

#[tokio::test]
async fn zero_and_multiple_are_all() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    wire.ack(0, true).await;
    let queue = delivered(&stage, &mut wire, 3).await;
    wire.ack(0, true).await;
    assert!(left(&mut wire, &queue, 0).await.is_empty());
}

#[tokio::test]
async fn unknown_tags_close_the_channel() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let unknown = |tag| format!("PRECONDITION_FAILED - unknown delivery tag {tag}");
    for (delivery_tag, multiple) in [(0, false), (1, false), (1, true), (99, true)] {
        wire.refused(
            1,
            basic::Ack {
                delivery_tag,
                multiple,
            },
            406,
            &unknown(delivery_tag),
        )
        .await;
    }
    wire.refused(
        1,
        basic::Reject {
            delivery_tag: 5,
            requeue: true,
        },
        406,
        &unknown(5),
    )
    .await;
    let nack = basic::Nack {
        delivery_tag: 6,
        multiple: true,
        requeue: true,
    };
    wire.refused(1, nack, 406, &unknown(6)).await;
}

#[tokio::test]
async fn a_tag_settles_once_and_on_its_channel() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let queue = delivered(&stage, &mut wire, 2).await;
    wire.open_channel(2).await;
    let unknown = "PRECONDITION_FAILED - unknown delivery tag 1";
    let ack = basic::Ack {
        delivery_tag: 1,
        multiple: false,
    };
    wire.refused(2, ack.clone(), 406, unknown).await;
    wire.ack(1, false).await;
    wire.refused(1, ack, 406, unknown).await;
    // More than was ever delivered, and something is still to be settled.
    wire.until_ready(&queue, 1).await;
    wire.consume(&queue, "c").await;
    wire.message(1).await;
    let beyond = basic::Ack {
        delivery_tag: 9,
        multiple: true,
    };
    wire.refused(
        1,
        beyond,
        406,
        "PRECONDITION_FAILED - unknown delivery tag 9",
    )
    .await;
    assert_eq!(left(&mut wire, &queue, 1).await, ["2"]);
}

#[tokio::test]
async fn acknowledging_up_to_one_that_is_settled_already() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let queue = delivered(&stage, &mut wire, 3).await;
    wire.ack(2, false).await;
    let up_to_2 = basic::Ack {
        delivery_tag: 2,
        multiple: true,
    };
    wire.refused(
        1,
        up_to_2,
        406,
        "PRECONDITION_FAILED - unknown delivery tag 2",
    )
    .await;
    assert_eq!(left(&mut wire, &queue, 2).await, ["1", "3"]);
}

#[tokio::test]
async fn what_is_rejected_is_gone_or_goes_back_to_its_place() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let queue = delivered(&stage, &mut wire, 4).await;
    wire.cancel("c").await;
    wire.reject(4, false).await;
    wire.reject(2, true).await;
    wire.requeue(3, true).await;
    wire.until_ready(&queue, 3).await;
    assert_eq!(left(&mut wire, &queue, 3).await, ["1", "2", "3"]);
}

#[tokio::test]
async fn a_requeued_message_is_redelivered_as_such() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    delivered(&stage, &mut wire, 1).await;
    wire.requeue(1, false).await;
    let again = wire.message(1).await;
    assert_eq!(
        (again.delivery().delivery_tag, again.delivery().redelivered),
        (2, true)
    );
    assert_eq!(again.properties, AMQPProperties::default());
}

#[tokio::test]
async fn recovering_redelivers_everything_after_its_answer() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    delivered(&stage, &mut wire, 2).await;
    wire.call(1, basic::Recover { requeue: true }, basic::RecoverOk {})
        .await;
    for (tag, body) in [(3, "1"), (4, "2")] {
        let again = wire.message(1).await;
        assert_eq!((again.delivery().delivery_tag, again.text()), (tag, body));
        assert!(again.delivery().redelivered);
    }
}

#[tokio::test]
async fn recovering_asynchronously_has_no_answer() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    delivered(&stage, &mut wire, 1).await;
    wire.send(1, basic::RecoverAsync { requeue: true }).await;
    assert!(wire.message(1).await.delivery().redelivered);
}

#[tokio::test]
async fn recovering_without_requeueing_is_not_implemented() {
    let stage = Stage::start().await;
    let text = "NOT_IMPLEMENTED - requeue=false";
    let mut wire = stage.wire().await;
    wire.fatal(1, basic::Recover { requeue: false }, 540, text)
        .await;
    let mut wire = stage.wire().await;
    wire.fatal(1, basic::RecoverAsync { requeue: false }, 540, text)
        .await;
}
