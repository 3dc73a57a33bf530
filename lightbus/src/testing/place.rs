//! Where a test's bus is: on a broker in the process, or on a RabbitMQ.

use lightbus_broker::{Broker, BrokerBuilder, Events, Snapshot};

use super::rabbitmq::RabbitMq;
use super::settled::Pace;

/// Of a test's broker: more than a test will send.
const MEMORY: usize = 4 << 30;

pub(super) enum Place {
    Embedded(Broker),
    RabbitMq(RabbitMq),
}

impl Place {
    pub(super) async fn embedded(broker: BrokerBuilder) -> Result<Self, String> {
        // What was sent is kept until the test ends: that is to be no memory alarm, which publishers would feel.
        let broker = broker.memory_limit(MEMORY).event_buffer(100_000);
        let broker = broker.start().await;
        broker
            .map(Self::Embedded)
            .map_err(|error| error.to_string())
    }

    pub(super) async fn rabbitmq(url: &str) -> Result<Self, String> {
        RabbitMq::start(url).await.map(Self::RabbitMq)
    }

    /// Where programs connect.
    pub(super) fn url(&self) -> String {
        match self {
            Self::Embedded(broker) => broker.url(),
            Self::RabbitMq(rabbitmq) => rabbitmq.relay.url(),
        }
    }

    pub(super) fn events(&self) -> Events {
        match self {
            Self::Embedded(broker) => broker.events(),
            Self::RabbitMq(rabbitmq) => rabbitmq.relay.events(),
        }
    }

    /// What is in the broker; `None` while it has not said so.
    pub(super) fn snapshot(&self) -> Option<Snapshot> {
        match self {
            Self::Embedded(broker) => Some(broker.snapshot()),
            Self::RabbitMq(rabbitmq) => rabbitmq.relay.snapshot(),
        }
    }

    pub(super) fn pace(&self) -> Pace {
        match self {
            Self::Embedded(_) => Pace::EMBEDDED,
            Self::RabbitMq(_) => Pace::RABBITMQ,
        }
    }

    /// The embedded broker; or why what only that can do is not to be had.
    pub(super) fn broker(&self, what: &str) -> Result<&Broker, String> {
        match self {
            Self::Embedded(broker) => Ok(broker),
            Self::RabbitMq(_) => Err(format!(
                "{what} is the embedded broker's, and this test runs on a RabbitMQ (LIGHTBUS_TEST_URL): say `#[lightbus::test(broker = \"embedded\")]`"
            )),
        }
    }
}
