//! A slow network, for tests: what the broker sends is held for a while, in order.

use super::{Core, Now, connection::Connection, ids::ConnId, list};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// The longest delay, some thousand years: much further, no moment can be told.
const FOREVER: Duration = Duration::from_secs(1 << 36);

/// What a connection is to be sent later. Those who watch its size find it in the connection's meter.
#[derive(Debug, Default)]
pub(crate) struct Delayed {
    waiting: VecDeque<(Instant, Vec<u8>)>,
    /// Held for long enough.
    due: Vec<u8>,
}

impl Delayed {
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.due.is_empty()
    }

    /// Whether some of it was held for long enough.
    pub(crate) fn is_due(&self) -> bool {
        !self.due.is_empty()
    }
}

impl Connection {
    /// Puts aside what was written, for so long and never ahead of what waits already. Says until when.
    pub(super) fn postpone(&mut self, now: Instant, delay: Duration) -> Option<Instant> {
        if self.out.is_empty() {
            return None;
        }
        let until = now.checked_add(delay).unwrap_or(now);
        let last = self.delayed.waiting.back().map(|(until, _)| *until);
        let until = last.map_or(until, |last| until.max(last));
        self.meter.add(self.out.len());
        let bytes = std::mem::take(&mut self.out);
        self.delayed.waiting.push_back((until, bytes));
        Some(until)
    }

    /// What was held for long enough.
    pub(super) fn due(&mut self) -> &mut Vec<u8> {
        self.meter.sub(self.delayed.due.len());
        &mut self.delayed.due
    }
}

impl Core {
    /// Delays what is sent from now on; zero ends that.
    pub(crate) fn set_delay(&mut self, delay: Duration, now: Now) {
        self.now = now;
        self.delay = delay.min(FOREVER);
    }

    /// Whether something of a connection's is held.
    pub(crate) fn holds_back(&self, id: ConnId) -> bool {
        let connection = self.conns.get(&id);
        connection.is_some_and(|connection| !connection.delayed.is_empty())
    }

    /// The connection comes to its end: what is held goes out now, or it never would.
    pub(crate) fn release_all(&mut self, id: ConnId) {
        let Some(connection) = self.conns.get_mut(&id) else {
            return;
        };
        let delayed = &mut connection.delayed;
        for (_, mut bytes) in delayed.waiting.drain(..) {
            delayed.due.append(&mut bytes);
        }
        list(&mut self.output, id, connection);
    }

    /// Something of a connection's may have been held for long enough.
    pub(super) fn release_delayed(&mut self, id: ConnId) {
        let Some(connection) = self.conns.get_mut(&id) else {
            return;
        };
        let delayed = &mut connection.delayed;
        let due = delayed
            .waiting
            .partition_point(|(until, _)| *until <= self.now.instant);
        for (_, bytes) in delayed.waiting.drain(..due) {
            delayed.due.extend_from_slice(&bytes);
        }
        list(&mut self.output, id, connection);
    }
}
