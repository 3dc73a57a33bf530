//! Publishing, and what comes back.

use crate::prelude::*;

#[tokio::test]
async fn every_property_and_a_large_body_arrive() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let queue = stage.queue(&mut wire, "q", &[]).await;
    let properties = AMQPProperties::default()
        .with_content_type("text/plain".into())
        .with_content_encoding("none".into())
        .with_headers(table(&[
            ("text", text("v")),
            ("int", int(-1)),
            ("bool", AMQPValue::Boolean(true)),
            ("void", AMQPValue::Void),
            ("double", AMQPValue::Double(0.5)),
            ("time", AMQPValue::Timestamp(7)),
            (
                "table",
                AMQPValue::FieldTable(table(&[("inner", text("x"))])),
            ),
            (
                "array",
                AMQPValue::FieldArray(vec![int(1), text("two")].into()),
            ),
            ("bytes", AMQPValue::ByteArray(vec![0, 255].into())),
        ]))
        .with_delivery_mode(2)
        .with_priority(3)
        .with_correlation_id("c".into())
        .with_reply_to("r".into())
        .with_expiration("60000".into())
        .with_message_id("m".into())
        .with_timestamp(12)
        .with_type("t".into())
        .with_user_id(stage.credentials().0.into())
        .with_app_id("a".into())
        .with_cluster_id("z".into());
    let body = "0123456789".repeat(100_000);
    wire.publish_with(1, "", &queue, &body, properties.clone())
        .await;
    wire.publish(1, "", &queue, "").await;
    wire.until_ready(&queue, 2).await;
    let message = wire.get(&queue).await;
    assert!(message.text() == body);
    assert_eq!(message.properties, properties);
    assert_eq!(message.get_ok().message_count, 1);
    assert_eq!(wire.get(&queue).await.text(), "");
}

#[tokio::test]
async fn mandatory_messages_come_back_and_others_are_dropped() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let nowhere = stage.name("nowhere");
    let publish = |mandatory| basic::Publish {
        routing_key: nowhere.as_str().into(),
        mandatory,
        ..Default::default()
    };
    let properties = AMQPProperties::default().with_message_id("1".into());
    wire.send(1, publish(false)).await;
    wire.send_content(1, properties.clone(), b"dropped").await;
    wire.send(1, publish(true)).await;
    wire.send_content(1, properties.clone(), b"returned").await;
    let returned = wire.message(1).await;
    let expected = basic::Return {
        reply_code: 312,
        reply_text: "NO_ROUTE".into(),
        exchange: "".into(),
        routing_key: nowhere.as_str().into(),
    };
    assert_eq!(returned.method, expected.class());
    assert_eq!(
        (returned.text(), &returned.properties),
        ("returned", &properties)
    );
}

#[tokio::test]
async fn an_exchange_that_is_not_there_closes_the_channel() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let missing = stage.name("missing");
    wire.publish(1, &missing, "k", "m").await;
    let text = format!("NOT_FOUND - no exchange '{missing}' in vhost '/'");
    wire.channel_closes(1, 404, &text, (60, 40)).await;
}

#[tokio::test]
async fn immediate_is_not_implemented() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    wire.send(
        1,
        basic::Publish {
            immediate: true,
            ..Default::default()
        },
    )
    .await;
    wire.send_content(1, AMQPProperties::default(), b"m").await;
    wire.ends(540, "NOT_IMPLEMENTED - immediate=true", (60, 40))
        .await;
}

fn unacceptable(header: &str, kind: &str) -> String {
    format!("invalid message: {{unacceptable_type_in_header,\"{header}\",{kind}}}")
}

#[tokio::test]
async fn properties_the_broker_reads_must_make_sense() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let queue = stage.queue(&mut wire, "q", &[]).await;
    let (user, _) = stage.credentials();
    let base = AMQPProperties::default;
    let (mut seen, mut wanted) = (Vec::new(), Vec::new());
    for (properties, why) in [
        (
            base().with_user_id("mallory".into()),
            format!("user_id property set to 'mallory' but authenticated user was '{user}'"),
        ),
        (
            base().with_expiration("soon".into()),
            "invalid expiration 'soon': no_integer".into(),
        ),
        (
            base().with_expiration("".into()),
            "invalid expiration '': no_integer".into(),
        ),
        (
            base().with_expiration("1s".into()),
            "invalid expiration '1s': {leftover_string,\"s\"}".into(),
        ),
        (
            base().with_expiration("-1".into()),
            "invalid expiration '-1': {value_negative,-1}".into(),
        ),
        (
            base().with_headers(table(&[("CC", text("k"))])),
            unacceptable("CC", "longstr"),
        ),
        (
            base().with_headers(table(&[("BCC", int(1))])),
            unacceptable("BCC", "signedint"),
        ),
    ] {
        wire.publish_with(1, "", &queue, "m", properties).await;
        seen.push(wire.closure(1).await);
        wanted.push((406, format!("PRECONDITION_FAILED - {why}")));
    }
    assert_eq!(seen, wanted);
}

#[tokio::test]
async fn copies_go_to_further_keys_and_blind_ones_are_not_shown() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let mut queues = Vec::new();
    for what in ["to", "cc1", "cc2", "bcc"] {
        queues.push(stage.queue(&mut wire, what, &[]).await);
    }
    let keys = |names: &[String]| {
        AMQPValue::FieldArray(
            names
                .iter()
                .map(|name| text(name))
                .collect::<Vec<_>>()
                .into(),
        )
    };
    let copies = keys(&queues[1..3]);
    let properties = AMQPProperties::default().with_headers(table(&[
        ("CC", copies.clone()),
        ("BCC", keys(&queues[3..])),
        ("k", int(1)),
    ]));
    wire.publish_with(1, "", &queues[0], "m", properties).await;
    for queue in &queues {
        wire.until_ready(queue, 1).await;
        let message = wire.get(queue).await;
        assert_eq!(message.get_ok().routing_key.as_str(), queues[0]);
        assert_eq!(
            message.headers(),
            table(&[("CC", copies.clone()), ("k", int(1))])
        );
    }
}

#[tokio::test]
async fn one_queue_gets_one_copy() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let exchange = stage.exchange(&mut wire, "x", "topic").await;
    let queue = stage.queue(&mut wire, "q", &[]).await;
    for key in ["#", "*", "k"] {
        wire.bind(&exchange, key, &queue).await;
    }
    wire.publish(1, &exchange, "k", "m").await;
    wire.until_ready(&queue, 1).await;
}

#[tokio::test]
async fn messages_have_a_largest_size() {
    let stage = Stage::start().await;
    if !stage.is_4() {
        // It was eight times as much.
        return;
    }
    let mut wire = stage.wire().await;
    let body = "x".repeat((16 << 20) + 1);
    wire.publish(1, "", "q", &body).await;
    let text =
        "PRECONDITION_FAILED - message size 16777217 is larger than configured max size 16777216";
    wire.channel_closes(1, 406, text, (60, 40)).await;
}
