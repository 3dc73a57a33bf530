//! What goes over the bus of a test, as its broker sees it: each message once, with all that becomes of it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lightbus_broker::{ConnectionName, Event, EventKind, Events, Message, QueueName};
use lightbus_runtime::__testing::{Kind, json};
use serde_json::Value;

/// So far the clocks of a broker and of its clients may be apart.
const CLOCKS: Duration = Duration::from_millis(50);

/// Everything that was seen so far.
pub(super) struct Traffic {
    events: Events,
    begun: Option<SystemTime>,
    pub(super) seen: Vec<Seen>,
    /// Which message a number, an id or a call's correlation id belongs to.
    by_number: HashMap<u64, usize>,
    by_id: HashMap<String, usize>,
    /// How many things have happened.
    pub(super) count: u64,
    /// How many of them were lost to a full buffer.
    pub(super) missed: u64,
}

/// One message.
pub(super) struct Seen {
    /// Since the first one.
    pub(super) at: Duration,
    /// And by the broker's clock.
    sent: SystemTime,
    /// The app that sent it.
    pub(super) by: String,
    pub(super) kind: Kind,
    pub(super) api: String,
    pub(super) name: String,
    /// Of a task: the schedule that fired it.
    pub(super) schedule: Option<String>,
    /// As JSON; or why it is none.
    pub(super) content: Result<Value, String>,
    pub(super) message: Arc<Message>,
    pub(super) fates: Vec<(Duration, Fate)>,
    /// It is to be acknowledged where it was, a copy of it goes on.
    copied: usize,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fate {
    To(Vec<String>),
    Nowhere,
    Handled {
        queue: String,
        by: String,
    },
    Again,
    Dead(String),
    Answered {
        by: String,
        answer: Result<Value, String>,
    },
}

impl Traffic {
    pub(super) fn new(events: Events) -> Self {
        Self {
            events,
            begun: None,
            seen: Vec::new(),
            by_number: HashMap::new(),
            by_id: HashMap::new(),
            count: 0,
            missed: 0,
        }
    }

    /// Takes note of all that has happened up to now.
    pub(super) fn read(&mut self) {
        while let Some(event) = self.events.try_next() {
            self.count += 1;
            self.note(event);
        }
    }

    fn note(&mut self, event: Event) {
        let begun = *self.begun.get_or_insert(event.time);
        let at = event.time.duration_since(begun).unwrap_or_default();
        match event.kind {
            EventKind::Missed { count } => self.missed += count,
            EventKind::Published {
                message,
                connection,
                ..
            } => self.published(at, message, app(&connection)),
            EventKind::Routed {
                message, queues, ..
            } => {
                let queues: Vec<_> = queues.iter().map(queue).collect();
                self.name_api(&message, &queues);
                self.fate_of(&message, at, Fate::To(queues));
            }
            EventKind::Unroutable { message, .. } => self.fate_of(&message, at, Fate::Nowhere),
            EventKind::Acked {
                message,
                queue: from,
                connection,
                ..
            } => self.acked(at, &message, queue(&from), app(&connection)),
            // What a level of the ladder of delays gives up goes on, as a dead letter.
            EventKind::Dropped { message, why, .. } => {
                self.fate_of(&message, at, Fate::Dead(format!("{why:?}")));
            }
            EventKind::DeadLettered { message, why, .. }
                if message.exchange().starts_with("lb.dead.") =>
            {
                self.fate_of(&message, at, Fate::Dead(format!("{why:?}")));
            }
            _ => {}
        }
    }

    fn of(&mut self, message: &Message) -> Option<&mut Seen> {
        let index = *self.by_number.get(&message.number())?;
        self.seen.get_mut(index)
    }

    fn fate_of(&mut self, message: &Message, at: Duration, fate: Fate) {
        if let Some(seen) = self.of(message) {
            // Where a copy goes is the bus's own business.
            let is_first = seen.message.number() == message.number();
            if is_first || !matches!(fate, Fate::To(_)) {
                seen.fates.push((at, fate));
            }
        }
    }

    /// A schedule's task does not say of which API it is: its queue does.
    fn name_api(&mut self, message: &Message, queues: &[String]) {
        if let Some(seen) = self.of(message).filter(|seen| seen.api.is_empty()) {
            let api = queues.iter().find_map(|queue| api_of(queue));
            seen.api = api.unwrap_or_default().to_owned();
        }
    }

    fn acked(&mut self, at: Duration, message: &Message, queue: String, by: String) {
        let Some(seen) = self.of(message) else {
            return;
        };
        if seen.copied > 0 {
            seen.copied -= 1;
        } else if seen.kind != Kind::Call && !queue.ends_with(".dead") {
            seen.fates.push((at, Fate::Handled { queue, by }));
        }
    }

    fn published(&mut self, at: Duration, message: Arc<Message>, by: String) {
        match message.type_name() {
            Some("lb1.ev" | "lb1.task") => {
                let id = message.message_id().unwrap_or_default().to_owned();
                match self.by_id.get(&id).copied() {
                    Some(first) if !id.is_empty() => self.copied(at, &message, first),
                    _ => self.first(at, message, by, id),
                }
            }
            Some("lb1.req") => {
                let id = message.correlation_id().unwrap_or_default().to_owned();
                self.first(at, message, by, id);
            }
            Some("lb1.rep") => self.answered(at, &message, by),
            _ => {}
        }
    }

    fn first(&mut self, at: Duration, message: Arc<Message>, by: String, id: String) {
        let Some((kind, api, name)) = subject(&message) else {
            return;
        };
        let index = self.seen.len();
        self.by_number.insert(message.number(), index);
        self.by_id.insert(id, index);
        self.seen.push(Seen {
            at,
            sent: self.begun.unwrap_or(SystemTime::UNIX_EPOCH) + at,
            by,
            kind,
            api,
            name,
            schedule: message
                .exchange()
                .starts_with("lb.cron.")
                .then(|| message.routing_key().to_owned()),
            content: json(message.body(), message.content_type()),
            message,
            fates: Vec::new(),
            copied: 0,
        });
    }

    /// A message that is published once more, for another attempt or into the dead letters.
    fn copied(&mut self, at: Duration, message: &Message, first: usize) {
        self.by_number.insert(message.number(), first);
        let Some(seen) = self.seen.get_mut(first) else {
            return;
        };
        seen.copied += 1;
        let exchange = message.exchange();
        if exchange.starts_with("lb.dead.") {
            let reason = text(message, "lb-dead-reason").unwrap_or_default();
            let error = text(message, "lb-err-msg").unwrap_or_default();
            seen.fates
                .push((at, Fate::Dead(format!("{reason}: {error}"))));
        } else if exchange.starts_with("lb.delay.") {
            seen.fates.push((at, Fate::Again));
        }
    }

    fn answered(&mut self, at: Duration, message: &Message, by: String) {
        let call = message.correlation_id().and_then(|id| self.by_id.get(id));
        let Some(seen) = call.and_then(|index| self.seen.get_mut(*index)) else {
            return;
        };
        let content = json(message.body(), message.content_type());
        let answer = match text(message, "lb-status") {
            None => content,
            Some(status) if status == "error" => Err(content.map_or(status, |it| it.to_string())),
            Some(status) => Err(status),
        };
        seen.fates.push((at, Fate::Answered { by, answer }));
    }
}

impl Seen {
    pub(super) fn is_answered(&self) -> bool {
        self.fates
            .iter()
            .any(|(_, fate)| matches!(fate, Fate::Answered { .. } | Fate::Nowhere | Fate::Dead(_)))
    }

    /// Is it a call whose caller waits no longer?
    pub(super) fn is_late(&self, now: SystemTime) -> bool {
        let within = self.message.expiration().and_then(|ms| ms.parse().ok());
        let passed = now.duration_since(self.sent).unwrap_or_default();
        within.is_some_and(|ms| passed + CLOCKS >= Duration::from_millis(ms))
    }

    /// API and name.
    pub(super) fn subject(&self) -> String {
        format!("{}.{}", self.api, self.name)
    }
}

/// The app whose connection it is: the runtime calls its connections `<app> <what it does>`.
fn app(connection: &ConnectionName) -> String {
    let name = connection.to_string();
    let app = name.split(' ').next().unwrap_or_default();
    app.to_owned()
}

fn queue(queue: &QueueName) -> String {
    queue.name.to_string()
}

fn text(message: &Message, header: &str) -> Option<String> {
    let headers = message.headers();
    let value = headers.inner().get(header)?;
    match value {
        amq_protocol::types::AMQPValue::LongString(text) => Some(text.to_string()),
        amq_protocol::types::AMQPValue::ShortString(text) => Some(text.to_string()),
        _ => None,
    }
}

/// Kind, API and name of a message that is sent for the first time.
fn subject(message: &Message) -> Option<(Kind, String, String)> {
    let (exchange, key) = (message.exchange(), message.routing_key());
    if let Some(api) = exchange.strip_prefix("lb.ev.") {
        let name = key.strip_prefix(api)?.strip_prefix('.')?;
        let name = name.split('.').next()?;
        return Some((Kind::Event, api.to_owned(), name.to_owned()));
    }
    if let Some(api) = exchange.strip_prefix("lb.rpc.") {
        return Some((Kind::Call, api.to_owned(), key.to_owned()));
    }
    // At once, put off, or by a schedule: the queue's name is in the key, or in where it came from.
    let queue = if exchange.starts_with("lb.task.") {
        exchange
    } else {
        key.find("lb.task.").map_or("", |at| &key[at..])
    };
    let api = api_of(queue).unwrap_or_default();
    let name = text(message, "lb-name")?;
    Some((Kind::Task, api.to_owned(), name))
}

/// The API of a queue of tasks.
fn api_of(queue: &str) -> Option<&str> {
    queue
        .strip_prefix("lb.task.")?
        .split([':', '~', '+'])
        .next()
}
