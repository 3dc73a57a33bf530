//! Whatever a client does to the broker, the others are served as ever: before, meanwhile and after.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use lightbus_broker::Broker;
use std::time::{Duration, Instant};
use support::*;

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const HEARTBEAT: u8 = 8;

/// The arguments of every method that takes a table, up to the table.
const WITH_TABLES: [(&str, &[u8]); 8] = [
    (
        "exchange.declare",
        &[
            0, 40, 0, 10, 0, 0, 1, b'x', 6, b'd', b'i', b'r', b'e', b'c', b't', 0,
        ],
    ),
    (
        "exchange.bind",
        &[0, 40, 0, 30, 0, 0, 1, b'x', 1, b'y', 0, 0],
    ),
    (
        "exchange.unbind",
        &[0, 40, 0, 40, 0, 0, 1, b'x', 1, b'y', 0, 0],
    ),
    ("queue.declare", &[0, 50, 0, 10, 0, 0, 1, b'q', 0]),
    ("queue.bind", &[0, 50, 0, 20, 0, 0, 1, b'q', 1, b'x', 0, 0]),
    ("queue.unbind", &[0, 50, 0, 50, 0, 0, 1, b'q', 1, b'x', 0]),
    ("basic.consume", &[0, 60, 0, 20, 0, 0, 1, b'q', 0, 0]),
    ("message", &[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x20, 0]),
];

#[tokio::test]
async fn bombs_of_tables_and_arrays() {
    let broker = Broker::start().await.unwrap();
    let mut witness = Witness::new(&broker).await;
    for arrays in [false, true] {
        let bomb = bomb(10_000, arrays);
        for (what, start) in WITH_TABLES {
            let mut client = raw(&broker).await;
            client.open().await;
            let mut kind = METHOD;
            if what == "message" {
                client.send(1, basic_publish("", "q")).await;
                kind = HEADER;
            }
            client.send_kind(kind, 1, [start, &bomb].concat()).await;
            assert_eq!(client.close_code().await, 502, "{what}, arrays: {arrays}");
            witness.calls().await;
        }
        let mut stranger = raw(&broker).await;
        stranger.write(b"AMQP\x00\x00\x09\x01").await;
        stranger.frame().await.expect("connection.start");
        let start_ok = [
            &[0, 10, 0, 11][..],
            &bomb,
            b"\x05PLAIN\x00\x00\x00\x00\x05en_US",
        ]
        .concat();
        stranger.send(0, start_ok).await;
        assert!(stranger.rest().await.is_empty(), "cut off");
        witness.calls().await;
    }
}

#[tokio::test]
async fn sessions_that_end_at_any_byte() {
    let broker = Broker::start().await.unwrap();
    let mut witness = Witness::new(&broker).await;
    let whole = [
        &b"AMQP\x00\x00\x09\x01"[..],
        &frame(METHOD, 0, *b"\x00\x0a\x00\x0b\x00\x00\x00\x00\x05PLAIN\x00\x00\x00\x0c\x00guest\x00guest\x05en_US"),
        &frame(METHOD, 0, [0, 10, 0, 31, 0, 10, 0, 2, 0, 0, 0, 0]),
        &frame(METHOD, 0, [0, 10, 0, 40, 1, b'/', 0, 0]),
        &frame(METHOD, 1, [0, 20, 0, 10, 0]),
        &frame(METHOD, 1, queue_declare("mine", 4)),
        &frame(METHOD, 1, basic_consume("mine", false)),
        &publication("", "mine", b"message"),
    ]
    .concat();
    for cut in 0..whole.len() {
        let mut client = raw(&broker).await;
        client.write(&whole[..cut]).await;
        drop(client);
        if cut % 32 == 0 {
            witness.calls().await;
        }
    }
    until(&broker, "only the witness is left", |s| {
        s.connections.len() == 1 && s.queues.len() == 1 && s.message_bytes == 0
    })
    .await;
    witness.calls().await;
}

#[tokio::test]
async fn frames_that_do_not_belong() {
    let broker = Broker::start().await.unwrap();
    let mut witness = Witness::new(&broker).await;
    let publish = || frame(METHOD, 1, basic_publish("", "q"));
    let header = |size| frame(HEADER, 1, content_header(size));
    let open = |channel| frame(METHOD, channel, [0, 20, 0, 10, 0]);
    let cases = [
        (
            "a body without a header",
            [publish(), frame(BODY, 1, [1])].concat(),
            505,
        ),
        ("a header without a method", header(1), 505),
        (
            "a second header",
            [publish(), header(9), header(9)].concat(),
            505,
        ),
        (
            "a method amid content",
            [publish(), header(9), open(2)].concat(),
            0,
        ),
        (
            "a method amid its channel's content",
            [publish(), header(9), publish()].concat(),
            505,
        ),
        (
            "content on a channel that is not open",
            [publish(), frame(HEADER, 7, content_header(1))].concat(),
            505,
        ),
        (
            "more content than announced",
            [publish(), header(1), frame(BODY, 1, [1, 2])].concat(),
            501,
        ),
        ("an unknown class", frame(METHOD, 1, [0, 99, 0, 10]), 540),
        ("an unknown method", frame(METHOD, 1, [0, 50, 0, 99]), 540),
        (
            "a method that only brokers send",
            frame(METHOD, 1, [0, 50, 0, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            503,
        ),
        (
            "a channel's method on channel 0",
            frame(METHOD, 0, queue_declare("q", 0)),
            504,
        ),
        (
            "a connection's method on channel 1",
            frame(METHOD, 1, [0, 10, 0, 40, 1, b'/', 0, 0]),
            503,
        ),
        (
            "content on channel 0",
            frame(HEADER, 0, content_header(1)),
            505,
        ),
        ("a channel opened twice", open(1), 504),
        (
            "a connection opened twice",
            frame(METHOD, 0, [0, 10, 0, 40, 1, b'/', 0, 0]),
            504,
        ),
        ("a heartbeat on a channel", frame(HEARTBEAT, 1, []), 505),
        (
            "a frame larger than agreed",
            frame(BODY, 1, vec![0; 200_000]),
            501,
        ),
        (
            "a frame with a wrong end",
            vec![METHOD, 0, 1, 0, 0, 0, 0, 0],
            501,
        ),
        ("a frame of no kind", frame(9, 1, []), 501),
    ];
    for (what, bytes, code) in cases {
        let mut client = raw(&broker).await;
        client.open().await;
        client.write(&bytes).await;
        witness.calls().await;
        if code == 0 {
            assert_eq!(
                client.frame().await.unwrap().2[..4],
                [0, 20, 0, 11],
                "{what}"
            );
        } else {
            assert_eq!(client.close_code().await, code, "{what}");
        }
        witness.calls().await;
    }
}

#[tokio::test]
async fn a_giant_that_is_only_announced() {
    let broker = Broker::start().await.unwrap();
    let mut witness = Witness::new(&broker).await;
    for size in [u64::MAX, 1 << 40, (16 << 20) + 1] {
        let mut client = raw(&broker).await;
        client.open().await;
        client.send(1, basic_publish("", "q")).await;
        client.send_kind(HEADER, 1, content_header(size)).await;
        // What comes of it is not kept, and all of it has to come before it is refused.
        client.send_kind(BODY, 1, [7; 100_000]).await;
        witness.calls().await;
        assert_eq!(broker.snapshot().message_bytes, 0);
    }
}

#[tokio::test]
async fn a_handshake_byte_by_byte_has_its_end() {
    let limit = Duration::from_millis(500);
    let broker = Broker::builder()
        .handshake_timeout(limit)
        .start()
        .await
        .unwrap();
    let mut witness = Witness::new(&broker).await;
    let begun = Instant::now();
    let mut slow = raw(&broker).await;
    // A connection.start-ok of four kilobytes, and always something of it.
    slow.write(b"AMQP\x00\x00\x09\x01\x01\x00\x00\x00\x00\x0f\xf0")
        .await;
    let is_cut_off = async || slow.try_write(&[0]).await.is_err();
    eventually("it is cut off", is_cut_off).await;
    assert!(begun.elapsed() >= limit, "{:?}", begun.elapsed());
    witness.calls().await;
}

#[tokio::test]
async fn who_never_reads_gets_no_more_than_fits() {
    let broker = Broker::builder()
        .memory_limit(64 << 20)
        .start()
        .await
        .unwrap();
    let mut witness = Witness::new(&broker).await;
    let mut deaf = raw(&broker).await;
    deaf.open().await;
    deaf.send(1, queue_declare("q", 0)).await;
    deaf.send(1, basic_consume("q", true)).await;
    let mut source = raw(&broker).await;
    source.open().await;
    source
        .write(&publication("", "q", &[7; 10_000]).repeat(3000))
        .await;
    source.sync().await;
    // What was not handed to the deaf one's socket is still in the queue.
    let waiting = broker.snapshot().queue("q").unwrap().ready;
    assert!(waiting > 1000, "{waiting}");
    witness.calls().await;
    drop(deaf);
    until(&broker, "it is gone", |s| {
        s.queue("q").is_some_and(|queue| queue.consumers == 0)
    })
    .await;
    witness.calls().await;
}

#[tokio::test]
async fn a_lot_that_is_asked_for_at_once_comes_bit_by_bit() {
    let broker = Broker::start().await.unwrap();
    let mut witness = Witness::new(&broker).await;
    let mut greedy = raw(&broker).await;
    greedy.open().await;
    greedy.send(1, queue_declare("q", 0)).await;
    greedy.send(1, basic_publish("", "q")).await;
    greedy.send_kind(HEADER, 1, content_header(1 << 20)).await;
    for part in vec![7; 1 << 20].chunks(1 << 16) {
        greedy.send_kind(BODY, 1, part.iter().copied()).await;
    }
    greedy.sync().await;
    // Fetched and put back, again and again; all of it fits the buffer of one read.
    let asks: Vec<u8> = (1..=300_u64)
        .flat_map(|tag| {
            let nack = [&[0, 60, 0, 120][..], &tag.to_be_bytes(), &[2]].concat();
            let get = frame(METHOD, 1, *b"\0\x3c\0\x46\0\0\x01q\0");
            [get, frame(METHOD, 1, nack)].concat()
        })
        .collect();
    greedy.write(&asks).await;
    let delivered = |s: &lightbus_broker::Snapshot| s.queue("q").unwrap().counters.delivered;
    until(&broker, "the first come", |s| delivered(s) > 0).await;
    witness.calls().await;
    let first = delivered(&broker.snapshot());
    assert!(first < 100, "{first}");
    let mut got = 0;
    while got < 300 << 20 {
        let (kind, _, payload) = greedy.frame().await.expect("a message");
        got += if kind == BODY { payload.len() } else { 0 };
    }
    greedy.sync().await;
    assert_eq!(delivered(&broker.snapshot()), 300);
    witness.calls().await;
}
