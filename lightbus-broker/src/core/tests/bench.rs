//! A core, a clock, and clients that speak frames.

use crate::{
    config::Settings,
    core::{ConnId, Core, Directive, Meter, Now},
    frames::{self, Frame},
    snapshot::Snapshot,
};
use amq_protocol::{
    frame::{AMQPFrame, WriteContext, parse_frame},
    protocol::{
        AMQPClass,
        basic::{self, AMQPProperties, gen_properties},
        channel, confirm, connection, exchange, queue,
    },
    types::{AMQPValue, FieldTable},
};
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

pub(crate) struct Bench {
    pub(crate) core: Core,
    now: Now,
    /// What was sent and not looked at yet.
    sent: HashMap<ConnId, Vec<u8>>,
}

/// One connection with channel 1 open.
pub(crate) struct Client {
    pub(crate) id: ConnId,
    pub(crate) meter: Arc<Meter>,
    inbox: VecDeque<AMQPFrame>,
    pub(crate) directive: Directive,
}

/// A message as a client got it.
#[derive(Debug, PartialEq)]
pub(crate) struct Got {
    pub(crate) tag: u64,
    pub(crate) redelivered: bool,
    pub(crate) exchange: String,
    pub(crate) key: String,
    pub(crate) properties: AMQPProperties,
    pub(crate) body: String,
}

pub(crate) fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

pub(crate) fn int(value: i32) -> AMQPValue {
    AMQPValue::LongInt(value)
}

pub(crate) fn table(entries: &[(&str, AMQPValue)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (key, value) in entries {
        table.insert((*key).into(), value.clone());
    }
    table
}

pub(crate) fn declare(name: &str, arguments: &[(&str, AMQPValue)]) -> queue::Declare {
    queue::Declare {
        queue: name.into(),
        durable: true,
        arguments: table(arguments),
        ..queue::Declare::default()
    }
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(Settings::default())
    }

    pub(crate) fn with(settings: Settings) -> Self {
        let now = Now {
            instant: Instant::now(),
            unix: 1_000_000,
        };
        Self {
            core: Core::new(settings, now),
            now,
            sent: HashMap::new(),
        }
    }

    pub(crate) fn client(&mut self) -> Client {
        let meter = Arc::new(Meter::default());
        let id = self.core.connect("test".into(), meter.clone());
        let mut client = Client {
            id,
            meter,
            inbox: VecDeque::new(),
            directive: Directive::Read,
        };
        self.core.greet(id, frames::PROTOCOL);
        let capabilities = table(&[
            ("consumer_cancel_notify", AMQPValue::Boolean(true)),
            ("connection.blocked", AMQPValue::Boolean(true)),
            ("authentication_failure_close", AMQPValue::Boolean(true)),
        ]);
        let start_ok = connection::StartOk {
            client_properties: table(&[("capabilities", AMQPValue::FieldTable(capabilities))]),
            mechanism: "PLAIN".into(),
            response: "\0guest\0guest".into(),
            locale: "en_US".into(),
        };
        let tune_ok = connection::TuneOk {
            channel_max: 10,
            frame_max: 4096,
            heartbeat: 0,
        };
        let open = connection::Open {
            virtual_host: "/".into(),
        };
        for method in [
            connection::AMQPMethod::StartOk(start_ok),
            connection::AMQPMethod::TuneOk(tune_ok),
            connection::AMQPMethod::Open(open),
        ] {
            self.method(&mut client, 0, AMQPClass::Connection(method));
        }
        self.method(
            &mut client,
            1,
            AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {})),
        );
        self.collect(&mut client);
        client.inbox.clear();
        client
    }

    pub(crate) fn pass(&mut self, milliseconds: u64) {
        self.now.instant += Duration::from_millis(milliseconds);
        self.now.unix += milliseconds / 1000;
        self.core.tick(self.now);
    }

    /// When the core wants to be woken, in milliseconds from now.
    pub(crate) fn wakes_in(&self) -> Option<u128> {
        self.core
            .next_deadline()
            .map(|at| at.saturating_duration_since(self.now.instant).as_millis())
    }

    /// Sends raw frames, all read at once.
    pub(crate) fn raw(&mut self, client: &mut Client, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some((frame, used)) = frames::next(rest, 1 << 20).unwrap() {
            self.core.frame(client.id, &frame, self.now);
            rest = &rest[used..];
        }
        assert!(rest.is_empty());
        client.directive = self.core.end_batch(client.id);
    }

    pub(crate) fn frame(&mut self, client: &mut Client, kind: u8, channel: u16, payload: &[u8]) {
        self.core.frame(
            client.id,
            &Frame {
                kind,
                channel,
                payload,
            },
            self.now,
        );
        client.directive = self.core.end_batch(client.id);
    }

    pub(crate) fn method(&mut self, client: &mut Client, channel: u16, class: AMQPClass) {
        let mut bytes = Vec::new();
        frames::method(&mut bytes, channel, class);
        self.raw(client, &bytes);
    }

    pub(crate) fn queue(&mut self, client: &mut Client, method: queue::AMQPMethod) {
        self.method(client, 1, AMQPClass::Queue(method));
    }

    pub(crate) fn exchange(&mut self, client: &mut Client, method: exchange::AMQPMethod) {
        self.method(client, 1, AMQPClass::Exchange(method));
    }

    pub(crate) fn basic(&mut self, client: &mut Client, method: basic::AMQPMethod) {
        self.method(client, 1, AMQPClass::Basic(method));
    }

    /// Declares a durable queue and expects it to be there.
    pub(crate) fn declare(
        &mut self,
        client: &mut Client,
        name: &str,
        arguments: &[(&str, AMQPValue)],
    ) {
        self.queue(client, queue::AMQPMethod::Declare(declare(name, arguments)));
        assert!(matches!(
            self.next(client),
            Some(AMQPClass::Queue(queue::AMQPMethod::DeclareOk(_)))
        ));
    }

    pub(crate) fn declare_exchange(
        &mut self,
        client: &mut Client,
        name: &str,
        kind: &str,
        arguments: &[(&str, AMQPValue)],
    ) {
        let declare = exchange::Declare {
            exchange: name.into(),
            kind: kind.into(),
            arguments: table(arguments),
            ..exchange::Declare::default()
        };
        self.exchange(client, exchange::AMQPMethod::Declare(declare));
        assert!(matches!(
            self.next(client),
            Some(AMQPClass::Exchange(exchange::AMQPMethod::DeclareOk(_)))
        ));
    }

    pub(crate) fn bind(
        &mut self,
        client: &mut Client,
        queue: &str,
        exchange: &str,
        key: &str,
        arguments: &[(&str, AMQPValue)],
    ) {
        let bind = queue::Bind {
            queue: queue.into(),
            exchange: exchange.into(),
            routing_key: key.into(),
            nowait: true,
            arguments: table(arguments),
        };
        self.queue(client, queue::AMQPMethod::Bind(bind));
    }

    pub(crate) fn confirms(&mut self, client: &mut Client) {
        self.method(
            client,
            1,
            AMQPClass::Confirm(confirm::AMQPMethod::Select(confirm::Select {
                nowait: true,
            })),
        );
    }

    /// With 0, the channel's prefetch stays as it is.
    pub(crate) fn consume(&mut self, client: &mut Client, queue: &str, tag: &str, prefetch: u16) {
        if prefetch > 0 {
            let qos = basic::Qos {
                prefetch_count: prefetch,
                global: false,
            };
            self.basic(client, basic::AMQPMethod::Qos(qos));
        }
        let consume = basic::Consume {
            queue: queue.into(),
            consumer_tag: tag.into(),
            nowait: true,
            ..basic::Consume::default()
        };
        self.basic(client, basic::AMQPMethod::Consume(consume));
        if prefetch > 0 {
            let answer = self.next(client);
            let is_qos = matches!(answer, Some(AMQPClass::Basic(basic::AMQPMethod::QosOk(_))));
            assert!(is_qos, "{answer:?}");
        }
    }

    pub(crate) fn publish(&mut self, client: &mut Client, exchange: &str, key: &str, body: &str) {
        self.publish_with(client, exchange, key, body, AMQPProperties::default());
    }

    pub(crate) fn publish_with(
        &mut self,
        client: &mut Client,
        exchange: &str,
        key: &str,
        body: &str,
        properties: AMQPProperties,
    ) {
        let bytes = publication(exchange, key, body, &properties, false);
        self.raw(client, &bytes);
    }

    pub(crate) fn ack(&mut self, client: &mut Client, delivery_tag: u64, multiple: bool) {
        self.basic(
            client,
            basic::AMQPMethod::Ack(basic::Ack {
                delivery_tag,
                multiple,
            }),
        );
    }

    pub(crate) fn nack(
        &mut self,
        client: &mut Client,
        delivery_tag: u64,
        multiple: bool,
        requeue: bool,
    ) {
        self.basic(
            client,
            basic::AMQPMethod::Nack(basic::Nack {
                delivery_tag,
                multiple,
                requeue,
            }),
        );
    }

    /// Fetches one message's body; none if the queue is empty.
    pub(crate) fn get(&mut self, client: &mut Client, queue: &str) -> Option<Got> {
        self.basic(
            client,
            basic::AMQPMethod::Get(basic::Get {
                queue: queue.into(),
                no_ack: true,
            }),
        );
        match self.next(client)? {
            AMQPClass::Basic(basic::AMQPMethod::GetOk(ok)) => {
                let (properties, body) = self.content(client);
                Some(Got {
                    tag: ok.delivery_tag,
                    redelivered: ok.redelivered,
                    exchange: ok.exchange.into(),
                    key: ok.routing_key.into(),
                    properties,
                    body,
                })
            }
            AMQPClass::Basic(basic::AMQPMethod::GetEmpty(_)) => None,
            other => panic!("not an answer to get: {other:?}"),
        }
    }

    /// The bodies of everything in a queue.
    pub(crate) fn drain(&mut self, client: &mut Client, queue: &str) -> Vec<String> {
        std::iter::from_fn(|| self.get(client, queue))
            .map(|got| got.body)
            .collect()
    }

    /// Everything delivered so far.
    pub(crate) fn deliveries(&mut self, client: &mut Client) -> Vec<Got> {
        let mut all = Vec::new();
        while let Some(class) = self.next(client) {
            let AMQPClass::Basic(basic::AMQPMethod::Deliver(deliver)) = class else {
                panic!("not a delivery: {class:?}")
            };
            let (properties, body) = self.content(client);
            all.push(Got {
                tag: deliver.delivery_tag,
                redelivered: deliver.redelivered,
                exchange: deliver.exchange.into(),
                key: deliver.routing_key.into(),
                properties,
                body,
            });
        }
        all
    }

    pub(crate) fn bodies(&mut self, client: &mut Client) -> Vec<String> {
        self.deliveries(client)
            .into_iter()
            .map(|got| got.body)
            .collect()
    }

    fn content(&mut self, client: &mut Client) -> (AMQPProperties, String) {
        let Some(AMQPFrame::Header(_, header)) = client.inbox.pop_front() else {
            panic!("no content header")
        };
        let mut body = Vec::new();
        while (body.len() as u64) < header.body_size {
            let Some(AMQPFrame::Body(_, more)) = client.inbox.pop_front() else {
                panic!("no content body")
            };
            body.extend(more);
        }
        (header.properties, String::from_utf8(body).unwrap())
    }

    /// The next method sent to a client.
    pub(crate) fn next(&mut self, client: &mut Client) -> Option<AMQPClass> {
        self.collect(client);
        match client.inbox.pop_front()? {
            AMQPFrame::Method(_, class) => Some(class),
            other => panic!("not a method: {other:?}"),
        }
    }

    /// The content after a return or delivery taken with [`Bench::next`].
    pub(crate) fn next_content(&mut self, client: &mut Client) -> (AMQPProperties, String) {
        self.content(client)
    }

    /// The code and text with which a channel or connection was closed.
    pub(crate) fn closed(&mut self, client: &mut Client) -> (u16, String) {
        match self.next(client) {
            Some(AMQPClass::Channel(channel::AMQPMethod::Close(close))) => {
                (close.reply_code, close.reply_text.into())
            }
            Some(AMQPClass::Connection(connection::AMQPMethod::Close(close))) => {
                (close.reply_code, close.reply_text.into())
            }
            other => panic!("not closed: {other:?}"),
        }
    }

    /// Opens channel 1 again after it was closed.
    pub(crate) fn reopen(&mut self, client: &mut Client) {
        self.method(
            client,
            1,
            AMQPClass::Channel(channel::AMQPMethod::CloseOk(channel::CloseOk {})),
        );
        self.method(
            client,
            1,
            AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {})),
        );
        assert!(matches!(
            self.next(client),
            Some(AMQPClass::Channel(channel::AMQPMethod::OpenOk(_)))
        ));
    }

    fn collect(&mut self, client: &mut Client) {
        let sent = &mut self.sent;
        self.core
            .take_output(|id, out| sent.entry(id).or_default().append(out));
        let bytes = sent.remove(&client.id).unwrap_or_default();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (left, frame) = parse_frame(rest).unwrap();
            client.inbox.push_back(frame);
            rest = left;
        }
    }

    pub(crate) fn disconnect(&mut self, client: &Client) {
        self.core.disconnect(client.id, self.now);
    }

    /// The client's writer caught up.
    pub(crate) fn drained(&mut self, client: &Client) {
        self.core.drained(client.id, self.now);
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.core.snapshot(self.now)
    }

    pub(crate) fn ready(&self, queue: &str) -> usize {
        self.snapshot().queue(queue).map_or(0, |queue| queue.ready)
    }
}

/// The frames of one publication.
pub(crate) fn publication(
    exchange: &str,
    key: &str,
    body: &str,
    properties: &AMQPProperties,
    mandatory: bool,
) -> Vec<u8> {
    let publish = basic::Publish {
        exchange: exchange.into(),
        routing_key: key.into(),
        mandatory,
        immediate: false,
    };
    let mut bytes = Vec::new();
    frames::method(
        &mut bytes,
        1,
        AMQPClass::Basic(basic::AMQPMethod::Publish(publish)),
    );
    let context = WriteContext::from(Vec::new());
    let raw = gen_properties(properties)(context)
        .map(|context| context.into_inner().0)
        .unwrap();
    frames::content(&mut bytes, 1, &raw, body.as_bytes(), 4096);
    bytes
}
