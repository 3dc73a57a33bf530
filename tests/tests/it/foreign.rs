//! Messages that lightbus never sends: from other languages, from people at the broker's screens, and from those who mean harm.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, LongString};
use lightbus_tests::{Foreign, TestBroker, eventually, queue_of};

const INSTANCE: &str = "00112233445566778899aabbccddeeff";

#[lightbus::api(name = "foreign_calls")]
trait Api {
    async fn shout(&self, text: String, times: Option<u32>) -> String;
    #[event]
    fn happened(n: u32);
}

struct Provider;

impl Api for Provider {
    async fn shout(&self, text: String, times: Option<u32>) -> String {
        text.to_uppercase().repeat(times.unwrap_or(1) as usize)
    }
}

fn request(app: &str) -> BasicProperties {
    BasicProperties::default()
        .with_type("lb1.req".into())
        .with_correlation_id("any-id-will-do".into())
        .with_reply_to(format!("{app}/{INSTANCE}").into())
        .with_content_type("application/json".into())
}

async fn answer(foreign: &Foreign, queue: &str) -> anyhow::Result<lapin::message::Delivery> {
    let mut answer = None;
    eventually("the answer is there", async || {
        answer = foreign.take(queue).await.ok().flatten();
        answer.is_some()
    })
    .await?;
    Ok(answer.unwrap())
}

fn status(delivery: &lapin::message::Delivery) -> Option<String> {
    match delivery
        .properties
        .headers()
        .as_ref()?
        .inner()
        .get("lb-status")?
    {
        AMQPValue::LongString(text) => Some(text.to_string()),
        other => Some(format!("{other:?}")),
    }
}

#[tokio::test]
async fn a_foreign_client_may_call_with_json() -> anyhow::Result<()> {
    let broker = TestBroker::start().await?;
    let provider = broker.bus("foreign-json-provider").await?;
    provider.serve(ApiServer::new(Provider)).await?;
    let foreign = broker.foreign().await?;
    let queue = foreign.reply_address("foreign-json", INSTANCE).await?;
    foreign
        .publish(
            "lb.rpc.foreign_calls",
            "shout",
            request("foreign-json"),
            br#"{"text": "hey", "times": 2}"#,
        )
        .await?;
    let got = answer(&foreign, &queue).await?;
    assert_eq!(got.data, b"\xa6HEYHEY");
    assert_eq!(
        got.properties
            .correlation_id()
            .as_ref()
            .map(ToString::to_string)
            .as_deref(),
        Some("any-id-will-do")
    );
    assert_eq!(status(&got), None);
    Ok(())
}

#[tokio::test]
async fn a_bad_call_is_refused_and_the_provider_goes_on() -> anyhow::Result<()> {
    let broker = TestBroker::start().await?;
    let provider = broker.bus("foreign-bad-provider").await?;
    provider.serve(ApiServer::new(Provider)).await?;
    let foreign = broker.foreign().await?;
    let queue = foreign.reply_address("foreign-bad", INSTANCE).await?;
    let msgpack = || request("foreign-bad").with_content_type("application/msgpack".into());
    let deep = [b"\x81\xa4text".to_vec(), vec![0x91; 100_000], vec![0xc0]].concat();
    let bad: Vec<(BasicProperties, Vec<u8>)> = vec![
        (msgpack(), b"\x81\xa4text".to_vec()),
        (msgpack(), b"".to_vec()),
        (msgpack(), b"\x81\xa4text\x07".to_vec()),
        (msgpack(), b"\x80".to_vec()),
        (msgpack(), b"\x81\xa4text\xa1x\x00".to_vec()),
        (msgpack(), vec![0xdf, 0xff, 0xff, 0xff, 0xff]),
        (msgpack(), deep),
        (request("foreign-bad"), b"[1]".to_vec()),
        (request("foreign-bad"), b"{\"text\": ".to_vec()),
        (
            request("foreign-bad").with_content_type("text/xml".into()),
            b"<x/>".to_vec(),
        ),
    ];
    for (properties, payload) in bad {
        foreign
            .publish("lb.rpc.foreign_calls", "shout", properties, &payload)
            .await?;
        let got = answer(&foreign, &queue).await?;
        assert_eq!(status(&got).as_deref(), Some("undecodable"), "{payload:?}");
    }
    let expired = {
        let mut headers = FieldTable::default();
        headers.insert("lb-deadline".into(), AMQPValue::LongLongInt(1));
        request("foreign-bad").with_headers(headers)
    };
    foreign
        .publish(
            "lb.rpc.foreign_calls",
            "shout",
            expired,
            br#"{"text": "x"}"#,
        )
        .await?;
    assert_eq!(
        status(&answer(&foreign, &queue).await?).as_deref(),
        Some("expired")
    );
    let huge = vec![b' '; 2 * 1024 * 1024];
    foreign
        .publish(
            "lb.rpc.foreign_calls",
            "shout",
            request("foreign-bad"),
            &huge,
        )
        .await?;
    assert_eq!(
        status(&answer(&foreign, &queue).await?).as_deref(),
        Some("size")
    );
    Ok(())
}

#[tokio::test]
async fn forged_addresses_and_strange_messages_harm_nobody() -> anyhow::Result<()> {
    let broker = TestBroker::start().await?;
    let provider = broker.bus("foreign-forged-provider").await?;
    provider.serve(ApiServer::new(Provider)).await?;
    let peer = broker.bus("foreign-forged-peer").await?;
    let api = ApiClient::new(&peer);
    assert_eq!(api.shout("a", None).await?, "A");
    let foreign = broker.foreign().await?;
    let payload = br#"{"text": "x"}"#;
    let none = BasicProperties::default;
    let forged = [
        none(),
        request("foreign-nobody"),
        none()
            .with_type("lb1.req".into())
            .with_correlation_id("x".into())
            .with_reply_to("amq.topic/x".into()),
        none()
            .with_type("lb1.req".into())
            .with_reply_to(format!("foreign/{INSTANCE}").into()),
        request("foreign-nobody").with_type("lb1.ev".into()),
        none().with_type("nonsense".into()),
    ];
    for properties in forged {
        foreign
            .publish("lb.rpc.foreign_calls", "shout", properties, payload)
            .await?;
        // On the same connection as before: nobody's channel was closed.
        assert_eq!(api.shout("a", Some(2)).await?, "AA");
    }
    // Forged answers: of unknown calls, of no call, with a status that does not exist.
    let mut headers = FieldTable::default();
    headers.insert(
        "lb-status".into(),
        AMQPValue::LongString(LongString::from("splendid")),
    );
    for properties in [
        none(),
        none().with_correlation_id("x".into()),
        none().with_headers(headers),
    ] {
        foreign
            .publish(
                &format!("lb.reply.{}", peer.app()),
                peer.instance(),
                properties,
                b"\xc1",
            )
            .await?;
        assert_eq!(api.shout("b", None).await?, "B");
    }
    Ok(())
}

#[tokio::test]
async fn a_bad_event_goes_to_the_dead_letters_and_the_listener_goes_on() -> anyhow::Result<()> {
    let broker = TestBroker::start().await?;
    let bus = broker.bus("foreign-events-shop").await?;
    let (sender, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let handler = move |event: Happened| {
        let _ = sender.send(event.n);
        std::future::ready(())
    };
    ApiClient::new(&bus)
        .happened()
        .listen("bad", handler)
        .await?;
    ApiEvents::new(&bus)
        .happened()
        .publish(Happened { n: 1 })
        .await?;
    assert_eq!(heard.recv().await, Some(1));
    let foreign = broker.foreign().await?;
    let named = |name: &str| {
        let mut headers = FieldTable::default();
        headers.insert(
            "lb-name".into(),
            AMQPValue::LongString(LongString::from(name)),
        );
        BasicProperties::default()
            .with_type("lb1.ev".into())
            .with_headers(headers)
    };
    let json = || named("happened").with_content_type("application/json".into());
    let deep = [b"\x81\xa1n".to_vec(), vec![0x91; 50_000]].concat();
    let bad = [
        (BasicProperties::default(), b"\x81\xa1n\x01".to_vec()),
        (
            named("happened").with_type("lb1.req".into()),
            b"\x81\xa1n\x01".to_vec(),
        ),
        (named("another"), b"\x81\xa1n\x01".to_vec()),
        (named("happened"), b"\x81\xa1n".to_vec()),
        (named("happened"), b"\x81\xa1n\xa1x".to_vec()),
        (named("happened"), deep),
        (json(), b"nothing".to_vec()),
        (named("happened"), vec![0; 2 * 1024 * 1024]),
    ];
    let count = u32::try_from(bad.len())?;
    for (properties, payload) in bad {
        foreign
            .publish(
                "lb.ev.foreign_calls",
                "foreign_calls.happened",
                properties,
                &payload,
            )
            .await?;
    }
    foreign
        .publish(
            "lb.ev.foreign_calls",
            "foreign_calls.happened",
            json(),
            br#"{"n": 5, "new": true}"#,
        )
        .await?;
    assert_eq!(heard.recv().await, Some(5));
    foreign
        .until(&queue_of("foreign-events-shop", "bad.dead"), count, 0)
        .await
}
