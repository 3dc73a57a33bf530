#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{Mode, Proxy};

/// Both ends of a connection through a proxy.
struct Ends {
    proxy: Proxy,
    client: TcpStream,
    broker: TcpStream,
}

async fn connected(mode: Mode) -> Ends {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("amqp://{}", listener.local_addr().unwrap());
    let proxy = Proxy::start(&url).await.unwrap();
    proxy.set(mode);
    let client = TcpStream::connect(proxy.address()).await.unwrap();
    let (broker, _) = listener.accept().await.unwrap();
    Ends {
        proxy,
        client,
        broker,
    }
}

async fn gets_through(from: &mut TcpStream, to: &mut TcpStream) {
    from.write_all(b"hello").await.unwrap();
    arrives(to).await;
}

async fn arrives(at: &mut TcpStream) {
    let mut buffer = [0; 5];
    let read = tokio::time::timeout(Duration::from_secs(10), at.read_exact(&mut buffer));
    read.await.unwrap().unwrap();
    assert_eq!(&buffer, b"hello");
}

async fn nothing_arrives(at: &mut TcpStream) {
    let mut buffer = [0; 1];
    let read = tokio::time::timeout(Duration::from_millis(100), at.read(&mut buffer));
    assert!(read.await.is_err(), "neither bytes nor an end");
}

async fn is_reset(stream: &mut TcpStream) {
    let mut buffer = [0; 1];
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut buffer));
    let error = read.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn pass_hands_on_bytes_and_the_end_of_them() {
    let mut ends = connected(Mode::Pass).await;
    gets_through(&mut ends.client, &mut ends.broker).await;
    gets_through(&mut ends.broker, &mut ends.client).await;
    ends.client.shutdown().await.unwrap();
    assert_eq!(ends.broker.read(&mut [0]).await.unwrap(), 0);
    // Half of the connection is still open.
    gets_through(&mut ends.broker, &mut ends.client).await;
}

#[tokio::test]
async fn a_stall_keeps_what_was_sent() {
    let mut ends = connected(Mode::Stall).await;
    ends.client.write_all(b"hello").await.unwrap();
    ends.broker.write_all(b"hello").await.unwrap();
    nothing_arrives(&mut ends.broker).await;
    nothing_arrives(&mut ends.client).await;
    ends.proxy.set(Mode::Pass);
    arrives(&mut ends.broker).await;
    arrives(&mut ends.client).await;
}

#[tokio::test]
async fn a_stall_of_one_way_lets_the_other_through() {
    let mut ends = connected(Mode::Pass).await;
    gets_through(&mut ends.client, &mut ends.broker).await;

    ends.proxy.set(Mode::StallToBroker);
    ends.client.write_all(b"hello").await.unwrap();
    nothing_arrives(&mut ends.broker).await;
    gets_through(&mut ends.broker, &mut ends.client).await;

    ends.proxy.set(Mode::StallToClient);
    arrives(&mut ends.broker).await;
    ends.broker.write_all(b"hello").await.unwrap();
    nothing_arrives(&mut ends.client).await;
    gets_through(&mut ends.client, &mut ends.broker).await;

    ends.proxy.set(Mode::Pass);
    arrives(&mut ends.client).await;
}

#[tokio::test]
async fn a_black_hole_takes_everything_and_keeps_nothing() {
    let mut ends = connected(Mode::Blackhole).await;
    // More than all buffers on the way hold: it is read.
    ends.client.write_all(&vec![0; 16 << 20]).await.unwrap();
    ends.client.shutdown().await.unwrap();
    nothing_arrives(&mut ends.broker).await;
    ends.broker.write_all(b"hello").await.unwrap();
    nothing_arrives(&mut ends.client).await;
}

#[tokio::test]
async fn a_black_hole_of_one_way_lets_the_other_through() {
    let mut ends = connected(Mode::BlackholeToBroker).await;
    ends.client.write_all(b"gone!").await.unwrap();
    nothing_arrives(&mut ends.broker).await;
    gets_through(&mut ends.broker, &mut ends.client).await;
}

#[tokio::test]
async fn a_cut_resets_both_ends() {
    let mut ends = connected(Mode::Pass).await;
    gets_through(&mut ends.client, &mut ends.broker).await;
    assert_eq!(ends.proxy.cut(), 1);
    is_reset(&mut ends.client).await;
    is_reset(&mut ends.broker).await;
}

#[tokio::test]
async fn a_refusal_resets_who_comes_and_spares_who_is_there() {
    let mut ends = connected(Mode::Pass).await;
    ends.proxy.set(Mode::Refuse);
    let mut late = TcpStream::connect(ends.proxy.address()).await.unwrap();
    is_reset(&mut late).await;
    gets_through(&mut ends.client, &mut ends.broker).await;
}

#[tokio::test]
async fn silence_accepts_who_comes_and_lets_him_go() {
    let mut ends = connected(Mode::Pass).await;
    ends.proxy.set(Mode::Silence);
    let mut late = TcpStream::connect(ends.proxy.address()).await.unwrap();
    late.write_all(b"hello").await.unwrap();
    nothing_arrives(&mut late).await;
    assert_eq!(ends.proxy.connections(), 2);
    late.shutdown().await.unwrap();
    assert_eq!(late.read(&mut [0]).await.unwrap(), 0);
    gets_through(&mut ends.client, &mut ends.broker).await;
}

#[tokio::test]
async fn latency_is_added_each_way_and_bytes_stay_in_order() {
    let mut ends = connected(Mode::Slow {
        latency: Duration::from_millis(100),
        bytes_per_second: u32::MAX,
    })
    .await;
    let began = Instant::now();
    // Many messages at once take no longer than one.
    for _ in 0..5 {
        ends.client.write_all(b"hello").await.unwrap();
        tokio::task::yield_now().await;
    }
    for _ in 0..5 {
        arrives(&mut ends.broker).await;
    }
    let there = began.elapsed();
    gets_through(&mut ends.broker, &mut ends.client).await;
    assert!(there >= Duration::from_millis(100), "{there:?}");
    assert!(began.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn a_narrow_link_takes_its_time() {
    let mut ends = connected(Mode::Slow {
        latency: Duration::ZERO,
        bytes_per_second: 100_000,
    })
    .await;
    let began = Instant::now();
    ends.client.write_all(&[7; 50_000]).await.unwrap();
    let mut buffer = vec![0; 50_000];
    ends.broker.read_exact(&mut buffer).await.unwrap();
    // The last piece arrives before its own time is up.
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(450), "{took:?}");
    assert!(buffer.iter().all(|byte| *byte == 7));
}

#[tokio::test]
async fn a_dropped_proxy_ends_its_connections() {
    let mut ends = connected(Mode::Pass).await;
    gets_through(&mut ends.client, &mut ends.broker).await;
    let address = ends.proxy.address();
    drop(ends.proxy);
    let mut buffer = [0];
    let ended = tokio::time::timeout(Duration::from_secs(10), ends.client.read(&mut buffer));
    assert!(matches!(ended.await.unwrap(), Ok(0) | Err(_)));
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn only_host_and_port_of_the_url_are_replaced() {
    for (url, before, after) in [
        ("amqp://host:1", "amqp://", ""),
        (
            "amqp://u:p@host:1/%2f?heartbeat=2",
            "amqp://u:p@",
            "/%2f?heartbeat=2",
        ),
        ("amqp://host:1?heartbeat=2", "amqp://", "?heartbeat=2"),
    ] {
        let proxy = Proxy::start(url).await.unwrap();
        assert_eq!(proxy.url(), format!("{before}{}{after}", proxy.address()));
    }
    assert!(Proxy::start("host:1").await.is_err());
}
