//! Clients that break the rules, on raw sockets. Whatever they do, the others must not notice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use lightbus_broker::Broker;
use std::time::{Duration, Instant};
use support::*;

/// The broker serves others as ever.
async fn assert_well(broker: &Broker) {
    let connection = connect(broker).await;
    let channel = connection.create_channel().await.unwrap();
    declare(&channel, "well", &[]).await;
    publish(&channel, "", "well", b"m").await;
    assert_eq!(get(&channel, "well").await.unwrap().data, b"m");
    connection.close(200, "done".into()).await.unwrap();
}

#[tokio::test]
async fn no_amqp_at_all() {
    let broker = Broker::start().await.unwrap();
    for greeting in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"AMQP\x00\x01\x00\x00",
        b"AMQP\x09\x09\x09\x09",
    ] {
        let mut socket = raw(&broker).await;
        socket.write(greeting).await;
        assert_eq!(socket.rest().await, b"AMQP\x00\x00\x09\x01");
    }
    assert_well(&broker).await;
}

#[tokio::test]
async fn amqp_0_9_is_taken_for_0_9_1() {
    let broker = Broker::start().await.unwrap();
    let mut socket = raw(&broker).await;
    socket.write(b"AMQP\x01\x01\x00\x09").await;
    let (_, _, start) = socket.frame().await.expect("connection.start");
    assert_eq!(start[..4], [0, 10, 0, 10]);
}

#[tokio::test]
async fn silence_ends_the_handshake() {
    let broker = Broker::builder()
        .handshake_timeout(Duration::from_millis(200))
        .start()
        .await
        .unwrap();
    let mut silent = raw(&broker).await;
    let mut halfway = raw(&broker).await;
    halfway.write(b"AMQP\x00\x00\x09\x01").await;
    let start = Instant::now();
    assert!(silent.rest().await.is_empty());
    assert!(!halfway.rest().await.is_empty(), "it got connection.start");
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_well(&broker).await;
}

#[tokio::test]
async fn a_handshake_may_take_for_ever() {
    let broker = Broker::builder()
        .handshake_timeout(Duration::MAX)
        .start()
        .await
        .unwrap();
    assert_well(&broker).await;
}

#[tokio::test]
async fn frames_are_small_until_their_size_is_agreed() {
    let broker = Broker::start().await.unwrap();
    let mut socket = raw(&broker).await;
    socket.write(b"AMQP\x00\x00\x09\x01").await;
    // The head of a frame of 4097 octets.
    socket.frame().await.expect("connection.start");
    socket.write(&[1, 0, 0, 0, 0, 0x10, 1]).await;
    // Who has not logged in is cut off, not told.
    assert!(socket.frame().await.is_none());
    assert_well(&broker).await;
}

#[tokio::test]
async fn broken_frames_close_their_connection() {
    let broker = Broker::start().await.unwrap();
    for (what, bytes, code) in [
        ("end marker", &[8, 0, 0, 0, 0, 0, 0, 0][..], 501),
        ("kind", &[9, 0, 0, 0, 0, 0, 0, 0xCE], 501),
        ("size", &[1, 0, 1, 0x7F, 0xFF, 0xFF, 0xFF], 501),
        ("method", &[1, 0, 1, 0, 0, 0, 4, 0, 50, 0, 10, 0xCE], 501),
        ("content", &[3, 0, 1, 0, 0, 0, 1, 0, 0xCE], 505),
        ("channel", &[1, 0, 9, 0, 0, 0, 4, 0, 60, 0, 100, 0xCE], 504),
    ] {
        let mut socket = raw(&broker).await;
        socket.open().await;
        socket.write(bytes).await;
        assert_eq!(socket.close_code().await, code, "{what}");
    }
    assert_well(&broker).await;
}

#[tokio::test]
async fn frames_may_come_byte_by_byte() {
    let broker = Broker::start().await.unwrap();
    let mut socket = raw(&broker).await;
    socket.open().await;
    for byte in [1, 0, 1, 0, 0, 0, 5, 0, 85, 0, 10, 0, 0xCE] {
        socket.write(&[byte]).await;
    }
    let (kind, channel, payload) = socket.frame().await.unwrap();
    assert_eq!((kind, channel, payload), (1, 1, vec![0, 85, 0, 11]));
}

#[tokio::test]
async fn a_table_bomb_kills_nobody() {
    let broker = Broker::start().await.unwrap();
    let mut table = Vec::new();
    for _ in 0..10_000 {
        let mut outer = vec![1, b'k', b'F'];
        outer.extend_from_slice(&(table.len() as u32).to_be_bytes());
        outer.append(&mut table);
        table = outer;
    }
    let mut bomb = (table.len() as u32).to_be_bytes().to_vec();
    bomb.append(&mut table);

    let mut declaring = raw(&broker).await;
    declaring.open().await;
    declaring
        .send(
            1,
            [0, 50, 0, 10, 0, 0, 1, b'q', 0]
                .into_iter()
                .chain(bomb.clone()),
        )
        .await;
    assert_eq!(declaring.close_code().await, 502);

    let mut publishing = raw(&broker).await;
    publishing.open().await;
    publishing
        .send(1, [0, 60, 0, 40, 0, 0, 0, 1, b'q', 0])
        .await;
    publishing
        .send_kind(
            2,
            1,
            [0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x20, 0]
                .into_iter()
                .chain(bomb),
        )
        .await;
    assert_eq!(publishing.close_code().await, 502);
    assert_well(&broker).await;
}

#[tokio::test]
async fn logging_in_differently() {
    let broker = Broker::start().await.unwrap();
    let amqplain = b"\x05LOGINS\x00\x00\x00\x05guest\x08PASSWORDS\x00\x00\x00\x05guest";
    for (mechanism, response, welcome) in [
        ("PLAIN", &b"\0guest\0guest"[..], true),
        ("AMQPLAIN", amqplain, true),
        ("PLAIN", b"guest", false),
        ("AMQPLAIN", b"\x05LOGINS", false),
        ("EXTERNAL", b"", false),
        ("PLAIN", b"\0guest\0wrong", false),
    ] {
        let mut socket = raw(&broker).await;
        socket.greet(mechanism, response).await;
        let tuned =
            matches!(socket.frame().await, Some((1, 0, payload)) if payload[..4] == [0, 10, 0, 30]);
        assert_eq!(tuned, welcome, "{mechanism} {response:?}");
    }
}

#[tokio::test]
async fn someone_who_vanishes_mid_message_leaves_nothing() {
    let broker = Broker::start().await.unwrap();
    let mut socket = raw(&broker).await;
    socket.open().await;
    socket.send(1, [0, 60, 0, 40, 0, 0, 0, 1, b'q', 0]).await;
    socket
        .send_kind(2, 1, [0, 60, 0, 0, 0, 0, 0, 0, 0, 0x0F, 0, 0, 0, 0])
        .await;
    socket.send_kind(3, 1, vec![0; 100_000]).await;
    until(&broker, "the half message is held", |s| {
        s.message_bytes > 100_000
    })
    .await;
    drop(socket);
    until(&broker, "nothing is held", |s| {
        s.message_bytes == 0 && s.connections.is_empty()
    })
    .await;
}

#[tokio::test]
async fn silence_after_the_handshake_ends_a_connection_with_heartbeats() {
    let broker = Broker::builder()
        .heartbeat(Duration::from_secs(1))
        .start()
        .await
        .unwrap();
    let mut socket = raw(&broker).await;
    socket.open_with_heartbeat(1).await;
    let start = Instant::now();
    let sent = socket.rest().await;
    assert!(sent.len() >= 8, "it sent heartbeats");
    assert!((Duration::from_secs(2)..Duration::from_secs(6)).contains(&start.elapsed()));
    until(&broker, "it is gone", |s| s.connections.is_empty()).await;
}

#[tokio::test]
async fn asking_without_reading_is_not_endless() {
    let broker = Broker::start().await.unwrap();
    let mut socket = raw(&broker).await;
    socket.open().await;
    let ask: Vec<u8> = frame(1, 1, [0, 85, 0, 10, 0]).repeat(10_000);
    // The broker stops reading at some point, so that writing stalls, and goes on when its answers are read.
    let mut written = 0_usize;
    while let Ok(()) = tokio::time::timeout(Duration::from_millis(300), socket.write(&ask)).await {
        written += 1;
        assert!(written < 2000, "the broker buffers without a limit");
    }
    assert_well(&broker).await;
}
