//! Peers that mean harm. Whatever they send is refused, ignored or goes to the dead letters, and is counted; each test has a witness, a
//! call and an event that go on working.

use std::time::Duration;

use lapin::BasicProperties;
use lapin::types::AMQPValue;
use lightbus::{Bus, CallError};
use lightbus_tests::raw::{RawProperties, Text, header, nested_tables};
use lightbus_tests::{Foreign, TestBroker, eventually, queue_of};
use tokio::sync::mpsc;

const INSTANCE: &str = "00112233445566778899aabbccddeeff";

/// How deep tables can be nested in a message that the broker takes. RabbitMQ takes as many as fit in a frame of 128 KiB.
fn deepest(broker: &TestBroker) -> usize {
    match broker.embedded() {
        Some(_) => 60,
        None => 20_000,
    }
}

/// An API, a provider of it that also listens, and a peer.
macro_rules! stage {
    ($module:ident, $api:literal, $app:literal) => {
        #[allow(dead_code)]
        mod $module {
            use super::*;

            #[lightbus::api(name = $api)]
            pub(super) trait Api {
                async fn shout(&self, text: String) -> String;
                #[event]
                fn happened(n: u32);
            }

            struct Provider;

            impl Api for Provider {
                async fn shout(&self, text: String) -> String {
                    text.to_uppercase()
                }
            }

            pub(super) struct Stage {
                pub(super) broker: TestBroker,
                pub(super) provider: Bus,
                pub(super) peer: Bus,
                pub(super) foreign: Foreign,
                pub(super) dead: String,
                heard: mpsc::UnboundedReceiver<u32>,
                witnessed: u32,
            }

            impl Stage {
                pub(super) async fn set() -> anyhow::Result<Self> {
                    let broker = TestBroker::start().await?;
                    let (shop, peer) = (concat!($app, "-shop"), concat!($app, "-peer"));
                    let provider = broker.bus(shop).await?;
                    provider.serve(ApiServer::new(Provider)).await?;
                    let (sender, heard) = mpsc::unbounded_channel();
                    let handler = move |event: Happened| {
                        let _ = sender.send(event.n);
                        std::future::ready(())
                    };
                    let happened = ApiClient::new(&provider).happened();
                    happened.listen("all", handler).await?;
                    let stage = Self {
                        peer: broker.bus(peer).await?,
                        foreign: broker.foreign().await?,
                        dead: queue_of(shop, "all.dead"),
                        broker,
                        provider,
                        heard,
                        witnessed: 1000,
                    };
                    Ok(stage)
                }

                /// A call is answered, an event is heard; what was heard before it is returned.
                pub(super) async fn witness(&mut self) -> anyhow::Result<Vec<u32>> {
                    assert_eq!(ApiClient::new(&self.peer).shout("a").await?, "A");
                    self.witnessed += 1;
                    let n = self.witnessed;
                    let happened = ApiEvents::new(&self.peer).happened();
                    happened.publish(Happened { n }).await?;
                    let mut before = Vec::new();
                    loop {
                        match self.heard.recv().await {
                            Some(heard) if heard == n => return Ok(before),
                            Some(other) => before.push(other),
                            None => anyhow::bail!("the listener has ended"),
                        }
                    }
                }

                pub(super) async fn until_dead(&self, count: u32) -> anyhow::Result<()> {
                    self.foreign.until(&self.dead, count, 0).await
                }
            }

            pub(super) const EVENTS: &str = concat!("lb.ev.", $api);
            pub(super) const EVENT: &str = concat!($api, ".happened");
            pub(super) const CALLS: &str = concat!("lb.rpc.", $api);
        }
    };
}

stage!(deep, "hostile_deep", "hostile-deep");
stage!(text, "hostile_text", "hostile-text");
stage!(events, "hostile_events", "hostile-events");
stage!(calls, "hostile_calls", "hostile-calls");
stage!(replies, "hostile_replies", "hostile-replies");

fn event() -> RawProperties {
    RawProperties::default().text(Text::Type, b"lb1.ev")
}

fn request(app: &str) -> RawProperties {
    RawProperties::default()
        .text(Text::Type, b"lb1.req")
        .text(Text::CorrelationId, b"any-id-will-do")
        .text(Text::ReplyTo, format!("{app}/{INSTANCE}").as_bytes())
}

fn reply(id: &[u8]) -> RawProperties {
    RawProperties::default()
        .text(Text::Type, b"lb1.rep")
        .text(Text::CorrelationId, id)
}

async fn next(foreign: &Foreign, queue: &str) -> anyhow::Result<lapin::message::Delivery> {
    let mut next = None;
    eventually("a message is there", async || {
        next = foreign.take(queue).await.ok().flatten();
        next.is_some()
    })
    .await?;
    Ok(next.unwrap())
}

fn text_header(properties: &BasicProperties, name: &str) -> Option<String> {
    match properties.headers().as_ref()?.inner().get(name)? {
        AMQPValue::LongString(text) => Some(text.to_string()),
        other => Some(format!("{other:?}")),
    }
}

const N1: &[u8] = b"\x81\xa1n\x01";
const TEXT_X: &[u8] = b"\x81\xa4text\xa1x";

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

#[tokio::test]
async fn a_flood_of_forged_replies_stops_no_call() -> anyhow::Result<()> {
    // A reply queue holds 10,000: beyond that the broker drops the oldest, the witness's among them.
    const FLOOD: u64 = 9_000;
    let mut stage = replies::Stage::set().await?;
    stage.witness().await?;
    let to = format!("lb.reply.{}", stage.peer.app());
    let instance = stage.peer.instance().to_owned();
    let channel = stage.foreign.channel().await?;
    let flood = async {
        for n in 0..FLOOD {
            let id = format!("01a1fd88-d5d9-749a-96dd-{n:012}");
            let properties = BasicProperties::default()
                .with_type("lb1.rep".into())
                .with_correlation_id(id.into());
            let publish = channel.basic_publish(
                to.as_str().into(),
                instance.as_str().into(),
                Default::default(),
                &[0xc0; 1000],
                properties,
            );
            publish.await?;
        }
        anyhow::Ok(())
    };
    let witness = async {
        let client = replies::ApiClient::new(&stage.peer);
        for _ in 0..200 {
            let answer = client.shout("b").timeout(Duration::from_secs(20)).await?;
            assert_eq!(answer, "B");
        }
        anyhow::Ok(())
    };
    let (flooded, witnessed) = tokio::join!(flood, witness);
    flooded?;
    witnessed?;
    eventually("all forged replies are ignored", async || {
        stage.peer.counts().replies_ignored == FLOOD
    })
    .await?;
    stage.witness().await?;
    Ok(())
}
