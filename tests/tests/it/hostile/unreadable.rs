//! What a library, or this one, cannot read: tables nested too deep, bytes that are no text, answers of another shape.

use lightbus::CallError;
use lightbus_tests::raw::{header, nested_tables};

use super::*;

stage!(deep, "hostile_deep", "hostile-deep");
stage!(text, "hostile_text", "hostile-text");

/// How deep tables can be nested in a message that the broker takes. RabbitMQ takes as many as fit in a frame of 128 KiB.
fn deepest(broker: &TestBroker) -> usize {
    match broker.embedded() {
        Some(_) => 60,
        None => 20_000,
    }
}

#[tokio::test]
async fn headers_nested_too_deep_harm_nobody() -> anyhow::Result<()> {
    use deep::{CALLS, EVENT, EVENTS};
    let mut stage = deep::Stage::set().await?;
    let mut raw = stage.broker.raw().await?;
    let tables = nested_tables(deepest(&stage.broker));
    stage.witness().await?;

    let hostile = event().headers(&tables);
    raw.publish(EVENTS, EVENT.as_bytes(), &hostile, N1).await?;
    assert!(stage.witness().await?.is_empty());
    stage.until_dead(1).await?;
    assert_eq!(stage.provider.counts().messages_unreadable, 1);
    let kept = raw.take(&stage.dead).await?;
    let kept = kept.windows(tables.len()).any(|part| part == tables);
    assert!(kept, "the dead letter is what was sent");

    let answers = stage
        .foreign
        .reply_address("hostile-deep", INSTANCE)
        .await?;
    let hostile = request("hostile-deep").headers(&tables);
    raw.publish(CALLS, b"shout", &hostile, TEXT_X).await?;
    let answer = next(&stage.foreign, &answers).await?.properties;
    assert_eq!(
        text_header(&answer, "lb-status").as_deref(),
        Some("undecodable")
    );
    let why = text_header(&answer, "lb-err-msg").unwrap_or_default();
    assert!(why.contains("nested deeper than 32"), "{why}");
    assert_eq!(stage.provider.counts().calls_refused, 1);
    assert_eq!(stage.provider.counts().messages_unreadable, 2);

    let (to, instance) = (
        format!("lb.reply.{}", stage.peer.app()),
        stage.peer.instance().to_owned(),
    );
    let hostile = reply(b"01a1fd88-d5d9-749a-96dd-18d6e3aec036").headers(&tables);
    raw.publish(&to, instance.as_bytes(), &hostile, b"\xc0")
        .await?;
    eventually("the reply is ignored", async || {
        stage.peer.counts().replies_ignored == 1
    })
    .await?;
    assert_eq!(stage.peer.counts().messages_unreadable, 1);
    assert!(stage.witness().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_fails_its_call_alone() -> anyhow::Result<()> {
    #[lightbus::api(name = "hostile_provider")]
    trait Api {
        async fn ask(&self) -> u8;
    }
    let broker = TestBroker::start().await?;
    let (bus, foreign) = (
        broker.bus("hostile-provider-peer").await?,
        broker.foreign().await?,
    );
    let queue = bind_as_provider(&foreign, "lb.rpc.hostile_provider", "ask").await?;
    let mut raw = broker.raw().await?;
    let to = format!("lb.reply.{}", bus.app());
    let one = || b"\x01".to_vec();
    let none = RawProperties::default;
    let deep = none().headers(&nested_tables(deepest(&broker)));
    let mut unreadable = vec![(deep, one(), "nested")];
    if broker.embedded().is_none() {
        unreadable.push((none().text(Text::MessageId, b"\xff"), one(), "UTF-8"));
        unreadable.push((none().headers(b"\x01\xffV"), one(), "UTF-8"));
    }
    let count = u64::try_from(unreadable.len())?;
    let status = header(b"lb-status", b"splendid");
    let xml = none().text(Text::ContentType, b"text/xml");
    unreadable.push((none().headers(&status), one(), "splendid"));
    unreadable.push((xml, one(), "text/xml"));
    unreadable.push((none(), vec![0; 2 << 20], "the limit of 1048576 bytes"));
    unreadable.push((none(), b"\xc1".to_vec(), "reserved"));
    let client = ApiClient::new(&bus);
    let mut ask = async |properties: RawProperties, payload: &[u8]| {
        let answering = async {
            let request = next(&foreign, &queue).await?;
            let id = request.properties.correlation_id().clone();
            let id = id.map(|id| id.to_string()).unwrap_or_default();
            let properties = properties.text(Text::CorrelationId, id.as_bytes());
            let instance = bus.instance().as_bytes();
            raw.publish(&to, instance, &properties, payload).await
        };
        let (asked, answered) = tokio::join!(async { client.ask().await }, answering);
        answered.map(|()| asked)
    };
    for (properties, payload, why) in unreadable {
        match ask(properties, &payload).await? {
            Err(CallError::BadReply(failure)) => {
                assert!(failure.detail.contains(why), "{}", failure.detail);
            }
            other => panic!("{why}: {other:?}"),
        }
    }
    assert_eq!(ask(none(), b"\x07").await?, Ok(7));
    assert_eq!(bus.counts().messages_unreadable, count);
    Ok(())
}

/// A queue that gets the calls of one method, as if by a provider.
async fn bind_as_provider(
    foreign: &Foreign,
    exchange: &str,
    method: &str,
) -> anyhow::Result<String> {
    let (channel, queue) = (foreign.channel().await?, format!("{exchange}.foreign"));
    let none = lapin::types::FieldTable::default;
    let durable = lapin::options::ExchangeDeclareOptions {
        durable: true,
        ..Default::default()
    };
    let kind = lapin::ExchangeKind::Direct;
    channel
        .exchange_declare(exchange.into(), kind, durable, none())
        .await?;
    foreign.declare_plain_queue(&queue).await?;
    let name = || queue.as_str().into();
    channel.queue_purge(name(), Default::default()).await?;
    channel
        .queue_bind(
            name(),
            exchange.into(),
            method.into(),
            Default::default(),
            none(),
        )
        .await?;
    Ok(queue)
}

#[tokio::test]
async fn what_is_no_text_breaks_no_connection() -> anyhow::Result<()> {
    use text::{CALLS, EVENT, EVENTS};
    let mut stage = text::Stage::set().await?;
    if stage.broker.embedded().is_some() {
        // It refuses to carry such a message.
        return Ok(());
    }
    let mut raw = stage.broker.raw().await?;
    stage.witness().await?;
    let spoilt_key = [EVENT.as_bytes(), b".\xff\xfe"].concat();
    let bad = [
        (EVENT.as_bytes(), event().text(Text::MessageId, b"\xff")),
        (EVENT.as_bytes(), event().text(Text::ReplyTo, b"\xc3")),
        (EVENT.as_bytes(), event().headers(b"\x02\xc3\x28V")),
        (&spoilt_key, event()),
        (&spoilt_key, event().text(Text::MessageId, b"\xff")),
    ];
    let count = u32::try_from(bad.len())?;
    for (key, properties) in bad {
        raw.publish(EVENTS, key, &properties, N1).await?;
        assert!(stage.witness().await?.is_empty());
    }
    stage.until_dead(count).await?;
    assert_eq!(
        stage.provider.counts().messages_unreadable,
        u64::from(count)
    );

    let answers = stage
        .foreign
        .reply_address("hostile-text", INSTANCE)
        .await?;
    let hostile = request("hostile-text").text(Text::MessageId, b"\xff");
    raw.publish(CALLS, b"shout", &hostile, TEXT_X).await?;
    let answer = next(&stage.foreign, &answers).await?.properties;
    let status = text_header(&answer, "lb-status");
    assert_eq!(status.as_deref(), Some("undecodable"));
    // Neither the id nor the address can be read: there is nobody to answer.
    for property in [Text::CorrelationId, Text::ReplyTo, Text::Type] {
        let hostile = request("hostile-text").text(property, b"\xff\xff");
        raw.publish(CALLS, b"shout", &hostile, TEXT_X).await?;
    }
    eventually("the calls are refused", async || {
        stage.provider.counts().calls_refused == 4
    })
    .await?;
    let to = format!("lb.reply.{}", stage.peer.app());
    let instance = stage.peer.instance().to_owned();
    raw.publish(&to, instance.as_bytes(), &reply(b"\xff"), b"\xc0")
        .await?;
    eventually("the reply is ignored", async || {
        stage.peer.counts().replies_ignored == 1
    })
    .await?;
    assert!(stage.witness().await?.is_empty());
    Ok(())
}
