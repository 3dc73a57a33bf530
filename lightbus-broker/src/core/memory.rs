//! Memory pressure: connections that publish are blocked while messages hold too much, or while a test says so.

use super::{
    Core,
    connection::{Connection, Phase},
    event::EventKind,
    ids::{At, ConnId},
};
use amq_protocol::protocol::{AMQPClass, connection as class};

/// Why publishers are blocked, if they are.
#[derive(Debug, Default)]
pub(crate) struct Pressure {
    memory: bool,
    /// What the owner of the broker said.
    reason: Option<String>,
}

impl Pressure {
    fn reason(&self) -> Option<&str> {
        self.reason
            .as_deref()
            .or(self.memory.then_some("low on memory"))
    }

    /// What the owner of the broker said.
    pub(crate) fn owners_reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }
}

impl Core {
    /// Blocks publishers for a reason of the owner's, or ends that.
    pub(crate) fn set_block(&mut self, reason: Option<String>) {
        self.pressure.reason = reason;
        self.apply_pressure();
    }

    /// Whether a connection is not to be read. One in the midst of a message may finish it: if several could not, none of them
    /// would ever let go of what it has.
    pub(super) fn is_blocked(&self, connection: &Connection) -> bool {
        connection.publishes && self.pressure.reason().is_some() && !connection.is_midway()
    }

    /// Compares what messages hold with the limit. Clears somewhat below it, so as not to flutter.
    pub(super) fn weigh_memory(&mut self) {
        let (bytes, limit) = (self.gauge.bytes(), self.settings.memory_limit);
        let over = bytes
            > if self.pressure.memory {
                limit / 10 * 9
            } else {
                limit
            };
        if over != self.pressure.memory {
            tracing::warn!(bytes, limit, over, "memory watermark crossed");
            self.pressure.memory = over;
            self.apply_pressure();
        }
    }

    /// A connection published.
    pub(super) fn note_publisher(&mut self, conn: ConnId) {
        let Some(connection) = self.conns.get_mut(&conn) else {
            return;
        };
        // The message it was in is complete: that was what it had grace for.
        connection.grace = 0;
        if !connection.publishes {
            connection.publishes = true;
            self.tell_pressure(conn);
        }
    }

    fn apply_pressure(&mut self) {
        for conn in self.connections() {
            self.tell_pressure(conn);
        }
    }

    /// Tells a connection that it is blocked now, or no longer.
    fn tell_pressure(&mut self, id: ConnId) {
        let reason = self.pressure.reason().map(str::to_owned);
        let grace = self.settings.max_message_size;
        let Some(connection) = self.conns.get_mut(&id) else {
            return;
        };
        if connection.phase != Phase::Running
            || !connection.publishes
            || connection.blocked == reason.is_some()
        {
            return;
        }
        connection.blocked = reason.is_some();
        connection.grace = grace;
        let tell = connection.client.blocked_notify;
        if reason.is_none() {
            self.resumed.push(id);
        }
        self.note_pressure(id, reason.as_deref());
        if tell {
            let at = At {
                conn: id,
                channel: 0,
            };
            self.send(at, AMQPClass::Connection(pressure_method(reason)));
        }
    }

    fn note_pressure(&mut self, id: ConnId, reason: Option<&str>) {
        self.note(|core| {
            let connection = core.connection_name(id);
            match reason {
                Some(reason) => EventKind::Blocked {
                    connection,
                    reason: reason.into(),
                },
                None => EventKind::Unblocked { connection },
            }
        });
    }
}

/// How a client is told.
fn pressure_method(reason: Option<String>) -> class::AMQPMethod {
    match reason {
        Some(reason) => class::AMQPMethod::Blocked(class::Blocked {
            reason: super::reply_text(&reason).into(),
        }),
        None => class::AMQPMethod::Unblocked(class::Unblocked {}),
    }
}
