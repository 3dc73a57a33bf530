//! Which messages each type of exchange passes on.

use crate::prelude::*;

/// Publishes each key in turn; says which of them reached the queue.
async fn routed(wire: &mut Wire, exchange: &str, queue: &str, keys: &[&str]) -> Vec<String> {
    for key in keys {
        let publish = basic::Publish {
            exchange: exchange.into(),
            routing_key: (*key).into(),
            ..Default::default()
        };
        wire.send(1, publish).await;
        wire.send_content(1, AMQPProperties::default(), key.as_bytes())
            .await;
    }
    wire.publish(1, "", queue, "end").await;
    let mut seen = Vec::new();
    loop {
        let get = basic::Get {
            queue: queue.into(),
            no_ack: true,
        };
        wire.send(1, get).await;
        let event = wire.event(1).await;
        if event == Event::Method(basic::GetEmpty {}.class()) {
            tokio::task::yield_now().await;
            continue;
        }
        let (Event::Header(size, _), true) = (wire.event(1).await, true) else {
            panic!("no header")
        };
        let body = match size {
            0 => Vec::new(),
            _ => match wire.event(1).await {
                Event::Body(body) => body,
                other => panic!("{other:?}"),
            },
        };
        match String::from_utf8(body).unwrap() {
            end if end == "end" => return seen,
            key => seen.push(key),
        }
    }
}

#[tokio::test]
async fn direct_wants_the_very_key() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let exchange = stage.exchange(&mut wire, "x", "direct").await;
    let queue = stage.queue(&mut wire, "q", &[]).await;
    for key in ["a", "", "a.*"] {
        wire.bind(&exchange, key, &queue).await;
    }
    let seen = routed(
        &mut wire,
        &exchange,
        &queue,
        &["a", "b", "", "a.b", "a.*", "A"],
    )
    .await;
    assert_eq!(seen, ["a", "", "a.*"]);
}

#[tokio::test]
async fn fanout_takes_everything_once() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let exchange = stage.exchange(&mut wire, "x", "fanout").await;
    let queue = stage.queue(&mut wire, "q", &[]).await;
    for key in ["a", "b"] {
        wire.bind(&exchange, key, &queue).await;
    }
    assert_eq!(
        routed(&mut wire, &exchange, &queue, &["a", "z"]).await,
        ["a", "z"]
    );
}

#[tokio::test]
async fn topic_patterns() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let keys = [
        "", "a", "a.b", "a.b.c", "b", ".", "a.", ".a", "a..c", "x.a.b",
    ];
    for (pattern, expected) in [
        ("#", &keys[..]),
        ("*", &["", "a", "b"]),
        ("a.*", &["a.b", "a."]),
        ("a.#", &["a", "a.b", "a.b.c", "a.", "a..c"]),
        ("#.b", &["a.b", "b", "x.a.b"]),
        ("*.*", &["a.b", ".", "a.", ".a"]),
        ("a.*.c", &["a.b.c", "a..c"]),
        ("#.a.#", &["a", "a.b", "a.b.c", "a.", ".a", "a..c", "x.a.b"]),
        ("*.#.c", &["a.b.c", "a..c"]),
        ("", &[""]),
        ("a*", &[]),
    ] {
        let exchange = stage.exchange(&mut wire, "x", "topic").await;
        let queue = stage.queue(&mut wire, "q", &[]).await;
        wire.bind(&exchange, pattern, &queue).await;
        let seen = routed(&mut wire, &exchange, &queue, &keys).await;
        if pattern == "*" || pattern.is_empty() {
            // Whether the empty key is one empty word or none is nothing to rely on.
            let seen: Vec<_> = seen.iter().filter(|key| !key.is_empty()).collect();
            let expected: Vec<_> = expected.iter().filter(|key| !key.is_empty()).collect();
            assert_eq!(seen, expected, "{pattern}");
        } else {
            assert_eq!(seen, expected, "{pattern}");
        }
    }
}

#[tokio::test]
async fn the_default_exchange_knows_every_queue() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let queue = stage.queue(&mut wire, "q", &[]).await;
    wire.publish(1, "", &queue, "m").await;
    wire.until_ready(&queue, 1).await;
    let message = wire.get(&queue).await;
    assert_eq!(message.get_ok().exchange.as_str(), "");
    assert_eq!(message.get_ok().routing_key.as_str(), queue);
}

/// Whether a message with these headers passes a binding with those arguments.
async fn matches(
    stage: &Stage,
    wire: &mut Wire,
    binding: &[(&str, AMQPValue)],
    headers: &[(&str, AMQPValue)],
) -> bool {
    let exchange = stage.exchange(wire, "x", "headers").await;
    let queue = stage.queue(wire, "q", &[]).await;
    wire.bind_with(&exchange, "", &queue, binding).await;
    let properties = AMQPProperties::default().with_headers(table(headers));
    wire.call(1, confirm::Select::default(), confirm::SelectOk {})
        .await;
    wire.publish_with(1, &exchange, "", "m", properties).await;
    match wire.method(1).await {
        AMQPClass::Basic(basic::AMQPMethod::Return(_)) => {
            // Its header, its body, its confirmation.
            for _ in 0..3 {
                wire.event(1).await;
            }
            false
        }
        AMQPClass::Basic(basic::AMQPMethod::Ack(_)) => true,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn headers_all_and_any() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let (a, b) = (("a", int(1)), ("b", text("t")));
    let all = |rest: &[(&'static str, AMQPValue)]| [&[("x-match", text("all"))], rest].concat();
    let any = |rest: &[(&'static str, AMQPValue)]| [&[("x-match", text("any"))], rest].concat();
    for (binding, headers, expected) in [
        (
            all(&[a.clone(), b.clone()]),
            vec![a.clone(), b.clone()],
            true,
        ),
        (all(&[a.clone(), b.clone()]), vec![a.clone()], false),
        (all(&[]), vec![a.clone()], true),
        (any(&[a.clone(), b.clone()]), vec![b.clone()], true),
        (any(std::slice::from_ref(&a)), vec![b.clone()], false),
        (any(&[]), vec![b.clone()], false),
        (vec![a.clone()], vec![a.clone(), b.clone()], true),
        (
            all(&[("a", AMQPValue::Void)]),
            vec![("a", text("whatever"))],
            true,
        ),
        (all(&[("a", AMQPValue::Void)]), vec![b.clone()], false),
        (all(&[("a", text("1"))]), vec![a.clone()], false),
        (
            all(&[("a", AMQPValue::LongLongInt(1))]),
            vec![a.clone()],
            true,
        ),
        (all(&[("x-secret", int(1))]), vec![a.clone()], true),
        (
            vec![("x-match", text("all-with-x")), ("x-secret", int(1))],
            vec![a.clone()],
            false,
        ),
        (
            vec![("x-match", text("any-with-x")), ("x-secret", int(1))],
            vec![("x-secret", int(1))],
            true,
        ),
    ] {
        let found = matches(&stage, &mut wire, &binding, &headers).await;
        assert_eq!(found, expected, "{binding:?} {headers:?}");
    }
}

#[tokio::test]
async fn headers_match_by_value_whatever_their_type() {
    let stage = Stage::start().await;
    if !stage.is_4() {
        return;
    }
    let mut wire = stage.wire().await;
    let binary = AMQPValue::ByteArray(b"t".as_slice().into());
    for (wanted, found, expected) in [
        (AMQPValue::Timestamp(1), int(1), true),
        // A message's time counts in milliseconds.
        (AMQPValue::Timestamp(1), AMQPValue::Timestamp(1), false),
        (int(1000), AMQPValue::Timestamp(1), true),
        (AMQPValue::Timestamp(1), int(2), false),
        (text("t"), binary.clone(), true),
        (binary.clone(), text("t"), true),
        (binary, text("u"), false),
        (AMQPValue::Float(0.5), AMQPValue::Double(0.5), true),
        (AMQPValue::Double(1.0), int(1), false),
    ] {
        let (binding, headers) = ([("h", wanted)], [("h", found)]);
        let matched = matches(&stage, &mut wire, &binding, &headers).await;
        assert_eq!(matched, expected, "{binding:?} {headers:?}");
    }
}

#[tokio::test]
async fn an_unknown_way_of_matching_is_refused() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let exchange = stage.exchange(&mut wire, "x", "headers").await;
    let queue = stage.queue(&mut wire, "q", &[]).await;
    let bind = |value| queue::Bind {
        queue: queue.as_str().into(),
        exchange: exchange.as_str().into(),
        arguments: table(&[("x-match", value)]),
        ..Default::default()
    };
    let wrong = "PRECONDITION_FAILED - Invalid x-match field value <<\"some\">>; expected all, any, all-with-x, or any-with-x";
    wire.refused(1, bind(text("some")), 406, wrong).await;
    let wrong =
        "PRECONDITION_FAILED - Invalid x-match field type signedint (value 1); expected longstr";
    wire.refused(1, bind(int(1)), 406, wrong).await;
}
