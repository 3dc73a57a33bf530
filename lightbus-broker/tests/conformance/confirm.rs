//! Publisher confirms.

use crate::prelude::*;

async fn confirming(stage: &Stage) -> Wire {
    let mut wire = stage.wire().await;
    wire.call(1, confirm::Select::default(), confirm::SelectOk {})
        .await;
    wire
}

#[tokio::test]
async fn each_message_is_confirmed_once() {
    let stage = Stage::start().await;
    let mut wire = confirming(&stage).await;
    let queue = stage.queue(&mut wire, "q", &[]).await;
    // Selecting again starts nothing anew.
    wire.call(1, confirm::Select::default(), confirm::SelectOk {})
        .await;
    for _ in 0..200 {
        wire.publish(1, "", &queue, "m").await;
    }
    let mut confirmed = std::collections::BTreeSet::new();
    while confirmed.len() < 200 {
        match wire.method(1).await {
            AMQPClass::Basic(basic::AMQPMethod::Ack(ack)) if ack.multiple => {
                let before = confirmed.len();
                confirmed.extend(1..=ack.delivery_tag);
                assert!(confirmed.len() > before, "{ack:?} says nothing new");
            }
            AMQPClass::Basic(basic::AMQPMethod::Ack(ack)) => {
                assert!(confirmed.insert(ack.delivery_tag), "{ack:?} came twice");
            }
            other => panic!("{other:?} instead of an ack"),
        }
    }
    assert_eq!(confirmed.last(), Some(&200));
}

#[tokio::test]
async fn a_returned_message_is_confirmed_after_its_return() {
    let stage = Stage::start().await;
    let mut wire = confirming(&stage).await;
    wire.publish(1, "", &stage.name("nowhere"), "m").await;
    let returned = wire.message(1).await;
    assert!(matches!(
        returned.method,
        AMQPClass::Basic(basic::AMQPMethod::Return(_))
    ));
    wire.expect(
        1,
        basic::Ack {
            delivery_tag: 1,
            multiple: false,
        },
    )
    .await;
}

#[tokio::test]
async fn a_full_queue_says_no() {
    let stage = Stage::start().await;
    let mut wire = confirming(&stage).await;
    let queue = stage
        .queue(
            &mut wire,
            "q",
            &[
                ("x-max-length", int(1)),
                ("x-overflow", text("reject-publish")),
            ],
        )
        .await;
    let publish = async |wire: &mut Wire| {
        wire.publish(1, "", &queue, "m").await;
        wire.method(1).await
    };
    let ack = |delivery_tag| {
        basic::Ack {
            delivery_tag,
            multiple: false,
        }
        .class()
    };
    assert_eq!(publish(&mut wire).await, ack(1));
    let AMQPClass::Basic(basic::AMQPMethod::Nack(nack)) = publish(&mut wire).await else {
        panic!("not refused")
    };
    assert_eq!((nack.delivery_tag, nack.requeue), (2, true));
    assert_eq!(wire.get(&queue).await.text(), "m");
    assert_eq!(publish(&mut wire).await, ack(3));
}

#[tokio::test]
async fn nobody_is_told_without_having_asked() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let queue = stage.queue(&mut wire, "q", &[]).await;
    wire.publish(1, "", &queue, "m").await;
    wire.until_ready(&queue, 1).await;
    wire.send(1, confirm::Select { nowait: true }).await;
    wire.publish(1, "", &queue, "m").await;
    wire.expect(
        1,
        basic::Ack {
            delivery_tag: 1,
            multiple: false,
        },
    )
    .await;
}
