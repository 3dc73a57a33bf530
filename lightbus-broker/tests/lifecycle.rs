//! Starting, stopping, cutting, blocking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use futures_util::StreamExt;
use lapin::options::ConfirmSelectOptions;
use lapin::{Connection, ConnectionProperties, Event};
use lightbus_broker::Broker;
use std::time::Duration;
use support::*;
use tokio::net::TcpStream;

#[tokio::test]
async fn brokers_live_side_by_side() {
    let (one, two) = (
        Broker::start().await.unwrap(),
        Broker::start().await.unwrap(),
    );
    assert_ne!(one.addr(), two.addr());
    let connection = connect(&one).await;
    declare(&connection.create_channel().await.unwrap(), "q", &[]).await;
    assert!(one.snapshot().queue("q").is_some());
    assert!(two.snapshot().queue("q").is_none());
}

#[tokio::test]
async fn a_dropped_broker_is_gone() {
    let broker = Broker::start().await.unwrap();
    let address = broker.addr();
    let connection = connect(&broker).await;
    let mut events = connection.events_listener();
    drop(broker);
    let lost = async { while !matches!(events.next().await, Some(Event::Error(_)) | None) {} };
    tokio::time::timeout(Duration::from_secs(5), lost)
        .await
        .expect("the client is cut off");
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn shutdown_says_goodbye_and_waits() {
    let broker = Broker::start().await.unwrap();
    let address = broker.addr();
    let connection = connect(&broker).await;
    let mut events = connection.events_listener();
    tokio::time::timeout(Duration::from_secs(5), broker.shutdown())
        .await
        .unwrap();
    assert!(TcpStream::connect(address).await.is_err());
    let mut said = String::new();
    while let Some(event) = events.next().await {
        if let Event::Error(error) = event {
            said = error.to_string();
            break;
        }
    }
    assert!(
        said.contains("CONNECTION-FORCED") || said.contains("shutting down"),
        "{said}"
    );
}

#[tokio::test]
async fn cut_connections_are_gone_at_once() {
    let (broker, connection, channel) = start().await;
    declare(&channel, "q", &[]).await;
    let mut consumer = consume(&channel, "q").await;
    publish(&channel, "", "q", b"m").await;
    consumer.next().await.unwrap().unwrap();
    assert_eq!(broker.drop_connections(), 1);
    let snapshot = broker.snapshot();
    assert!(snapshot.connections.is_empty());
    let queue = snapshot.queue("q").unwrap();
    assert_eq!((queue.ready, queue.unacked, queue.consumers), (1, 0, 0));
    assert!(matches!(consumer.next().await, Some(Err(_))));
    assert!(!connection.status().connected());
    connect(&broker).await;
}

#[tokio::test]
async fn publishers_wait_while_blocked() {
    let (broker, connection, channel) = start().await;
    declare(&channel, "q", &[]).await;
    publish(&channel, "", "q", b"1").await;
    let mut events = connection.events_listener();
    broker.block_publishers("testing");
    assert!(broker.snapshot().connection("test").unwrap().blocked);
    loop {
        match events.next().await.unwrap() {
            Event::ConnectionBlocked(reason) => break assert_eq!(reason, "testing"),
            _ => continue,
        }
    }
    let pending = publish(&channel, "", "q", b"2");
    tokio::pin!(pending);
    assert!(
        tokio::time::timeout(Duration::from_millis(50), &mut pending)
            .await
            .is_err()
    );
    broker.unblock_publishers();
    assert!(pending.await.is_ack());
    assert_eq!(broker.snapshot().queue("q").unwrap().ready, 2);
}

/// Waits for as long as a client may be silent that agreed on a heartbeat each second.
async fn until_the_silent_are_dead(broker: &Broker) {
    let mut silent = raw(broker).await;
    silent.open_with_heartbeat(1).await;
    while silent.frame().await.is_some() {}
}

#[tokio::test]
async fn a_blocked_publisher_that_says_nothing_is_not_taken_for_dead() {
    let broker = Broker::start().await.unwrap();
    let url = format!("{}?heartbeat=1", broker.url());
    let connection = Connection::connect(&url, ConnectionProperties::default());
    let connection = connection.await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await
        .unwrap();
    declare(&channel, "q", &[]).await;
    publish(&channel, "", "q", b"1").await;
    broker.block_publishers("testing");
    // lapin sends no heartbeats while it is blocked.
    until_the_silent_are_dead(&broker).await;
    assert!(connection.status().connected());
    broker.unblock_publishers();
    assert!(publish(&channel, "", "q", b"2").await.is_ack());
}

#[tokio::test]
async fn users_and_vhosts_are_what_the_builder_says() {
    let broker = Broker::builder()
        .user("ada", "p@ss/word")
        .vhost("my/host")
        .start()
        .await
        .unwrap();
    assert!(
        broker
            .url()
            .starts_with("amqp://ada:p%40ss%2fword@127.0.0.1:")
    );
    let connect = |url: String| async move {
        Connection::connect(&url, ConnectionProperties::default()).await
    };
    assert!(connect(broker.url()).await.is_ok());
    assert!(
        connect(broker.url().replace("p%40ss%2fword", "wrong"))
            .await
            .is_err()
    );
    assert!(
        connect(broker.url().replace("ada:p%40ss%2fword", "guest:guest"))
            .await
            .is_err()
    );
    assert!(
        connect(broker.url().replace("/%2f", "/my%2fhost"))
            .await
            .is_ok()
    );
    let error = connect(broker.url().replace("/%2f", "/missing"))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("vhost missing not found"),
        "{error}"
    );
}

#[tokio::test]
async fn virtual_hosts_are_apart() {
    let broker = Broker::builder().vhost("other").start().await.unwrap();
    for url in [broker.url(), broker.url().replace("/%2f", "/other")] {
        let connection = Connection::connect(&url, ConnectionProperties::default())
            .await
            .unwrap();
        let channel = connection.create_channel().await.unwrap();
        declare(&channel, "q", &[]).await;
        connection.close(200, "done".into()).await.unwrap();
    }
    let vhosts: Vec<_> = broker
        .snapshot()
        .queues
        .into_iter()
        .map(|queue| queue.vhost)
        .collect();
    assert_eq!(vhosts, ["/", "other"]);
}

#[tokio::test]
async fn an_idle_connection_is_kept_alive_by_heartbeats() {
    let broker = Broker::builder()
        .heartbeat(Duration::from_secs(1))
        .start()
        .await
        .unwrap();
    let connection = connect(&broker).await;
    until_the_silent_are_dead(&broker).await;
    assert!(connection.status().connected());
    until(&broker, "only the idle one is left", |s| {
        s.connections.len() == 1
    })
    .await;
}

#[tokio::test]
async fn there_may_be_too_many_connections() {
    let broker = Broker::builder().max_connections(1).start().await.unwrap();
    let first = connect(&broker).await;
    assert!(
        Connection::connect(&broker.url(), ConnectionProperties::default())
            .await
            .is_err()
    );
    first.close(200, "done".into()).await.unwrap();
    let again = async {
        while Connection::connect(&broker.url(), ConnectionProperties::default())
            .await
            .is_err()
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), again)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_consumer_that_does_not_read_costs_bounded_memory_and_gets_everything_in_the_end() {
    let (broker, _connection, channel) = start().await;
    declare(&channel, "q", &[]).await;
    let body = vec![7; 1 << 20];
    for _ in 0..24 {
        publish(&channel, "", "q", &body).await;
    }
    let mut socket = raw(&broker).await;
    socket.open().await;
    socket
        .send(
            1,
            [0, 60, 0, 20, 0, 0, 1, b'q', 1, b'c', 2]
                .into_iter()
                .chain([0; 4]),
        )
        .await;
    // A few messages fill the socket and the out-buffer; the others stay in the queue.
    until(&broker, "deliveries stall", |s| {
        s.queue("q")
            .is_some_and(|q| q.consumers == 1 && q.ready > 0 && q.ready < 24)
    })
    .await;
    assert!(broker.snapshot().queue("q").unwrap().ready >= 8);
    let mut bytes = 0;
    while bytes < 24 << 20 {
        bytes += socket.frame().await.map_or(
            0,
            |(kind, _, payload)| if kind == 3 { payload.len() } else { 0 },
        );
    }
    assert_eq!(broker.snapshot().queue("q").unwrap().ready, 0);
}
