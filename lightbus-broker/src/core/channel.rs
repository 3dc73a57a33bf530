//! One channel of a connection: its consumers, what they have not settled, what is being published.

use super::{
    consumer::Consumer,
    ids::{ConsumerId, QueueId},
    message::Charge,
    properties::Index,
    ready::Entry,
    reply_to::ReplyConsumer,
    tx::Tx,
};
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Instant,
};

/// A message that a client has and must settle.
#[derive(Debug)]
pub(crate) struct Unacked {
    pub(crate) tag: u64,
    pub(crate) queue: QueueId,
    /// Whose it is; none for what `basic.get` fetched.
    pub(crate) consumer: Option<ConsumerId>,
    /// It counts towards the channel's own prefetch.
    pub(crate) limited: bool,
    /// When it was delivered.
    pub(crate) since: Instant,
    /// A test wants its acknowledgement lost.
    pub(crate) loses_ack: bool,
    pub(crate) entry: Entry,
}

/// A `basic.publish` whose content has not come yet.
#[derive(Debug)]
pub(crate) struct Publish {
    pub(crate) exchange: Arc<str>,
    pub(crate) routing_key: Arc<str>,
    pub(crate) mandatory: bool,
}

/// Where a channel published last. Most messages go where the one before went, and then share its names.
#[derive(Debug)]
pub(crate) struct LastAddress {
    exchange: Arc<str>,
    key: Arc<str>,
}

impl LastAddress {
    fn new() -> Self {
        let none: Arc<str> = Arc::from("");
        Self {
            exchange: none.clone(),
            key: none,
        }
    }

    pub(crate) fn exchange(&mut self, name: &str) -> Arc<str> {
        shared(&mut self.exchange, name)
    }

    pub(crate) fn key(&mut self, name: &str) -> Arc<str> {
        shared(&mut self.key, name)
    }
}

fn shared(last: &mut Arc<str>, name: &str) -> Arc<str> {
    if **last != *name {
        *last = Arc::from(name);
    }
    last.clone()
}

/// What the next frame of a channel must be.
#[derive(Debug, Default)]
pub(crate) enum Incoming {
    #[default]
    Method,
    Header(Publish),
    Body(Partial),
    /// More of a body that is too large to be kept, and how large it is in all.
    Excess {
        left: usize,
        size: usize,
    },
}

/// A message on its way in.
#[derive(Debug)]
pub(crate) struct Partial {
    pub(crate) publish: Publish,
    pub(crate) properties: Vec<u8>,
    pub(crate) index: Index,
    pub(crate) size: usize,
    pub(crate) body: Vec<u8>,
    pub(crate) charge: Charge,
}

/// Publisher confirms, gathered until the end of what was read at once.
#[derive(Debug, Default)]
pub(crate) struct Confirms {
    last: u64,
    gathered: u64,
    gathered_upto: u64,
    /// A test withheld one: from then on, each is sent by itself.
    pub(crate) withheld: bool,
}

impl Confirms {
    /// Numbers the next message.
    pub(crate) fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Notes that the message numbered last is safe.
    pub(crate) fn gather(&mut self) {
        self.gathered += 1;
        self.gathered_upto = self.last;
    }

    /// What to acknowledge now: the tag, and whether it covers several.
    pub(crate) fn take(&mut self) -> Option<(u64, bool)> {
        let upto = self.gathered_upto;
        let count = std::mem::take(&mut self.gathered);
        (count > 0).then_some((upto, count > 1))
    }
}

/// A channel.
#[derive(Debug)]
pub(crate) struct Channel {
    /// The broker closed it; the client has not confirmed that yet.
    pub(crate) closing: bool,
    /// The prefetch of consumers to come; 0 is no limit.
    pub(crate) prefetch: u16,
    /// The prefetch of the channel as a whole; 0 is no limit.
    pub(crate) limit: u16,
    /// The unacknowledged messages of consumers.
    pub(crate) lent: u32,
    pub(crate) unacked: VecDeque<Unacked>,
    pub(crate) consumers: HashMap<Arc<str>, (QueueId, ConsumerId)>,
    pub(crate) incoming: Incoming,
    pub(crate) last_address: LastAddress,
    pub(crate) confirms: Option<Confirms>,
    /// The queue declared last, which an empty name means.
    pub(crate) last_queue: Option<Arc<str>>,
    pub(crate) replies: Option<ReplyConsumer>,
    pub(crate) tx: Option<Tx>,
    next_tag: u64,
}

impl Channel {
    pub(crate) fn new() -> Self {
        Self {
            closing: false,
            prefetch: 0,
            limit: 0,
            lent: 0,
            unacked: VecDeque::new(),
            consumers: HashMap::new(),
            incoming: Incoming::Method,
            last_address: LastAddress::new(),
            confirms: None,
            last_queue: None,
            replies: None,
            tx: None,
            next_tag: 0,
        }
    }

    /// The queues that share its prefetch, the one after `last` first: so each has its turn.
    pub(crate) fn turns(&self, last: Option<QueueId>) -> Vec<QueueId> {
        let mut queues: Vec<_> = self.consumers.values().map(|(queue, _)| *queue).collect();
        queues.sort_unstable();
        queues.dedup();
        let next = queues.partition_point(|queue| Some(*queue) <= last);
        queues.rotate_left(next);
        queues
    }

    /// Whether a consumer of it may get another message.
    pub(crate) fn has_credit(&self, consumer: &Consumer) -> bool {
        !consumer.limited || self.limit == 0 || self.lent < u32::from(self.limit)
    }

    /// Numbers the next delivery.
    pub(crate) fn tag(&mut self) -> u64 {
        self.next_tag += 1;
        self.next_tag
    }

    /// Keeps a delivered message until it is settled.
    pub(crate) fn keep(&mut self, unacked: Unacked) {
        self.lent += u32::from(unacked.limited);
        self.unacked.push_back(unacked);
    }

    /// Gives the channel credit for so many messages that were settled.
    pub(crate) fn credit(&mut self, lent: u32) {
        self.lent = self.lent.saturating_sub(lent);
    }

    /// Takes the messages a client settles, for which it has no credit yet; `None` if there is no such tag.
    pub(crate) fn take(&mut self, tag: u64, multiple: bool) -> Option<Vec<Unacked>> {
        if multiple && tag == 0 {
            return Some(self.unacked.drain(..).collect());
        }
        let at = match self.unacked.front() {
            Some(front) if front.tag == tag => 0,
            _ => self
                .unacked
                .binary_search_by_key(&tag, |unacked| unacked.tag)
                .ok()?,
        };
        if multiple {
            return Some(self.unacked.drain(..=at).collect());
        }
        self.unacked.remove(at).map(|unacked| vec![unacked])
    }
}
