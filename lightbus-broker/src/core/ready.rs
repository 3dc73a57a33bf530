//! The messages of a queue that wait for a consumer, by level, each level in its own order.

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
    /// The same once more, as after it came back.
    pub(crate) fn again(&self) -> Self {
        Self {
            redelivered: true,
            ..self.clone()
        }
    }

    pub(crate) fn expired_before(&self, now: Instant) -> bool {
        self.expires.is_some_and(|at| at < now)
    }
}

/// The levels of a quorum queue.
const NORMAL: usize = 0;
const HIGH: usize = 1;
const RETURNED: usize = 2;
/// The least priority that a quorum queue takes for high.
const LEAST_HIGH: u8 = 5;
/// Of this many messages in a row that a quorum queue gives out, the last is a normal one, even if there are high ones.
const ROUND: u8 = 3;

/// Which level comes first, and where a message that comes back goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Discipline {
    /// A level for each priority, the highest first. What comes back takes its old place.
    Strict,
    /// High and normal ones in turn. What comes back comes first, in the order in which it came back.
    Quorum {
        /// How many it gave out in this round.
        turn: u8,
    },
}

/// Waiting messages.
#[derive(Debug)]
pub(crate) struct Ready {
    discipline: Discipline,
    levels: Vec<VecDeque<Entry>>,
    len: usize,
    bytes: usize,
}

impl Ready {
    /// For a queue of priorities 0 to `max_priority`.
    pub(crate) fn by_priority(max_priority: u8) -> Self {
        Self::with(Discipline::Strict, usize::from(max_priority) + 1)
    }

    /// For a quorum queue.
    pub(crate) fn quorum() -> Self {
        Self::with(Discipline::Quorum { turn: 0 }, RETURNED + 1)
    }

    fn with(discipline: Discipline, levels: usize) -> Self {
        Self {
            discipline,
            levels: (0..levels).map(|_| VecDeque::new()).collect(),
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
        let level = match self.discipline {
            Discipline::Strict => usize::from(priority).min(self.levels.len().saturating_sub(1)),
            Discipline::Quorum { .. } if priority >= LEAST_HIGH => HIGH,
            Discipline::Quorum { .. } => NORMAL,
        };
        self.levels.get_mut(level)
    }

    fn head(&self, level: usize) -> Option<&Entry> {
        self.levels.get(level)?.front()
    }

    /// The level of a quorum queue whose turn it is.
    fn turn(&self, turn: u8) -> usize {
        if self.head(RETURNED).is_some() {
            return RETURNED;
        }
        match (self.head(HIGH), self.head(NORMAL)) {
            // A high one that came first need not wait.
            (Some(high), Some(normal)) if turn + 1 == ROUND && high.seq > normal.seq => NORMAL,
            (Some(_), _) => HIGH,
            (None, _) => NORMAL,
        }
    }

    /// Appends a new message.
    pub(crate) fn push(&mut self, entry: Entry) {
        self.len += 1;
        self.bytes += entry.message.size();
        if let Some(level) = self.level(entry.message.priority) {
            level.push_back(entry);
        }
    }

    /// Takes a message back.
    pub(crate) fn restore(&mut self, entry: Entry) {
        self.len += 1;
        self.bytes += entry.message.size();
        if self.discipline != Discipline::Strict {
            self.levels[RETURNED].push_back(entry);
        } else if let Some(level) = self.level(entry.message.priority) {
            let at = level.partition_point(|other| other.seq < entry.seq);
            level.insert(at, entry);
        }
    }

    /// Takes the next message.
    pub(crate) fn pop(&mut self) -> Option<Entry> {
        self.pop_if(|_| true)
    }

    /// The level from which the next message comes.
    fn next_level(&self) -> Option<usize> {
        match self.discipline {
            Discipline::Strict => (0..self.levels.len())
                .rev()
                .find(|level| self.head(*level).is_some()),
            Discipline::Quorum { turn } => Some(self.turn(turn)),
        }
    }

    /// Takes the next message if it is `wanted`.
    pub(crate) fn pop_if(&mut self, wanted: impl Fn(&Entry) -> bool) -> Option<Entry> {
        let level = self.next_level()?;
        self.head(level).filter(|entry| wanted(entry))?;
        if let Discipline::Quorum { turn } = &mut self.discipline
            && level != RETURNED
        {
            *turn = (*turn + 1) % ROUND;
        }
        let level = self.levels.get_mut(level)?;
        let entry = level.pop_front()?;
        give_back(level);
        self.len -= 1;
        self.bytes -= entry.message.size();
        Some(entry)
    }

    /// Every message, the highest priority first.
    pub(crate) fn messages(&self) -> impl Iterator<Item = &Arc<Message>> {
        let levels = self.levels.iter().rev();
        levels.flat_map(|level| level.iter().map(|entry| &entry.message))
    }

    /// When the next message expires.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.head(self.next_level()?)?.expires
    }

    #[cfg(any(test, fuzzing))]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.levels.iter().flatten()
    }

    /// Panics where a message is lost, or lies in the wrong place.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn assert_consistent(&self) {
        assert_eq!(self.len, self.iter().count());
        let bytes: usize = self.iter().map(|entry| entry.message.size()).sum();
        assert_eq!(self.bytes, bytes);
        let ordered = match self.discipline {
            Discipline::Strict => self.levels.len(),
            Discipline::Quorum { .. } => RETURNED,
        };
        for level in self.levels.iter().take(ordered) {
            assert!(level.iter().is_sorted_by(|a, b| a.seq < b.seq));
        }
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
            number: seq,
            exchange: "".into(),
            routing_key: "q".into(),
            copies: Box::default(),
            shown_copies: 0,
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
        let mut ready = Ready::by_priority(0);
        (0..50_000).for_each(|seq| ready.push(entry(seq)));
        for seq in 0..49_000 {
            assert_eq!(ready.pop().map(|entry| entry.seq), Some(seq));
        }
        assert!(ready.levels[0].capacity() <= 8 * ROOM);
        assert_eq!(ready.clear(), 1000);
        assert_eq!(ready.levels[0].capacity(), 0);
    }
}
