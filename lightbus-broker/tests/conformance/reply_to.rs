//! Direct reply-to.

use crate::prelude::*;

const PSEUDO: &str = "amq.rabbitmq.reply-to";

fn consume() -> basic::Consume {
    basic::Consume {
        queue: PSEUDO.into(),
        consumer_tag: "replies".into(),
        no_ack: true,
        ..Default::default()
    }
}

fn consuming() -> basic::ConsumeOk {
    basic::ConsumeOk {
        consumer_tag: "replies".into(),
    }
}

fn asking() -> AMQPProperties {
    AMQPProperties::default()
        .with_reply_to(PSEUDO.into())
        .with_correlation_id("7".into())
}

#[tokio::test]
async fn a_reply_goes_straight_to_who_asked() {
    let stage = Stage::start().await;
    let (mut client, mut server) = (stage.wire().await, stage.wire().await);
    let queue = stage.queue(&mut server, "service", &[]).await;
    server.consume(&queue, "requests").await;
    client.call(1, consume(), consuming()).await;
    client
        .publish_with(1, "", &queue, "question", asking())
        .await;
    let request = server.message(1).await;
    let address = request.properties.reply_to().clone().unwrap();
    assert!(
        address.as_str().starts_with("amq.rabbitmq.reply-to."),
        "{address}"
    );
    // The address can be looked up, which tells whether somebody still waits.
    let passive = queue::Declare {
        queue: address.clone(),
        passive: true,
        ..Default::default()
    };
    server
        .call(1, passive.clone(), declared(address.as_str(), 0, 1))
        .await;
    let properties = AMQPProperties::default().with_correlation_id("7".into());
    server
        .publish_with(1, "", address.as_str(), "answer", properties)
        .await;
    assert_eq!(
        server.message(1).await.text(),
        "answer",
        "no queue took it, so it comes back as well"
    );
    let reply = client.message(1).await;
    assert_eq!(reply.text(), "answer");
    assert_eq!(
        reply.properties.correlation_id().as_ref().unwrap().as_str(),
        "7"
    );
    let expected = basic::Deliver {
        consumer_tag: "replies".into(),
        delivery_tag: 1,
        redelivered: false,
        exchange: "".into(),
        routing_key: address.clone(),
    };
    assert_eq!(*reply.delivery(), expected);
    // Nobody waits any longer.
    client
        .call(1, channel::Close::default(), channel::CloseOk {})
        .await;
    server.publish(1, "", address.as_str(), "too late").await;
    assert_eq!(server.message(1).await.text(), "too late", "it comes back");
    let text = format!("NOT_FOUND - no queue '{address}' in vhost '/'");
    server.refused(1, passive, 404, &text).await;
}

#[tokio::test]
async fn the_rules() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let text = "PRECONDITION_FAILED - reply consumer cannot acknowledge";
    wire.refused(
        1,
        basic::Consume {
            no_ack: false,
            ..consume()
        },
        406,
        text,
    )
    .await;
    wire.call(1, consume(), consuming()).await;
    let text = "PRECONDITION_FAILED - reply consumer already set";
    let second = basic::Consume {
        consumer_tag: "more".into(),
        ..consume()
    };
    wire.refused(1, second, 406, text).await;
    let queue = stage.queue(&mut wire, "service", &[]).await;
    wire.publish_with(1, "", &queue, "question", asking()).await;
    let text = "PRECONDITION_FAILED - fast reply consumer does not exist";
    wire.channel_closes(1, 406, text, (60, 40)).await;
    wire.call(1, consume(), consuming()).await;
    wire.cancel("replies").await;
    wire.call(1, consume(), consuming()).await;
}

#[tokio::test]
async fn the_pseudo_queue_may_be_declared() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    for passive in [true, false] {
        let declare = queue::Declare {
            queue: PSEUDO.into(),
            passive,
            ..Default::default()
        };
        wire.call(1, declare, declared(PSEUDO, 0, 1)).await;
    }
}

#[tokio::test]
async fn the_pseudo_queue_is_what_an_empty_name_means_once_declared() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let declare = queue::Declare {
        queue: PSEUDO.into(),
        ..Default::default()
    };
    wire.call(1, declare, declared(PSEUDO, 0, 1)).await;
    let text = format!("NOT_FOUND - no queue '{PSEUDO}' in vhost '/'");
    wire.refused(1, queue::Purge::default(), 404, &text).await;
    let declare = queue::Declare {
        queue: PSEUDO.into(),
        ..Default::default()
    };
    wire.call(1, declare, declared(PSEUDO, 0, 1)).await;
    let by_no_name = basic::Consume {
        queue: "".into(),
        ..consume()
    };
    wire.call(1, by_no_name, consuming()).await;
}

#[tokio::test]
async fn of_two_with_one_tag_the_one_for_replies_is_cancelled_first() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let queue = stage.queue(&mut wire, "service", &[]).await;
    wire.call(1, consume(), consuming()).await;
    wire.consume(&queue, "replies").await;
    let cancel = basic::Cancel {
        consumer_tag: "replies".into(),
        nowait: false,
    };
    let cancelled = basic::CancelOk {
        consumer_tag: "replies".into(),
    };
    wire.call(1, cancel.clone(), cancelled.clone()).await;
    assert_eq!(wire.count(&queue).await, (0, 1));
    wire.call(1, cancel, cancelled).await;
    assert_eq!(wire.count(&queue).await, (0, 0));
}
