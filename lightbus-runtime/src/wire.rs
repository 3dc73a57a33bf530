//! Version 1 of the wire: which AMQP properties and headers a message carries, and how they are read back.
//!
//! A message says nothing twice: the exchange and the routing key name the API and the method or event, an id tells its own time. Each property,
//! and above all a table of headers, costs every reader time, so most messages carry no table. What comes from others may say it in headers.

pub(crate) mod again;

use std::time::Duration;

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};
use uuid::Uuid;

use crate::clock::Clock;
use crate::codec::{JSON, MSGPACK};
use crate::grammar::{is_instance, is_name};

pub(crate) const REQUEST: &str = "lb1.req";
pub(crate) const REPLY: &str = "lb1.rep";
pub(crate) const EVENT: &str = "lb1.ev";
pub(crate) const TASK: &str = "lb1.task";
pub(crate) const CONTROL: &str = "lb1.ctl";
/// What became of a task.
pub(crate) const TASK_LOG: &str = "lb1.task-log";
/// What became of the members of a group of tasks.
pub(crate) const TASK_JOIN: &str = "lb1.task-join";

pub(crate) const NAME: &str = "lb-name";
pub(crate) const DEADLINE: &str = "lb-deadline";
pub(crate) const ATTEMPT: &str = "lb-attempt";
pub(crate) const STATUS: &str = "lb-status";
pub(crate) const ERROR: &str = "lb-err-msg";
/// A task's key: while it waits or runs, no other one has it.
pub(crate) const UNIQUE: &str = "lb-unique";
/// For how long a task's result is kept, in milliseconds.
pub(crate) const RESULT_TTL: &str = "lb-result-ttl";
/// What follows a task.
pub(crate) const THEN: &str = "lb-then";
/// The flow that a task is part of: its last task, `<api>/<message id>`.
pub(crate) const FLOW: &str = "lb-flow";
/// How many tasks and groups follow one another in it.
pub(crate) const FLOW_LENGTH: &str = "lb-flow-length";
/// The schedule that a task is an occurrence of, `<app>/<schedule>`.
pub(crate) const SCHEDULE: &str = "lb-cron";
/// The time that it is for, in milliseconds since 1970.
pub(crate) const SCHEDULED_AT: &str = "lb-cron-at";
/// It was fired because somebody asked for it.
pub(crate) const SCHEDULED_MANUALLY: &str = "lb-cron-manual";
/// When a message was published, in milliseconds since 1970.
pub(crate) const SENT_AT: &str = "lb-ts";
/// What a record says of its task.
pub(crate) const STATE: &str = "lb-state";
/// What a task last noted of how far it has come.
pub(crate) const CHECKPOINT: &str = "lb-checkpoint";
/// A record's place in its stream, as the broker says; and where a reader asks to begin.
pub(crate) const STREAM_OFFSET: &str = "x-stream-offset";
/// What an application adds itself.
pub(crate) const META: &str = "lb-meta";

/// Begins the content type of a message that could not be read; the reason follows.
pub(crate) const UNREADABLE: &str = "unreadable: ";

/// All headers of a message together, in bytes.
pub(crate) const HEADERS_LIMIT: usize = 32 * 1024;
const TEXT_LIMIT: usize = 1024;

const TRANSIENT: u8 = 1;
const PERSISTENT: u8 = 2;

/// What a task's message says of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TaskHeaders<'a> {
    /// Its wire name.
    pub(crate) name: &'a str,
    /// Until when it may begin, in milliseconds since 1970.
    pub(crate) begins_until: Option<i64>,
    pub(crate) unique: Option<&'a str>,
    pub(crate) result_ttl: Option<Duration>,
    /// The application's.
    pub(crate) own: &'a [(String, String)],
    /// Of a flow's task.
    pub(crate) flow: Option<FlowHeaders<'a>>,
}

/// What the message of a flow's task says of the flow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FlowHeaders<'a> {
    pub(crate) flow: &'a str,
    /// How many tasks and groups follow one another in it.
    pub(crate) length: u32,
    /// Nothing, if it is the last one.
    pub(crate) then: &'a [u8],
    /// How often something in it came out of the dead letters.
    pub(crate) replayed: i64,
}

impl FlowHeaders<'_> {
    fn add_to(&self, table: &mut FieldTable) {
        table.insert(short(FLOW), text_value(self.flow));
        table.insert(short(FLOW_LENGTH), AMQPValue::LongUInt(self.length));
        if !self.then.is_empty() {
            let then = AMQPValue::LongString(LongString::from(self.then));
            table.insert(short(THEN), then);
        }
        if self.replayed > 0 {
            let replayed = AMQPValue::LongLongInt(self.replayed);
            table.insert(short(again::REPLAYED), replayed);
        }
    }
}

/// How a call ended, other than with the method's own value. No status header means it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Domain,
    BadArguments,
    UnknownMethod,
    Expired,
    TooLarge,
    Redelivered,
    ShuttingDown,
    Panicked,
    Unencodable,
}

const STATUSES: [(Status, &str); 9] = [
    (Status::Domain, "error"),
    (Status::BadArguments, "undecodable"),
    (Status::UnknownMethod, "unknown"),
    (Status::Expired, "expired"),
    (Status::TooLarge, "size"),
    (Status::Redelivered, "redelivered"),
    (Status::ShuttingDown, "shutting-down"),
    (Status::Panicked, "panic"),
    (Status::Unencodable, "unencodable"),
];

impl Status {
    pub(crate) fn as_str(self) -> &'static str {
        STATUSES
            .iter()
            .find(|(status, _)| *status == self)
            .map_or("", |(_, text)| text)
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        STATUSES
            .iter()
            .find(|(_, known)| *known == text)
            .map(|(status, _)| *status)
    }
}

/// The AMQP limit is 255 bytes; lapin's own conversion panics beyond it.
pub(crate) fn short(text: &str) -> ShortString {
    ShortString::try_new(truncate(text, 255).to_owned()).unwrap_or_default()
}

/// Cuts at a character's border.
pub(crate) fn truncate(text: &str, limit: usize) -> &str {
    let mut end = limit.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

pub(crate) fn text_value(text: &str) -> AMQPValue {
    AMQPValue::LongString(LongString::from(truncate(text, TEXT_LIMIT)))
}

/// What every message of this app carries; made once, cloned for each message.
#[derive(Clone)]
pub(crate) struct Sender {
    clock: Clock,
    request: BasicProperties,
    reply: BasicProperties,
    event: BasicProperties,
    task: BasicProperties,
    control: BasicProperties,
    task_log: BasicProperties,
    task_join: BasicProperties,
}

impl Sender {
    pub(crate) fn new(clock: &Clock, app: &str, instance: &str) -> Self {
        let of = |kind, mode| {
            BasicProperties::default()
                .with_type(short(kind))
                .with_delivery_mode(mode)
        };
        // The reply address names the app.
        let address = short(&format!("{app}/{instance}"));
        Self {
            clock: clock.clone(),
            request: of(REQUEST, TRANSIENT).with_reply_to(address.clone()),
            control: of(CONTROL, TRANSIENT).with_reply_to(address),
            reply: of(REPLY, TRANSIENT),
            event: of(EVENT, PERSISTENT)
                .with_content_type(short(MSGPACK))
                .with_app_id(short(app)),
            task_log: of(TASK_LOG, PERSISTENT)
                .with_content_type(short(MSGPACK))
                .with_app_id(short(app)),
            task_join: of(TASK_JOIN, PERSISTENT)
                .with_content_type(short(MSGPACK))
                .with_app_id(short(app)),
            task: of(TASK, PERSISTENT)
                .with_content_type(short(MSGPACK))
                .with_app_id(short(app)),
        }
    }

    fn now_s(&self) -> u64 {
        u64::try_from(self.clock.now_ms() / 1000).unwrap_or_default()
    }

    /// A call: `id` is its correlation id, and says when it was made.
    pub(crate) fn request(
        &self,
        id: Uuid,
        left: Duration,
        headers: &[(String, String)],
    ) -> BasicProperties {
        let left = left.as_millis().clamp(1, u128::from(u32::MAX));
        let request = self
            .request
            .clone()
            .with_correlation_id(id_text(id))
            .with_expiration(short(&left.to_string()));
        with_headers(request, meta(headers))
    }

    /// Word to those who keep an app's schedules: stored, and as JSON for people to read.
    pub(crate) fn word(&self, id: &str) -> BasicProperties {
        self.control
            .clone()
            .with_delivery_mode(PERSISTENT)
            .with_content_type(short(JSON))
            .with_message_id(short(id))
    }

    /// Word to the providers that a call of this instance is given up.
    pub(crate) fn cancel(&self, call: Uuid) -> BasicProperties {
        self.control.clone().with_correlation_id(id_text(call))
    }

    pub(crate) fn reply(
        &self,
        correlation_id: ShortString,
        status: Option<(Status, &str)>,
    ) -> BasicProperties {
        let reply = self.reply.clone().with_correlation_id(correlation_id);
        let Some((status, detail)) = status else {
            return reply;
        };
        let mut table = FieldTable::default();
        table.insert(short(STATUS), text_value(status.as_str()));
        if !detail.is_empty() {
            table.insert(short(ERROR), text_value(detail));
        }
        with_headers(reply, table)
    }

    pub(crate) fn event(&self, id: Uuid, headers: &[(String, String)]) -> BasicProperties {
        let event = self
            .event
            .clone()
            .with_message_id(id_text(id))
            .with_timestamp(self.now_s());
        with_headers(event, meta(headers))
    }

    /// A task. The same id is the same task.
    pub(crate) fn task(&self, id: &str, says: &TaskHeaders<'_>) -> BasicProperties {
        let mut table = meta(says.own);
        table.insert(short(NAME), text_value(says.name));
        if let Some(until) = says.begins_until {
            table.insert(short(DEADLINE), AMQPValue::LongLongInt(until));
        }
        if let Some(key) = says.unique {
            table.insert(short(UNIQUE), text_value(key));
        }
        if let Some(ttl) = says.result_ttl {
            let ms = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX);
            table.insert(short(RESULT_TTL), AMQPValue::LongLongInt(ms));
        }
        if let Some(flow) = &says.flow {
            flow.add_to(&mut table);
        }
        self.task
            .clone()
            .with_message_id(short(id))
            .with_timestamp(self.now_s())
            .with_headers(table)
    }

    /// Word of a group's members.
    pub(crate) fn task_join(&self, id: Uuid) -> BasicProperties {
        self.task_join.clone().with_message_id(id_text(id))
    }

    /// A record of what became of a task, found by the task's id.
    pub(crate) fn task_log(&self, task: &str, headers: FieldTable) -> BasicProperties {
        self.task_log
            .clone()
            .with_correlation_id(short(task))
            .with_headers(headers)
    }
}

pub(crate) fn id_text(id: Uuid) -> ShortString {
    let mut buffer = Uuid::encode_buffer();
    short(id.hyphenated().encode_lower(&mut buffer))
}

/// A table that is not there costs nothing, an empty one does.
fn with_headers(properties: BasicProperties, table: FieldTable) -> BasicProperties {
    match table.inner().is_empty() {
        true => properties,
        false => properties.with_headers(table),
    }
}

/// When the caller gives up, in milliseconds since 1970: by its header, or else by the time in its id and the expiration.
pub(crate) fn deadline_ms(properties: &BasicProperties) -> Option<i64> {
    header_number(properties, DEADLINE).or_else(|| {
        let made = Uuid::try_parse(call_id(properties)?.as_str())
            .ok()?
            .get_timestamp()?;
        let (seconds, nanos) = made.to_unix();
        let left = expiration_ms(properties)?;
        let made = i64::try_from(seconds)
            .ok()?
            .checked_mul(1000)?
            .checked_add(i64::from(nanos) / 1_000_000)?;
        made.checked_add(left)
    })
}

/// How long the message may wait in a queue, in milliseconds.
pub(crate) fn expiration_ms(properties: &BasicProperties) -> Option<i64> {
    properties.expiration().as_ref()?.as_str().parse().ok()
}

/// An application's own headers travel in a table of their own: they cannot pass for the bus's.
fn meta(headers: &[(String, String)]) -> FieldTable {
    let mut table = FieldTable::default();
    if !headers.is_empty() {
        let mut own = FieldTable::default();
        for (name, value) in headers {
            own.insert(
                short(name),
                AMQPValue::LongString(LongString::from(value.as_str())),
            );
        }
        table.insert(short(META), AMQPValue::FieldTable(own));
    }
    table
}

/// Is this what is left of a message that could not be read?
pub(crate) fn is_unreadable(properties: &BasicProperties) -> bool {
    let content_type = properties.content_type().as_ref();
    content_type.is_some_and(|text| text.as_str().starts_with(UNREADABLE))
}

/// Is there room for these headers of an application, beside the bus's own?
pub(crate) fn check_headers(headers: &[(String, String)]) -> Result<(), String> {
    if let Some((name, _)) = headers
        .iter()
        .find(|(name, _)| name.is_empty() || name.len() > 128)
    {
        return Err(format!(
            "the header name `{}` is empty or longer than 128 bytes",
            truncate(name, 40)
        ));
    }
    let size: usize = headers
        .iter()
        .map(|(name, value)| name.len() + value.len() + 6)
        .sum();
    if size > HEADERS_LIMIT {
        return Err(format!(
            "the headers take {size} bytes; the limit is {HEADERS_LIMIT}"
        ));
    }
    Ok(())
}

pub(crate) fn header<'a>(properties: &'a BasicProperties, name: &str) -> Option<&'a AMQPValue> {
    properties.headers().as_ref()?.inner().get(name)
}

pub(crate) fn header_text<'a>(properties: &'a BasicProperties, name: &str) -> Option<&'a str> {
    as_text(header(properties, name)?)
}

/// What the sender added.
pub(crate) fn own_headers(properties: &BasicProperties) -> Vec<(String, String)> {
    let Some(AMQPValue::FieldTable(own)) = header(properties, META) else {
        return Vec::new();
    };
    let texts = own.inner().iter().filter_map(|(name, value)| {
        let text = as_text(value)?;
        Some((name.to_string(), text.to_owned()))
    });
    texts.collect()
}

pub(crate) fn as_text(value: &AMQPValue) -> Option<&str> {
    match value {
        AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok(),
        AMQPValue::ShortString(text) => Some(text.as_str()),
        _ => None,
    }
}

pub(crate) fn header_bytes<'a>(properties: &'a BasicProperties, name: &str) -> Option<&'a [u8]> {
    match header(properties, name)? {
        AMQPValue::LongString(bytes) => Some(bytes.as_bytes()),
        AMQPValue::ByteArray(bytes) => Some(bytes.as_slice()),
        _ => None,
    }
}

/// Any integer type: other languages pick another one than we do.
pub(crate) fn header_number(properties: &BasicProperties, name: &str) -> Option<i64> {
    match *header(properties, name)? {
        AMQPValue::ShortShortInt(n) => Some(n.into()),
        AMQPValue::ShortShortUInt(n) => Some(n.into()),
        AMQPValue::ShortInt(n) => Some(n.into()),
        AMQPValue::ShortUInt(n) => Some(n.into()),
        AMQPValue::LongInt(n) => Some(n.into()),
        AMQPValue::LongUInt(n) => Some(n.into()),
        AMQPValue::LongLongInt(n) => Some(n),
        AMQPValue::Timestamp(n) => i64::try_from(n).ok(),
        _ => None,
    }
}

pub(crate) fn is_kind(properties: &BasicProperties, kind: &str) -> bool {
    let said = properties.kind().as_ref();
    said.is_some_and(|said| said.as_str() == kind)
}

/// Where a reply goes: `<app>/<instance>`, both checked before they become an exchange and a key.
pub(crate) fn reply_to(properties: &BasicProperties) -> Option<(&str, &str)> {
    let (app, instance) = properties.reply_to().as_ref()?.as_str().split_once('/')?;
    (is_name(app) && is_instance(instance)).then_some((app, instance))
}

/// About how many bytes a message's headers take on the wire.
pub(crate) fn headers_size(properties: &BasicProperties) -> usize {
    properties.headers().as_ref().map_or(0, table_size)
}

fn table_size(table: &FieldTable) -> usize {
    let entries = table.inner().iter();
    entries
        .map(|(name, value)| 1 + name.as_str().len() + value_size(value))
        .sum()
}

fn value_size(value: &AMQPValue) -> usize {
    1 + match value {
        AMQPValue::LongString(text) => 4 + text.as_bytes().len(),
        AMQPValue::ShortString(text) => 1 + text.as_str().len(),
        AMQPValue::ByteArray(bytes) => 4 + bytes.as_slice().len(),
        AMQPValue::FieldArray(values) => {
            4 + values.as_slice().iter().map(value_size).sum::<usize>()
        }
        AMQPValue::FieldTable(table) => 4 + table_size(table),
        _ => 8,
    }
}

/// The routing keys that a dead letter was published with, newest first, as the broker noted them.
pub(crate) fn dead_letter_keys(properties: &BasicProperties) -> impl Iterator<Item = &str> {
    let deaths = match header(properties, "x-death") {
        Some(AMQPValue::FieldArray(deaths)) => deaths.as_slice(),
        _ => &[],
    };
    deaths
        .iter()
        .filter_map(|death| match death {
            AMQPValue::FieldTable(death) => match death.inner().get("routing-keys") {
                Some(AMQPValue::FieldArray(keys)) => Some(keys.as_slice()),
                _ => None,
            },
            _ => None,
        })
        .flatten()
        .filter_map(as_text)
}

/// The id of an event or a task; empty if its publisher gave it none.
pub(crate) fn message_id(properties: &BasicProperties) -> &str {
    properties
        .message_id()
        .as_ref()
        .map_or("", ShortString::as_str)
}

/// The id that a reply has to carry: the request's correlation id, or else its message id.
pub(crate) fn call_id(properties: &BasicProperties) -> Option<&ShortString> {
    properties
        .correlation_id()
        .as_ref()
        .or(properties.message_id().as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::system;

    #[test]
    fn a_reply_address_is_checked_before_it_becomes_an_exchange() {
        let instance = "0123456789abcdef0123456789abcdef";
        let read =
            |text: &str| reply_to(&BasicProperties::default().with_reply_to(short(text))).is_some();
        assert!(read(&format!("shop/{instance}")));
        for forged in [
            "shop",
            "shop/1",
            "/0123456789abcdef0123456789abcdef",
            "amq.topic/x",
            &format!("Shop/{instance}"),
        ] {
            assert!(!read(forged), "{forged}");
        }
    }

    #[test]
    fn statuses_survive_the_wire() {
        for (status, text) in STATUSES {
            assert_eq!(Status::parse(text), Some(status));
            assert_eq!(status.as_str(), text);
        }
        assert_eq!(Status::parse("better"), None);
    }

    #[test]
    fn a_request_says_when_it_expires() {
        let sender = Sender::new(
            &Clock::default(),
            "shop",
            "0123456789abcdef0123456789abcdef",
        );
        let before = system::now_ms();
        let id = system::new_id();
        let request = sender.request(
            id,
            Duration::from_millis(1500),
            &[("tenant".into(), "acme".into())],
        );
        let deadline = deadline_ms(&request);
        assert!(deadline.is_some_and(|at| at >= before + 1500 && at <= system::now_ms() + 1500));
        assert_eq!(
            call_id(&request).map(ShortString::as_str),
            Some(id.to_string().as_str())
        );
        assert!(matches!(
            header(&request, META),
            Some(AMQPValue::FieldTable(_))
        ));
        assert!(sender.request(id, Duration::ZERO, &[]).headers().is_none());
    }

    #[test]
    fn others_may_say_when_theirs_expires_or_not_at_all() {
        let foreign = BasicProperties::default()
            .with_correlation_id(short("x"))
            .with_expiration(short("100"));
        assert_eq!(deadline_ms(&foreign), None);
        let mut table = FieldTable::default();
        table.insert(short(DEADLINE), AMQPValue::LongInt(7));
        assert_eq!(deadline_ms(&foreign.with_headers(table)), Some(7));
    }

    #[test]
    fn text_is_cut_at_a_characters_border() {
        assert_eq!(truncate("aé", 2), "a");
        assert_eq!(short(&"é".repeat(200)).as_str().len(), 254);
    }

    #[test]
    fn headers_have_a_limit() {
        assert!(check_headers(&[("a".into(), "x".repeat(HEADERS_LIMIT - 7))]).is_ok());
        assert!(check_headers(&[("a".into(), "x".repeat(HEADERS_LIMIT))]).is_err());
        assert!(check_headers(&[(String::new(), "x".into())]).is_err());
    }
}
