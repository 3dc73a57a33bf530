//! The channel class.

use crate::prelude::*;

#[tokio::test]
async fn channels_open_close_and_open_again() {
    let stage = Stage::start().await;
    let mut wire = stage.connection().await;
    for number in [1, 2047, 7] {
        wire.open_channel(number).await;
        let close = channel::Close {
            reply_code: 200,
            ..Default::default()
        };
        wire.call(number, close, channel::CloseOk {}).await;
        wire.open_channel(number).await;
    }
}

#[tokio::test]
async fn opening_twice_ends_the_connection() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let text = "CHANNEL_ERROR - second 'channel.open' seen";
    wire.fatal(1, channel::Open {}, 504, text).await;
}

#[tokio::test]
async fn a_channel_never_opened_ends_the_connection() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let text = "CHANNEL_ERROR - expected 'channel.open'";
    wire.fatal(9, basic::Qos::default(), 504, text).await;
    let mut wire = stage.wire().await;
    let close = channel::Close {
        reply_code: 200,
        ..Default::default()
    };
    wire.call(1, close, channel::CloseOk {}).await;
    wire.fatal(1, basic::Qos::default(), 504, text).await;
}

#[tokio::test]
async fn flow_may_be_confirmed_and_not_stopped() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    wire.call(
        1,
        channel::Flow { active: true },
        channel::FlowOk { active: true },
    )
    .await;
    let text = "NOT_IMPLEMENTED - active=false";
    wire.fatal(1, channel::Flow { active: false }, 540, text)
        .await;
}

#[tokio::test]
async fn an_error_closes_its_channel_only() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    wire.open_channel(2).await;
    let missing = stage.name("missing");
    let passive = queue::Declare {
        queue: missing.as_str().into(),
        passive: true,
        ..Default::default()
    };
    wire.refused(
        1,
        passive,
        404,
        &format!("NOT_FOUND - no queue '{missing}' in vhost '/'"),
    )
    .await;
    wire.call(2, basic::Qos::default(), basic::QosOk {}).await;
}

#[tokio::test]
async fn frames_between_an_error_and_its_close_ok_are_ignored() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let (missing, queue) = (stage.name("missing"), stage.name("q"));
    let passive = queue::Declare {
        queue: missing.as_str().into(),
        passive: true,
        ..Default::default()
    };
    let declare = queue::Declare {
        queue: queue.as_str().into(),
        ..Default::default()
    };
    wire.send(1, passive).await;
    wire.send(1, declare).await;
    wire.publish(1, "", &missing, "nobody gets this").await;
    let text = format!("NOT_FOUND - no queue '{missing}' in vhost '/'");
    wire.channel_closes(1, 404, &text, (50, 10)).await;
    let passive = queue::Declare {
        queue: queue.as_str().into(),
        passive: true,
        ..Default::default()
    };
    wire.refused(
        1,
        passive,
        404,
        &format!("NOT_FOUND - no queue '{queue}' in vhost '/'"),
    )
    .await;
}

#[tokio::test]
async fn both_may_close_at_once() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let missing = stage.name("missing");
    let passive = queue::Declare {
        queue: missing.as_str().into(),
        passive: true,
        ..Default::default()
    };
    wire.send(1, passive).await;
    wire.send(
        1,
        channel::Close {
            reply_code: 200,
            ..Default::default()
        },
    )
    .await;
    let AMQPClass::Channel(channel::AMQPMethod::Close(close)) = wire.method(1).await else {
        panic!("no close")
    };
    assert_eq!(close.reply_code, 404);
    wire.expect(1, channel::CloseOk {}).await;
    wire.send(1, channel::CloseOk {}).await;
    wire.open_channel(1).await;
}

#[tokio::test]
async fn closing_gives_back_what_was_not_settled() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let queue = stage.queue(&mut wire, "q", &[]).await;
    wire.consume(&queue, "c").await;
    for body in ["1", "2"] {
        wire.publish(1, "", &queue, body).await;
        assert!(!wire.message(1).await.delivery().redelivered);
    }
    wire.call(
        1,
        channel::Close {
            reply_code: 200,
            ..Default::default()
        },
        channel::CloseOk {},
    )
    .await;
    wire.open_channel(1).await;
    wire.until_ready(&queue, 2).await;
    let first = wire.get(&queue).await;
    assert_eq!((first.text(), first.get_ok().redelivered), ("1", true));
    assert_eq!(wire.get(&queue).await.text(), "2");
}

#[tokio::test]
async fn the_limit_is_one_of_how_many_there_are() {
    let stage = Stage::start().await;
    let mut wire = stage.connection().await;
    wire.open_channel(60_000).await;
}

#[tokio::test]
async fn access_is_always_granted() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let request = access::Request {
        realm: "/data".into(),
        ..Default::default()
    };
    wire.send(1, request).await;
    let answer = wire.method(1).await;
    assert!(
        matches!(answer, AMQPClass::Access(access::AMQPMethod::RequestOk(_))),
        "{answer:?}"
    );
}
