//! What tests need besides the testing kit: raw AMQP clients, a proxy, nodes of RabbitMQ, the fault matrix. With `LIGHTBUS_TEST_URL` set, the integration tests run on that
//! RabbitMQ, in a virtual host for each.

pub mod copies;
pub mod faults;
mod foreign;
pub mod node;
pub mod proxy;
pub mod raw;

use std::time::{Duration, Instant};

use lightbus::testing::TestBus;
use lightbus::{Bus, BusBuilder, Error};
use lightbus_broker::Broker;
use tokio::sync::mpsc;

pub use foreign::Foreign;

/// The embedded broker of a test's bus; none on a RabbitMQ.
pub fn embedded(bus: &TestBus) -> Option<&Broker> {
    match std::env::var_os("LIGHTBUS_TEST_URL") {
        Some(_) => None,
        None => Some(bus.broker()),
    }
}

/// A [`TestBus`] for tests that need more than one thread, or have nothing to send themselves.
#[derive(Debug)]
pub struct TestBroker {
    bus: TestBus,
    url: String,
}

impl TestBroker {
    /// The RabbitMQ of `LIGHTBUS_TEST_URL`, else a new embedded broker.
    pub async fn start() -> anyhow::Result<Self> {
        let bus = TestBus::start().await?;
        let url = bus.url();
        Ok(Self { bus, url })
    }

    /// The broker's URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The embedded broker, when that is what the test runs on.
    pub fn embedded(&self) -> Option<&Broker> {
        embedded(&self.bus)
    }

    /// Another AMQP client on this broker, that knows nothing of lightbus.
    pub async fn foreign(&self) -> anyhow::Result<Foreign> {
        Foreign::connect(&self.url).await
    }

    /// A client on this broker that sends bytes no library would.
    pub async fn raw(&self) -> anyhow::Result<raw::Raw> {
        raw::Raw::connect(&self.url).await
    }

    /// A bus for `app` on this broker.
    pub async fn bus(&self, app: &str) -> Result<Bus, Error> {
        self.builder(app).connect().await
    }

    /// Settings of a bus for `app` on this broker. Patient: the tests share the machine.
    pub fn builder(&self, app: &str) -> BusBuilder {
        let builder = self.bus.app_builder(app);
        builder.call_timeout(Duration::from_secs(30))
    }
}

/// The queue of a named listener of an app.
pub fn queue_of(app: &str, listener: &str) -> String {
    format!("lb.q.{app}.{listener}")
}

/// A handler that succeeds and reports what it hears, and where it does so.
pub fn reporting<E, T>(
    what: impl Fn(E) -> T,
) -> (
    impl Fn(E) -> std::future::Ready<()>,
    mpsc::UnboundedReceiver<T>,
) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let handler = move |event| {
        // A test that has ended does not listen any more.
        let _ = sender.send(what(event));
        std::future::ready(())
    };
    (handler, receiver)
}

/// Waits until so much time has passed, by which something goes that gives no sign of it: a moment that is due, or an interval.
pub async fn passed(time: Duration) -> anyhow::Result<()> {
    let begun = Instant::now();
    let what = format!("{time:?} have passed");
    eventually(&what, async || begun.elapsed() > time).await
}

/// Waits for something to become true; fails after half a minute. What tells of itself, by a channel or an event, is waited for by that.
pub async fn eventually(what: &str, mut is_true: impl AsyncFnMut() -> bool) -> anyhow::Result<()> {
    for _ in 0..3000 {
        if is_true().await {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    anyhow::bail!("after 30 s it is still not true that {what}")
}
