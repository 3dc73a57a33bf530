//! A client that speaks the protocol method by method, and sees exactly what is answered.

use amq_protocol::{
    frame::{AMQPFrame, WriteContext, gen_frame},
    protocol::{
        AMQPClass, access,
        basic::{self, AMQPProperties},
        channel, confirm, connection, exchange, parse_class, queue, tx,
    },
    types::{AMQPValue, FieldTable},
};
use std::{collections::VecDeque, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// How long a broker may take to answer. RabbitMQ takes three seconds before it turns a stranger away.
const PATIENCE: Duration = Duration::from_secs(20);

/// A method of any class.
pub trait Method {
    fn class(self) -> AMQPClass;
}

macro_rules! methods {
    ($($module:ident $class:ident: $($method:ident)*;)*) => {$($(
        impl Method for $module::$method {
            fn class(self) -> AMQPClass {
                AMQPClass::$class($module::AMQPMethod::$method(self))
            }
        }
    )*)*};
}

methods! {
    access Access: Request RequestOk;
    basic Basic: Ack Cancel CancelOk Consume ConsumeOk Deliver Get GetEmpty GetOk Nack Publish Qos QosOk Recover RecoverAsync RecoverOk Reject Return;
    channel Channel: Close CloseOk Flow FlowOk Open OpenOk;
    confirm Confirm: Select SelectOk;
    connection Connection: Blocked Close CloseOk Open OpenOk Start StartOk Tune TuneOk Unblocked UpdateSecret UpdateSecretOk;
    exchange Exchange: Bind BindOk Declare DeclareOk Delete DeleteOk Unbind UnbindOk;
    queue Queue: Bind BindOk Declare DeclareOk Delete DeleteOk Purge PurgeOk Unbind UnbindOk;
    tx Tx: Select SelectOk Commit CommitOk Rollback RollbackOk;
}

/// What a frame carries.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    Method(AMQPClass),
    Header(u64, AMQPProperties),
    Body(Vec<u8>),
}

/// A delivered, fetched or returned message.
#[derive(Clone, Debug)]
pub struct Message {
    pub method: AMQPClass,
    pub properties: AMQPProperties,
    pub body: Vec<u8>,
}

impl Message {
    pub fn header(&self, name: &str) -> Option<AMQPValue> {
        self.headers().inner().get(name).cloned()
    }

    pub fn headers(&self) -> FieldTable {
        self.properties.headers().clone().unwrap_or_default()
    }

    pub fn delivery(&self) -> &basic::Deliver {
        match &self.method {
            AMQPClass::Basic(basic::AMQPMethod::Deliver(deliver)) => deliver,
            other => panic!("{other:?} is no delivery"),
        }
    }

    pub fn get_ok(&self) -> &basic::GetOk {
        match &self.method {
            AMQPClass::Basic(basic::AMQPMethod::GetOk(ok)) => ok,
            other => panic!("{other:?} is nothing fetched"),
        }
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// A connection.
pub struct Wire {
    socket: TcpStream,
    waiting: VecDeque<(u16, Event)>,
}

impl Wire {
    pub async fn connect(address: &str) -> Self {
        Self {
            socket: TcpStream::connect(address).await.unwrap(),
            waiting: VecDeque::new(),
        }
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).await.unwrap();
    }

    /// Greets and gives what the broker says of itself.
    pub async fn greet(&mut self) -> connection::Start {
        self.write(b"AMQP\x00\x00\x09\x01").await;
        match self.event(0).await {
            Event::Method(AMQPClass::Connection(connection::AMQPMethod::Start(start))) => start,
            other => panic!("{other:?} instead of connection.start"),
        }
    }

    /// Introduces itself, as one that can be told of everything.
    pub async fn introduce(&mut self, mechanism: &str, response: &[u8], capabilities: &[&str]) {
        let mut can = FieldTable::default();
        for capability in capabilities {
            can.insert((*capability).into(), AMQPValue::Boolean(true));
        }
        let mut client_properties = FieldTable::default();
        client_properties.insert("capabilities".into(), AMQPValue::FieldTable(can));
        let start_ok = connection::StartOk {
            client_properties,
            mechanism: mechanism.into(),
            response: response.into(),
            locale: "en_US".into(),
        };
        self.send(0, start_ok).await;
    }

    /// Logs in with PLAIN and gives the limits the broker proposes.
    pub async fn log_in(&mut self, user: &str, password: &str) -> connection::Tune {
        let capabilities = [
            "authentication_failure_close",
            "connection.blocked",
            "consumer_cancel_notify",
            "basic.nack",
            "publisher_confirms",
        ];
        self.greet().await;
        let response = format!("\0{user}\0{password}");
        self.introduce("PLAIN", response.as_bytes(), &capabilities)
            .await;
        match self.event(0).await {
            Event::Method(AMQPClass::Connection(connection::AMQPMethod::Tune(tune))) => tune,
            other => panic!("{other:?} instead of connection.tune"),
        }
    }

    /// Agrees to the limits, without heartbeats, and asks for a virtual host.
    pub async fn enter(&mut self, tune: &connection::Tune, vhost: &str) {
        let tune_ok = connection::TuneOk {
            channel_max: tune.channel_max,
            frame_max: tune.frame_max,
            heartbeat: 0,
        };
        self.send(0, tune_ok).await;
        let open = connection::Open {
            virtual_host: vhost.into(),
        };
        self.send(0, open).await;
    }

    pub async fn send(&mut self, channel: u16, method: impl Method) {
        self.send_class(channel, method.class()).await;
    }

    pub async fn send_class(&mut self, channel: u16, class: AMQPClass) {
        let frame = AMQPFrame::Method(channel, class);
        let bytes = gen_frame(&frame)(WriteContext::from(Vec::new())).unwrap();
        self.write(&bytes.into_inner().0).await;
    }

    /// Sends and wants exactly this answer.
    pub async fn call(&mut self, channel: u16, method: impl Method, answer: impl Method) {
        self.send(channel, method).await;
        self.expect(channel, answer).await;
    }

    pub async fn expect(&mut self, channel: u16, method: impl Method) {
        assert_eq!(self.event(channel).await, Event::Method(method.class()));
    }

    /// The next method on a channel.
    pub async fn method(&mut self, channel: u16) -> AMQPClass {
        match self.event(channel).await {
            Event::Method(class) => class,
            other => panic!("{other:?} instead of a method"),
        }
    }

    pub async fn open_channel(&mut self, channel: u16) {
        self.call(channel, channel::Open {}, channel::OpenOk {})
            .await;
    }

    /// Sends what closes the channel for this reason; then opens the channel again.
    pub async fn refused(&mut self, channel: u16, method: impl Method, code: u16, text: &str) {
        let class = method.class();
        let ids = (class.get_amqp_class_id(), class.get_amqp_method_id());
        self.send_class(channel, class).await;
        self.channel_closes(channel, code, text, ids).await;
    }

    /// Sends what closes the channel; gives the code and the reason, and opens the channel again.
    pub async fn refusal(&mut self, channel: u16, method: impl Method) -> (u16, String) {
        self.send(channel, method).await;
        self.closure(channel).await
    }

    /// Why the channel is closed; it is opened again.
    pub async fn closure(&mut self, channel: u16) -> (u16, String) {
        let close = match self.method(channel).await {
            AMQPClass::Channel(channel::AMQPMethod::Close(close)) => close,
            other => panic!("{other:?} instead of channel.close"),
        };
        self.send(channel, channel::CloseOk {}).await;
        self.open_channel(channel).await;
        (close.reply_code, close.reply_text.to_string())
    }

    /// The channel is closed for this reason; it is opened again.
    pub async fn channel_closes(&mut self, channel: u16, code: u16, text: &str, ids: (u16, u16)) {
        let close = channel::Close {
            reply_code: code,
            reply_text: text.into(),
            class_id: ids.0,
            method_id: ids.1,
        };
        self.expect(channel, close).await;
        self.send(channel, channel::CloseOk {}).await;
        self.open_channel(channel).await;
    }

    /// Sends what ends the connection for this reason.
    pub async fn fatal(&mut self, channel: u16, method: impl Method, code: u16, text: &str) {
        let class = method.class();
        let ids = (class.get_amqp_class_id(), class.get_amqp_method_id());
        self.send_class(channel, class).await;
        self.ends(code, text, ids).await;
    }

    /// The connection is closed for this reason, and the socket after that.
    pub async fn ends(&mut self, code: u16, text: &str, ids: (u16, u16)) {
        let close = connection::Close {
            reply_code: code,
            reply_text: text.into(),
            class_id: ids.0,
            method_id: ids.1,
        };
        self.expect(0, close).await;
        self.send(0, connection::CloseOk {}).await;
        assert_eq!(self.rest().await, b"");
    }

    /// Everything until the broker closes.
    pub async fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let read = self.socket.read_to_end(&mut bytes);
        // A broker that closes with something of ours unread resets the connection: an end as good as any.
        let _ = tokio::time::timeout(PATIENCE, read)
            .await
            .expect("it did not end");
        bytes
    }

    pub async fn publish(&mut self, channel: u16, exchange: &str, key: &str, body: &str) {
        self.publish_with(channel, exchange, key, body, AMQPProperties::default())
            .await;
    }

    pub async fn publish_with(
        &mut self,
        channel: u16,
        exchange: &str,
        key: &str,
        body: &str,
        properties: AMQPProperties,
    ) {
        let publish = basic::Publish {
            exchange: exchange.into(),
            routing_key: key.into(),
            mandatory: true,
            immediate: false,
        };
        self.send(channel, publish).await;
        self.send_content(channel, properties, body.as_bytes())
            .await;
    }

    pub async fn send_content(&mut self, channel: u16, properties: AMQPProperties, body: &[u8]) {
        use amq_protocol::frame::AMQPContentHeader;
        let header = AMQPContentHeader {
            class_id: 60,
            body_size: body.len() as u64,
            properties,
        };
        let header = AMQPFrame::Header(channel, header);
        let bytes = gen_frame(&header)(WriteContext::from(Vec::new())).unwrap();
        self.write(&bytes.into_inner().0).await;
        for part in body.chunks(100_000) {
            self.write(&super::frame(3, channel, part.iter().copied()))
                .await;
        }
    }

    /// The next message on a channel: delivered, fetched or returned.
    pub async fn message(&mut self, channel: u16) -> Message {
        let method = self.method(channel).await;
        let Event::Header(size, properties) = self.event(channel).await else {
            panic!("no content header after {method:?}")
        };
        let mut body = Vec::new();
        while (body.len() as u64) < size {
            let Event::Body(part) = self.event(channel).await else {
                panic!("no content after {method:?}")
            };
            body.extend_from_slice(&part);
        }
        Message {
            method,
            properties,
            body,
        }
    }

    /// The connection.close that comes, or the end of the socket.
    pub async fn end(&mut self) -> Option<connection::Close> {
        loop {
            match self.read().await {
                Some((0, Event::Method(AMQPClass::Connection(method)))) => {
                    if let connection::AMQPMethod::Close(close) = method {
                        return Some(close);
                    }
                }
                Some(_) => {}
                None => return None,
            }
        }
    }

    /// The next event on a channel; what comes on others in between is kept.
    pub async fn event(&mut self, channel: u16) -> Event {
        if let Some(at) = self.waiting.iter().position(|(on, _)| *on == channel)
            && let Some((_, event)) = self.waiting.remove(at)
        {
            return event;
        }
        loop {
            match self.read().await {
                Some((on, event)) if on == channel => return event,
                Some((0, event)) => panic!("{event:?} while waiting on channel {channel}"),
                Some(other) => self.waiting.push_back(other),
                None => panic!("the connection ended while waiting on channel {channel}"),
            }
        }
    }

    async fn read(&mut self) -> Option<(u16, Event)> {
        loop {
            let (kind, channel, payload) = tokio::time::timeout(PATIENCE, self.frame())
                .await
                .expect("nothing came")?;
            return match kind {
                1 => Some((channel, Event::Method(parse_class(&*payload).unwrap().1))),
                2 => {
                    let size = u64::from_be_bytes(payload[4..12].try_into().unwrap());
                    let properties = basic::parse_properties(&payload[12..]).unwrap().1;
                    Some((channel, Event::Header(size, properties)))
                }
                3 => Some((channel, Event::Body(payload))),
                8 => continue,
                other => panic!("a frame of type {other}"),
            };
        }
    }

    async fn frame(&mut self) -> Option<(u8, u16, Vec<u8>)> {
        let mut head = [0; 7];
        self.socket.read_exact(&mut head).await.ok()?;
        let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize;
        let mut payload = vec![0; size + 1];
        self.socket.read_exact(&mut payload).await.ok()?;
        assert_eq!(payload.pop(), Some(0xCE));
        Some((head[0], u16::from_be_bytes([head[1], head[2]]), payload))
    }
}
