//! From the protocol header to an open connection.

use crate::prelude::*;

const FAILURES: &[&str] = &["authentication_failure_close"];

#[tokio::test]
async fn another_protocol_is_answered_with_ours() {
    let stage = Stage::start().await;
    for header in [
        &b"GET / HT"[..],
        b"AMQP\x00\x00\x08\x00",
        b"AMQP\x09\x09\x09\x09",
    ] {
        let mut wire = Wire::connect(&stage.address()).await;
        wire.write(header).await;
        // RabbitMQ 4 speaks AMQP 1.0 as well.
        let best: &[u8] = match stage.own().is_none() && stage.is_4() {
            true => b"AMQP\x03\x01\x00\x00",
            false => b"AMQP\x00\x00\x09\x01",
        };
        assert_eq!(wire.rest().await, best, "{header:?}");
    }
}

#[tokio::test]
async fn version_0_9_is_taken_for_0_9_1() {
    let stage = Stage::start().await;
    let mut wire = Wire::connect(&stage.address()).await;
    wire.write(b"AMQP\x01\x01\x00\x09").await;
    let AMQPClass::Connection(connection::AMQPMethod::Start(start)) = wire.method(0).await else {
        panic!("no connection.start")
    };
    assert_eq!((start.version_major, start.version_minor), (0, 9));
}

#[tokio::test]
async fn the_server_introduces_itself() {
    let stage = Stage::start().await;
    let mut wire = Wire::connect(&stage.address()).await;
    let start = wire.greet().await;
    assert_eq!((start.version_major, start.version_minor), (0, 9));
    assert_eq!(start.locales.to_string(), "en_US");
    let mechanisms = start.mechanisms.to_string();
    let mut mechanisms: Vec<_> = mechanisms.split(' ').collect();
    mechanisms.retain(|mechanism| *mechanism != "ANONYMOUS");
    mechanisms.sort_unstable();
    assert_eq!(mechanisms, ["AMQPLAIN", "PLAIN"]);
    let properties = start.server_properties.inner();
    for name in [
        "cluster_name",
        "copyright",
        "information",
        "platform",
        "product",
        "version",
    ] {
        let value = properties.get(name);
        assert!(
            matches!(value, Some(AMQPValue::LongString(_))),
            "{name}: {value:?}"
        );
    }
    assert_eq!(properties.len(), 7);
    let Some(AMQPValue::FieldTable(capabilities)) = properties.get("capabilities") else {
        panic!("no capabilities")
    };
    let mut expected = FieldTable::default();
    for name in [
        "publisher_confirms",
        "exchange_exchange_bindings",
        "basic.nack",
        "consumer_cancel_notify",
        "connection.blocked",
        "consumer_priorities",
        "authentication_failure_close",
        "per_consumer_qos",
        "direct_reply_to",
    ] {
        expected.insert(name.into(), AMQPValue::Boolean(true));
    }
    assert_eq!(*capabilities, expected);
}

#[tokio::test]
async fn the_proposed_limits() {
    let stage = Stage::start().await;
    let mut wire = Wire::connect(&stage.address()).await;
    let (user, password) = stage.credentials();
    let tune = wire.log_in(&user, &password).await;
    assert_eq!(
        (tune.channel_max, tune.frame_max, tune.heartbeat),
        (2047, 131_072, 60)
    );
}

#[tokio::test]
async fn plain_and_amqplain_log_in() {
    let stage = Stage::start().await;
    let (user, password) = stage.credentials();
    let plain = format!("\0{user}\0{password}").into_bytes();
    let mut amqplain = Vec::new();
    for (name, value) in [("LOGIN", &user), ("PASSWORD", &password)] {
        amqplain.push(name.len() as u8);
        amqplain.extend_from_slice(name.as_bytes());
        amqplain.push(b'S');
        amqplain.extend_from_slice(&(value.len() as u32).to_be_bytes());
        amqplain.extend_from_slice(value.as_bytes());
    }
    for (mechanism, response) in [("PLAIN", plain), ("AMQPLAIN", amqplain)] {
        let mut wire = Wire::connect(&stage.address()).await;
        wire.greet().await;
        wire.introduce(mechanism, &response, FAILURES).await;
        let tune = wire.method(0).await;
        assert!(
            matches!(tune, AMQPClass::Connection(connection::AMQPMethod::Tune(_))),
            "{mechanism}: {tune:?}"
        );
    }
}

#[tokio::test]
async fn a_wrong_password_is_told_to_those_who_want_to_know() {
    let stage = Stage::start().await;
    let (user, _) = stage.credentials();
    let wrong = format!("\0{user}\0wrong");
    let mut wire = Wire::connect(&stage.address()).await;
    wire.greet().await;
    wire.introduce("PLAIN", wrong.as_bytes(), FAILURES).await;
    wire.expect(0, refusal("PLAIN")).await;
    assert_eq!(wire.rest().await, b"");

    let mut wire = Wire::connect(&stage.address()).await;
    wire.greet().await;
    wire.introduce("PLAIN", wrong.as_bytes(), &[]).await;
    assert_eq!(wire.rest().await, b"", "others are cut off");
}

#[tokio::test]
async fn an_unknown_user_and_half_a_response() {
    let stage = Stage::start().await;
    for response in [&b"\0nobody\0nothing"[..], b"\0guest\0", b"\0\0"] {
        let mut wire = Wire::connect(&stage.address()).await;
        wire.greet().await;
        wire.introduce("PLAIN", response, FAILURES).await;
        wire.expect(0, refusal("PLAIN")).await;
    }
}

fn refusal(mechanism: &str) -> connection::Close {
    connection::Close {
        reply_code: 403,
        reply_text: format!(
            "ACCESS_REFUSED - Login was refused using authentication mechanism {mechanism}. For details see the broker logfile."
        )
        .into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn mechanisms_it_does_not_have_are_cut_off() {
    let stage = Stage::start().await;
    for (mechanism, response) in [
        ("EXTERNAL", &b""[..]),
        ("NONSENSE", b"x"),
        ("plain", b"\0guest\0guest"),
    ] {
        let mut wire = Wire::connect(&stage.address()).await;
        wire.greet().await;
        wire.introduce(mechanism, response, FAILURES).await;
        assert_eq!(wire.rest().await, b"", "{mechanism}");
    }
}

/// A connection about to agree to limits.
async fn tuning(stage: &Stage) -> Wire {
    let mut wire = Wire::connect(&stage.address()).await;
    let (user, password) = stage.credentials();
    wire.log_in(&user, &password).await;
    wire
}

#[tokio::test]
async fn limits_outside_what_was_proposed_are_cut_off() {
    let stage = Stage::start().await;
    for (channel_max, frame_max) in [
        (2047, 4095),
        (2047, 131_073),
        (2047, 0),
        (2048, 131_072),
        (0, 131_072),
    ] {
        let mut wire = tuning(&stage).await;
        let tune_ok = connection::TuneOk {
            channel_max,
            frame_max,
            heartbeat: 0,
        };
        wire.send(0, tune_ok).await;
        assert_eq!(wire.rest().await, b"", "{channel_max} {frame_max}");
    }
}

#[tokio::test]
async fn smaller_limits_are_kept() {
    let stage = Stage::start().await;
    let mut wire = tuning(&stage).await;
    let tune_ok = connection::TuneOk {
        channel_max: 2,
        frame_max: 4096,
        heartbeat: 0,
    };
    wire.send(0, tune_ok).await;
    wire.call(
        0,
        connection::Open {
            virtual_host: "/".into(),
        },
        connection::OpenOk {},
    )
    .await;
    wire.open_channel(1).await;
    wire.open_channel(2).await;
    let queue = stage.queue(&mut wire, "q", &[]).await;
    // Two frames of 4088 bytes and one of 1824.
    let body = "x".repeat(10_000);
    let publish = basic::Publish {
        routing_key: queue.as_str().into(),
        ..Default::default()
    };
    wire.send(1, publish).await;
    let header = [&[0, 60, 0, 0][..], &10_000_u64.to_be_bytes(), &[0, 0]].concat();
    wire.write(&crate::support::frame(2, 1, header)).await;
    for part in body.as_bytes().chunks(4088) {
        wire.write(&crate::support::frame(3, 1, part.iter().copied()))
            .await;
    }
    wire.until_ready(&queue, 1).await;
    wire.send(
        1,
        basic::Get {
            queue: queue.as_str().into(),
            no_ack: true,
        },
    )
    .await;
    let AMQPClass::Basic(basic::AMQPMethod::GetOk(_)) = wire.method(1).await else {
        panic!("nothing fetched")
    };
    let Event::Header(10_000, _) = wire.event(1).await else {
        panic!("no header")
    };
    for size in [4088, 4088, 1824] {
        let Event::Body(part) = wire.event(1).await else {
            panic!("no body")
        };
        assert_eq!(part.len(), size);
    }
    let text =
        "NOT_ALLOWED - number of channels opened (2) has reached the negotiated channel_max (2)";
    wire.send(3, channel::Open {}).await;
    wire.ends(530, text, (0, 0)).await;
}

#[tokio::test]
async fn an_unknown_virtual_host_is_refused() {
    let stage = Stage::start().await;
    let mut wire = tuning(&stage).await;
    let tune = connection::Tune {
        channel_max: 2047,
        frame_max: 131_072,
        heartbeat: 0,
    };
    let host = stage.name("nowhere");
    wire.enter(&tune, &host).await;
    let close = connection::Close {
        reply_code: 530,
        reply_text: format!("NOT_ALLOWED - vhost {host} not found").into(),
        class_id: 10,
        method_id: 40,
    };
    wire.expect(0, close).await;
    wire.send(0, connection::CloseOk {}).await;
    wire.rest().await;
}

#[tokio::test]
async fn a_method_before_its_time_ends_the_connection() {
    let stage = Stage::start().await;
    let mut wire = Wire::connect(&stage.address()).await;
    wire.greet().await;
    wire.send(
        0,
        connection::Open {
            virtual_host: "/".into(),
        },
    )
    .await;
    assert_eq!(wire.rest().await, b"");
}
