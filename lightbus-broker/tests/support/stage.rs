//! Where a conformance test runs: on a broker of its own, or on the RabbitMQ at `LIGHTBUS_URL`.

use super::wire::{Event, Wire};
use amq_protocol::{
    protocol::{
        AMQPClass,
        basic::{self, AMQPProperties},
        channel, confirm, connection, exchange, queue,
    },
    types::{AMQPValue, FieldTable},
    uri::AMQPUri,
};
use lightbus_broker::Broker;
use std::sync::{
    Mutex,
    atomic::{AtomicU32, Ordering},
};

/// A broker, and the names of what a test leaves in it.
pub struct Stage {
    own: Option<Broker>,
    uri: AMQPUri,
    version: (u32, u32),
    names: Mutex<Vec<String>>,
}

impl Stage {
    pub async fn start() -> Self {
        let own = match std::env::var("LIGHTBUS_URL") {
            Ok(_) => None,
            Err(_) => Some(Broker::start().await.unwrap()),
        };
        let url = match &own {
            Some(broker) => broker.url(),
            None => std::env::var("LIGHTBUS_URL").unwrap(),
        };
        let mut stage = Self {
            own,
            uri: url.parse().unwrap(),
            version: (4, 0),
            names: Mutex::default(),
        };
        if stage.own.is_none() {
            let start = Wire::connect(&stage.address()).await.greet().await;
            stage.version = version(&start.server_properties);
        }
        stage
    }

    pub fn address(&self) -> String {
        let authority = &self.uri.authority;
        format!("{}:{}", authority.host, authority.port)
    }

    pub fn credentials(&self) -> (String, String) {
        let info = &self.uri.authority.userinfo;
        (info.username.clone(), info.password.clone())
    }

    /// The embedded broker, where it is the one.
    pub fn own(&self) -> Option<&Broker> {
        self.own.as_ref()
    }

    /// What is expected of RabbitMQ 4 and of the embedded broker, not of older RabbitMQs.
    pub fn is_4(&self) -> bool {
        self.version >= (4, 0)
    }

    /// A name that no other test uses; a queue or exchange of that name is deleted in the end.
    pub fn name(&self, what: &str) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("conformance.{}.{number}.{what}", std::process::id());
        self.names.lock().unwrap().push(name.clone());
        name
    }

    /// A connection with channel 1 open.
    pub async fn wire(&self) -> Wire {
        let mut wire = self.connection().await;
        wire.open_channel(1).await;
        wire
    }

    /// A connection without a channel.
    pub async fn connection(&self) -> Wire {
        let mut wire = Wire::connect(&self.address()).await;
        let (user, password) = self.credentials();
        let tune = wire.log_in(&user, &password).await;
        wire.enter(&tune, "/").await;
        wire.expect(0, connection::OpenOk {}).await;
        wire
    }

    /// A queue with these arguments.
    pub async fn queue(
        &self,
        wire: &mut Wire,
        what: &str,
        arguments: &[(&str, AMQPValue)],
    ) -> String {
        let name = self.name(what);
        let durable = arguments.iter().any(|(key, _)| *key == "x-queue-type");
        let declare = queue::Declare {
            queue: name.as_str().into(),
            durable,
            arguments: super::table(arguments),
            ..Default::default()
        };
        wire.call(1, declare, declared(&name, 0, 0)).await;
        name
    }

    /// An exchange of this type.
    pub async fn exchange(&self, wire: &mut Wire, what: &str, kind: &str) -> String {
        let name = self.name(what);
        let declare = exchange::Declare {
            exchange: name.as_str().into(),
            kind: kind.into(),
            ..Default::default()
        };
        wire.call(1, declare, exchange::DeclareOk {}).await;
        name
    }
}

pub fn declared(name: &str, message_count: u32, consumer_count: u32) -> queue::DeclareOk {
    queue::DeclareOk {
        queue: name.into(),
        message_count,
        consumer_count,
    }
}

impl Wire {
    pub async fn bind(&mut self, exchange: &str, key: &str, queue: &str) {
        self.bind_with(exchange, key, queue, &[]).await;
    }

    pub async fn bind_with(
        &mut self,
        exchange: &str,
        key: &str,
        queue: &str,
        arguments: &[(&str, AMQPValue)],
    ) {
        let bind = queue::Bind {
            queue: queue.into(),
            exchange: exchange.into(),
            routing_key: key.into(),
            nowait: false,
            arguments: super::table(arguments),
        };
        self.call(1, bind, queue::BindOk {}).await;
    }

    /// How many messages a queue has ready, and how many consumers.
    pub async fn count(&mut self, queue: &str) -> (u32, u32) {
        let passive = queue::Declare {
            queue: queue.into(),
            passive: true,
            ..Default::default()
        };
        self.send(1, passive).await;
        match self.event(1).await {
            Event::Method(AMQPClass::Queue(queue::AMQPMethod::DeclareOk(ok))) => {
                (ok.message_count, ok.consumer_count)
            }
            other => panic!("{other:?} instead of queue.declare-ok"),
        }
    }

    /// Publishes to a queue and waits for the confirmation.
    pub async fn put(&mut self, queue: &str, body: &str) {
        self.put_with(queue, body, AMQPProperties::default()).await;
    }

    pub async fn put_with(&mut self, queue: &str, body: &str, properties: AMQPProperties) {
        // A channel of its own, so that the others' confirms are not counted.
        const CONFIRMING: u16 = 2000;
        self.open_channel(CONFIRMING).await;
        self.call(CONFIRMING, confirm::Select::default(), confirm::SelectOk {})
            .await;
        self.publish_with(CONFIRMING, "", queue, body, properties)
            .await;
        let confirmation = self.method(CONFIRMING).await;
        assert!(
            matches!(confirmation, AMQPClass::Basic(basic::AMQPMethod::Ack(_))),
            "{confirmation:?}"
        );
        self.call(CONFIRMING, channel::Close::default(), channel::CloseOk {})
            .await;
    }

    /// Waits until a queue has so many messages ready.
    pub async fn until_ready(&mut self, queue: &str, messages: u32) {
        let what = format!("{queue} has {messages} messages");
        super::eventually(&what, async || self.count(queue).await.0 == messages).await;
    }

    /// Consumes on channel 1, with a tag, and acknowledgements.
    pub async fn consume(&mut self, queue: &str, tag: &str) {
        let consume = basic::Consume {
            queue: queue.into(),
            consumer_tag: tag.into(),
            ..Default::default()
        };
        let consumer_tag = tag.into();
        self.call(1, consume, basic::ConsumeOk { consumer_tag })
            .await;
    }

    /// Fetches a message that is there, without acknowledgement.
    pub async fn get(&mut self, queue: &str) -> super::wire::Message {
        let get = basic::Get {
            queue: queue.into(),
            no_ack: true,
        };
        self.send(1, get).await;
        self.message(1).await
    }

    /// Fetches a message that is there, to be settled.
    pub async fn fetch(&mut self, queue: &str) -> super::wire::Message {
        let get = basic::Get {
            queue: queue.into(),
            no_ack: false,
        };
        self.send(1, get).await;
        self.message(1).await
    }

    /// There is nothing to fetch.
    pub async fn get_nothing(&mut self, queue: &str) {
        let get = basic::Get {
            queue: queue.into(),
            no_ack: true,
        };
        self.call(1, get, basic::GetEmpty {}).await;
    }

    pub async fn ack(&mut self, delivery_tag: u64, multiple: bool) {
        let ack = basic::Ack {
            delivery_tag,
            multiple,
        };
        self.send(1, ack).await;
    }

    pub async fn reject(&mut self, delivery_tag: u64, requeue: bool) {
        let reject = basic::Reject {
            delivery_tag,
            requeue,
        };
        self.send(1, reject).await;
    }

    /// `basic.nack`, so that it comes back.
    pub async fn requeue(&mut self, delivery_tag: u64, multiple: bool) {
        let nack = basic::Nack {
            delivery_tag,
            multiple,
            requeue: true,
        };
        self.send(1, nack).await;
    }

    pub async fn cancel(&mut self, tag: &str) {
        let cancel = basic::Cancel {
            consumer_tag: tag.into(),
            nowait: false,
        };
        let consumer_tag = tag.into();
        self.call(1, cancel, basic::CancelOk { consumer_tag }).await;
    }

    pub async fn qos(&mut self, prefetch_count: u16, global: bool) {
        let qos = basic::Qos {
            prefetch_count,
            global,
        };
        self.call(1, qos, basic::QosOk {}).await;
    }
}

impl Drop for Stage {
    /// Leaves a RabbitMQ as it was.
    fn drop(&mut self) {
        if self.own.is_some() {
            return;
        }
        let names = std::mem::take(&mut *self.names.lock().unwrap());
        let (address, (user, password)) = (self.address(), self.credentials());
        let sweeping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(sweep(&address, &user, &password, &names));
        });
        let swept = sweeping.join();
        assert!(swept.is_ok() || std::thread::panicking());
    }
}

async fn sweep(address: &str, user: &str, password: &str, names: &[String]) {
    let mut wire = Wire::connect(address).await;
    let tune = wire.log_in(user, password).await;
    wire.enter(&tune, "/").await;
    wire.expect(0, connection::OpenOk {}).await;
    wire.open_channel(1).await;
    for name in names {
        let queue = queue::Delete {
            queue: name.as_str().into(),
            ..Default::default()
        };
        wire.send(1, queue).await;
        wire.method(1).await;
        let exchange = exchange::Delete {
            exchange: name.as_str().into(),
            ..Default::default()
        };
        wire.call(1, exchange, exchange::DeleteOk {}).await;
    }
}

fn version(properties: &FieldTable) -> (u32, u32) {
    let Some(AMQPValue::LongString(version)) = properties.inner().get("version") else {
        panic!("a broker without a version: {properties:?}")
    };
    let version = version.to_string();
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}
