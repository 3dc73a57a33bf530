//! The broker itself, without sockets, clock or locks: frames and moments go in, bytes for each connection come out.
//!
//! Whoever owns it calls [`Core::frame`] for each frame read, [`Core::end_batch`] after the frames read at once,
//! [`Core::tick`] at [`Core::next_deadline`], and hands on what [`Core::take_output`] gives out.

mod access;
mod ack_timeout;
mod arguments;
mod channel;
mod connection;
#[cfg(any(test, fuzzing))]
mod consistency;
mod consume;
mod consumer;
mod dead_letter;
mod deaths;
mod delay;
mod delivery;
mod errors;
mod event;
mod event_text;
mod exchange;
mod exchange_methods;
mod get;
mod handshake;
mod headers;
mod held;
mod ids;
mod jobs;
mod log;
mod memory;
mod message;
mod message_view;
mod methods;
mod names;
mod notes;
mod operator;
mod pattern;
mod properties;
mod publish;
mod queue;
mod queue_arguments;
mod queue_checks;
mod queue_methods;
mod ready;
mod reply_to;
mod settle;
mod stream;
mod stream_offset;
mod subscription;
mod tables;
mod tampering;
mod teardown;
#[cfg(test)]
mod tests;
mod timers;
mod topic;
mod tx;
mod vhost;
mod view;
mod watch;

pub(crate) use self::{
    access::Rights,
    arguments::{readable, text},
    channel::{Partial, Publish},
    connection::{Directive, Meter},
    exchange::{Declaration, Kind, Target},
    ids::{At, ConnId, IdMap, QueueId},
    message::Gauge,
    methods::parse,
    pattern::Pattern,
    properties::{Field, Index},
    publish::{RESERVE, understand},
    tampering::Tamper,
    vhost::{Route, VHost},
    watch::Watch,
    watch::WatcherId,
};
pub use self::{
    event::{
        Binding, CancelReason, CloseReason, ConnectionName, DeleteReason, DropReason, Event,
        EventKind, QueueName, RefuseReason,
    },
    message::Message,
};

use self::{
    ack_timeout::AckWatch,
    connection::{Connection, Phase},
    errors::{Fault, Scope, connection_forced, frame_error, internal_error, reply_text},
    handshake::LEAST_FRAME,
    ids::ConsumerId,
    jobs::Job,
    memory::Pressure,
    queue::Queue,
    tampering::Tampering,
    timers::{Alarm, Timers},
};
use crate::{
    config::Settings,
    counters::{PublishCounters, QueueCounters},
    frames::{self, BadFrame, Frame},
};
use amq_protocol::protocol::{AMQPClass, channel as channel_class, connection as connection_class};
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

/// A moment, for intervals and for dates.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    pub(crate) instant: Instant,
    /// Seconds since 1970.
    pub(crate) unix: u64,
}

/// What whoever reads a connection must know of its negotiation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Agreed {
    pub(crate) frame_max: usize,
    /// In seconds.
    pub(crate) heartbeat: u16,
    /// Negotiation is over.
    pub(crate) open: bool,
}

/// A broker's whole state.
#[derive(Debug)]
pub(crate) struct Core {
    settings: Settings,
    vhosts: HashMap<Arc<str>, VHost>,
    queues: IdMap<QueueId, Queue>,
    conns: IdMap<ConnId, Connection>,
    timers: Timers,
    ack_watch: AckWatch,
    jobs: VecDeque<Job>,
    /// Connections with bytes to hand over.
    output: Vec<ConnId>,
    /// Connections that may be read again.
    resumed: Vec<ConnId>,
    /// The channels that take direct replies, by address.
    reply_addresses: HashMap<Arc<str>, At>,
    gauge: Gauge,
    pressure: Pressure,
    watch: Watch,
    tampering: Tampering,
    /// What is sent is held for so long.
    delay: Duration,
    refuses_logins: bool,
    published: PublishCounters,
    /// What queues counted that are gone.
    gone: QueueCounters,
    now: Now,
    next_id: u64,
    /// Makes the next frame, alarm or disconnect a disaster.
    #[cfg(test)]
    pub(crate) trap: bool,
}

impl Core {
    pub(crate) fn new(settings: Settings, now: Now) -> Self {
        let vhosts = settings
            .vhosts
            .iter()
            .map(|name| (Arc::from(name.as_str()), VHost::new()))
            .collect();
        // What watchers have not read yet counts as memory for messages; it must never be what blocks publishers.
        let watch = Watch::new(settings.event_buffer, settings.memory_limit / 10, now);
        Self {
            settings,
            vhosts,
            queues: IdMap::default(),
            conns: IdMap::default(),
            timers: Timers::default(),
            ack_watch: AckWatch::default(),
            jobs: VecDeque::new(),
            output: Vec::new(),
            resumed: Vec::new(),
            reply_addresses: HashMap::new(),
            gauge: Gauge::default(),
            pressure: Pressure::default(),
            watch,
            tampering: Tampering::default(),
            delay: Duration::ZERO,
            refuses_logins: false,
            published: PublishCounters::default(),
            gone: QueueCounters::default(),
            now,
            next_id: 0,
            #[cfg(test)]
            trap: false,
        }
    }

    /// A socket was accepted.
    pub(crate) fn connect(&mut self, peer: String, meter: Arc<Meter>) -> ConnId {
        self.next_id += 1;
        let id = ConnId(self.next_id);
        self.conns
            .insert(id, Connection::new(peer, LEAST_FRAME, meter));
        id
    }

    /// A frame was read.
    pub(crate) fn frame(&mut self, conn: ConnId, frame: &Frame<'_>, now: Now) {
        self.now = now;
        let at = At {
            conn,
            channel: frame.channel,
        };
        if let Err(fault) = self.accept(at, frame) {
            self.fail(at, &fault, method_of(frame));
        }
        self.run_jobs();
    }

    /// Something that is no frame was read; nothing after it can be understood.
    pub(crate) fn bad_frame(&mut self, conn: ConnId, bad: BadFrame, now: Now) {
        self.now = now;
        let text = match bad {
            BadFrame::Kind(kind) => format!("type {kind}: unknown_frame"),
            BadFrame::TooLarge { size, limit } => {
                format!("{{frame_too_large,{size},{limit}}}")
            }
            BadFrame::End(end) => format!("{{invalid_frame_end_marker,{end}}}"),
        };
        self.fail(At { conn, channel: 0 }, &frame_error(text), (0, 0));
        if let Some(connection) = self.conns.get_mut(&conn)
            && connection.phase == Phase::Closing
        {
            connection.phase = Phase::Done;
        }
        self.run_jobs();
    }

    /// Handling a frame went wrong in a way that is the broker's own fault.
    pub(crate) fn internal_error(&mut self, conn: ConnId, now: Now) {
        self.now = now;
        self.fail(
            At { conn, channel: 0 },
            &internal_error("the broker failed to handle a frame"),
            (0, 0),
        );
        self.run_jobs();
    }

    /// All frames read at once were handled: what now?
    pub(crate) fn end_batch(&mut self, conn: ConnId) -> Directive {
        self.flush_confirms(conn);
        self.weigh_memory();
        self.directive(conn)
    }

    /// What whoever reads the connection does next.
    pub(crate) fn directive(&self, conn: ConnId) -> Directive {
        match self.conns.get(&conn) {
            None => Directive::Close,
            Some(connection) => match connection.phase {
                Phase::Refused => Directive::Close,
                Phase::Done => Directive::Linger,
                Phase::Closing => Directive::AwaitClose,
                Phase::Running if self.is_blocked(connection) => Directive::Pause,
                _ => Directive::Read,
            },
        }
    }

    /// The writer of a congested connection caught up.
    pub(crate) fn drained(&mut self, conn: ConnId, now: Now) {
        self.now = now;
        let Some(connection) = self.conns.get(&conn) else {
            return;
        };
        let queues: Vec<_> = connection
            .channels
            .values()
            .flat_map(|channel| channel.consumers.values().map(|(queue, _)| *queue))
            .collect();
        queues.into_iter().for_each(|queue| self.wake(queue));
        self.run_jobs();
        self.weigh_memory();
    }

    /// The socket is gone.
    pub(crate) fn disconnect(&mut self, conn: ConnId, now: Now) {
        self.now = now;
        self.note_closed(conn, || CloseReason::Lost);
        self.spring_trap();
        self.tear_down(conn);
        self.conns.remove(&conn);
        self.run_jobs();
        self.weigh_memory();
    }

    /// Nothing of a connection is to stay, even where taking it down went wrong.
    pub(crate) fn forget(&mut self, conn: ConnId) {
        if self.conns.contains_key(&conn) {
            self.tear_down(conn);
            self.conns.remove(&conn);
        }
        self.run_jobs();
    }

    /// Where a test wants a disaster, here it is.
    fn spring_trap(&mut self) {
        #[cfg(test)]
        assert!(!std::mem::take(&mut self.trap), "a test's trap");
    }

    #[cfg(test)]
    pub(crate) fn set_alarms(&mut self, at: &[Instant]) {
        at.iter()
            .for_each(|at| self.timers.set(*at, Alarm::Unused(QueueId(0))));
    }

    /// Time passed.
    pub(crate) fn tick(&mut self, now: Now) {
        self.now = now;
        while let Some((at, alarm)) = self.timers.due(now.instant) {
            self.spring_trap();
            match alarm {
                Alarm::Message(queue) => self.message_alarm(queue),
                Alarm::Unused(queue) => self.unused_alarm(queue),
                Alarm::Held(queue) => self.held_alarm(queue),
                Alarm::Unsettled => self.ack_alarm(),
                Alarm::Release(conn) => self.release_delayed(conn),
            }
            // All that expires at one moment is gone before any of it is anywhere else.
            if self.timers.next() != Some(at) {
                self.run_jobs();
            }
        }
        self.weigh_memory();
    }

    /// When [`Core::tick`] is to be called next.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Gives out, connection by connection, the bytes to send; `hand_over` empties them.
    pub(crate) fn take_output(&mut self, mut hand_over: impl FnMut(ConnId, &mut Vec<u8>)) {
        for id in self.output.drain(..) {
            let Some(connection) = self.conns.get_mut(&id) else {
                continue;
            };
            connection.listed = false;
            if self.delay.is_zero() && connection.delayed.is_empty() {
                hand_over(id, &mut connection.out);
                continue;
            }
            if let Some(until) = connection.postpone(self.now.instant, self.delay) {
                self.timers.set(until, Alarm::Release(id));
            }
            if !connection.delayed.is_due() {
                continue;
            }
            hand_over(id, connection.due());
        }
    }

    /// Gives out the connections that may be read again.
    pub(crate) fn take_resumed(&mut self) -> Vec<ConnId> {
        std::mem::take(&mut self.resumed)
    }

    /// What was agreed with a connection so far.
    pub(crate) fn agreed(&self, conn: ConnId) -> Agreed {
        match self.conns.get(&conn) {
            Some(connection) => Agreed {
                frame_max: connection.frame_max as usize,
                heartbeat: connection.heartbeat,
                open: connection.phase == Phase::Running,
            },
            None => Agreed {
                frame_max: self.settings.frame_max as usize,
                heartbeat: 0,
                open: false,
            },
        }
    }

    /// The broker is going away: every client is told.
    pub(crate) fn close_all(&mut self, now: Now) {
        self.now = now;
        for conn in self.connections() {
            self.fail(
                At { conn, channel: 0 },
                &connection_forced("broker is shutting down"),
                (0, 0),
            );
        }
        self.run_jobs();
    }

    /// All connections there are.
    pub(crate) fn connections(&self) -> Vec<ConnId> {
        self.conns.keys().copied().collect()
    }

    /// The bytes to send to a connection, listed for being handed over.
    fn out(&mut self, conn: ConnId) -> Option<&mut Vec<u8>> {
        let connection = self.conns.get_mut(&conn)?;
        list(&mut self.output, conn, connection);
        Some(&mut connection.out)
    }

    /// Sends a method.
    fn send(&mut self, at: At, class: AMQPClass) {
        if let Some(out) = self.out(at.conn) {
            frames::method(out, at.channel, class);
        }
    }

    fn number(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn consumer_id(&mut self) -> ConsumerId {
        ConsumerId(self.number())
    }

    /// Closes what a fault closes.
    fn fail(&mut self, at: At, fault: &Fault, method: (u16, u16)) {
        let Some(connection) = self.conns.get(&at.conn) else {
            return;
        };
        let (channel, code, text) = (at.channel, fault.code, &fault.text);
        tracing::debug!(conn = at.conn.0, channel, code, %text, "refused");
        match connection.phase {
            Phase::Closing | Phase::Done => return,
            Phase::Running => {}
            _ if handshake::is_told(fault) => {}
            // Whoever cannot even log in by the rules is cut off, as RabbitMQ does.
            _ => return self.set_phase(at.conn, Phase::Refused),
        }
        let on_channel = fault.scope == Scope::Channel
            && connection.phase == Phase::Running
            && connection.channels.contains_key(&at.channel);
        self.flush_confirms(at.conn);
        if on_channel {
            self.note(|core| EventKind::ChannelClosed {
                connection: core.connection_name(at.conn),
                channel,
                code,
                text: text.as_str().into(),
            });
            self.close_channel(at);
        } else {
            self.note_closed(at.conn, || CloseReason::Broker {
                code,
                text: text.as_str().into(),
            });
            self.tear_down(at.conn);
            self.set_phase(at.conn, Phase::Closing);
        }
        let at = if on_channel {
            at
        } else {
            At { channel: 0, ..at }
        };
        let method = fault.against.unwrap_or(method);
        self.send(at, close_method(on_channel, fault, method));
    }

    fn set_phase(&mut self, conn: ConnId, phase: Phase) {
        if let Some(connection) = self.conns.get_mut(&conn) {
            connection.phase = phase;
        }
    }

    /// How much a connection has not been sent yet.
    pub(crate) fn unsent(&self, conn: ConnId) -> usize {
        self.conns.get(&conn).map_or(0, Connection::unsent)
    }
}

/// The method that closes a channel or a connection for a fault.
fn close_method(channel: bool, fault: &Fault, (class_id, method_id): (u16, u16)) -> AMQPClass {
    let (reply_code, reply_text) = (fault.code, reply_text(&fault.text).into());
    if channel {
        let close = channel_class::Close {
            reply_code,
            reply_text,
            class_id,
            method_id,
        };
        AMQPClass::Channel(channel_class::AMQPMethod::Close(close))
    } else {
        let close = connection_class::Close {
            reply_code,
            reply_text,
            class_id,
            method_id,
        };
        AMQPClass::Connection(connection_class::AMQPMethod::Close(close))
    }
}

/// Lists a connection among those with bytes to hand over.
fn list(output: &mut Vec<ConnId>, id: ConnId, connection: &mut Connection) {
    if !connection.listed {
        connection.listed = true;
        output.push(id);
    }
}

/// The method a fault is reported against: contents belong to `basic.publish`.
fn method_of(frame: &Frame<'_>) -> (u16, u16) {
    match (frame.kind, frame.payload) {
        (frames::METHOD, [c1, c0, m1, m0, ..]) => (
            u16::from_be_bytes([*c1, *c0]),
            u16::from_be_bytes([*m1, *m0]),
        ),
        (frames::HEADER | frames::BODY, _) => (60, 40),
        _ => (0, 0),
    }
}
