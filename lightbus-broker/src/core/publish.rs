//! Publishing: a method, a header and bodies become a message; it is routed, and its publisher told what became of it.

use super::{
    Core,
    access::{Resource, Right},
    arguments::{text, type_name},
    channel::{Incoming, Partial, Publish},
    connection::Phase,
    errors::{
        Fault, Outcome, access_refused, frame_error, not_found, not_implemented,
        precondition_failed, unexpected_frame,
    },
    event::EventKind,
    exchange,
    handshake::misplaced,
    ids::{At, ConnId, QueueId},
    message::{Body, Message},
    methods::{table_fault, undecodable},
    properties::{Field, Index, short_wire},
    queue_checks::expiry,
    tables,
    vhost::Route,
};
use crate::frames;
use amq_protocol::types::{AMQPValue, FieldTable};
use std::{collections::BTreeMap, sync::Arc};

/// Routing keys beside a message's own.
type Keys = Vec<Arc<str>>;

/// How much of an announced body is reserved before any of it came.
pub(crate) const RESERVE: usize = 256 << 10;

/// A message whose way is known.
#[derive(Debug)]
pub(crate) struct Routed {
    message: Arc<Message>,
    route: Route,
    /// A requester has it.
    replied: bool,
    /// Nobody gets it, and the publisher wants to know.
    returned: bool,
}

impl Routed {
    pub(super) fn queues(&self) -> &[QueueId] {
        &self.route.queues
    }

    #[cfg(any(test, fuzzing))]
    pub(crate) fn message(&self) -> &Arc<Message> {
        &self.message
    }
}

impl Core {
    /// `basic.publish`: the content follows.
    pub(super) fn basic_publish(&mut self, at: At, arguments: &[u8]) -> Outcome {
        let Some((exchange, routing_key, flags)) = publish_arguments(arguments) else {
            return Err(undecodable(arguments));
        };
        if flags & 2 != 0 {
            return Err(not_implemented("immediate=true"));
        }
        let Some(connection) = self.conns.get_mut(&at.conn) else {
            return Ok(());
        };
        if let Some(channel) = connection.channels.get_mut(&at.channel) {
            channel.incoming = Incoming::Header(Publish {
                exchange: channel.last_address.exchange(exchange),
                routing_key: channel.last_address.key(routing_key),
                mandatory: flags & 1 != 0,
            });
        }
        Ok(())
    }

    /// What the channel is waiting for, now that so many bytes of content came; `None` where they are to be ignored.
    fn expected(&mut self, at: At, bytes: usize) -> Outcome<Option<Incoming>> {
        let Some(connection) = self.conns.get_mut(&at.conn) else {
            return Ok(None);
        };
        match connection.phase {
            Phase::Running => {}
            Phase::Closing => return Ok(None),
            _ => return Err(misplaced()),
        }
        connection.grace = connection.grace.saturating_sub(bytes);
        match connection.channels.get_mut(&at.channel) {
            None => Err(no_method()),
            Some(channel) if channel.closing => Ok(None),
            Some(channel) => Ok(Some(std::mem::take(&mut channel.incoming))),
        }
    }

    pub(super) fn content_header(&mut self, at: At, payload: &[u8]) -> Outcome {
        let publish = match self.expected(at, payload.len())? {
            None => return Ok(()),
            Some(Incoming::Header(publish)) => publish,
            Some(Incoming::Body(_) | Incoming::Excess { .. }) => return Err(no_body()),
            Some(Incoming::Method) => return Err(no_method()),
        };
        let Some((head, properties)) = payload.split_first_chunk::<12>() else {
            return Err(frame_error("a content header is cut short").against(0, 0));
        };
        let [c1, c0, _, _, size @ ..] = *head;
        let class = u16::from_be_bytes([c1, c0]);
        if class != 60 {
            return Err(no_header(&format!("one for class {class}")));
        }
        let index = Index::scan(properties)
            .map_err(|error| table_fault(error, "a message's properties"))?;
        let size = usize::try_from(u64::from_be_bytes(size)).unwrap_or(usize::MAX);
        if size > self.settings.max_message_size {
            if let Some(channel) = self.channel_mut(at) {
                channel.incoming = Incoming::Excess { left: size, size };
            }
            return Ok(());
        }
        let mut charge = self.gauge.charge();
        charge.grow(properties.len());
        let body = Vec::with_capacity(size.min(RESERVE));
        self.proceed(
            at,
            Partial {
                publish,
                properties: properties.to_vec(),
                index,
                size,
                body,
                charge,
            },
        )
    }

    pub(super) fn content_body(&mut self, at: At, payload: &[u8]) -> Outcome {
        let mut partial = match self.expected(at, payload.len())? {
            None => return Ok(()),
            Some(Incoming::Body(partial)) => partial,
            Some(Incoming::Excess { left, size }) => {
                return self.skip_body(at, payload.len(), left, size);
            }
            Some(Incoming::Header(_)) => return Err(no_header("non content header frame")),
            Some(Incoming::Method) => return Err(no_method()),
        };
        if payload.len() > partial.size - partial.body.len() {
            return Err(body_too_large());
        }
        partial.charge.grow(payload.len());
        partial.body.extend_from_slice(payload);
        self.proceed(at, partial)
    }

    /// Skips a body that is too large. It is refused at its end, as by RabbitMQ: clients listen only then.
    fn skip_body(&mut self, at: At, len: usize, left: usize, size: usize) -> Outcome {
        let left = left.checked_sub(len).ok_or_else(body_too_large)?;
        if left == 0 {
            let max = self.settings.max_message_size;
            return Err(precondition_failed(format!(
                "message size {size} is larger than configured max size {max}"
            )));
        }
        if let Some(channel) = self.channel_mut(at) {
            channel.incoming = Incoming::Excess { left, size };
        }
        Ok(())
    }

    /// Waits for more of a message, or publishes it.
    fn proceed(&mut self, at: At, partial: Partial) -> Outcome {
        if partial.body.len() == partial.size {
            return self.publish(at, partial);
        }
        if let Some(channel) = self.channel_mut(at) {
            channel.incoming = Incoming::Body(partial);
        }
        Ok(())
    }

    /// Checks and routes a message. In a transaction it waits then; what is wrong with it is said at once.
    fn publish(&mut self, at: At, mut partial: Partial) -> Outcome {
        self.note_publisher(at.conn);
        let vhost = self.vhost_of(at.conn);
        let exchange = &partial.publish.exchange;
        self.permit(at.conn, Right::Write, Resource::Exchange(exchange))?;
        self.check_exchange(&vhost, exchange)?;
        self.address_reply(at, &mut partial)?;
        // Whose name it carries is looked at last.
        let user = self.check_user(at.conn, &partial);
        let mandatory = partial.publish.mandatory;
        let message = Arc::new(understand(partial, self.published.published + 1)?);
        user?;
        self.published.published += 1;
        self.note(|core| EventKind::Published {
            message: message.clone(),
            connection: core.connection_name(at.conn),
            channel: at.channel,
            vhost: vhost.clone(),
        });
        if self.tampering.on && self.tampered(at, &message) {
            return Ok(());
        }
        let known = self.vhosts.get(&vhost);
        let route = known.map_or_else(Route::default, |vhost| vhost.route(&message));
        let replied = route.queues.is_empty() && self.deliver_reply(&vhost, &message);
        let routed = Routed {
            // A direct reply that arrived was still taken by no queue.
            returned: route.queues.is_empty() && mandatory,
            message,
            route,
            replied,
        };
        match self.channel_mut(at).and_then(|channel| channel.tx.as_mut()) {
            Some(tx) => tx.published.push(routed),
            None => {
                self.send_routed(at, &routed);
            }
        }
        Ok(())
    }

    /// Puts a message where it goes, and tells its publisher; `false` if a queue refused it.
    pub(super) fn send_routed(&mut self, at: At, routed: &Routed) -> bool {
        let number = self.next_confirm(at);
        if !routed.replied {
            self.book_route(at, routed);
        }
        if routed.returned {
            self.published.returned += 1;
            self.return_message(at, &routed.message);
        }
        let refused = self.enqueue_all(&routed.route.queues, &routed.message);
        self.published.refused += u64::from(refused);
        if let Some(number) = number {
            self.confirm(at, number, refused, routed.returned);
        }
        !refused
    }

    /// What the confirm of the next message carries, where the channel asked for confirms.
    pub(super) fn next_confirm(&mut self, at: At) -> Option<u64> {
        let confirms = self.channel_mut(at)?.confirms.as_mut()?;
        Some(confirms.number())
    }

    /// Refuses an exchange to which nobody can publish.
    fn check_exchange(&self, vhost: &Arc<str>, name: &str) -> Outcome {
        if name.is_empty() {
            return Ok(());
        }
        match self
            .vhosts
            .get(vhost)
            .and_then(|vhost| vhost.exchange(name))
        {
            None => Err(not_found(format!("no {}", exchange::subject(name, vhost)))),
            Some(exchange) if exchange.internal => Err(access_refused(format!(
                "cannot publish to internal {}",
                exchange::subject(name, vhost)
            ))),
            Some(_) => Ok(()),
        }
    }

    /// Refuses another user's name.
    fn check_user(&self, conn: ConnId, partial: &Partial) -> Outcome {
        let Some(connection) = self.conns.get(&conn) else {
            return Ok(());
        };
        match partial.index.short(&partial.properties, Field::UserId) {
            Some(user) if user != connection.user.as_bytes() && !connection.impersonates => {
                Err(precondition_failed(format!(
                    "user_id property set to '{}' but authenticated user was '{}'",
                    String::from_utf8_lossy(user),
                    connection.user
                )))
            }
            _ => Ok(()),
        }
    }

    /// Puts a message into queues; says whether one refused it.
    fn enqueue_all(&mut self, queues: &[QueueId], message: &Arc<Message>) -> bool {
        let mut refused = false;
        for queue in queues {
            refused |= !self.enqueue(*queue, message);
        }
        refused
    }

    /// Counts and notes where a message goes.
    fn book_route(&mut self, at: At, routed: &Routed) {
        let (route, returned) = (&routed.route, routed.returned);
        let unroutable = route.queues.is_empty();
        self.published.unroutable += u64::from(unroutable);
        self.note(|core| {
            let message = routed.message.clone();
            if unroutable {
                return EventKind::Unroutable { message, returned };
            }
            EventKind::Routed {
                message,
                queues: core.queue_names(&route.queues),
                alternates: core.exchange_names(&core.vhost_of(at.conn), &route.alternates),
            }
        });
    }

    fn return_message(&mut self, at: At, message: &Message) {
        self.flush_channel_confirms(at);
        let Some(frame_max) = self
            .conns
            .get(&at.conn)
            .map(|connection| connection.frame_max as usize)
        else {
            return;
        };
        if let Some(out) = self.out(at.conn) {
            frames::returned(
                out,
                at.channel,
                312,
                "NO_ROUTE",
                &message.exchange,
                &message.routing_key,
            );
            frames::content(
                out,
                at.channel,
                &message.properties,
                &message.body.bytes,
                frame_max,
            );
        }
    }

    /// Confirms or refuses a message. Plain confirms are gathered; one that follows a return is sent at once, so that
    /// clients which count see them together.
    pub(super) fn confirm(&mut self, at: At, number: u64, refused: bool, returned: bool) {
        if self.tampering.withholds() {
            return self.withhold_confirm(at);
        }
        if refused {
            self.flush_channel_confirms(at);
            if let Some(out) = self.out(at.conn) {
                frames::nack(out, at.channel, number);
            }
            return;
        }
        let Some(connection) = self.conns.get_mut(&at.conn) else {
            return;
        };
        let Some(confirms) = connection
            .channels
            .get_mut(&at.channel)
            .and_then(|channel| channel.confirms.as_mut())
        else {
            return;
        };
        confirms.gather();
        if returned || confirms.withheld {
            self.flush_channel_confirms(at);
        } else if connection.confirming.last() != Some(&at.channel) {
            connection.confirming.push(at.channel);
        }
    }

    /// Leaves a confirm out, and sees to it that none that is sent covers it.
    fn withhold_confirm(&mut self, at: At) {
        self.flush_channel_confirms(at);
        let channel = self.channel_mut(at);
        if let Some(confirms) = channel.and_then(|channel| channel.confirms.as_mut()) {
            confirms.withheld = true;
        }
    }

    /// Sends what was gathered on a channel.
    fn flush_channel_confirms(&mut self, at: At) {
        let Some(confirms) = self
            .channel_mut(at)
            .and_then(|channel| channel.confirms.as_mut())
        else {
            return;
        };
        let Some((tag, multiple)) = confirms.take() else {
            return;
        };
        if let Some(out) = self.out(at.conn) {
            frames::ack(out, at.channel, tag, multiple);
        }
    }

    /// Sends what was gathered on a connection.
    pub(super) fn flush_confirms(&mut self, conn: ConnId) {
        let Some(connection) = self.conns.get_mut(&conn) else {
            return;
        };
        let mut channels = std::mem::take(&mut connection.confirming);
        for channel in channels.drain(..) {
            self.flush_channel_confirms(At { conn, channel });
        }
        if let Some(connection) = self.conns.get_mut(&conn) {
            connection.confirming = channels;
        }
    }
}

fn body_too_large() -> Fault {
    frame_error("a content body is larger than its header said")
}

/// Something else than the header of a publication.
pub(super) fn no_header(got: &str) -> Fault {
    let text = format!("expected content header for class 60, got {got} instead");
    unexpected_frame(text).against(60, 40)
}

/// Something else than the body of a publication.
pub(super) fn no_body() -> Fault {
    unexpected_frame("expected content body, got non content body frame instead").against(60, 40)
}

/// Content that nothing announced.
fn no_method() -> Fault {
    unexpected_frame("expected method frame, got non method frame instead").against(0, 0)
}

/// Exchange, routing key and flags of `basic.publish`.
fn publish_arguments(arguments: &[u8]) -> Option<(&str, &str, u8)> {
    let (exchange, rest) = short(arguments.get(2..)?)?;
    let (routing_key, rest) = short(rest)?;
    Some((exchange, routing_key, *rest.first()?))
}

fn short(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (len, rest) = bytes.split_first()?;
    let (text, rest) = rest.split_at_checked(usize::from(*len))?;
    Some((std::str::from_utf8(text).ok()?, rest))
}

/// A message: what of its properties concerns the broker is read here, once.
pub(crate) fn understand(mut partial: Partial, number: u64) -> Outcome<Message> {
    let expiration = partial
        .index
        .short(&partial.properties, Field::Expiration)
        .map(expiration)
        .transpose()?;
    if let Some(milliseconds) = expiration {
        spell_expiration(&mut partial, milliseconds);
    }
    let (mut copies, hidden) = take_copies(&mut partial)?;
    let shown_copies = copies.len() as u32;
    copies.extend(hidden);
    let (index, properties) = (&partial.index, partial.properties);
    Ok(Message {
        number,
        exchange: partial.publish.exchange,
        routing_key: partial.publish.routing_key,
        copies: copies.into(),
        shown_copies,
        expiration,
        priority: index.octet(&properties, Field::Priority).unwrap_or(0),
        persistent: index.octet(&properties, Field::DeliveryMode) == Some(2),
        properties: properties.into(),
        body: Arc::new(Body {
            bytes: partial.body.into(),
            _charge: partial.charge,
        }),
        deaths: None,
    })
}

/// The keys in `CC` and in `BCC`, the latter of which nobody is to see.
fn take_copies(partial: &mut Partial) -> Outcome<(Keys, Keys)> {
    if !partial.index.copies {
        return Ok((Vec::new(), Vec::new()));
    }
    let wire = partial.index.wire(&partial.properties, Field::Headers);
    let headers = wire.and_then(tables::decode).unwrap_or_default();
    let (copies, hidden) = (keys(&headers, "CC")?, keys(&headers, "BCC")?);
    let mut shown: BTreeMap<_, _> = headers.inner().clone();
    shown.remove("BCC");
    let wire = tables::encode(&FieldTable::from(shown));
    partial.properties = partial
        .index
        .splice(&partial.properties, &[(Field::Headers, Some(wire))]);
    partial.index = Index::scan(&partial.properties).unwrap_or_default();
    Ok((copies, hidden))
}

/// Consumers see the number as the broker writes it.
fn spell_expiration(partial: &mut Partial, milliseconds: u64) {
    let given = partial.index.short(&partial.properties, Field::Expiration);
    // So it is nearly always: nothing to compare or to copy.
    if given.is_none_or(|text| matches!(text, [b'1'..=b'9', ..] | b"0")) {
        return;
    }
    let wire = short_wire(milliseconds.to_string().as_bytes());
    let changes = [(Field::Expiration, Some(wire))];
    partial.properties = partial.index.splice(&partial.properties, &changes);
    partial.index = Index::scan(&partial.properties).unwrap_or_default();
}

/// Milliseconds: digits after a sign, as RabbitMQ reads integers.
fn expiration(text: &[u8]) -> Outcome<u64> {
    let text = String::from_utf8_lossy(text);
    milliseconds(&text)
        .map_err(|why| precondition_failed(format!("invalid expiration '{text}': {why}")))
}

fn milliseconds(text: &str) -> Result<u64, String> {
    let sign = usize::from(text.starts_with(['+', '-']));
    let digits = text[sign..].bytes().take_while(u8::is_ascii_digit).count();
    match text.split_at(sign + digits) {
        _ if digits == 0 => Err("no_integer".to_owned()),
        // What is too long for a number is too large in any case.
        (number, "") => expiry(number.parse().unwrap_or(i64::MAX)),
        (_, rest) => Err(format!("{{leftover_string,\"{rest}\"}}")),
    }
}

/// The routing keys in a `CC` or `BCC` header; what is no string among them is ignored.
fn keys(headers: &FieldTable, name: &str) -> Outcome<Vec<Arc<str>>> {
    match headers.inner().get(name) {
        None => Ok(Vec::new()),
        Some(AMQPValue::FieldArray(list)) => Ok(list
            .as_slice()
            .iter()
            .filter_map(|key| text(key).map(Arc::from))
            .collect()),
        Some(other) => Err(precondition_failed(format!(
            "invalid message: {{unacceptable_type_in_header,{name:?},{}}}",
            type_name(other)
        ))),
    }
}
