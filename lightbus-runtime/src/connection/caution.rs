//! The first messages from a queue are taken one by one while they are such over which process after process, or connection after
//! connection, was lost.
//!
//! When a process is lost, all that it had been sent comes back, and counts as delivered once more. Taken together, a message that ends its
//! handler's process and those behind it would reach the queue's delivery limit together, and be dead together.

use lapin::Channel;
use lapin::message::Delivery;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Consumer};

use super::STEP;
use super::consumer::Source;
use crate::boxed::Boxed;
use crate::topology::{DELIVERY_LIMIT_ARGUMENT, SINGLE_ACTIVE_ARGUMENT};
use crate::wire::{header_number, short};

/// After so many losses a message is suspect: a few are a bad network, or a deployment that went wrong.
const LOSSES: i64 = 5;
/// Tags are a channel's own: fixed ones read well on the broker's screens. The first is that of a consumer that takes one by one.
const FIRST: &str = "lightbus-first";
const USUAL: &str = "lightbus";

/// How a consumer takes its queue's messages.
pub(super) enum Caution {
    /// One by one, until one comes that is not suspect.
    OneByOne { queue: String, prefetch: u16 },
    /// Such a one has come. It is held until the usual consumer has taken over: the cautious one may be sent only one message that is not
    /// settled, so nothing can reach it any more.
    Ending {
        held: Box<Delivery>,
        usual: Boxed<Result<Consumer, String>>,
    },
    /// As many ahead as usual.
    Over,
}

impl Caution {
    /// Only queues that count deliveries need it, and only where there is more than one message at a time. With a single active consumer, another
    /// program's could become the active one between the two.
    pub(super) fn of(source: &Source) -> Self {
        let has = |argument| {
            let queue = source.plan.queues.iter();
            let mut queue = queue.filter(|queue| queue.name == source.queue);
            queue.any(|queue| queue.arguments.iter().any(|(name, _)| *name == argument))
        };
        match has(DELIVERY_LIMIT_ARGUMENT) && !has(SINGLE_ACTIVE_ARGUMENT) && source.prefetch > 1 {
            true => Self::OneByOne {
                queue: source.queue.clone(),
                prefetch: source.prefetch,
            },
            false => Self::Over,
        }
    }

    /// How many messages the broker may send ahead for now.
    pub(super) fn prefetch(&self, source: &Source) -> u16 {
        match self {
            Self::OneByOne { .. } => 1,
            _ => source.prefetch,
        }
    }

    pub(super) fn tag(&self) -> &'static str {
        match self {
            Self::OneByOne { .. } => FIRST,
            _ => USUAL,
        }
    }

    /// Looks at what has come, and hands it on, or keeps it for the moment in which caution ends.
    pub(super) fn look(&mut self, channel: &Channel, delivery: Delivery) -> Option<Delivery> {
        match self {
            Self::OneByOne { queue, prefetch } if !is_suspect(&delivery.properties) => {
                let queue = std::mem::take(queue);
                let usual = Box::pin(usual(channel.clone(), queue, *prefetch));
                *self = Self::Ending {
                    held: Box::new(delivery),
                    usual,
                };
                None
            }
            _ => Some(delivery),
        }
    }

    /// The consumer that takes over, and the delivery held meanwhile. May be dropped and awaited again.
    pub(super) async fn ended(&mut self) -> Option<Result<(Consumer, Delivery), String>> {
        let Self::Ending { usual, .. } = self else {
            return None;
        };
        let usual = usual.await;
        match std::mem::replace(self, Self::Over) {
            Self::Ending { held, .. } => Some(usual.map(|usual| (usual, *held))),
            _ => None,
        }
    }
}

fn is_suspect(properties: &BasicProperties) -> bool {
    header_number(properties, "x-delivery-count").is_some_and(|losses| losses >= LOSSES)
}

/// A limit holds for the consumers that begin after it was set. The usual one begins before the first one ends: a queue whose listener is
/// at work is never seen without a consumer.
async fn usual(channel: Channel, queue: String, prefetch: u16) -> Result<Consumer, String> {
    step(channel.basic_qos(prefetch, BasicQosOptions::default())).await?;
    let options = BasicConsumeOptions::default();
    let consuming =
        channel.basic_consume(short(&queue), short(USUAL), options, FieldTable::default());
    let usual = step(consuming).await?;
    step(channel.basic_cancel(short(FIRST), BasicCancelOptions::default())).await?;
    Ok(usual)
}

async fn step<T>(doing: impl Future<Output = lapin::Result<T>>) -> Result<T, String> {
    match tokio::time::timeout(STEP, doing).await {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(_) => Err("the broker does not answer".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lapin::types::AMQPValue;

    #[test]
    fn a_message_is_suspect_after_five_losses() {
        let lost = |times| {
            let mut headers = FieldTable::default();
            headers.insert(short("x-delivery-count"), AMQPValue::LongLongInt(times));
            BasicProperties::default().with_headers(headers)
        };
        assert!(!is_suspect(&BasicProperties::default()));
        assert!(!is_suspect(&lost(4)) && is_suspect(&lost(5)));
    }
}
