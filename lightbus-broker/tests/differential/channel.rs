//! A channel, as its client sees it.

use super::client::Incoming;
use amq_protocol::protocol::{AMQPClass, basic, channel, confirm, tx};
use std::collections::{BTreeMap, BTreeSet};

/// The consumer tag that is cancelled, in vain, to hear from a channel.
pub(crate) const PING: &str = "ping";

/// A delivery that is not settled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unsettled {
    pub(crate) tag: u64,
    /// When it came. Within one step the order of deliveries is left to chance.
    pub(crate) step: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Channel {
    /// How many answers are due.
    pub(crate) due: usize,
    pub(crate) pings: usize,
    /// The client is closing it.
    pub(crate) leaving: bool,
    pub(crate) unsettled: Vec<Unsettled>,
    /// What was settled in a transaction that goes on.
    pub(crate) in_transaction: Vec<Unsettled>,
    pub(crate) transactional: bool,
    /// A tag that was settled before.
    pub(crate) settled: Option<u64>,
    /// The wrong tag that was used.
    pub(crate) wrong_tag: Option<u64>,
    pub(crate) last_tag: u64,
    /// Consumer tags, and whether they acknowledge.
    pub(crate) consumers: BTreeMap<String, bool>,
    /// Whether the consumer that is about to be will acknowledge.
    pub(crate) consume_acks: bool,
    /// Whether what is fetched now is to be acknowledged.
    pub(crate) get_acks: bool,
    pub(crate) confirming: bool,
    pub(crate) published: u64,
    pub(crate) unconfirmed: BTreeSet<u64>,
    /// It has a prefetch limit for all its consumers together.
    pub(crate) limited: bool,
}

/// What follows from something that came.
#[derive(Debug)]
pub(crate) enum Taken {
    /// It is to be written down.
    Event,
    /// It was about publisher confirms: these numbers, and whether they were taken.
    Confirms(Vec<u64>, bool),
    /// It was the answer to a ping.
    Pong,
    /// The channel is gone; whether that is to be confirmed.
    Closed { confirm: bool },
}

impl Channel {
    pub(crate) fn opening() -> Self {
        Self {
            due: 1,
            ..Self::default()
        }
    }

    pub(crate) fn take_in(&mut self, incoming: &Incoming) -> Taken {
        match &incoming.method {
            AMQPClass::Basic(method) => self.take_in_basic(method),
            AMQPClass::Channel(channel::AMQPMethod::Close(_)) => Taken::Closed { confirm: true },
            AMQPClass::Channel(channel::AMQPMethod::CloseOk(_)) => Taken::Closed { confirm: false },
            AMQPClass::Channel(channel::AMQPMethod::Flow(_)) => Taken::Event,
            other => {
                match other {
                    AMQPClass::Confirm(confirm::AMQPMethod::SelectOk(_)) => self.confirming = true,
                    AMQPClass::Tx(tx::AMQPMethod::SelectOk(_)) => self.transactional = true,
                    _ => {}
                }
                self.answered()
            }
        }
    }

    fn answered(&mut self) -> Taken {
        self.due = self.due.saturating_sub(1);
        Taken::Event
    }

    fn take_in_basic(&mut self, method: &basic::AMQPMethod) -> Taken {
        use basic::AMQPMethod::{Ack, Cancel, CancelOk, ConsumeOk, Deliver, Nack, Return};
        match method {
            CancelOk(ok) if ok.consumer_tag.as_str() == PING => {
                self.pings = self.pings.saturating_sub(1);
                Taken::Pong
            }
            CancelOk(ok) => {
                self.consumers.remove(ok.consumer_tag.as_str());
                self.answered()
            }
            Cancel(cancel) => {
                self.consumers.remove(cancel.consumer_tag.as_str());
                Taken::Event
            }
            ConsumeOk(ok) => {
                let tag = ok.consumer_tag.to_string();
                self.consumers.insert(tag, self.consume_acks);
                self.answered()
            }
            Ack(ack) => Taken::Confirms(self.confirmed(ack.delivery_tag, ack.multiple), true),
            Nack(nack) => Taken::Confirms(self.confirmed(nack.delivery_tag, nack.multiple), false),
            Deliver(_) | Return(_) => Taken::Event,
            _ => self.answered(),
        }
    }

    fn confirmed(&mut self, number: u64, multiple: bool) -> Vec<u64> {
        let numbers: Vec<_> = if multiple {
            self.unconfirmed.range(..=number).copied().collect()
        } else {
            vec![number]
        };
        for number in &numbers {
            self.unconfirmed.remove(number);
        }
        numbers
    }

    /// Whether a delivery is to be settled.
    pub(crate) fn is_to_settle(&self, method: &AMQPClass) -> bool {
        match method {
            AMQPClass::Basic(basic::AMQPMethod::GetOk(_)) => self.get_acks,
            AMQPClass::Basic(basic::AMQPMethod::Deliver(deliver)) => self
                .consumers
                .get(deliver.consumer_tag.as_str())
                .copied()
                .unwrap_or(true),
            _ => false,
        }
    }
}

/// The delivery tag of a message that came.
pub(crate) fn delivery_tag(method: &AMQPClass) -> Option<u64> {
    match method {
        AMQPClass::Basic(basic::AMQPMethod::GetOk(got)) => Some(got.delivery_tag),
        AMQPClass::Basic(basic::AMQPMethod::Deliver(deliver)) => Some(deliver.delivery_tag),
        _ => None,
    }
}
