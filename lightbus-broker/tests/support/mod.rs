//! What the integration tests share.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

pub mod stage;
pub mod wire;

use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer,
    options::*,
    types::{AMQPValue, FieldTable},
};
use lightbus_broker::{Broker, Snapshot};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

pub async fn start() -> (Broker, Connection, Channel) {
    let broker = Broker::start().await.unwrap();
    let connection = connect(&broker).await;
    let channel = connection.create_channel().await.unwrap();
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await
        .unwrap();
    (broker, connection, channel)
}

pub async fn connect(broker: &Broker) -> Connection {
    let properties = ConnectionProperties::default().with_connection_name("test".into());
    Connection::connect(&broker.url(), properties)
        .await
        .unwrap()
}

pub fn table(entries: &[(&str, AMQPValue)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (key, value) in entries {
        table.insert((*key).into(), value.clone());
    }
    table
}

pub fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

pub fn int(value: i32) -> AMQPValue {
    AMQPValue::LongInt(value)
}

pub async fn try_declare(
    channel: &Channel,
    queue: &str,
    arguments: &[(&str, AMQPValue)],
) -> lapin::Result<lapin::Queue> {
    let options = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    channel
        .queue_declare(queue.into(), options, table(arguments))
        .await
}

pub async fn declare(
    channel: &Channel,
    queue: &str,
    arguments: &[(&str, AMQPValue)],
) -> lapin::Queue {
    try_declare(channel, queue, arguments).await.unwrap()
}

pub async fn consume(channel: &Channel, queue: &str) -> Consumer {
    channel
        .basic_consume(
            queue.into(),
            "".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await
        .unwrap()
}

pub async fn publish(channel: &Channel, exchange: &str, key: &str, body: &[u8]) -> Confirmation {
    publish_with(channel, exchange, key, body, BasicProperties::default()).await
}

pub async fn publish_with(
    channel: &Channel,
    exchange: &str,
    key: &str,
    body: &[u8],
    properties: BasicProperties,
) -> Confirmation {
    let options = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    channel
        .basic_publish(exchange.into(), key.into(), options, body, properties)
        .await
        .unwrap()
        .await
        .unwrap()
}

pub async fn get(channel: &Channel, queue: &str) -> Option<lapin::message::BasicGetMessage> {
    channel
        .basic_get(queue.into(), BasicGetOptions { no_ack: true })
        .await
        .unwrap()
}

/// Looks again and again until something is so: for what comes without a sign of its own.
pub async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let looking = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let looked = tokio::time::timeout(Duration::from_secs(30), looking).await;
    assert!(looked.is_ok(), "waited in vain until {what}");
}

/// Waits until the broker is in a state.
pub async fn until(broker: &Broker, what: &str, holds: impl Fn(&Snapshot) -> bool) {
    eventually(what, async || holds(&broker.snapshot())).await;
}

/// A message's header.
pub fn header(delivery: &lapin::message::Delivery, name: &str) -> Option<AMQPValue> {
    delivery
        .properties
        .headers()
        .as_ref()?
        .inner()
        .get(name)
        .cloned()
}

/// A client without manners.
pub struct Raw(TcpStream);

pub async fn raw(broker: &Broker) -> Raw {
    Raw(TcpStream::connect(broker.addr()).await.unwrap())
}

/// One frame's bytes.
pub fn frame(kind: u8, channel: u16, payload: impl IntoIterator<Item = u8>) -> Vec<u8> {
    let payload: Vec<u8> = payload.into_iter().collect();
    let mut bytes = vec![kind];
    bytes.extend_from_slice(&channel.to_be_bytes());
    bytes.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    bytes.extend_from_slice(&payload);
    bytes.push(0xCE);
    bytes
}

/// A table, its length first, that holds a table that holds a table, and so on; with `arrays`, arrays in a table.
pub fn bomb(levels: usize, arrays: bool) -> Vec<u8> {
    let mut inner = Vec::new();
    for level in 0..levels {
        let outermost = level + 1 == levels;
        let mut outer = if outermost || !arrays {
            vec![1, b'k']
        } else {
            Vec::new()
        };
        outer.push(if arrays { b'A' } else { b'F' });
        outer.extend((inner.len() as u32).to_be_bytes());
        // Appending the inner to each outer would take long: it is built from the inside out, back to front.
        outer.reverse();
        inner.extend(outer);
    }
    inner.reverse();
    let mut bytes = (inner.len() as u32).to_be_bytes().to_vec();
    bytes.extend(inner);
    bytes
}

/// A client that keeps to the rules and wants to be served whatever others do.
pub struct Witness(Raw);

impl Witness {
    pub async fn new(broker: &Broker) -> Self {
        let mut raw = raw(broker).await;
        raw.open().await;
        raw.send(1, queue_declare("witness", 0)).await;
        raw.frame().await.expect("queue.declare-ok");
        Self(raw)
    }

    /// Asks for its queue, and is answered.
    pub async fn calls(&mut self) {
        self.0.send(1, queue_declare("witness", 1)).await;
        let (_, channel, payload) = self.0.frame().await.expect("queue.declare-ok");
        assert_eq!((channel, &payload[..4]), (1, &[0, 50, 0, 11][..]));
    }
}

fn short(text: &str) -> Vec<u8> {
    let mut bytes = vec![text.len() as u8];
    bytes.extend(text.as_bytes());
    bytes
}

/// `queue.declare`; of the flags, 1 is passive, 16 is no-wait.
pub fn queue_declare(name: &str, flags: u8) -> Vec<u8> {
    [
        &[0, 50, 0, 10, 0, 0][..],
        &short(name),
        &[flags, 0, 0, 0, 0],
    ]
    .concat()
}

/// `queue.delete` without an answer.
pub fn queue_delete(name: &str) -> Vec<u8> {
    [&[0, 50, 0, 40, 0, 0][..], &short(name), &[4]].concat()
}

/// `queue.bind` without an answer.
pub fn queue_bind(name: &str, exchange: &str, key: &str) -> Vec<u8> {
    [
        &[0, 50, 0, 20, 0, 0][..],
        &short(name),
        &short(exchange),
        &short(key),
        &[1, 0, 0, 0, 0],
    ]
    .concat()
}

/// `basic.consume`.
pub fn basic_consume(queue: &str, no_ack: bool) -> Vec<u8> {
    [
        &[0, 60, 0, 20, 0, 0][..],
        &short(queue),
        &short("tag"),
        &[u8::from(no_ack) << 1, 0, 0, 0, 0],
    ]
    .concat()
}

/// `basic.publish`.
pub fn basic_publish(exchange: &str, key: &str) -> Vec<u8> {
    [
        &[0, 60, 0, 40, 0, 0][..],
        &short(exchange),
        &short(key),
        &[0],
    ]
    .concat()
}

/// A content header without properties.
pub fn content_header(size: u64) -> Vec<u8> {
    [&[0, 60, 0, 0][..], &size.to_be_bytes(), &[0, 0]].concat()
}

/// All frames of a small message on channel 1.
pub fn publication(exchange: &str, key: &str, body: &[u8]) -> Vec<u8> {
    [
        frame(1, 1, basic_publish(exchange, key)),
        frame(2, 1, content_header(body.len() as u64)),
        frame(3, 1, body.iter().copied()),
    ]
    .concat()
}

impl Raw {
    /// Writes to a broker that may have closed.
    pub async fn try_write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.write_all(bytes).await
    }

    /// Waits until the broker has handled everything that was sent on channel 1.
    pub async fn sync(&mut self) {
        self.send(1, queue_declare("", 4)).await;
        loop {
            let (_, _, payload) = self.frame().await.expect("queue.declare-ok");
            if payload.starts_with(&[0, 50, 0, 11]) {
                return;
            }
        }
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    pub async fn send(&mut self, channel: u16, method: impl IntoIterator<Item = u8>) {
        self.send_kind(1, channel, method).await;
    }

    pub async fn send_kind(
        &mut self,
        kind: u8,
        channel: u16,
        payload: impl IntoIterator<Item = u8>,
    ) {
        self.write(&frame(kind, channel, payload)).await;
    }

    /// The next frame; none at the end.
    pub async fn frame(&mut self) -> Option<(u8, u16, Vec<u8>)> {
        let read = async {
            let mut head = [0; 7];
            self.0.read_exact(&mut head).await.ok()?;
            let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize;
            let mut payload = vec![0; size + 1];
            self.0.read_exact(&mut payload).await.ok()?;
            assert_eq!(payload.pop(), Some(0xCE));
            Some((head[0], u16::from_be_bytes([head[1], head[2]]), payload))
        };
        tokio::time::timeout(Duration::from_secs(10), read)
            .await
            .expect("no frame came")
    }

    /// Everything until the broker closes.
    pub async fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let read = self.0.read_to_end(&mut bytes);
        // A broker that closes with something of ours unread resets the connection: an end as good as any.
        let _ = tokio::time::timeout(Duration::from_secs(10), read)
            .await
            .expect("it did not end");
        bytes
    }

    pub async fn greet(&mut self, mechanism: &str, response: &[u8]) {
        let capability = b"\x0ccapabilitiesF\x00\x00\x00\x1f\x1cauthentication_failure_closet\x01";
        self.greet_as(capability, mechanism, response).await;
    }

    /// Greets with these client properties.
    async fn greet_as(&mut self, properties: &[u8], mechanism: &str, response: &[u8]) {
        self.write(b"AMQP\x00\x00\x09\x01").await;
        self.frame().await.expect("connection.start");
        let mut start_ok = vec![0, 10, 0, 11];
        start_ok.extend_from_slice(&(properties.len() as u32).to_be_bytes());
        start_ok.extend_from_slice(properties);
        start_ok.push(mechanism.len() as u8);
        start_ok.extend_from_slice(mechanism.as_bytes());
        start_ok.extend_from_slice(&(response.len() as u32).to_be_bytes());
        start_ok.extend_from_slice(response);
        start_ok.extend_from_slice(b"\x05en_US");
        self.send(0, start_ok).await;
    }

    /// Gets as far as an open channel 1.
    pub async fn open(&mut self) {
        self.open_with_heartbeat(0).await;
    }

    /// Gets as far as an open channel 1, under a name.
    pub async fn open_named(&mut self, name: &str) {
        let mut property = b"\x0fconnection_nameS".to_vec();
        property.extend_from_slice(&(name.len() as u32).to_be_bytes());
        property.extend_from_slice(name.as_bytes());
        self.greet_as(&property, "PLAIN", b"\0guest\0guest").await;
        self.tune(0).await;
    }

    pub async fn open_with_heartbeat(&mut self, seconds: u8) {
        self.greet("PLAIN", b"\0guest\0guest").await;
        self.tune(seconds).await;
    }

    async fn tune(&mut self, seconds: u8) {
        self.frame().await.expect("connection.tune");
        self.send(0, [0, 10, 0, 31, 0, 10, 0, 2, 0, 0, 0, seconds])
            .await;
        self.send(0, [0, 10, 0, 40, 1, b'/', 0, 0]).await;
        self.send(1, [0, 20, 0, 10, 0]).await;
        let (_, _, open_ok) = self.frame().await.expect("connection.open-ok");
        assert_eq!(open_ok[..4], [0, 10, 0, 41]);
        self.frame().await.expect("channel.open-ok");
    }

    /// The code of the connection.close that comes, and the end after it.
    pub async fn close_code(&mut self) -> u16 {
        loop {
            let (_, channel, payload) = self.frame().await.expect("connection.close");
            if channel == 0 && payload[..4] == [0, 10, 0, 50] {
                self.send(0, [0, 10, 0, 51]).await;
                return u16::from_be_bytes([payload[4], payload[5]]);
            }
        }
    }
}
