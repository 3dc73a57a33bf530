//! Prefetch.

use crate::prelude::*;

async fn fill(wire: &mut Wire, queue: &str, messages: u32) {
    for n in 0..messages {
        wire.put(queue, &n.to_string()).await;
    }
}

#[tokio::test]
async fn each_consumer_has_its_own_prefetch() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let queue = stage.queue(&mut wire, "q", &[]).await;
    wire.qos(2, false).await;
    wire.consume(&queue, "a").await;
    wire.qos(1, false).await;
    wire.consume(&queue, "b").await;
    fill(&mut wire, &queue, 6).await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(wire.message(1).await.delivery().consumer_tag.to_string());
    }
    seen.sort_unstable();
    assert_eq!(seen, ["a", "a", "b"]);
    wire.until_ready(&queue, 3).await;
    wire.ack(3, true).await;
    for _ in 0..3 {
        wire.message(1).await;
    }
}

#[tokio::test]
async fn a_channel_has_a_prefetch_as_a_whole() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let queue = stage.queue(&mut wire, "q", &[]).await;
    wire.qos(3, true).await;
    wire.consume(&queue, "a").await;
    wire.consume(&queue, "b").await;
    fill(&mut wire, &queue, 6).await;
    for _ in 0..3 {
        wire.message(1).await;
    }
    wire.until_ready(&queue, 3).await;
    wire.ack(2, false).await;
    wire.message(1).await;
    wire.until_ready(&queue, 2).await;
    // Zero takes the limit away.
    wire.qos(0, true).await;
    for _ in 0..2 {
        wire.message(1).await;
    }
}

#[tokio::test]
async fn quorum_queues_know_nothing_of_a_channels_prefetch() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let kind = [("x-queue-type", text("quorum"))];
    let quorum = stage.queue(&mut wire, "quorum", &kind).await;
    let classic = stage.queue(&mut wire, "classic", &[]).await;
    wire.consume(&quorum, "quorum").await;
    wire.qos(1, true).await;
    wire.consume(&classic, "classic").await;
    for queue in [&quorum, &quorum, &classic] {
        wire.put(queue, "m").await;
        wire.message(1).await;
    }
    wire.put(&classic, "too many").await;
    wire.until_ready(&classic, 1).await;
}

#[tokio::test]
async fn what_a_channel_gives_back_that_was_passed_over_goes_to_another_one() {
    let stage = Stage::start().await;
    let (mut full, mut other) = (stage.wire().await, stage.wire().await);
    let queue = stage.queue(&mut full, "q", &[]).await;
    full.qos(1, true).await;
    full.consume(&queue, "full").await;
    other.consume(&queue, "other").await;
    other.put(&queue, "first").await;
    let tag = full.message(1).await.delivery().delivery_tag;
    other.put(&queue, "second").await;
    assert_eq!(other.message(1).await.text(), "second");
    // It is its turn, and it has not been passed over yet.
    full.reject(tag, true).await;
    let message = full.message(1).await;
    assert_eq!(message.text(), "first");
    // Now it is.
    for body in ["third", "fourth"] {
        other.put(&queue, body).await;
        assert_eq!(other.message(1).await.text(), body);
    }
    full.reject(message.delivery().delivery_tag, true).await;
    assert_eq!(other.message(1).await.text(), "first");
}

#[tokio::test]
async fn who_was_passed_over_stands_behind_the_others() {
    let stage = Stage::start().await;
    let (mut full, mut other) = (stage.wire().await, stage.wire().await);
    let queue = stage.queue(&mut full, "q", &[]).await;
    full.qos(1, false).await;
    full.consume(&queue, "full").await;
    other.consume(&queue, "other").await;
    other.put(&queue, "first").await;
    let tag = full.message(1).await.delivery().delivery_tag;
    for body in ["second", "third"] {
        other.put(&queue, body).await;
        assert_eq!(other.message(1).await.text(), body);
    }
    full.ack(tag, false).await;
    // The acknowledgement has arrived.
    assert_eq!(full.count(&queue).await, (0, 2));
    other.put(&queue, "fourth").await;
    assert_eq!(other.message(1).await.text(), "fourth");
    other.put(&queue, "fifth").await;
    assert_eq!(full.message(1).await.text(), "fifth");
}

#[tokio::test]
async fn a_prefetch_for_each_consumer_ends_the_one_for_all() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let queue = stage.queue(&mut wire, "q", &[]).await;
    wire.qos(1, true).await;
    wire.consume(&queue, "a").await;
    wire.consume(&queue, "b").await;
    fill(&mut wire, &queue, 4).await;
    wire.message(1).await;
    wire.until_ready(&queue, 3).await;
    wire.qos(1, false).await;
    for _ in 0..3 {
        wire.message(1).await;
    }
    // So a queue that knows no prefetch for all has nothing against this channel.
    let kind = [("x-queue-type", text("quorum"))];
    let queue = stage.queue(&mut wire, "quorum", &kind).await;
    wire.consume(&queue, "c").await;
}

#[tokio::test]
async fn consumers_that_do_not_acknowledge_and_get_know_no_prefetch() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let queue = stage.queue(&mut wire, "q", &[]).await;
    fill(&mut wire, &queue, 6).await;
    wire.qos(1, false).await;
    for n in 0..2 {
        assert_eq!(wire.fetch(&queue).await.text(), n.to_string());
    }
    let consume = basic::Consume {
        queue: queue.as_str().into(),
        consumer_tag: "c".into(),
        no_ack: true,
        ..Default::default()
    };
    wire.call(
        1,
        consume,
        basic::ConsumeOk {
            consumer_tag: "c".into(),
        },
    )
    .await;
    for n in 2..6 {
        assert_eq!(wire.message(1).await.text(), n.to_string());
    }
}

#[tokio::test]
async fn a_size_is_not_implemented() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let qos = [0, 60, 0, 10, 0, 0, 0, 5, 0, 1, 0];
    wire.write(&crate::support::frame(1, 1, qos)).await;
    wire.ends(540, "NOT_IMPLEMENTED - prefetch_size!=0 (5)", (60, 10))
        .await;
}
