//! Binding queues.

use crate::prelude::*;

fn bind(queue: &str, exchange: &str, key: &str) -> queue::Bind {
    queue::Bind {
        queue: queue.into(),
        exchange: exchange.into(),
        routing_key: key.into(),
        ..Default::default()
    }
}

fn unbind(queue: &str, exchange: &str, key: &str) -> queue::Unbind {
    queue::Unbind {
        queue: queue.into(),
        exchange: exchange.into(),
        routing_key: key.into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn bound_twice_is_bound_once() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let exchange = stage.exchange(&mut wire, "x", "direct").await;
    let queue = stage.queue(&mut wire, "q", &[]).await;
    for _ in 0..2 {
        wire.call(1, bind(&queue, &exchange, "k"), queue::BindOk {})
            .await;
    }
    wire.publish(1, &exchange, "k", "1").await;
    wire.until_ready(&queue, 1).await;
    wire.call(1, unbind(&queue, &exchange, "k"), queue::UnbindOk {})
        .await;
    wire.publish(1, &exchange, "k", "2").await;
    assert_eq!(wire.message(1).await.text(), "2", "it comes back");
    wire.call(1, unbind(&queue, &exchange, "k"), queue::UnbindOk {})
        .await;
}

#[tokio::test]
async fn bindings_differ_by_their_arguments() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let exchange = stage.exchange(&mut wire, "x", "direct").await;
    let queue = stage.queue(&mut wire, "q", &[]).await;
    wire.bind_with(&exchange, "k", &queue, &[("a", int(1))])
        .await;
    wire.bind_with(&exchange, "k", &queue, &[]).await;
    wire.call(1, unbind(&queue, &exchange, "k"), queue::UnbindOk {})
        .await;
    wire.publish(1, &exchange, "k", "1").await;
    wire.until_ready(&queue, 1).await;
    let last = queue::Unbind {
        arguments: table(&[("a", int(1))]),
        ..unbind(&queue, &exchange, "k")
    };
    wire.call(1, last, queue::UnbindOk {}).await;
    wire.publish(1, &exchange, "k", "2").await;
    assert_eq!(wire.message(1).await.text(), "2", "it comes back");
}

#[tokio::test]
async fn both_must_exist_and_the_exchange_not_be_the_default() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let (queue, missing) = (
        stage.queue(&mut wire, "q", &[]).await,
        stage.name("missing"),
    );
    let no_queue = format!("NOT_FOUND - no queue '{missing}' in vhost '/'");
    let no_exchange = format!("NOT_FOUND - no exchange '{missing}' in vhost '/'");
    wire.refused(1, bind(&missing, "amq.direct", ""), 404, &no_queue)
        .await;
    wire.refused(1, bind(&queue, &missing, ""), 404, &no_exchange)
        .await;
    wire.call(1, unbind(&missing, "amq.direct", ""), queue::UnbindOk {})
        .await;
    wire.call(1, unbind(&queue, &missing, ""), queue::UnbindOk {})
        .await;
    let default = "ACCESS_REFUSED - operation not permitted on the default exchange";
    wire.refused(1, bind(&queue, "", "k"), 403, default).await;
    wire.refused(1, unbind(&queue, "", "k"), 403, default).await;
}

#[tokio::test]
async fn the_queue_declared_last_is_its_own_key() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let exchange = stage.exchange(&mut wire, "x", "direct").await;
    let queue = stage.queue(&mut wire, "q", &[]).await;
    wire.call(1, bind("", &exchange, ""), queue::BindOk {})
        .await;
    wire.publish(1, &exchange, &queue, "m").await;
    wire.until_ready(&queue, 1).await;
    wire.call(1, bind("", &exchange, "k"), queue::BindOk {})
        .await;
    wire.publish(1, &exchange, "k", "m").await;
    wire.until_ready(&queue, 2).await;
    let none = "NOT_FOUND - no previously declared queue";
    wire.open_channel(2).await;
    wire.refused(2, bind("", &exchange, ""), 404, none).await;
}

#[tokio::test]
async fn bindings_end_with_their_queue() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let exchange = stage.exchange(&mut wire, "x", "topic").await;
    let queue = stage.queue(&mut wire, "q", &[]).await;
    wire.bind(&exchange, "#", &queue).await;
    let delete = queue::Delete {
        queue: queue.as_str().into(),
        ..Default::default()
    };
    wire.call(1, delete, queue::DeleteOk { message_count: 0 })
        .await;
    wire.publish(1, &exchange, "k", "m").await;
    assert_eq!(wire.message(1).await.text(), "m", "it comes back");
    let again = queue::Declare {
        queue: queue.as_str().into(),
        ..Default::default()
    };
    wire.call(1, again, declared(&queue, 0, 0)).await;
    wire.publish(1, &exchange, "k", "m").await;
    assert_eq!(wire.message(1).await.text(), "m", "it still does");
}
