//! What tests can make go wrong, seen from clients.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use futures_util::{FutureExt, StreamExt, future};
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties, Consumer, Event, PublisherConfirm,
    message::Delivery, options::*, types::FieldTable,
};
use lightbus_broker::{Broker, EventKind, Refusal};
use std::time::{Duration, Instant};
use support::*;
use tokio::io::AsyncReadExt;

async fn named(broker: &Broker, name: &str) -> Connection {
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    Connection::connect(&broker.url(), properties)
        .await
        .unwrap()
}

/// Waits for something that must come.
async fn soon<T>(wanted: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), wanted)
        .await
        .expect("it did not come")
}

/// Waits in vain for something, while a client of another broker is answered a hundred times.
async fn does_not_come(unwanted: impl Future) {
    let other = Broker::start().await.unwrap();
    let mut witness = Witness::new(&other).await;
    let meanwhile = async {
        for _ in 0..100 {
            witness.calls().await;
        }
    };
    tokio::select! {
        _ = unwanted => panic!("it came"),
        () = meanwhile => {}
    }
}

async fn delivery(consumer: &mut Consumer) -> Delivery {
    soon(consumer.next()).await.unwrap().unwrap()
}

/// The error that ends a connection.
async fn error(events: impl futures_util::Stream<Item = Event>) -> String {
    let errors = events.filter_map(async |event| match event {
        Event::Error(error) => Some(error.to_string()),
        _ => None,
    });
    let mut errors = std::pin::pin!(errors);
    soon(errors.next()).await.unwrap()
}

async fn persistent(channel: &Channel, queue: &str, body: &[u8]) {
    let properties = BasicProperties::default().with_delivery_mode(2);
    publish_with(channel, "", queue, body, properties).await;
}

#[tokio::test]
async fn one_connection_is_cut_and_the_others_are_not() {
    let broker = Broker::start().await.unwrap();
    let (one, two) = (named(&broker, "one").await, named(&broker, "two").await);
    let events = one.events_listener();
    assert_eq!(broker.faults().cut("one"), 1);
    assert_eq!(broker.faults().cut("one"), 0);
    error(events).await;
    assert!(broker.snapshot().connection("one").is_none());
    two.create_channel().await.unwrap();
}

#[tokio::test]
async fn an_operator_closes_a_connection() {
    let broker = Broker::start().await.unwrap();
    let connection = named(&broker, "one").await;
    let events = connection.events_listener();
    let text = "CONNECTION_FORCED - maintenance";
    assert_eq!(broker.faults().close_connection("one", 320, text), 1);
    let said = error(events).await;
    assert!(said.contains("maintenance"), "{said}");
    until(&broker, "it is gone", |s| s.connections.is_empty()).await;
}

/// A client that does not confirm that it was closed is cut off in the end.
#[tokio::test]
async fn a_closed_connection_does_not_linger() {
    let broker = Broker::start().await.unwrap();
    let mut socket = raw(&broker).await;
    socket.open_named("deaf").await;
    assert_eq!(broker.faults().close_connection("deaf", 320, "bye"), 1);
    let (_, _, close) = socket.frame().await.unwrap();
    assert_eq!(close[..6], [0, 10, 0, 50, 1, 64]);
    assert!(socket.rest().await.is_empty());
}

#[tokio::test]
async fn a_channel_is_closed_with_a_code() {
    let (broker, connection, channel) = start().await;
    let text = "PRECONDITION_FAILED - delivery acknowledgement timed out";
    let number = channel.id();
    assert_eq!(broker.faults().close_channel("test", number, 406, text), 1);
    let closed = soon(channel.basic_get("q".into(), Default::default())).await;
    let error = closed.map(|_| ()).unwrap_err().to_string();
    assert!(
        error.contains("timed out") || error.contains("invalid channel state"),
        "{error}"
    );
    assert_eq!(broker.faults().close_channel("test", 99, 406, text), 0);
    assert!(connection.status().connected());
    connection.create_channel().await.unwrap();
}

#[tokio::test]
async fn a_consumer_is_cancelled_behind_its_back() {
    let (broker, _connection, channel) = start().await;
    declare(&channel, "q", &[]).await;
    let mut consumer = consume(&channel, "q").await;
    publish(&channel, "", "q", b"m").await;
    let held = delivery(&mut consumer).await;
    let tag = consumer.tag().to_string();
    assert_eq!(broker.faults().cancel_consumer("q", &tag), 1);
    assert!(soon(consumer.next()).await.is_none());
    assert_eq!(broker.snapshot().queue("q").unwrap().consumers, 0);
    held.ack(Default::default()).await.unwrap();
    until(&broker, "it is acknowledged", |s| {
        s.queue("q").unwrap().unacked == 0
    })
    .await;
}

#[tokio::test]
async fn a_queue_is_deleted_behind_everybodys_back() {
    let (broker, _connection, channel) = start().await;
    declare(&channel, "q", &[]).await;
    let mut consumer = consume(&channel, "q").await;
    assert_eq!(broker.faults().delete_queue("q"), 1);
    assert!(soon(consumer.next()).await.is_none());
    assert!(broker.snapshot().queue("q").is_none());
}

#[tokio::test]
async fn connections_are_refused_in_three_ways() {
    let broker = Broker::start().await.unwrap();
    let faults = broker.faults();
    let url = broker.url();
    let connect = || Connection::connect(&url, ConnectionProperties::default());
    faults.refuse_connections(Refusal::Closed);
    assert!(soon(connect()).await.is_err());
    faults.refuse_connections(Refusal::Login);
    let error = soon(connect()).await.unwrap_err().to_string();
    assert!(
        error.contains("ACCESS_REFUSED") || error.contains("ACCESS-REFUSED"),
        "{error}"
    );
    faults.refuse_connections(Refusal::Silent);
    let mut waiting = std::pin::pin!(connect());
    does_not_come(&mut waiting).await;
    assert!(broker.snapshot().connections.is_empty());
    faults.admit_connections();
    assert!(soon(waiting).await.is_ok());
}

#[tokio::test]
async fn a_stalled_connection_neither_reads_nor_writes_and_then_goes_on() {
    let broker = Broker::start().await.unwrap();
    let (one, two) = (named(&broker, "one").await, named(&broker, "two").await);
    let (stalled, other) = (
        one.create_channel().await.unwrap(),
        two.create_channel().await.unwrap(),
    );
    other.confirm_select(Default::default()).await.unwrap();
    declare(&other, "q", &[]).await;
    let mut consumer = consume(&stalled, "q").await;
    assert_eq!(broker.faults().stall("one"), 1);
    assert!(broker.snapshot().connection("one").unwrap().stalled);
    publish(&other, "", "q", b"m").await;
    let mut declaring = std::pin::pin!(declare(&stalled, "new", &[]));
    does_not_come(future::select(&mut declaring, consumer.next())).await;
    let snapshot = broker.snapshot();
    assert!(snapshot.queue("new").is_none());
    assert_eq!(snapshot.queue("q").unwrap().unacked, 1);
    assert_eq!(broker.faults().resume("one"), 1);
    soon(declaring).await;
    assert_eq!(delivery(&mut consumer).await.data, b"m");
}

#[tokio::test]
async fn a_stalled_broker_lets_nobody_in_until_it_goes_on() {
    let (broker, _connection, channel) = start().await;
    broker.faults().stall_all();
    assert!(broker.snapshot().connection("test").unwrap().stalled);
    let mut declaring = std::pin::pin!(declare(&channel, "q", &[]));
    let mut coming = std::pin::pin!(named(&broker, "new"));
    does_not_come(future::select(&mut declaring, &mut coming)).await;
    broker.faults().resume_all();
    soon(declaring).await;
    soon(coming).await;
}

#[tokio::test]
async fn a_stalled_broker_can_be_dropped() {
    let (broker, connection, _channel) = start().await;
    broker.faults().stall_all();
    let events = connection.events_listener();
    soon(broker.shutdown()).await;
    error(events).await;
}

#[tokio::test]
async fn everything_is_delayed_in_order() {
    let (broker, _connection, channel) = start().await;
    declare(&channel, "q", &[]).await;
    let mut consumer = consume(&channel, "q").await;
    let delay = Duration::from_millis(100);
    broker.faults().delay(delay);
    let start = Instant::now();
    for body in [b"1", b"2", b"3"] {
        send(&channel, body).await;
    }
    until(&broker, "all were handled", |s| {
        s.queue("q").unwrap().unacked == 3
    })
    .await;
    broker.faults().delay(Duration::ZERO);
    send(&channel, b"4").await;
    for body in [b"1", b"2", b"3", b"4"] {
        assert_eq!(delivery(&mut consumer).await.data, body);
        assert!(start.elapsed() >= delay);
    }
}

/// Publishes to "q" without waiting for the confirm.
async fn send(channel: &Channel, body: &[u8]) -> PublisherConfirm {
    let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
    channel
        .basic_publish("".into(), "q".into(), options, body, properties)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_delay_follows_a_manual_clock() {
    let broker = Broker::builder().manual_clock().start().await.unwrap();
    let channel = named(&broker, "one").await.create_channel().await.unwrap();
    broker.faults().delay(Duration::from_secs(60));
    let mut declaring = std::pin::pin!(declare(&channel, "q", &[]));
    let declared = async {
        until(&broker, "it is declared", |s| s.queue("q").is_some()).await;
    };
    tokio::select! {
        _ = &mut declaring => panic!("it was answered"),
        () = declared => {}
    }
    broker.advance(Duration::from_secs(59)).unwrap();
    does_not_come(&mut declaring).await;
    broker.faults().delay(Duration::ZERO);
    broker.advance(Duration::from_secs(1)).unwrap();
    soon(declaring).await;
    soon(declare(&channel, "r", &[])).await;
}

/// However long the delay, who is turned away or says goodbye is answered, and before the socket closes.
#[tokio::test]
async fn a_delay_loses_no_last_words() {
    let broker = Broker::start().await.unwrap();
    for delay in [Duration::from_millis(100), Duration::MAX] {
        let mut leaving = raw(&broker).await;
        leaving.open().await;
        broker.faults().delay(delay);
        let mut stranger = raw(&broker).await;
        let start = Instant::now();
        stranger.write(b"AMQP\x00\x01\x00\x00").await;
        leaving.send(0, *b"\0\x0a\0\x32\0\xc8\0\0\0\0\0").await;
        assert_eq!(stranger.rest().await, b"AMQP\x00\x00\x09\x01");
        assert!(start.elapsed() >= delay.min(Duration::from_secs(1)));
        let (_, _, close_ok) = leaving.frame().await.expect("connection.close-ok");
        assert_eq!(close_ok, [0, 10, 0, 51]);
        broker.faults().delay(Duration::ZERO);
    }
}

#[tokio::test]
async fn a_paused_queue_keeps_its_messages() {
    let (broker, _connection, channel) = start().await;
    declare(&channel, "q", &[]).await;
    let mut consumer = consume(&channel, "q").await;
    assert_eq!(broker.faults().pause_queue("q"), 1);
    publish(&channel, "", "q", b"m").await;
    assert!(get(&channel, "q").await.is_none());
    assert!(consumer.next().now_or_never().is_none());
    let snapshot = broker.snapshot();
    let queue = snapshot.queue("q").unwrap();
    assert_eq!((queue.ready, queue.unacked, queue.paused), (1, 0, true));
    assert_eq!(broker.faults().resume_queue("q"), 1);
    assert_eq!(delivery(&mut consumer).await.data, b"m");
}

#[tokio::test]
async fn publications_fail() {
    let (broker, _connection, channel) = start().await;
    declare(&channel, "q", &[]).await;
    broker.faults().fail_publishes(2);
    for (ok, left) in [(false, 1), (false, 0), (true, 0)] {
        assert_eq!(publish(&channel, "", "q", b"m").await.is_ack(), ok);
        assert_eq!(broker.snapshot().faults.fail_publishes, left);
    }
    assert_eq!(broker.snapshot().queue("q").unwrap().ready, 1);
    assert_eq!(broker.snapshot().totals.publishing.refused, 2);
}

#[tokio::test]
async fn publications_vanish() {
    let (broker, _connection, channel) = start().await;
    declare(&channel, "q", &[]).await;
    broker.faults().drop_publishes(1);
    // Mandatory, and yet not returned.
    let confirm = publish(&channel, "", "nowhere", b"lost").await;
    assert!(confirm.is_ack() && confirm.take_message().is_none());
    publish(&channel, "", "q", b"kept").await;
    assert_eq!(broker.snapshot().queue("q").unwrap().ready, 1);
}

#[tokio::test]
async fn confirms_are_withheld_and_not_covered_by_later_ones() {
    let (broker, _connection, channel) = start().await;
    declare(&channel, "q", &[]).await;
    broker.faults().withhold_confirms(1);
    let mut lost = std::pin::pin!(send(&channel, b"1").await);
    // Sent together, so that they are confirmed together.
    let (two, three) = (send(&channel, b"2").await, send(&channel, b"3").await);
    assert!(soon(two).await.unwrap().is_ack());
    assert!(soon(three).await.unwrap().is_ack());
    assert!((&mut lost).now_or_never().is_none());
    assert_eq!(broker.snapshot().queue("q").unwrap().ready, 3);
}

#[tokio::test]
async fn acknowledgements_get_lost() {
    let (broker, _connection, channel) = start().await;
    declare(&channel, "q", &[]).await;
    let mut consumer = consume(&channel, "q").await;
    let mut events = broker.events();
    broker.faults().duplicate_deliveries(1);
    publish(&channel, "", "q", b"m").await;
    for again in [false, true] {
        let delivery = delivery(&mut consumer).await;
        assert_eq!(delivery.redelivered, again);
        delivery.ack(Default::default()).await.unwrap();
    }
    until(&broker, "all is done", |s| {
        s.queue("q").unwrap().counters.acked == 1
    })
    .await;
    assert_eq!(broker.snapshot().queue("q").unwrap().ready, 0);
    let mut told = Vec::new();
    while let Some(event) = events.try_next() {
        told.extend(match event.kind {
            EventKind::AckLost { .. } => Some("lost"),
            EventKind::Requeued { .. } => Some("back"),
            EventKind::Acked { .. } => Some("done"),
            _ => None,
        });
    }
    assert_eq!(told, ["lost", "back", "done"]);
}

/// A handler that calls another one acknowledges after it: the fault is for what came first.
#[tokio::test]
async fn the_next_delivery_comes_twice_whatever_is_acknowledged_first() {
    let (broker, _connection, channel) = start().await;
    let mut consumers = Vec::new();
    for queue in ["outer", "inner"] {
        declare(&channel, queue, &[]).await;
        consumers.push(consume(&channel, queue).await);
    }
    broker.faults().duplicate_deliveries(1);
    publish(&channel, "", "outer", b"m").await;
    let outer = delivery(&mut consumers[0]).await;
    publish(&channel, "", "inner", b"m").await;
    let inner = delivery(&mut consumers[1]).await;
    inner.ack(Default::default()).await.unwrap();
    outer.ack(Default::default()).await.unwrap();
    assert!(delivery(&mut consumers[0]).await.redelivered);
    until(&broker, "the inner one is done", |s| {
        s.queue("inner").unwrap().counters.acked == 1
    })
    .await;
}

#[tokio::test]
async fn what_need_not_be_acknowledged_comes_twice_as_well() {
    let (broker, _connection, channel) = start().await;
    declare(&channel, "q", &[]).await;
    let no_ack = BasicConsumeOptions {
        no_ack: true,
        ..Default::default()
    };
    let mut consumer = channel
        .basic_consume("q".into(), "c".into(), no_ack, FieldTable::default())
        .await
        .unwrap();
    broker.faults().duplicate_deliveries(1);
    for body in [b"1", b"2"] {
        publish(&channel, "", "q", body).await;
    }
    let mut seen = Vec::new();
    for _ in 0..3 {
        let delivery = delivery(&mut consumer).await;
        seen.push((delivery.data.clone(), delivery.redelivered));
    }
    let seen: Vec<_> = seen
        .iter()
        .map(|(body, again)| (&body[..], *again))
        .collect();
    assert_eq!(seen, [(&b"1"[..], false), (b"1", true), (b"2", false)]);
}

#[tokio::test]
async fn a_restart_keeps_what_is_durable() {
    let (broker, connection, channel) = start().await;
    declare(&channel, "durable", &[]).await;
    declare(&channel, "quorum", &[("x-queue-type", text("quorum"))]).await;
    channel
        .queue_declare("transient".into(), Default::default(), Default::default())
        .await
        .unwrap();
    for (exchange, durable) in [("stays", true), ("goes", false)] {
        let options = ExchangeDeclareOptions {
            durable,
            ..Default::default()
        };
        let kind = lapin::ExchangeKind::Fanout;
        channel
            .exchange_declare(exchange.into(), kind, options, Default::default())
            .await
            .unwrap();
        for queue in ["durable", "transient"] {
            let (key, options) = ("".into(), QueueBindOptions::default());
            channel
                .queue_bind(
                    queue.into(),
                    exchange.into(),
                    key,
                    options,
                    Default::default(),
                )
                .await
                .unwrap();
        }
    }
    let auto_delete = QueueDeclareOptions {
        durable: true,
        auto_delete: true,
        ..Default::default()
    };
    for queue in ["consumed", "never consumed"] {
        channel
            .queue_declare(queue.into(), auto_delete, Default::default())
            .await
            .unwrap();
    }
    let _consumer = consume(&channel, "consumed").await;
    persistent(&channel, "durable", b"held").await;
    persistent(&channel, "durable", b"waits").await;
    publish(&channel, "", "durable", b"transient").await;
    publish(&channel, "", "quorum", b"kept").await;
    let held = channel
        .basic_get("durable".into(), Default::default())
        .await
        .unwrap();
    assert!(held.is_some());
    let events = connection.events_listener();
    broker.faults().restart();
    error(events).await;
    let snapshot = broker.snapshot();
    let names: Vec<_> = snapshot
        .queues
        .iter()
        .map(|queue| queue.name.as_str())
        .collect();
    // With the connections, the last consumer of the auto-delete queue left.
    assert_eq!(names, ["durable", "never consumed", "quorum"]);
    assert!(snapshot.exchange("goes").is_none());
    let [binding] = &snapshot.bindings[..] else {
        panic!("{:?}", snapshot.bindings)
    };
    assert_eq!(
        (binding.source.as_str(), binding.destination.as_str()),
        ("stays", "durable")
    );
    let channel = connect(&broker).await.create_channel().await.unwrap();
    let mut seen = Vec::new();
    while let Some(got) = get(&channel, "durable").await {
        seen.push((got.delivery.data.clone(), got.delivery.redelivered));
    }
    assert_eq!(seen, [(b"held".to_vec(), true), (b"waits".to_vec(), false)]);
    assert!(get(&channel, "quorum").await.is_some());
}

#[tokio::test]
async fn everything_armed_shows_and_can_be_ended_at_once() {
    let (broker, _connection, channel) = start().await;
    declare(&channel, "q", &[]).await;
    let faults = broker.faults();
    faults.refuse_connections(Refusal::Silent);
    faults.stall_all();
    faults.delay(Duration::from_secs(1));
    faults.fail_publishes(1);
    faults.drop_publishes(2);
    faults.withhold_confirms(3);
    faults.duplicate_deliveries(4);
    faults.pause_queue("q");
    broker.block_publishers("testing");
    let shown = broker.snapshot().to_string();
    let line = "faults: refusing connections (Silent), stalled, delay 1s, publishers blocked (testing), \
                1 publications fail, 2 publications vanish, 3 confirms withheld, 4 deliveries twice";
    assert!(shown.lines().any(|other| other == line), "{shown}");
    assert!(shown.contains(", paused"), "{shown}");
    let mut silent = tokio::net::TcpStream::connect(broker.addr()).await.unwrap();
    faults.clear();
    let snapshot = broker.snapshot();
    assert_eq!(snapshot.faults, Default::default());
    assert!(!snapshot.queue("q").unwrap().paused && !snapshot.connections[0].stalled);
    assert!(publish(&channel, "", "q", b"m").await.is_ack());
    tokio::io::AsyncWriteExt::write_all(&mut silent, b"AMQP\x00\x00\x09\x01")
        .await
        .unwrap();
    assert_eq!(soon(silent.read_u8()).await.unwrap(), 1, "connection.start");
}
