//! Which published message a delivery is.
//!
//! Frames do not say so. A delivery is the oldest message with the same body and identity that waits in the queue it comes from; where none does, it has come there as a
//! dead letter, and is the last one with that body and identity.

use crate::core::{Field, IdMap, Index, Message};
use std::{
    collections::{HashMap, VecDeque},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

/// So many messages are remembered, of so many bytes.
const MOST: usize = 65_536;
const MOST_BYTES: usize = 64 << 20;

/// What a message keeps on all its ways: a dead letter has another address, other headers, and no expiration.
const IDENTITY: [Field; 6] = [
    Field::MessageId,
    Field::CorrelationId,
    Field::Type,
    Field::ReplyTo,
    Field::AppId,
    Field::ContentType,
];

/// A message, and the queues that it waits in as far as anybody knows.
#[derive(Debug)]
struct Tied {
    message: Arc<Message>,
    print: u64,
    waits: Vec<Arc<str>>,
    returned: bool,
}

/// The last messages that were published.
#[derive(Debug, Default)]
pub(super) struct Ties {
    all: IdMap<u64, Tied>,
    /// Those with the same body and identity; what waits for its delivery in the order of publishing, before what does not.
    alike: HashMap<u64, VecDeque<u64>>,
    /// In the order of publishing.
    order: VecDeque<u64>,
    bytes: usize,
    /// By queue, how many wait in it.
    waiting: HashMap<Arc<str>, usize>,
}

impl Ties {
    /// Remembers a message that was published, and the queues it went to.
    pub(super) fn add(&mut self, message: &Arc<Message>, waits: Vec<Arc<str>>) {
        let (number, print) = (message.number(), print(message));
        self.bytes += message.weight();
        for queue in &waits {
            *self.waiting.entry(queue.clone()).or_default() += 1;
        }
        self.order.push_back(number);
        self.alike.entry(print).or_default().push_back(number);
        let tied = Tied {
            message: message.clone(),
            print,
            waits,
            returned: false,
        };
        self.all.insert(number, tied);
        while self.order.len() > MOST || (self.bytes > MOST_BYTES && self.order.len() > 1) {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        let first = self.order.pop_front();
        let Some(gone) = first.and_then(|number| self.all.remove(&number)) else {
            return;
        };
        self.bytes -= gone.message.weight();
        for queue in &gone.waits {
            leaves(&mut self.waiting, queue);
        }
        if let Some(alike) = self.alike.get_mut(&gone.print) {
            alike.retain(|number| *number != gone.message.number());
            if alike.is_empty() {
                self.alike.remove(&gone.print);
            }
        }
    }

    /// The message that was published, of one that is delivered from a queue.
    pub(super) fn delivered(&mut self, seen: &Message, queue: &str) -> Option<Arc<Message>> {
        let alike = self.alike.get_mut(&print(seen))?;
        let all = &mut self.all;
        let waits_here = |number: &u64| {
            let tied = all.get(number);
            tied.is_some_and(|tied| tied.waits.iter().any(|waits| &**waits == queue))
        };
        if let Some(at) = alike.iter().position(waits_here) {
            let number = alike.get(at).copied()?;
            let tied = all.get_mut(&number)?;
            let here = tied.waits.iter().position(|waits| &**waits == queue)?;
            tied.waits.swap_remove(here);
            leaves(&mut self.waiting, queue);
            if tied.waits.is_empty() {
                alike.remove(at);
                alike.push_back(number);
            }
            return Some(tied.message.clone());
        }
        let rank = |number: &&u64| {
            let tied = all.get(number);
            (tied.is_some_and(|tied| !tied.waits.is_empty()), **number)
        };
        let number = alike.iter().max_by_key(rank)?;
        Some(all.get(number)?.message.clone())
    }

    /// A message is back in a queue.
    pub(super) fn requeued(&mut self, number: u64, queue: &Arc<str>) {
        if let Some(tied) = self.all.get_mut(&number) {
            tied.waits.push(queue.clone());
            *self.waiting.entry(queue.clone()).or_default() += 1;
        }
    }

    /// The message that was published, of one that comes back unroutable.
    pub(super) fn returned(&mut self, seen: &Message) -> Option<Arc<Message>> {
        let alike = self.alike.get(&print(seen))?;
        let number = *alike.iter().find(|number| {
            let tied = self.all.get(number);
            tied.is_some_and(|tied| !tied.returned && is_same_address(&tied.message, seen))
        })?;
        let tied = self.all.get_mut(&number)?;
        tied.returned = true;
        Some(tied.message.clone())
    }

    /// Whether a message still waits in a queue; from now on it does not.
    pub(super) fn give_up(&mut self, number: u64, queue: &str) -> Option<Arc<Message>> {
        let tied = self.all.get_mut(&number)?;
        let at = tied.waits.iter().position(|waits| &**waits == queue)?;
        tied.waits.swap_remove(at);
        leaves(&mut self.waiting, queue);
        Some(tied.message.clone())
    }

    /// How many messages wait in a queue, of those that were published to it.
    pub(super) fn waiting(&self, queue: &str) -> usize {
        self.waiting.get(queue).copied().unwrap_or_default()
    }
}

fn leaves(waiting: &mut HashMap<Arc<str>, usize>, queue: &str) {
    if let Some(count) = waiting.get_mut(queue) {
        *count -= 1;
        if *count == 0 {
            waiting.remove(queue);
        }
    }
}

/// Whether two messages were published to the same exchange, with the same key.
pub(super) fn is_same_address(one: &Message, other: &Message) -> bool {
    (one.exchange(), one.routing_key()) == (other.exchange(), other.routing_key())
}

fn print(message: &Message) -> u64 {
    let properties = &message.properties;
    let index = Index::scan(properties).unwrap_or_default();
    let mut hasher = DefaultHasher::new();
    for field in IDENTITY {
        index.short(properties, field).hash(&mut hasher);
    }
    message.body().hash(&mut hasher);
    hasher.finish()
}
