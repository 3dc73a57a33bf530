//! Dead letters and their history.

use crate::prelude::*;

/// A queue whose dead letters end in the other.
async fn dying(
    stage: &Stage,
    wire: &mut Wire,
    arguments: &[(&str, AMQPValue)],
) -> (String, String) {
    let dead = stage.queue(wire, "dead", &[]).await;
    let arguments = [
        &[
            ("x-dead-letter-exchange", text("")),
            ("x-dead-letter-routing-key", text(&dead)),
        ],
        arguments,
    ]
    .concat();
    (stage.queue(wire, "q", &arguments).await, dead)
}

/// What the dead letter's headers say of its first and last death.
fn deaths(message: &Message) -> Vec<(String, AMQPValue)> {
    let mut headers = message.headers().inner().clone();
    headers.remove("x-death");
    headers
        .into_iter()
        .map(|(name, value)| (name.to_string(), value))
        .collect()
}

fn x_death(message: &Message) -> Vec<FieldTable> {
    let Some(AMQPValue::FieldArray(list)) = message.header("x-death") else {
        panic!("no x-death in {:?}", message.headers())
    };
    list.as_slice()
        .iter()
        .map(|death| match death {
            AMQPValue::FieldTable(death) => death.clone(),
            other => panic!("{other:?} in x-death"),
        })
        .collect()
}

fn expected(stage: &Stage, queue: &str, reason: &str) -> Vec<(String, AMQPValue)> {
    let of = |prefix: &str| {
        ["exchange", "queue", "reason"]
            .into_iter()
            .zip(["", queue, reason])
            .map(move |(what, value)| (format!("x-{prefix}-death-{what}"), text(value)))
            .collect::<Vec<_>>()
    };
    match stage.is_4() {
        true => [of("first"), of("last")].concat(),
        false => of("first"),
    }
}

async fn assert_death(
    stage: &Stage,
    wire: &mut Wire,
    queue: &str,
    dead: &str,
    reason: &str,
) -> Message {
    wire.until_ready(dead, 1).await;
    let message = wire.get(dead).await;
    assert_eq!(deaths(&message), expected(stage, queue, reason));
    let history = x_death(&message);
    let [death] = &history[..] else {
        panic!("{history:?}")
    };
    let mut death = death.inner().clone();
    assert!(matches!(
        death.remove("time"),
        Some(AMQPValue::Timestamp(_))
    ));
    death.remove("original-expiration");
    let expected = table(&[
        ("count", AMQPValue::LongLongInt(1)),
        ("reason", text(reason)),
        ("queue", text(queue)),
        ("exchange", text("")),
        (
            "routing-keys",
            AMQPValue::FieldArray(vec![text(queue)].into()),
        ),
    ]);
    assert_eq!(death, *expected.inner());
    message
}

#[tokio::test]
async fn rejected() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let (queue, dead) = dying(&stage, &mut wire, &[]).await;
    let properties = AMQPProperties::default().with_message_id("m".into());
    wire.publish_with(1, "", &queue, "m", properties).await;
    wire.until_ready(&queue, 1).await;
    wire.fetch(&queue).await;
    wire.reject(1, false).await;
    let message = assert_death(&stage, &mut wire, &queue, &dead, "rejected").await;
    assert_eq!(
        message.properties.message_id().as_ref().unwrap().as_str(),
        "m"
    );
    assert_eq!(message.get_ok().routing_key.as_str(), dead);
    assert!(!message.get_ok().redelivered);
}

#[tokio::test]
async fn expired_in_a_queue_and_by_its_own_time() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let (queue, dead) = dying(&stage, &mut wire, &[("x-message-ttl", int(1))]).await;
    wire.publish(1, "", &queue, "m").await;
    assert_death(&stage, &mut wire, &queue, &dead, "expired").await;
    let (queue, dead) = dying(&stage, &mut wire, &[]).await;
    let properties = AMQPProperties::default().with_expiration("1".into());
    wire.publish_with(1, "", &queue, "m", properties).await;
    let message = assert_death(&stage, &mut wire, &queue, &dead, "expired").await;
    assert_eq!(*message.properties.expiration(), None, "it would die again");
    assert_eq!(
        x_death(&message)[0].inner().get("original-expiration"),
        Some(&text("1"))
    );
}

#[tokio::test]
async fn too_many() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let (queue, dead) = dying(&stage, &mut wire, &[("x-max-length", int(1))]).await;
    wire.put(&queue, "1").await;
    wire.put(&queue, "2").await;
    let message = assert_death(&stage, &mut wire, &queue, &dead, "maxlen").await;
    assert_eq!(message.text(), "1");
}

#[tokio::test]
async fn delivered_too_often() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let (queue, dead) = dying(
        &stage,
        &mut wire,
        &[
            ("x-queue-type", text("quorum")),
            ("x-delivery-limit", int(2)),
        ],
    )
    .await;
    wire.publish(1, "", &queue, "m").await;
    wire.consume(&queue, "c").await;
    for count in 0..3_i64 {
        let message = wire.message(1).await;
        let seen = message.header("x-delivery-count");
        assert_eq!(seen, (count > 0).then_some(AMQPValue::LongLongInt(count)));
        let delivery_tag = message.delivery().delivery_tag;
        wire.requeue(delivery_tag, false).await;
    }
    wire.until_ready(&dead, 1).await;
    let message = wire.get(&dead).await;
    assert_eq!(
        message.header("x-first-death-reason"),
        Some(text("delivery_limit"))
    );
}

#[tokio::test]
async fn deaths_of_one_kind_are_counted_and_the_last_comes_first() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let (queue, dead) = dying(&stage, &mut wire, &[]).await;
    wire.publish(1, "", &queue, "m").await;
    for round in 1..=3 {
        wire.until_ready(&queue, 1).await;
        let tag = wire.fetch(&queue).await.get_ok().delivery_tag;
        wire.reject(tag, false).await;
        wire.until_ready(&dead, 1).await;
        let message = wire.get(&dead).await;
        if stage.is_4() {
            // A message that a client publishes is a new one, whatever its headers say.
            assert_eq!(
                x_death(&message)[0].inner().get("count"),
                Some(&AMQPValue::LongLongInt(1))
            );
        } else {
            assert_eq!(
                x_death(&message)[0].inner().get("count"),
                Some(&AMQPValue::LongLongInt(round))
            );
        }
        wire.publish_with(1, "", &queue, "m", message.properties)
            .await;
    }
}

#[tokio::test]
async fn a_circle_without_a_rejection_is_broken() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let name = stage.name("q");
    let declare = queue::Declare {
        queue: name.as_str().into(),
        arguments: table(&[
            ("x-message-ttl", int(1)),
            ("x-dead-letter-exchange", text("")),
            ("x-dead-letter-routing-key", text(&name)),
        ]),
        ..Default::default()
    };
    wire.call(1, declare, declared(&name, 0, 0)).await;
    wire.put(&name, "m").await;
    wire.until_ready(&name, 0).await;
    wire.get_nothing(&name).await;
}

#[tokio::test]
async fn a_missing_exchange_swallows_them() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let missing = stage.name("missing");
    let queue = stage
        .queue(
            &mut wire,
            "q",
            &[("x-dead-letter-exchange", text(&missing))],
        )
        .await;
    wire.publish(1, "", &queue, "m").await;
    wire.until_ready(&queue, 1).await;
    wire.fetch(&queue).await;
    wire.reject(1, false).await;
    wire.until_ready(&queue, 0).await;
}

#[tokio::test]
async fn a_quorum_queue_passes_on_the_last_to_die_first() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let dead = stage.queue(&mut wire, "dead", &[]).await;
    let arguments = [
        ("x-queue-type", text("quorum")),
        ("x-max-length", int(1)),
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text(&dead)),
    ];
    let queue = stage.queue(&mut wire, "q", &arguments).await;
    wire.open_channel(2).await;
    let consume = basic::Consume {
        queue: queue.as_str().into(),
        consumer_tag: "c".into(),
        ..Default::default()
    };
    let consumer_tag = "c".into();
    wire.call(2, consume, basic::ConsumeOk { consumer_tag })
        .await;
    for body in ["1", "2", "3"] {
        wire.put(&queue, body).await;
        assert_eq!(wire.message(2).await.text(), body);
    }
    // All of them come back, and but one are too many.
    wire.call(2, channel::Close::default(), channel::CloseOk {})
        .await;
    wire.until_ready(&dead, 2).await;
    assert_eq!(wire.get(&dead).await.text(), "2");
    assert_eq!(wire.get(&dead).await.text(), "1");
    assert_eq!(wire.get(&queue).await.text(), "3");
}

#[tokio::test]
async fn a_quorum_queue_counts_what_has_expired_behind_what_is_fetched() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let queue = stage
        .queue(&mut wire, "q", &[("x-queue-type", text("quorum"))])
        .await;
    let witness = stage.queue(&mut wire, "witness", &[]).await;
    for (no_ack, left) in [(false, 1), (true, 0)] {
        wire.put(&queue, "stays").await;
        let soon = AMQPProperties::default().with_expiration("1".into());
        wire.put_with(&queue, "goes", soon.clone()).await;
        // What came later and nothing is in front of has expired by now: so has this.
        wire.put_with(&witness, "goes", soon).await;
        wire.until_ready(&witness, 0).await;
        let message = match no_ack {
            true => wire.get(&queue).await,
            false => wire.fetch(&queue).await,
        };
        assert_eq!(message.get_ok().message_count, left);
        wire.until_ready(&queue, 0).await;
    }
}
