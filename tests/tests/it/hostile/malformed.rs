//! Events and calls with headers of the wrong types and payloads that break off, or say that they are larger than they are.

use lightbus_tests::raw::{header, nested_tables};

use super::*;

stage!(events, "hostile_events", "hostile-events");
stage!(calls, "hostile_calls", "hostile-calls");

/// Values of every wrong type, for a header.
fn wrong_values() -> Vec<Vec<u8>> {
    let mut values: Vec<Vec<u8>> = [
        &b"V"[..],
        b"t\x01",
        b"b\x80",
        b"s\x80\0",
        b"I\x80\0\0\0",
        b"l\x80\0\0\0\0\0\0\0",
        b"l\x7f\xff\xff\xff\xff\xff\xff\xff",
        b"f\x7f\x7f\xff\xff",
        b"d\xff\xef\xff\xff\xff\xff\xff\xff",
        b"D\xff\x7f\xff\xff\xff",
        b"T\xff\xff\xff\xff\xff\xff\xff\xff",
        b"S\0\0\0\x02\xff\xfe",
        b"x\0\0\0\x01\0",
        b"A\0\0\0\0",
        b"F\0\0\0\0",
    ]
    .map(<[u8]>::to_vec)
    .to_vec();
    values.push([b"F\0\0\0\xb4".to_vec(), nested_tables(30)].concat());
    values
}

fn with_header(name: &str, value: &[u8]) -> Vec<u8> {
    let length = u8::try_from(name.len()).unwrap();
    [&[length], name.as_bytes(), value].concat()
}

fn broken_payloads() -> Vec<Vec<u8>> {
    let deep = |n: usize| [b"\x81\xa1n".to_vec(), vec![0x91; n], vec![0xc0]].concat();
    vec![
        b"".to_vec(),
        b"\xc1".to_vec(),
        b"\x81\xa1n".to_vec(),
        b"\x81\xa1n\x01\x01".to_vec(),
        b"\x81\xa1n\xa1x".to_vec(),
        b"\x81\xa1n\xff".to_vec(),
        b"\x81\xa1n\xc0".to_vec(),
        b"\x80".to_vec(),
        b"\x91\x01\x02".to_vec(),
        b"\xdf\xff\xff\xff\xff".to_vec(),
        b"\x81\xa1n\xdb\xff\xff\xff\xff".to_vec(),
        b"\x81\xa1n\xc6\xff\xff\xff\xff\0".to_vec(),
        b"\x81\xa1n\xdd\xff\xff\xff\xff\x01".to_vec(),
        b"\x81\xa1n\xc9\xff\xff\xff\xff\x01\0".to_vec(),
        deep(100),
        deep(500_000),
        vec![0x81; 1 << 20],
        vec![0; 3 << 20],
    ]
}

#[tokio::test]
async fn hostile_events_go_to_the_dead_letters() -> anyhow::Result<()> {
    use events::{EVENT, EVENTS};
    let mut stage = events::Stage::set().await?;
    let mut raw = stage.broker.raw().await?;
    stage.witness().await?;
    let json = || event().text(Text::ContentType, b"application/json");
    let mut dead: Vec<(RawProperties, Vec<u8>)> = broken_payloads()
        .into_iter()
        .map(|payload| (event(), payload))
        .collect();
    for text in [
        "",
        "{",
        "[]",
        "null",
        "{\"n\": 1e999}",
        "{\"n\": \"\\ud800\"}",
        "{\"n\": -1}",
    ] {
        dead.push((json(), text.as_bytes().to_vec()));
    }
    dead.push((json(), vec![b'['; 100_000]));
    for content_type in [
        "text/xml",
        "application/msgpack; v=2",
        "unreadable: by me",
        "\0",
    ] {
        let properties = event().text(Text::ContentType, content_type.as_bytes());
        dead.push((properties, N1.to_vec()));
    }
    for kind in ["", "lb1.req", "lb1.rep", "lb2.ev", "\0"] {
        let properties = RawProperties::default().text(Text::Type, kind.as_bytes());
        dead.push((properties, N1.to_vec()));
    }
    dead.push((RawProperties::default(), N1.to_vec()));
    dead.push((
        event().headers(&header(b"lb-name", b"another")),
        N1.to_vec(),
    ));
    let count = u32::try_from(dead.len())?;
    for (properties, payload) in dead {
        raw.publish(EVENTS, EVENT.as_bytes(), &properties, &payload)
            .await?;
    }
    assert!(stage.witness().await?.is_empty());
    stage.until_dead(count).await?;

    // Strange, and no reason not to handle them.
    let mut strange = vec![
        event().text(Text::MessageId, b"no uuid"),
        event().text(Text::CorrelationId, &[b'x'; 255]),
        event().text(Text::ReplyTo, b"amq.topic/x"),
        event().headers(b""),
        event().headers(&nested_tables(31)),
        event().headers(&b"\x01kV".repeat(5000)),
    ];
    for name in [
        "lb-deadline",
        "lb-attempt",
        "lb-status",
        "lb-err-msg",
        "lb-meta",
        "x-death",
        "lb-orig-x",
        "lb-orig-key",
        "lb-orig-user",
        "lb-first-fail-ts",
        "lb-err-chain",
        "lb-dead-reason",
        "lb-dead-ts",
        "lb-replayed",
        "lb-x",
    ] {
        for value in wrong_values() {
            strange.push(event().headers(&with_header(name, &value)));
        }
    }
    let handled = strange.len();
    for properties in strange {
        raw.publish(EVENTS, EVENT.as_bytes(), &properties, N1)
            .await?;
    }
    let mut heard = 0;
    while heard < handled {
        heard += stage.witness().await?.len();
    }
    assert_eq!(heard, handled);
    stage.until_dead(count).await?;
    assert_eq!(stage.provider.counts().messages_unreadable, 0);
    Ok(())
}

#[tokio::test]
async fn hostile_calls_are_refused() -> anyhow::Result<()> {
    use calls::CALLS;
    let mut stage = calls::Stage::set().await?;
    let mut raw = stage.broker.raw().await?;
    stage.witness().await?;
    let answers = stage
        .foreign
        .reply_address("hostile-calls", INSTANCE)
        .await?;
    let mut refused = 0;
    let call = || request("hostile-calls");
    let mut expected: Vec<(RawProperties, Vec<u8>, Option<&str>)> = Vec::new();
    for payload in broken_payloads() {
        let status = if payload.len() > 1 << 20 {
            "size"
        } else {
            "undecodable"
        };
        expected.push((call(), payload, Some(status)));
    }
    for content_type in ["text/xml", "unreadable: by me"] {
        let properties = call().text(Text::ContentType, content_type.as_bytes());
        expected.push((properties, TEXT_X.to_vec(), Some("undecodable")));
    }
    for name in ["lb-name", "lb-attempt", "lb-status", "lb-meta", "x-death"] {
        for value in wrong_values() {
            let properties = call().headers(&with_header(name, &value));
            expected.push((properties, TEXT_X.to_vec(), None));
        }
    }
    for value in wrong_values() {
        // Numbers in the past are past; what is no number says nothing.
        let past = matches!(value[0], b'b' | b's' | b'I') || value.starts_with(b"l\x80");
        let properties = call().headers(&with_header("lb-deadline", &value));
        expected.push((properties, TEXT_X.to_vec(), past.then_some("expired")));
    }
    for id in [
        "no uuid",
        "00000000-0000-1000-8000-000000000000",
        "ffffffff-ffff-7fff-bfff-ffffffffffff",
    ] {
        let properties = call().text(Text::CorrelationId, id.as_bytes());
        expected.push((properties, TEXT_X.to_vec(), None));
    }
    for (n, (properties, payload, status)) in expected.into_iter().enumerate() {
        raw.publish(CALLS, b"shout", &properties, &payload).await?;
        let answer = next(&stage.foreign, &answers).await?;
        let answered = text_header(&answer.properties, "lb-status");
        assert_eq!(answered.as_deref(), status, "{n}: {properties:?}");
        refused += u64::from(status.is_some());
    }
    for address in [
        "",
        "/",
        "a/",
        "x",
        "amq.topic/x",
        "Shop/00112233445566778899aabbccddeeff",
        "../00112233445566778899aabbccddeeff",
    ] {
        let properties = call().text(Text::ReplyTo, address.as_bytes());
        raw.publish(CALLS, b"shout", &properties, TEXT_X).await?;
        refused += 1;
    }
    for nonsense in ["soon", "-1", "1e3", ""] {
        // The broker itself refuses these.
        let properties = call().text(Text::Expiration, nonsense.as_bytes());
        let mut other = stage.broker.raw().await?;
        let published = other.publish(CALLS, b"shout", &properties, TEXT_X).await;
        assert!(published.is_err(), "{nonsense:?}");
    }
    eventually("all bad calls are counted", async || {
        stage.provider.counts().calls_refused == refused
    })
    .await?;
    stage.witness().await?;
    Ok(())
}
