//! A relay in front of a broker: nothing is changed by it, and it tells what the broker tells.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use futures_util::StreamExt;
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind, options::*,
    types::FieldTable,
};
use lightbus_broker::{Broker, Event, EventKind, Events, Relay, RelayError, Snapshot};
use std::time::Duration;
use support::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

async fn relay(broker: &Broker) -> Relay {
    Relay::start(&broker.url()).await.unwrap()
}

async fn through(relay: &Relay) -> Connection {
    let properties = ConnectionProperties::default().with_connection_name("test".into());
    Connection::connect(&relay.url(), properties).await.unwrap()
}

/// The next event, of those that both can tell.
async fn next(events: &mut Events) -> Event {
    let next = tokio::time::timeout(Duration::from_secs(10), events.next());
    next.await.expect("an event in time").expect("an event")
}

/// The events up to the one that this says, as texts without their numbers.
async fn told(events: &mut Events, last: &str) -> Vec<String> {
    let mut told = Vec::new();
    loop {
        let event = next(events).await.to_string();
        let (_, text) = event.split_once(' ').unwrap();
        told.push(text.to_owned());
        if text.contains(last) {
            return told;
        }
    }
}

/// Waits until the relay knows what waits, and it is such.
async fn until_known(relay: &Relay, what: &str, holds: impl Fn(&Snapshot) -> bool) {
    let waiting = async {
        while !relay.snapshot().is_some_and(|snapshot| holds(&snapshot)) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(10), waiting).await;
    assert!(waited.is_ok(), "{what}: {:#?}", relay.snapshot());
}

/// Many things, one after the other.
async fn life(connection: &Connection) -> Channel {
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(Default::default()).await.unwrap();
    declare(&channel, "a", &[]).await;
    declare(&channel, "b", &[]).await;
    let (exchange, topic) = ("x".into(), ExchangeKind::Topic);
    let none = FieldTable::default();
    channel
        .exchange_declare(exchange, topic, Default::default(), none.clone())
        .await
        .unwrap();
    for (queue, key) in [("a", "k.#"), ("b", "k.*.y"), ("b", "gone")] {
        let bound = channel.queue_bind(
            queue.into(),
            "x".into(),
            key.into(),
            Default::default(),
            none.clone(),
        );
        bound.await.unwrap();
    }
    channel
        .queue_unbind("b".into(), "x".into(), "gone".into(), none.clone())
        .await
        .unwrap();
    channel
        .exchange_bind(
            "x".into(),
            "amq.fanout".into(),
            "".into(),
            Default::default(),
            none.clone(),
        )
        .await
        .unwrap();
    publish(&channel, "x", "k.x.y", b"one").await;
    publish(&channel, "x", "k.x.y", b"one").await;
    publish(&channel, "x", "nobody", b"returned").await;
    let options = BasicPublishOptions::default();
    let lost = channel.basic_publish(
        "x".into(),
        "nobody".into(),
        options,
        b"lost",
        BasicProperties::default(),
    );
    lost.await.unwrap().await.unwrap();
    publish(&channel, "amq.fanout", "k.1", b"far").await;
    let tag = "c".into();
    let mut consumer = channel
        .basic_consume("a".into(), tag, Default::default(), none.clone())
        .await
        .unwrap();
    let first = consumer.next().await.unwrap().unwrap();
    let second = consumer.next().await.unwrap().unwrap();
    let third = consumer.next().await.unwrap().unwrap();
    assert_eq!(&third.data[..], b"far");
    second
        .ack(BasicAckOptions { multiple: true })
        .await
        .unwrap();
    third
        .nack(BasicNackOptions {
            requeue: true,
            multiple: false,
        })
        .await
        .unwrap();
    let again = consumer.next().await.unwrap().unwrap();
    assert!(again.redelivered && first.data == second.data);
    again
        .reject(BasicRejectOptions { requeue: false })
        .await
        .unwrap();
    let got = channel
        .basic_get("b".into(), BasicGetOptions { no_ack: false })
        .await
        .unwrap()
        .unwrap();
    got.ack(Default::default()).await.unwrap();
    let _kept = channel
        .basic_get("b".into(), BasicGetOptions { no_ack: false })
        .await
        .unwrap()
        .unwrap();
    channel
        .basic_cancel("c".into(), Default::default())
        .await
        .unwrap();
    channel.close(200, "done".into()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel
        .queue_delete("a".into(), Default::default())
        .await
        .unwrap();
    channel
        .exchange_delete("x".into(), Default::default())
        .await
        .unwrap();
    channel
}

#[tokio::test]
async fn it_tells_what_the_broker_tells() {
    let broker = Broker::start().await.unwrap();
    let relay = relay(&broker).await;
    let (mut there, mut here) = (broker.events(), relay.events());
    let connection = through(&relay).await;
    let _channel = life(&connection).await;
    connection.close(200, "bye".into()).await.unwrap();
    let (there, here) = tokio::join!(told(&mut there, "closed by"), told(&mut here, "closed by"));
    // What becomes of what is rejected is the broker's own business.
    let there: Vec<_> = there
        .into_iter()
        .filter(|it| !it.contains("dropped by"))
        .collect();
    assert_eq!(here, there);
    assert!(here.len() > 30, "{here:#?}");
}

#[tokio::test]
async fn a_message_keeps_its_number_on_all_its_ways() {
    let broker = Broker::start().await.unwrap();
    let relay = relay(&broker).await;
    let connection = through(&relay).await;
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(Default::default()).await.unwrap();
    let to = [
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text("work")),
        ("x-message-ttl", int(1)),
    ];
    declare(&channel, "wait", &to).await;
    declare(&channel, "work", &[]).await;
    let mut events = relay.events();
    for id in ["one", "two"] {
        let properties = BasicProperties::default().with_message_id(id.into());
        publish_with(&channel, "", "wait", b"same", properties).await;
    }
    let mut consumer = consume(&channel, "work").await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let delivery = consumer.next().await.unwrap().unwrap();
        ids.push(
            delivery
                .properties
                .message_id()
                .clone()
                .unwrap()
                .to_string(),
        );
    }
    let mut delivered = Vec::new();
    while delivered.len() < 2 {
        if let EventKind::Delivered { message, .. } = next(&mut events).await.kind {
            assert_eq!(
                (message.routing_key(), message.body()),
                ("work", &b"same"[..])
            );
            delivered.push((message.number(), message.message_id().unwrap().to_owned()));
        }
    }
    assert_eq!(ids, ["one", "two"]);
    assert_eq!(delivered, [(1, "one".to_owned()), (2, "two".to_owned())]);
}

#[tokio::test]
async fn it_knows_what_waits_and_what_is_in_hand() {
    let broker = Broker::start().await.unwrap();
    let relay = relay(&broker).await;
    let connection = through(&relay).await;
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(Default::default()).await.unwrap();
    declare(&channel, "jobs", &[("x-queue-type", text("quorum"))]).await;
    channel.basic_qos(1, Default::default()).await.unwrap();
    let mut consumer = consume(&channel, "jobs").await;
    for _ in 0..3 {
        publish(&channel, "", "jobs", &[7; 300_000]).await;
    }
    let delivery = consumer.next().await.unwrap().unwrap();
    until_known(&relay, "one in hand, two wait", |snapshot| {
        let jobs = snapshot.queue("jobs").unwrap();
        assert_eq!((jobs.consumers, jobs.kind.as_str()), (1, "quorum"));
        (jobs.ready, jobs.unacked) == (2, 1)
    })
    .await;
    delivery.ack(Default::default()).await.unwrap();
    let next = consumer.next().await.unwrap().unwrap();
    assert_eq!(next.data.len(), 300_000);
    until_known(&relay, "one in hand, one waits", |snapshot| {
        let jobs = snapshot.queue("jobs").unwrap();
        (jobs.ready, jobs.unacked) == (1, 1)
    })
    .await;
    assert_eq!(relay.drop_connections(), 1);
    until_known(&relay, "nobody is left", |snapshot| {
        let jobs = snapshot.queue("jobs").unwrap();
        snapshot.connections.is_empty() && (jobs.consumers, jobs.unacked) == (0, 0)
    })
    .await;
    until(&broker, "the broker has both back", |snapshot| {
        snapshot.queue("jobs").is_some_and(|jobs| jobs.ready == 2)
    })
    .await;
}

#[tokio::test]
async fn what_expires_unseen_is_told() {
    let broker = Broker::start().await.unwrap();
    let relay = relay(&broker).await;
    let connection = through(&relay).await;
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(Default::default()).await.unwrap();
    declare(&channel, "calls", &[]).await;
    let mut events = relay.events();
    let properties = BasicProperties::default().with_expiration("20".into());
    publish_with(&channel, "", "calls", b"anybody?", properties).await;
    let told = async {
        let mut told = Vec::new();
        while told.len() < 2 {
            let _ = relay.snapshot();
            let kind = events.try_next().map(|event| event.kind);
            match kind {
                Some(EventKind::Expired { message, .. }) => told.push(message.number()),
                Some(EventKind::Dropped { message, .. }) => told.push(message.number()),
                Some(_) => {}
                None => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
        told
    };
    let told = tokio::time::timeout(Duration::from_secs(10), told).await;
    assert_eq!(told.unwrap(), [1, 1]);
}

#[tokio::test]
async fn whatever_strangers_send_others_pass() {
    let broker = Broker::start().await.unwrap();
    let relay = relay(&broker).await;
    let connection = through(&relay).await;
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(Default::default()).await.unwrap();
    declare(&channel, "jobs", &[]).await;
    let address = relay.url();
    let address = address
        .rsplit_once('@')
        .unwrap()
        .1
        .split('/')
        .next()
        .unwrap()
        .to_owned();
    let session = session();
    let deep = frame(
        1,
        1,
        [&[0, 50, 0, 10, 0, 0, 1, b'q', 0][..], &bomb(10_000, false)].concat(),
    );
    let huge = [&session[..], &[1, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF, 0]].concat();
    let many: Vec<Vec<u8>> = (1..session.len())
        .step_by(7)
        .map(|cut| session[..cut].to_vec())
        .collect();
    let mut all = vec![
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        vec![0xFF; 70_000],
        [&session[..], &deep].concat(),
        huge,
    ];
    all.extend(many);
    for bytes in all {
        let mut stranger = TcpStream::connect(&address).await.unwrap();
        // It may be turned away before it has said all.
        let _ = stranger.write_all(&bytes).await;
        let _ = stranger.shutdown().await;
        let mut answer = Vec::new();
        let ended = stranger.read_to_end(&mut answer);
        let _ = tokio::time::timeout(Duration::from_secs(10), ended)
            .await
            .expect("its connection ends");
        assert!(publish(&channel, "", "jobs", b"still there").await.is_ack());
    }
    until_known(&relay, "only one is left", |snapshot| {
        snapshot.connections.len() == 1
    })
    .await;
}

/// All that a client says until it has published and consumed.
fn session() -> Vec<u8> {
    [
        &b"AMQP\x00\x00\x09\x01"[..],
        &frame(1, 0, *b"\x00\x0a\x00\x0b\x00\x00\x00\x00\x05PLAIN\x00\x00\x00\x0c\x00guest\x00guest\x05en_US"),
        &frame(1, 0, [0, 10, 0, 31, 0, 10, 0, 2, 0, 0, 0, 0]),
        &frame(1, 0, [0, 10, 0, 40, 1, b'/', 0, 0]),
        &frame(1, 1, [0, 20, 0, 10, 0]),
        &frame(1, 1, [0, 60, 0, 40, 0, 0, 0, 4, b'j', b'o', b'b', b's', 0]),
        &frame(2, 1, [0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0]),
        &frame(3, 1, *b"too "),
        &frame(3, 1, *b"much of it"),
    ]
    .concat()
}

#[tokio::test]
async fn what_is_wrong_is_said() {
    let broker = Broker::start().await.unwrap();
    let port = broker.addr().port();
    let failed = async |url: String| Relay::start(&url).await.unwrap_err();
    let tls = failed(format!("amqps://guest:guest@127.0.0.1:{port}")).await;
    assert!(matches!(tls, RelayError::Encrypted { .. }), "{tls}");
    let none = failed("127.0.0.1:5672".to_owned()).await;
    assert!(matches!(none, RelayError::Url { .. }), "{none}");
    let wrong = failed(format!("amqp://guest:secret@127.0.0.1:{port}")).await;
    assert!(matches!(wrong, RelayError::Refused { .. }), "{wrong}");
    assert!(!wrong.to_string().contains("secret"));
    let nowhere = failed(format!("amqp://guest:guest@127.0.0.1:{port}/none")).await;
    assert!(
        nowhere.to_string().contains("in the virtual host none"),
        "{nowhere}"
    );
    drop(broker);
    let gone = failed(format!("amqp://guest:guest@127.0.0.1:{port}")).await;
    assert!(matches!(gone, RelayError::Unreachable { .. }), "{gone}");
}

#[tokio::test]
async fn with_it_everything_of_it_is_gone() {
    let broker = Broker::start().await.unwrap();
    let relay = relay(&broker).await;
    let connection = through(&relay).await;
    assert_eq!(broker.snapshot().connections.len(), 2);
    drop(relay);
    until(&broker, "both are gone", |snapshot| {
        snapshot.connections.is_empty()
    })
    .await;
    drop(connection);
}
