//! One queue: what it is, what waits in it, who takes from it.

use super::{
    Now,
    consumer::Consumers,
    event::QueueName,
    held::Held,
    ids::{ConnId, ConsumerId, ExchangeId, QueueId},
    message::Message,
    queue_arguments::{Overflow, QueueArguments},
    ready::{Entry, Ready},
    stream::Stream,
};
use crate::{counters::QueueCounters, queue_type::QueueType};
use amq_protocol::types::FieldTable;
use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

/// How much of a limit is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Share {
    All,
    /// What a quorum queue that refuses must get down to.
    FourFifths,
}

impl Share {
    fn of(self, limit: usize) -> usize {
        match self {
            Self::All => limit,
            Self::FourFifths => limit / 5 * 4 + limit % 5 * 4 / 5,
        }
    }
}

/// A queue.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) id: QueueId,
    pub(crate) name: Arc<str>,
    pub(crate) vhost: Arc<str>,
    pub(crate) durable: bool,
    pub(crate) auto_delete: bool,
    pub(crate) owner: Option<ConnId>,
    pub(crate) arguments: QueueArguments,
    /// The arguments as they were declared.
    pub(crate) declared: FieldTable,
    pub(crate) ready: Ready,
    /// What a stream has instead of messages that are ready.
    pub(crate) stream: Option<Box<Stream>>,
    pub(crate) held: Held,
    pub(crate) consumers: Consumers,
    pub(crate) unacked: usize,
    pub(crate) unacked_bytes: usize,
    /// The exchanges that have, or had, bindings to it.
    pub(crate) sources: HashSet<ExchangeId>,
    pub(crate) last_used: Instant,
    /// The deadline for which a message alarm is set.
    pub(crate) message_alarm: Option<Instant>,
    pub(crate) unused_alarm: bool,
    /// No consumer wanted more when last asked; asked again when one of them changes.
    pub(crate) stalled: bool,
    /// A test wants nothing delivered.
    pub(crate) paused: bool,
    pub(crate) counters: QueueCounters,
    /// It was too full, and is not empty enough yet.
    refusing: bool,
    next_seq: u64,
}

/// What identifies a queue and how it was declared.
#[derive(Debug)]
pub(crate) struct Declaration {
    pub(crate) name: Arc<str>,
    pub(crate) vhost: Arc<str>,
    pub(crate) durable: bool,
    pub(crate) auto_delete: bool,
    pub(crate) owner: Option<ConnId>,
    pub(crate) arguments: QueueArguments,
    pub(crate) declared: FieldTable,
}

impl Queue {
    pub(crate) fn new(id: QueueId, of: Declaration, now: Instant) -> Self {
        Self {
            id,
            ready: match of.arguments.kind {
                QueueType::Quorum => Ready::quorum(),
                _ => Ready::by_priority(of.arguments.max_priority),
            },
            stream: (of.arguments.kind == QueueType::Stream)
                .then(|| Box::new(Stream::new(&of.arguments))),
            name: of.name,
            vhost: of.vhost,
            durable: of.durable,
            auto_delete: of.auto_delete,
            owner: of.owner,
            arguments: of.arguments,
            declared: of.declared,
            held: Held::default(),
            consumers: Consumers::default(),
            unacked: 0,
            unacked_bytes: 0,
            sources: HashSet::new(),
            last_used: now,
            message_alarm: None,
            unused_alarm: false,
            stalled: false,
            paused: false,
            counters: QueueCounters::default(),
            refusing: false,
            next_seq: 0,
        }
    }

    /// How events name it.
    pub(crate) fn full_name(&self) -> QueueName {
        QueueName {
            vhost: self.vhost.clone(),
            name: self.name.clone(),
        }
    }

    /// Every message that waits in it, or that it keeps.
    pub(crate) fn messages(&self) -> impl Iterator<Item = &Arc<Message>> {
        let kept = self.stream.iter().flat_map(|stream| stream.log.messages());
        self.ready.messages().chain(kept)
    }

    /// How many messages are lost when it is deleted; what clients of a stream have is in the stream as well.
    pub(crate) fn at_stake(&self) -> usize {
        match &self.stream {
            Some(stream) => stream.log.len(),
            None => self.ready.len() + self.held.len() + self.unacked,
        }
    }

    /// How errors name it.
    pub(crate) fn subject(&self) -> String {
        subject(&self.name, &self.vhost)
    }

    /// Whether it refuses one more message. A quorum queue lets one past its limit, and from then on refuses until it is at most
    /// four fifths full.
    pub(crate) fn refuses(&mut self, message: &Message) -> bool {
        match (self.arguments.overflow, self.arguments.kind) {
            (Overflow::DropHead, _) => false,
            (_, QueueType::Quorum) => {
                let share = match self.refusing {
                    true => Share::FourFifths,
                    false => Share::All,
                };
                self.refusing = self.exceeds(share, 0, 0);
                self.refusing
            }
            _ => self.exceeds(Share::All, 1, message.size()),
        }
    }

    /// Whether it holds more than it may and drops its head for that.
    pub(crate) fn is_spilling(&self) -> bool {
        self.arguments.overflow == Overflow::DropHead && self.exceeds(Share::All, 0, 0)
    }

    /// Whether it holds, with so much more, above this share of what it may.
    fn exceeds(&self, share: Share, more: usize, bytes: usize) -> bool {
        let over =
            |limit: Option<usize>, value: usize| limit.is_some_and(|limit| value > share.of(limit));
        over(
            self.arguments.max_length,
            self.ready.len() + self.held.len() + more,
        ) || over(
            self.arguments.max_bytes,
            self.ready.bytes() + self.held.bytes() + bytes,
        )
    }

    /// How many messages it has to give.
    pub(crate) fn len(&self) -> usize {
        self.stream
            .as_ref()
            .map_or(self.ready.len(), |stream| stream.log.len())
    }

    /// The bodies it holds, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        match &self.stream {
            Some(stream) => stream.log.bytes(),
            None => self.ready.bytes() + self.unacked_bytes + self.held.bytes(),
        }
    }

    /// Appends a message.
    pub(crate) fn push(&mut self, message: Arc<Message>, now: Now) {
        self.counters.enqueued += 1;
        if let Some(stream) = &mut self.stream {
            return stream.log.append(message, now.unix);
        }
        let ttl = match (self.arguments.message_ttl, message.expiration) {
            (Some(queue), Some(own)) => Some(queue.min(own)),
            (queue, own) => queue.or(own),
        };
        self.next_seq += 1;
        self.ready.push(Entry {
            seq: self.next_seq,
            expires: ttl.and_then(|ttl| now.instant.checked_add(Duration::from_millis(ttl))),
            redelivered: false,
            returns: 0,
            message,
        });
    }

    /// Books a message out to a consumer that will settle it.
    pub(crate) fn lend(&mut self, entry: &Entry) {
        self.unacked += 1;
        self.unacked_bytes += entry.message.size();
    }

    /// Books a settled message.
    pub(crate) fn reclaim(&mut self, entry: &Entry) {
        self.unacked = self.unacked.saturating_sub(1);
        self.unacked_bytes = self.unacked_bytes.saturating_sub(entry.message.size());
    }

    /// A consumer leaves.
    pub(crate) fn forget(&mut self, consumer: ConsumerId) {
        self.consumers.remove(consumer);
        if let Some(stream) = &mut self.stream {
            stream.detach(consumer);
        }
    }

    /// When it will have been unused for as long as it may be, if it may not be for ever.
    pub(crate) fn unused_until(&self) -> Option<Instant> {
        if !self.consumers.is_empty() {
            return None;
        }
        self.last_used.checked_add(self.arguments.expires?)
    }
}

/// How errors name a queue.
pub(crate) fn subject(name: &str, vhost: &str) -> String {
    format!("queue '{name}' in vhost '{vhost}'")
}
