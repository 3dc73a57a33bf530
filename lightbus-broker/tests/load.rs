//! Many, large, slow: what the broker holds up under. Quick in a debug build too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use futures_util::{StreamExt, future::join_all};
use lapin::{BasicProperties, options::*};
use lightbus_broker::Broker;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use support::*;

const MIB: usize = 1 << 20;

#[tokio::test]
async fn ten_thousand_queues() {
    const COUNT: usize = 10_000;
    let broker = Broker::start().await.unwrap();
    let mut client = raw(&broker).await;
    client.open().await;
    let name = |number: usize| format!("q{number}");
    let every = |write: &dyn Fn(usize) -> Vec<u8>| (0..COUNT).flat_map(write).collect::<Vec<u8>>();
    let made = every(&|n| {
        let declare = frame(1, 1, queue_declare(&name(n), 16));
        let topic = frame(
            1,
            1,
            queue_bind(&name(n), "amq.topic", &format!("to.{n}.#")),
        );
        let fanout = frame(1, 1, queue_bind(&name(n), "amq.fanout", ""));
        [declare, topic, fanout].concat()
    });
    client.write(&made).await;
    client.sync().await;
    client
        .write(&every(&|n| {
            publication("amq.topic", &format!("to.{n}.it"), b"m")
        }))
        .await;
    client
        .write(&publication("amq.fanout", "", b"to all"))
        .await;
    client.sync().await;
    let snapshot = broker.snapshot();
    let full = snapshot.queues.iter().filter(|queue| queue.ready == 2);
    assert_eq!(full.count(), COUNT);
    client
        .write(&every(&|n| frame(1, 1, queue_delete(&name(n)))))
        .await;
    client.sync().await;
    let snapshot = broker.snapshot();
    assert!(
        snapshot
            .queues
            .iter()
            .all(|queue| !queue.name.starts_with('q'))
    );
    assert_eq!((snapshot.bindings.len(), snapshot.message_bytes), (0, 0));
}

/// Lets this process have as many descriptors as it may, and says how many that is.
fn descriptors() -> usize {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    usize::try_from(hard).unwrap_or(usize::MAX)
}

#[tokio::test]
async fn a_thousand_connections() {
    // Both ends of each are in this process, which needs some for itself.
    let count = 1000.min((descriptors() - 100) / 2);
    let broker = Broker::builder()
        .max_connections(count)
        .start()
        .await
        .unwrap();
    let clients = (0..count).map(|number| {
        let broker = &broker;
        async move {
            let mut client = raw(broker).await;
            client.open().await;
            client
                .send(1, queue_declare(&format!("q{number}"), 4))
                .await;
            client.frame().await.expect("queue.declare-ok");
            client
        }
    });
    let mut clients = join_all(clients).await;
    assert_eq!(broker.snapshot().connections.len(), count);
    assert_eq!(broker.snapshot().queues.len(), count);
    // One more is not let in, and the others do not notice.
    assert!(raw(&broker).await.rest().await.is_empty());
    join_all(clients.iter_mut().map(Raw::sync)).await;
    drop(clients);
    until(&broker, "all are gone", |s| {
        s.connections.is_empty() && s.queues.is_empty()
    })
    .await;
}

#[tokio::test]
async fn large_messages_in_frames_of_all_sizes() {
    let body: Vec<u8> = (0..16 * MIB).map(|at| (at % 251) as u8).collect();
    // From the least that lapin takes to the most that the broker proposes.
    for frame_max in [8 << 10, 128 << 10] {
        let broker = Broker::builder()
            .frame_max(frame_max)
            .start()
            .await
            .unwrap();
        let connection = connect(&broker).await;
        let channel = connection.create_channel().await.unwrap();
        declare(&channel, "q", &[]).await;
        publish(&channel, "", "q", &body).await;
        assert!(
            get(&channel, "q").await.unwrap().data == body,
            "frames of {frame_max}"
        );
    }
    let broker = Broker::start().await.unwrap();
    let mut client = raw(&broker).await;
    client.open().await;
    client.send(1, queue_declare("q", 16)).await;
    client.send(1, basic_publish("", "q")).await;
    client
        .send_kind(2, 1, content_header(body.len() as u64))
        .await;
    for piece in body.chunks(4096 - 8) {
        client.send_kind(3, 1, piece.iter().copied()).await;
    }
    client.sync().await;
    let connection = connect(&broker).await;
    let channel = connection.create_channel().await.unwrap();
    assert!(
        get(&channel, "q").await.unwrap().data == body,
        "frames of 4096"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_messages_wait_for_a_slow_consumer() {
    // A gigabyte, where that is quick.
    const COUNT: usize = if cfg!(debug_assertions) { 12 } else { 64 };
    let broker = Broker::builder()
        .memory_limit(64 * MIB)
        .start()
        .await
        .unwrap();
    let (producing, consuming) = (connect(&broker).await, connect(&broker).await);
    let sink = consuming.create_channel().await.unwrap();
    declare(&sink, "q", &[]).await;
    sink.basic_qos(1, BasicQosOptions::default()).await.unwrap();
    let mut consumer = consume(&sink, "q").await;
    let source = producing.create_channel().await.unwrap();
    let publishing = tokio::spawn(async move {
        let mut body = vec![7; 16 * MIB];
        for number in 0..COUNT {
            body[0] = number as u8;
            let options = BasicPublishOptions::default();
            let sent = source.basic_publish(
                "".into(),
                "q".into(),
                options,
                &body,
                BasicProperties::default(),
            );
            sent.await.unwrap().await.unwrap();
        }
    });
    for number in 0..COUNT {
        let delivery = consumer.next().await.unwrap().unwrap();
        assert_eq!(
            (delivery.data.len(), delivery.data[0]),
            (16 * MIB, number as u8)
        );
        // The limit, and what was on its way in when it was reached.
        assert!(broker.snapshot().message_bytes < 100 * MIB);
        delivery.ack(BasicAckOptions::default()).await.unwrap();
    }
    publishing.await.unwrap();
    until(&broker, "all are settled", |s| s.message_bytes == 0).await;
}

#[tokio::test]
async fn a_consumer_that_does_not_read_holds_its_publisher_back() {
    const LIMIT: usize = 4 * MIB;
    const BATCHES: usize = 600;
    let broker = Broker::builder().memory_limit(LIMIT).start().await.unwrap();
    let mut witness = Witness::new(&broker).await;
    let (mut sink, mut source) = (raw(&broker).await, raw(&broker).await);
    sink.open().await;
    sink.send(1, queue_declare("q", 0)).await;
    sink.send(1, basic_consume("q", true)).await;
    source.open().await;
    // Far more than fits into the sockets between them.
    let publishing = tokio::spawn(async move {
        let batch = publication("", "q", &[7; 1000]).repeat(100);
        for _ in 0..BATCHES {
            source.write(&batch).await;
        }
        source
    });
    until(&broker, "the publisher is blocked", |s| {
        s.connections.iter().any(|c| c.blocked)
    })
    .await;
    witness.calls().await;
    assert!(!publishing.is_finished(), "nothing holds it back");
    let snapshot = broker.snapshot();
    assert!(
        snapshot.message_bytes < LIMIT + MIB,
        "{} bytes",
        snapshot.message_bytes
    );
    // It reads on, and everything comes.
    let mut bodies = 0;
    while bodies < BATCHES * 100 {
        let (kind, ..) = sink.frame().await.unwrap();
        bodies += usize::from(kind == 3);
    }
    publishing.await.unwrap();
    until(&broker, "nobody is blocked", |s| {
        s.connections.iter().all(|connection| !connection.blocked)
    })
    .await;
    witness.calls().await;
}

#[tokio::test]
async fn acknowledging_goes_on_while_publishers_are_blocked() {
    let broker = Broker::builder().memory_limit(MIB).start().await.unwrap();
    let (producing, consuming) = (connect(&broker).await, connect(&broker).await);
    let sink = consuming.create_channel().await.unwrap();
    declare(&sink, "q", &[]).await;
    let source = producing.create_channel().await.unwrap();
    source
        .confirm_select(ConfirmSelectOptions::default())
        .await
        .unwrap();
    for _ in 0..2 {
        publish(&source, "", "q", &vec![7; 600_000]).await;
    }
    until(&broker, "the publisher is blocked", |s| {
        s.connections.iter().any(|c| c.blocked)
    })
    .await;
    let waiting = tokio::spawn(async move { publish(&source, "", "q", b"later").await });
    // Others may still do everything else: declare, consume, acknowledge.
    declare(&sink, "another", &[]).await;
    let mut consumer = consume(&sink, "q").await;
    for _ in 0..2 {
        let delivery = consumer.next().await.unwrap().unwrap();
        assert_eq!(delivery.data.len(), 600_000);
        delivery.ack(BasicAckOptions::default()).await.unwrap();
    }
    assert!(waiting.await.unwrap().is_ack());
    assert_eq!(consumer.next().await.unwrap().unwrap().data, b"later");
    assert!(
        broker
            .snapshot()
            .connections
            .iter()
            .all(|connection| !connection.blocked)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_does_not_starve_others() {
    let broker = Broker::start().await.unwrap();
    let mut witness = Witness::new(&broker).await;
    let mut flooding = raw(&broker).await;
    flooding.open().await;
    let (over, batches) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let flood = {
        let (over, batches) = (over.clone(), batches.clone());
        // Nothing takes these, so that they cost nothing but the broker's time.
        let batch = publication("amq.fanout", "k", &[7; 100]).repeat(1000);
        tokio::spawn(async move {
            while !over.load(Ordering::Relaxed) {
                flooding.write(&batch).await;
                batches.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    let mut times = Vec::new();
    while times.len() < 100 || batches.load(Ordering::Relaxed) < 100 {
        let start = Instant::now();
        witness.calls().await;
        times.push(start.elapsed());
    }
    over.store(true, Ordering::Relaxed);
    flood.await.unwrap();
    times.sort_unstable();
    assert!(times[times.len() / 2] < Duration::from_secs(1), "{times:?}");
}
