//! Which handler a frame belongs to, and whether it may come now.

use super::{
    Core,
    channel::{Channel, Incoming},
    connection::Phase,
    errors::{
        Fault, Outcome, channel_error, command_invalid, frame_error, not_allowed, not_implemented,
        precondition_failed, syntax_error, unexpected_frame,
    },
    handshake::misplaced,
    ids::At,
    names,
    publish::{no_body, no_header},
    tables::{self, TableError},
};
use crate::frames::{BODY, Frame, HEADER, HEARTBEAT};
use amq_protocol::protocol::{
    AMQPClass, access, basic, channel, confirm, exchange, parse_class, queue,
};

const CONNECTION: u16 = 10;
const CHANNEL: u16 = 20;
const BASIC: u16 = 60;

impl Core {
    /// Handles one frame.
    pub(super) fn accept(&mut self, at: At, frame: &Frame<'_>) -> Outcome {
        if self
            .conns
            .get(&at.conn)
            .is_none_or(|c| matches!(c.phase, Phase::Done | Phase::Refused))
        {
            return Ok(());
        }
        self.spring_trap();
        match frame.kind {
            HEARTBEAT if at.channel != 0 => Err(stray(frame)),
            HEARTBEAT if frame.payload.is_empty() => Ok(()),
            HEARTBEAT => Err(unknown_frame(frame)),
            HEADER | BODY if at.channel == 0 => Err(stray(frame)),
            HEADER => self.content_header(at, frame.payload),
            BODY => self.content_body(at, frame.payload),
            _ => self.method(at, frame),
        }
    }

    fn method(&mut self, at: At, frame: &Frame<'_>) -> Outcome {
        let payload = frame.payload;
        let [c1, c0, m1, m0, arguments @ ..] = payload else {
            return Err(unknown_frame(frame));
        };
        let (class, method) = (
            u16::from_be_bytes([*c1, *c0]),
            u16::from_be_bytes([*m1, *m0]),
        );
        if class == CONNECTION && at.channel == 0 {
            return self.method_of_connection(at, method, payload, arguments);
        }
        if !self.admits_method(at, class, method)? {
            return Ok(());
        }
        match (class, method) {
            (BASIC, 40) => self.basic_publish(at, arguments),
            (BASIC, 80) => self.basic_ack(at, arguments),
            (BASIC, 10) if prefetch_size(arguments) != 0 => Err(not_implemented(format!(
                "prefetch_size!=0 ({})",
                prefetch_size(arguments)
            ))),
            _ => {
                let mut class = parse(class, method, payload, arguments)?;
                names::to_one_line(&mut class);
                self.authorize(at, &class)?;
                self.dispatch(at, class)
            }
        }
    }

    fn method_of_connection(
        &mut self,
        at: At,
        method: u16,
        payload: &[u8],
        arguments: &[u8],
    ) -> Outcome {
        match parse(CONNECTION, method, payload, arguments)? {
            AMQPClass::Connection(method) => self.connection_method(at, method),
            _ => Ok(()),
        }
    }

    /// Whether the channel is in a state for the method; `false` where it is to be ignored.
    fn admits_method(&mut self, at: At, class: u16, method: u16) -> Outcome<bool> {
        let Some(connection) = self.conns.get(&at.conn) else {
            return Ok(false);
        };
        match connection.phase {
            Phase::Running => {}
            Phase::Closing => return Ok(false),
            _ => return Err(misplaced()),
        }
        if at.channel == 0 {
            return Err(misplaced());
        }
        let opens = (class, method) == (CHANNEL, 10);
        match connection.channels.get(&at.channel) {
            None if opens => Ok(true),
            None => Err(channel_error("expected 'channel.open'")),
            Some(channel) if channel.closing => Ok(class == CHANNEL && matches!(method, 40 | 41)),
            Some(_) if opens => Err(channel_error("second 'channel.open' seen")),
            Some(channel) => match channel.incoming {
                Incoming::Method => Ok(true),
                Incoming::Header(_) => Err(no_header("non content header frame")),
                Incoming::Body(_) | Incoming::Excess { .. } => Err(no_body()),
            },
        }
    }

    fn dispatch(&mut self, at: At, class: AMQPClass) -> Outcome {
        match class {
            AMQPClass::Basic(method) => self.basic(at, method),
            AMQPClass::Queue(method) => self.queue(at, method),
            AMQPClass::Exchange(method) => self.exchange(at, method),
            AMQPClass::Channel(method) => self.channel(at, method),
            AMQPClass::Confirm(confirm::AMQPMethod::Select(select)) => {
                self.confirm_select(at, select.nowait)
            }
            AMQPClass::Tx(method) => self.tx(at, &method),
            AMQPClass::Access(access::AMQPMethod::Request(_)) => {
                // Realms are of the past: everybody may enter.
                let ok = access::AMQPMethod::RequestOk(access::RequestOk {});
                self.send(at, AMQPClass::Access(ok));
                Ok(())
            }
            AMQPClass::Access(_) | AMQPClass::Confirm(_) | AMQPClass::Connection(_) => {
                Err(unimplemented())
            }
        }
    }

    fn basic(&mut self, at: At, method: basic::AMQPMethod) -> Outcome {
        use basic::AMQPMethod::{Cancel, Consume, Get, Nack, Qos, Recover, RecoverAsync, Reject};
        match method {
            Consume(consume) => self.consume(at, &consume),
            Cancel(cancel) => {
                self.cancel(at, &cancel);
                Ok(())
            }
            Get(get) => self.get(at, &get),
            Nack(nack) => self.basic_nack(at, nack.delivery_tag, nack.multiple, nack.requeue),
            Reject(reject) => self.basic_nack(at, reject.delivery_tag, false, reject.requeue),
            Qos(qos) => {
                self.qos(at, &qos);
                Ok(())
            }
            Recover(recover) => self.recover(at, recover.requeue, true),
            RecoverAsync(recover) => self.recover(at, recover.requeue, false),
            _ => Err(unimplemented()),
        }
    }

    fn queue(&mut self, at: At, method: queue::AMQPMethod) -> Outcome {
        use queue::AMQPMethod::{Bind, Declare, Delete, Purge, Unbind};
        match method {
            Declare(declare) => self.queue_declare(at, declare),
            Bind(bind) => self.queue_bind(at, bind),
            Unbind(unbind) => self.queue_unbind(at, &unbind),
            Purge(purge) => self.queue_purge(at, &purge),
            Delete(delete) => self.queue_delete(at, &delete),
            _ => Err(unimplemented()),
        }
    }

    fn exchange(&mut self, at: At, method: exchange::AMQPMethod) -> Outcome {
        use exchange::AMQPMethod::{Bind, Declare, Delete, Unbind};
        match method {
            Declare(declare) => self.exchange_declare(at, declare),
            Delete(delete) => self.exchange_delete(at, &delete),
            Bind(bind) => self.exchange_bind(at, bind),
            Unbind(unbind) => self.exchange_unbind(at, &unbind),
            _ => Err(unimplemented()),
        }
    }

    fn channel(&mut self, at: At, method: channel::AMQPMethod) -> Outcome {
        use channel::AMQPMethod::{Close, CloseOk, Flow, Open};
        match method {
            Open(_) => self.open_channel(at),
            Close(_) => {
                self.flush_confirms(at.conn);
                // Where both sides close at once, the channel still waits for the client's close-ok.
                if !self.is_closing(at) {
                    self.end_channel(at);
                }
                self.send(
                    at,
                    AMQPClass::Channel(channel::AMQPMethod::CloseOk(channel::CloseOk {})),
                );
                Ok(())
            }
            CloseOk(_) if self.is_closing(at) => {
                self.confirm_close(at);
                Ok(())
            }
            // Who wants no more deliveries for a while uses a prefetch or cancels.
            Flow(flow) if !flow.active => Err(not_implemented("active=false")),
            Flow(_) => {
                let ok = channel::FlowOk { active: true };
                self.send(at, AMQPClass::Channel(channel::AMQPMethod::FlowOk(ok)));
                Ok(())
            }
            _ => Err(unimplemented()),
        }
    }

    fn open_channel(&mut self, at: At) -> Outcome {
        let Some(connection) = self.conns.get_mut(&at.conn) else {
            return Ok(());
        };
        let (max, open) = (connection.channel_max, connection.channels.len());
        if open >= usize::from(max) {
            return Err(not_allowed(format!(
                "number of channels opened ({open}) has reached the negotiated channel_max ({max})"
            ))
            .against(0, 0));
        }
        connection.channels.insert(at.channel, Channel::new());
        self.send(
            at,
            AMQPClass::Channel(channel::AMQPMethod::OpenOk(channel::OpenOk {})),
        );
        Ok(())
    }

    fn is_closing(&mut self, at: At) -> bool {
        self.channel_mut(at).is_some_and(|channel| channel.closing)
    }

    fn confirm_select(&mut self, at: At, nowait: bool) -> Outcome {
        if let Some(channel) = self.channel_mut(at) {
            if channel.tx.is_some() {
                return Err(precondition_failed("cannot switch from tx to confirm mode"));
            }
            channel.confirms.get_or_insert_default();
        }
        if !nowait {
            self.send(
                at,
                AMQPClass::Confirm(confirm::AMQPMethod::SelectOk(confirm::SelectOk {})),
            );
        }
        Ok(())
    }

    /// An open channel.
    pub(super) fn channel_mut(&mut self, at: At) -> Option<&mut Channel> {
        self.conns.get_mut(&at.conn)?.channels.get_mut(&at.channel)
    }
}

/// `basic.qos` gives a size first, which nobody implements.
fn prefetch_size(arguments: &[u8]) -> u32 {
    arguments
        .first_chunk()
        .map_or(0, |size| u32::from_be_bytes(*size))
}

fn unimplemented() -> Fault {
    command_invalid("unimplemented method")
}

/// A frame on a channel that it does not belong to.
fn stray(frame: &Frame<'_>) -> Fault {
    unexpected_frame(shown(frame)).against(0, 0)
}

fn unknown_frame(frame: &Frame<'_>) -> Fault {
    frame_error(format!("{}: unknown_frame", shown(frame))).against(0, 0)
}

/// A frame as errors show it.
fn shown(frame: &Frame<'_>) -> String {
    let shown = frame.payload.get(..16).unwrap_or(frame.payload);
    let octets: Vec<_> = shown.iter().map(u8::to_string).collect();
    let which = match shown.len() == frame.payload.len() {
        true => "all",
        false => "first 16",
    };
    let kind = frame.kind;
    format!("type {kind}, {which} octets = <<{}>>", octets.join(","))
}

/// Decodes a method, once its table was found fit for a decoder that recurses.
pub(crate) fn parse(
    class: u16,
    method: u16,
    payload: &[u8],
    arguments: &[u8],
) -> Outcome<AMQPClass> {
    if let Some(at) = tables::offset_in_method(class, method, arguments) {
        tables::walk(arguments, at, |_| ()).map_err(|error| match error {
            TableError::Malformed => undecodable(arguments),
            TableError::TooDeep => table_fault(error, "a method's arguments"),
        })?;
    }
    match parse_class(payload) {
        Ok(([], class)) => Ok(class),
        Ok(_) => Err(undecodable(arguments)),
        Err(_) if is_known(class, method) => Err(undecodable(arguments)),
        Err(_) => Err(not_implemented(format!(
            "unknown method {method} of class {class}"
        ))),
    }
}

/// The fault of arguments that are not what their method takes.
pub(super) fn undecodable(arguments: &[u8]) -> Fault {
    let shown = arguments.get(..40).unwrap_or(arguments);
    let octets: Vec<_> = shown.iter().map(u8::to_string).collect();
    frame_error(format!("cannot decode <<{}>>", octets.join(",")))
}

/// The fault of a malformed table.
pub(super) fn table_fault(error: TableError, place: &str) -> Fault {
    match error {
        TableError::Malformed => syntax_error(format!("{place} are malformed")),
        TableError::TooDeep => syntax_error(format!(
            "{place} are nested more than {} deep",
            tables::MAX_DEPTH
        )),
    }
}

fn is_known(class: u16, method: u16) -> bool {
    let methods: &[u16] = match class {
        10 => &[10, 11, 20, 21, 30, 31, 40, 41, 50, 51, 60, 61, 70, 71],
        20 => &[10, 11, 20, 21, 40, 41],
        30 => &[10, 11],
        40 => &[10, 11, 20, 21, 30, 31, 40, 51],
        50 => &[10, 11, 20, 21, 30, 31, 40, 41, 50, 51],
        60 => &[
            10, 11, 20, 21, 30, 31, 40, 50, 60, 70, 71, 72, 80, 90, 100, 110, 111, 120,
        ],
        85 => &[10, 11],
        90 => &[10, 11, 20, 21, 30, 31],
        _ => &[],
    };
    methods.contains(&method)
}
