//! The connection class, once a connection is open.

use crate::{prelude::*, support::frame};

#[tokio::test]
async fn closing_is_confirmed() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let close = connection::Close {
        reply_code: 200,
        reply_text: "done".into(),
        ..Default::default()
    };
    wire.call(0, close, connection::CloseOk {}).await;
}

#[tokio::test]
async fn what_comes_after_an_error_is_ignored_until_its_close_ok() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let name = stage.name("q");
    wire.send(
        1,
        basic::Publish {
            immediate: true,
            ..Default::default()
        },
    )
    .await;
    wire.send_content(1, AMQPProperties::default(), b"x").await;
    let declare = queue::Declare {
        queue: name.as_str().into(),
        ..Default::default()
    };
    wire.send(1, declare).await;
    wire.ends(540, "NOT_IMPLEMENTED - immediate=true", (60, 40))
        .await;
    let mut wire = stage.wire().await;
    let passive = queue::Declare {
        queue: name.as_str().into(),
        passive: true,
        ..Default::default()
    };
    wire.refused(
        1,
        passive,
        404,
        &format!("NOT_FOUND - no queue '{name}' in vhost '/'"),
    )
    .await;
}

#[tokio::test]
async fn a_secret_is_updated() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let update = connection::UpdateSecret {
        new_secret: "guest".into(),
        reason: "renewed".into(),
    };
    wire.call(0, update, connection::UpdateSecretOk {}).await;
    wire.qos(1, false).await;
}

async fn closed_for(stage: &Stage, bytes: &[u8]) -> Closing {
    let mut wire = stage.wire().await;
    wire.write(bytes).await;
    let close = wire.end().await.expect("a connection.close");
    let text = close.reply_text.to_string();
    (close.reply_code, text, close.class_id, close.method_id)
}

fn method(channel: u16, payload: &[u8]) -> Vec<u8> {
    frame(1, channel, payload.iter().copied())
}

/// What a connection is closed for after these bytes: code, text, class, method.
type Closing = (u16, String, u16, u16);

/// What is sent, and what the connection is then closed for.
type Case<'a> = (&'a str, Vec<u8>, u16, &'a str, u16, u16);

async fn assert_closings(cases: &[Case<'_>]) {
    let stage = Stage::start().await;
    let (mut seen, mut wanted): (Vec<(&str, Closing)>, Vec<_>) = (Vec::new(), Vec::new());
    for (what, bytes, code, text, class, method) in cases {
        seen.push((what, closed_for(&stage, bytes).await));
        wanted.push((*what, (*code, (*text).to_owned(), *class, *method)));
    }
    assert_eq!(seen, wanted);
}

#[tokio::test]
async fn methods_that_do_not_belong_where_they_are() {
    let unexpected = "CHANNEL_ERROR - unexpected method in connection state running";
    let unimplemented = "COMMAND_INVALID - unimplemented method";
    let not_open = "CHANNEL_ERROR - expected 'channel.open'";
    let close_ok = [0, 20, 0, 41];
    assert_closings(&[
        (
            "qos on 0",
            method(0, &[0, 60, 0, 10, 0, 0, 0, 0, 0, 0, 0]),
            504,
            unexpected,
            60,
            10,
        ),
        (
            "channel.open on 0",
            method(0, &[0, 20, 0, 10, 0]),
            504,
            unexpected,
            20,
            10,
        ),
        (
            "ack on 0",
            method(0, &[0, 60, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            504,
            unexpected,
            60,
            80,
        ),
        (
            "a second open",
            method(0, &[0, 10, 0, 40, 1, b'/', 0, 0]),
            504,
            unexpected,
            10,
            40,
        ),
        (
            "tune-ok again",
            method(0, &[0, 10, 0, 31, 0, 9, 0, 2, 0, 0, 0, 0]),
            504,
            unexpected,
            10,
            31,
        ),
        (
            "close-ok",
            method(0, &[0, 10, 0, 51]),
            504,
            unexpected,
            10,
            51,
        ),
        (
            "connection.open on 1",
            method(1, &[0, 10, 0, 40, 1, b'/', 0, 0]),
            503,
            unimplemented,
            10,
            40,
        ),
        (
            "delete-ok",
            method(1, &[0, 50, 0, 41, 0, 0, 0, 0]),
            503,
            unimplemented,
            50,
            41,
        ),
        (
            "cancel-ok",
            method(1, &[0, 60, 0, 31, 0]),
            503,
            unimplemented,
            60,
            31,
        ),
        (
            "flow-ok",
            method(1, &[0, 20, 0, 21, 1]),
            503,
            unimplemented,
            20,
            21,
        ),
        (
            "channel.close-ok",
            method(1, &close_ok),
            503,
            unimplemented,
            20,
            41,
        ),
        (
            "channel.close-ok elsewhere",
            method(7, &close_ok),
            504,
            not_open,
            20,
            41,
        ),
    ])
    .await;
}

#[tokio::test]
async fn frames_that_do_not_belong_where_they_are() {
    let stray = |kind: u8, octets: &str| {
        format!("UNEXPECTED_FRAME - type {kind}, all octets = <<{octets}>>")
    };
    let odd = "FRAME_ERROR - type 8, all octets = <<1>>: unknown_frame";
    let short = "FRAME_ERROR - type 1, all octets = <<0,50>>: unknown_frame";
    assert_closings(&[
        ("content on 0", frame(3, 0, [1]), 505, &stray(3, "1"), 0, 0),
        ("heartbeat on 1", frame(8, 1, []), 505, &stray(8, ""), 0, 0),
        (
            "heartbeat with something in it",
            frame(8, 0, [1]),
            501,
            odd,
            0,
            0,
        ),
        (
            "half a method's number",
            method(1, &[0, 50]),
            501,
            short,
            0,
            0,
        ),
    ])
    .await;
}

#[tokio::test]
async fn arguments_that_are_too_short_or_too_long() {
    let cannot = |octets: &str| format!("FRAME_ERROR - cannot decode <<{octets}>>");
    assert_closings(&[
        ("none", method(1, &[0, 50, 0, 10]), 501, &cannot(""), 50, 10),
        (
            "a name cut short",
            method(1, &[0, 50, 0, 10, 0, 0, 9, b'q', 0, 0, 0, 0, 0]),
            501,
            &cannot("0,0,9,113,0,0,0,0,0"),
            50,
            10,
        ),
        (
            "publish",
            method(1, &[0, 60, 0, 40, 0, 0, 9]),
            501,
            &cannot("0,0,9"),
            60,
            40,
        ),
        (
            "ack",
            method(1, &[0, 60, 0, 80, 0, 0, 9]),
            501,
            &cannot("0,0,9"),
            60,
            80,
        ),
        (
            "too many",
            method(1, &[0, 90, 0, 10, 1, 2, 3]),
            501,
            &cannot("1,2,3"),
            90,
            10,
        ),
    ])
    .await;
}

#[tokio::test]
async fn unknown_methods_and_broken_tables_end_the_connection() {
    let stage = Stage::start().await;
    for (what, payload, code) in [
        ("unknown method", &[0, 50, 0, 99][..], 540),
        ("unknown class", &[0, 99, 0, 10], 540),
        (
            "half a table",
            &[0, 50, 0, 10, 0, 0, 1, b'q', 0, 0, 0, 0, 3, 1, b'k', b't'],
            501,
        ),
        (
            "an unknown type",
            &[0, 50, 0, 10, 0, 0, 1, b'q', 0, 0, 0, 0, 3, 1, b'k', b'?'],
            501,
        ),
    ] {
        let mut wire = stage.wire().await;
        wire.write(&method(1, payload)).await;
        // RabbitMQ ends it without a word.
        let said = stage.own().is_some().then_some(code);
        let end = wire.end().await;
        assert_eq!(end.map(|close| close.reply_code), said, "{what}");
    }
}

#[tokio::test]
async fn broken_frames() {
    let stage = Stage::start().await;
    for (what, bytes, code, end) in [
        (
            "end marker",
            &[8, 0, 0, 0, 0, 0, 0, 0][..],
            501,
            "{invalid_frame_end_marker,0}",
        ),
        ("kind", &[9, 0, 1, 0, 0, 0, 0, 0xCE], 501, ": unknown_frame"),
        (
            "size",
            &[1, 0, 1, 0x7F, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0],
            501,
            "{frame_too_large,2147483647,131064}",
        ),
        (
            "a little too large",
            &[1, 0, 1, 0, 2, 0, 1, 0, 0, 0, 0],
            501,
            "{frame_too_large,131073,131064}",
        ),
    ] {
        let (seen, text, class, method) = closed_for(&stage, bytes).await;
        assert_eq!((seen, class, method), (code, 0, 0), "{what}");
        assert!(
            text.starts_with("FRAME_ERROR - ") && text.ends_with(end),
            "{what}: {text}"
        );
    }
}

#[tokio::test]
async fn content_that_does_not_follow_its_method() {
    let publish = method(1, &[0, 60, 0, 40, 0, 0, 0, 1, b'q', 0]);
    let header = |class: u8| frame(2, 1, [0, class, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0]);
    let select = method(1, &[0, 90, 0, 10]);
    let no_header = "UNEXPECTED_FRAME - expected content header for class 60, got non content header frame instead";
    let other =
        "UNEXPECTED_FRAME - expected content header for class 60, got one for class 50 instead";
    let no_body = "UNEXPECTED_FRAME - expected content body, got non content body frame instead";
    let no_method = "UNEXPECTED_FRAME - expected method frame, got non method frame instead";
    assert_closings(&[
        (
            "no header",
            [publish.clone(), select.clone()].concat(),
            505,
            no_header,
            60,
            40,
        ),
        (
            "body first",
            [publish.clone(), frame(3, 1, [1])].concat(),
            505,
            no_header,
            60,
            40,
        ),
        (
            "header of another class",
            [publish.clone(), header(50)].concat(),
            505,
            other,
            60,
            40,
        ),
        (
            "no body",
            [publish.clone(), header(60), select].concat(),
            505,
            no_body,
            60,
            40,
        ),
        (
            "two headers",
            [publish, header(60), header(60)].concat(),
            505,
            no_body,
            60,
            40,
        ),
        ("only a header", header(60), 505, no_method, 0, 0),
        ("only a body", frame(3, 1, [1]), 505, no_method, 0, 0),
        (
            "a body on a channel never opened",
            frame(3, 5, [1]),
            505,
            no_method,
            0,
            0,
        ),
    ])
    .await;
}

#[tokio::test]
async fn one_connection_blocked_is_one_told() {
    let stage = Stage::start().await;
    // Only the embedded broker can be blocked from here.
    let Some(broker) = stage.own() else { return };
    let mut publisher = stage.wire().await;
    let mut consumer = stage.wire().await;
    let queue = stage.queue(&mut publisher, "q", &[]).await;
    publisher.publish(1, "", &queue, "m").await;
    publisher.until_ready(&queue, 1).await;
    broker.block_publishers("low on memory");
    publisher
        .expect(
            0,
            connection::Blocked {
                reason: "low on memory".into(),
            },
        )
        .await;
    assert_eq!(consumer.get(&queue).await.text(), "m");
    broker.unblock_publishers();
    publisher.expect(0, connection::Unblocked {}).await;
    consumer.qos(1, false).await;
}

#[tokio::test]
async fn names_that_are_no_text() {
    let stage = Stage::start().await;
    for (what, payload) in [
        (
            "a queue",
            &[0, 50, 0, 10, 0, 0, 2, 0xFF, 0xFE, 0, 0, 0, 0, 0][..],
        ),
        (
            "an exchange",
            &[0, 40, 0, 10, 0, 0, 2, 0xFF, 0xFE, 1, b'x', 0, 0, 0, 0, 0],
        ),
        (
            "a binding's key",
            &[
                0, 50, 0, 20, 0, 0, 1, b'q', 1, b'x', 2, 0xFF, 0xFE, 0, 0, 0, 0, 0,
            ],
        ),
        (
            "a tag",
            &[0, 60, 0, 20, 0, 0, 1, b'q', 2, 0xFF, 0xFE, 0, 0, 0, 0, 0],
        ),
    ] {
        assert_eq!(
            closed_for(&stage, &method(1, payload)).await.0,
            501,
            "{what}"
        );
    }
    if stage.own().is_some() {
        let publish = [0, 60, 0, 40, 0, 0, 0, 2, 0xFF, 0xFE, 0];
        assert_eq!(
            closed_for(&stage, &method(1, &publish)).await.0,
            501,
            "a message's key"
        );
    }
}
