//! The messages of a queue that wait for a consumer, by priority, each level in its own order.

use super::message::Message;
use std::{collections::VecDeque, sync::Arc, time::Instant};

/// This many messages' room is kept in any case.
const ROOM: usize = 1024;

/// A message in a queue.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Its place; kept when it is delivered and comes back.
    pub(crate) seq: u64,
    pub(crate) message: Arc<Message>,
    pub(crate) expires: Option<Instant>,
    pub(crate) redelivered: bool,
    /// How often it came back, on queues that count.
    pub(crate) returns: u32,
}

impl Entry {
    pub(crate) fn expired_before(&self, now: Instant) -> bool {
        self.expires.is_some_and(|at| at < now)
    }
}

/// Waiting messages.
#[derive(Debug)]
pub(crate) struct Ready {
    levels: Vec<VecDeque<Entry>>,
    len: usize,
    bytes: usize,
}

impl Ready {
    /// Levels 0 to `max_priority`.
    pub(crate) fn new(max_priority: u8) -> Self {
        Self {
            levels: (0..=max_priority).map(|_| VecDeque::new()).collect(),
            len: 0,
            bytes: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    fn level(&mut self, priority: u8) -> Option<&mut VecDeque<Entry>> {
        let top = self.levels.len().saturating_sub(1);
        self.levels.get_mut(usize::from(priority).min(top))
    }

    /// Appends a new message.
    pub(crate) fn push(&mut self, entry: Entry) {
        self.len += 1;
        self.bytes += entry.message.size();
        if let Some(level) = self.level(entry.message.priority) {
            level.push_back(entry);
        }
    }

    /// Puts a message back where it was.
    pub(crate) fn restore(&mut self, entry: Entry) {
        self.len += 1;
        self.bytes += entry.message.size();
        if let Some(level) = self.level(entry.message.priority) {
            let at = level.partition_point(|other| other.seq < entry.seq);
            level.insert(at, entry);
        }
    }

    /// Takes the next message.
    pub(crate) fn pop(&mut self) -> Option<Entry> {
        self.pop_if(|_| true)
    }

    /// Takes the first head, highest priority first, for which `wanted` holds.
    pub(crate) fn pop_if(&mut self, wanted: impl Fn(&Entry) -> bool) -> Option<Entry> {
        let level = self
            .levels
            .iter_mut()
            .rev()
            .find(|level| level.front().is_some_and(&wanted))?;
        let entry = level.pop_front()?;
        give_back(level);
        self.len -= 1;
        self.bytes -= entry.message.size();
        Some(entry)
    }

    /// When the first of the heads expires.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.levels
            .iter()
            .filter_map(|level| level.front()?.expires)
            .min()
    }

    /// Removes everything; says how many there were.
    pub(crate) fn clear(&mut self) -> usize {
        let count = self.len;
        self.levels
            .iter_mut()
            .for_each(|level| *level = VecDeque::new());
        (self.len, self.bytes) = (0, 0);
        count
    }
}

/// Returns the room that a queue took while it was long.
fn give_back(level: &mut VecDeque<Entry>) {
    if level.capacity() > ROOM && level.len() < level.capacity() / 4 {
        level.shrink_to(level.capacity() / 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::message::{Body, Gauge};

    fn entry(seq: u64) -> Entry {
        let body = Body {
            bytes: Box::default(),
            _charge: Gauge::default().charge(),
        };
        let message = Message {
            exchange: "".into(),
            routing_key: "q".into(),
            copies: Box::default(),
            properties: Box::new([0, 0]),
            body: Arc::new(body),
            expiration: None,
            priority: 0,
            persistent: false,
            deaths: None,
        };
        Entry {
            seq,
            message: Arc::new(message),
            expires: None,
            redelivered: false,
            returns: 0,
        }
    }

    #[test]
    fn what_a_long_queue_took_is_given_back() {
        let mut ready = Ready::new(0);
        (0..50_000).for_each(|seq| ready.push(entry(seq)));
        for seq in 0..49_000 {
            assert_eq!(ready.pop().map(|entry| entry.seq), Some(seq));
        }
        assert!(ready.levels[0].capacity() <= 8 * ROOM);
        assert_eq!(ready.clear(), 1000);
        assert_eq!(ready.levels[0].capacity(), 0);
    }
}
