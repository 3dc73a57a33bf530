//! What goes over the bus of a test, as its broker sees it: each message once, with all that becomes of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use amq_protocol::types::{AMQPValue, FieldTable};
use lightbus_broker::{ConnectionName, DropReason, Event, EventKind, Events, Message, QueueName};
use lightbus_runtime::__testing::{
    Answered, Copied, DeadReason, FailedAttempt, Kind, Meaning, OnBroker, Queue, Skipped,
    app_of_connection, heard_by, is_answer_secret, is_waiting_for, json, meaning,
};
use lightbus_runtime::Bus;
use serde_json::Value;

use super::seen::{Answer, Death, Fate, Seen};

/// Everything that was seen so far.
pub(super) struct Traffic {
    events: Events,
    attempts: Attempts,
    /// What is about to be acknowledged, and was not handled.
    skipped: Vec<Skipped>,
    begun: Option<SystemTime>,
    now: Duration,
    pub(super) seen: Vec<Seen>,
    /// Which message a number belongs to; of a copy, from which queue.
    by_number: HashMap<u64, (usize, Option<String>)>,
    /// Or an id, or a call's correlation id.
    by_id: HashMap<String, usize>,
    /// Who has come, and gone.
    pub(super) apps: Vec<App>,
    /// Which queue was bound to an event, and when.
    pub(super) bound: Vec<Bound>,
    /// A test moves the time.
    pub(super) has_virtual_time: bool,
    /// How many things have happened.
    pub(super) count: u64,
    /// How many of them were lost to a full buffer.
    pub(super) missed: u64,
    /// What is served by stubs and by an app.
    pub(super) served_twice: Vec<String>,
    /// The app that is about to come back, and what it has lost.
    pub(super) away: Option<String>,
}

/// Attempts that the apps of this process tell of, not yet read.
#[derive(Clone, Default)]
pub(super) struct Attempts(Arc<Mutex<Vec<FailedAttempt>>>);

/// An app, by its connections.
pub(super) struct App {
    pub(super) name: String,
    connections: usize,
    /// When the last one of them was closed.
    pub(super) left: Option<Duration>,
}

pub(super) struct Bound {
    pub(super) at: Duration,
    pub(super) queue: String,
    pub(super) api: String,
    pub(super) event: String,
}

impl Attempts {
    pub(super) fn tell(&self, failed: FailedAttempt) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(failed);
    }

    fn take(&self) -> Vec<FailedAttempt> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Traffic {
    pub(super) fn new(events: Events, attempts: Attempts) -> Self {
        Self {
            events,
            attempts,
            skipped: Vec::new(),
            begun: None,
            now: Duration::ZERO,
            seen: Vec::new(),
            by_number: HashMap::new(),
            by_id: HashMap::new(),
            apps: Vec::new(),
            bound: Vec::new(),
            has_virtual_time: false,
            count: 0,
            missed: 0,
            served_twice: Vec::new(),
            away: None,
        }
    }

    /// Takes note of calls of which these apps know that nobody waits for the answer any more.
    pub(super) fn give_up(&mut self, apps: &[&Bus]) {
        let open =
            |seen: &&mut Seen| seen.kind == Kind::Call && !seen.is_given_up && !seen.is_answered();
        for call in self.seen.iter_mut().filter(open) {
            let id = call.message.correlation_id().unwrap_or_default();
            let mut callers = apps.iter().filter(|app| app.app() == call.by).peekable();
            call.is_given_up =
                callers.peek().is_some() && !callers.any(|caller| is_waiting_for(caller, id));
        }
    }

    /// Takes note of all that has happened up to now.
    pub(super) fn read(&mut self) {
        // Whatever became of a message after an attempt is among the events that are read next.
        let attempts = self.attempts.take();
        while let Some(event) = self.events.try_next() {
            self.count += 1;
            self.note(event);
        }
        for failed in attempts {
            self.count += 1;
            self.failed(failed);
        }
    }

    /// The next acknowledgement of it is such a one.
    pub(super) fn skipped(&mut self, message: Skipped) {
        self.read();
        self.skipped.push(message);
    }

    fn note(&mut self, event: Event) {
        let begun = *self.begun.get_or_insert(event.time);
        self.now = event.time.duration_since(begun).unwrap_or_default();
        match event.kind {
            EventKind::Missed { count } => self.missed += count,
            EventKind::ConnectionOpened { connection, .. } => self.came(&connection),
            EventKind::ConnectionClosed { connection, .. } => self.left(&connection),
            EventKind::Bound(binding) if binding.to_queue => {
                if let Some((api, event)) = heard_by(&binding.source, &binding.routing_key) {
                    self.bound.push(Bound {
                        at: self.now,
                        queue: binding.destination.to_string(),
                        api: api.to_owned(),
                        event: event.to_owned(),
                    });
                }
            }
            EventKind::Published {
                message,
                connection,
                ..
            } => self.published(message, app(&connection)),
            EventKind::Routed {
                message, queues, ..
            } => self.routed(&message, queues.iter().map(queue).collect()),
            EventKind::Unroutable { message, .. } => self.fate_of(&message, Fate::Nowhere),
            EventKind::Acked {
                message,
                queue: from,
                connection,
                ..
            } => self.acked(&message, queue(&from), app(&connection)),
            EventKind::AckLost {
                message,
                queue: from,
                connection,
                ..
            } => {
                self.acked(&message, queue(&from), app(&connection));
                self.fate_of(&message, Fate::AckLost);
            }
            EventKind::Refused {
                message, queue: by, ..
            } => {
                let queue = by.as_ref().map(queue);
                self.fate_of(&message, Fate::Refused { queue });
            }
            EventKind::Dropped {
                message,
                queue: None,
                why: DropReason::Fault,
            } => self.fate_of(&message, Fate::Lost),
            EventKind::Dropped {
                message,
                queue: from,
                why,
            } => self.died(&message, from.as_ref(), why),
            // What a level of the ladder of delays gives up goes on, as a dead letter.
            EventKind::DeadLettered {
                message,
                queue: from,
                why,
                queues,
                ..
            } if queues.iter().any(|to| Queue::of(&to.name) == Queue::Dead) => {
                self.died(&message, Some(&from), why);
            }
            _ => {}
        }
    }

    fn came(&mut self, connection: &ConnectionName) {
        let name = app(connection);
        match self.apps.iter_mut().find(|app| app.name == name) {
            Some(app) => {
                app.connections += 1;
                app.left = None;
            }
            None => self.apps.push(App {
                name,
                connections: 1,
                left: None,
            }),
        }
    }

    fn left(&mut self, connection: &ConnectionName) {
        let name = app(connection);
        let Some(app) = self.apps.iter_mut().find(|app| app.name == name) else {
            return;
        };
        app.connections = app.connections.saturating_sub(1);
        app.left = (app.connections == 0).then_some(self.now);
    }

    fn of(&mut self, message: &Message) -> Option<&mut Seen> {
        let (index, _) = self.by_number.get(&message.number())?;
        self.seen.get_mut(*index)
    }

    fn fate_of(&mut self, message: &Message, fate: Fate) {
        let at = self.now;
        if let Some(seen) = self.of(message) {
            seen.fates.push((at, fate));
        }
    }

    fn routed(&mut self, message: &Message, queues: Vec<String>) {
        let number = message.number();
        let Some(seen) = self.of(message) else {
            return;
        };
        // Where a copy goes is the bus's own business.
        if seen.message.number() != number {
            return;
        }
        if seen.api.is_empty() {
            seen.api = queues
                .iter()
                .find_map(|name| Queue::tasks_of(name))
                .unwrap_or_default();
        }
        let is_unheard = queues.iter().all(|name| Queue::of(name) == Queue::Unrouted);
        let fate = match is_unheard {
            true => Fate::Unheard,
            false => Fate::To(queues),
        };
        self.fate_of(message, fate);
    }

    fn acked(&mut self, message: &Message, queue: String, by: String) {
        let copy_of = self.by_number.get(&message.number());
        let of_copy = copy_of.and_then(|(_, queue)| queue.clone());
        let (is_letter, queue) = (Queue::of(&queue) == Queue::Dead, of_copy.unwrap_or(queue));
        let at = self.now;
        let id = message.message_id().unwrap_or_default();
        let is_it = |it: &Skipped| it.id == id && it.queue == queue;
        let skipped = self.skipped.iter().position(is_it);
        let skipped = skipped.map(|index| self.skipped.swap_remove(index).why);
        let Some(seen) = self.of(message).filter(|seen| seen.kind != Kind::Call) else {
            return;
        };
        match seen.copied.iter().position(|copied| *copied == queue) {
            _ if is_letter => {}
            Some(index) => drop(seen.copied.swap_remove(index)),
            None => seen.fates.push((
                at,
                match skipped {
                    Some(why) => Fate::Skipped { queue, by, why },
                    None => Fate::Handled { queue, by },
                },
            )),
        }
    }

    fn died(&mut self, message: &Message, queue: Option<&QueueName>, why: DropReason) {
        let queue = queue.map_or(String::new(), |queue| queue.name.to_string());
        let reason = match why {
            DropReason::Rejected => DeadReason::Rejected,
            DropReason::Expired => DeadReason::Expired,
            DropReason::DeliveryLimit => DeadReason::DeliveryLimit,
            other => DeadReason::Other(format!("{other:?}")),
        };
        let death = Death {
            queue,
            reason,
            error: None,
            attempts: None,
        };
        self.fate_of(message, Fate::Dead(death));
    }

    fn published(&mut self, message: Arc<Message>, by: String) {
        let headers = headers(&message.headers());
        let seen = OnBroker {
            type_name: message.type_name(),
            exchange: message.exchange(),
            routing_key: message.routing_key(),
            message_id: message.message_id(),
            correlation_id: message.correlation_id(),
            headers: &headers,
        };
        match meaning(&seen) {
            Meaning::First { id, .. } if self.by_id.contains_key(&id) => {
                let index = self.by_id.get(&id).copied().unwrap_or_default();
                self.by_number.insert(message.number(), (index, None));
                self.fate_of(&message, Fate::Twice);
            }
            first @ Meaning::First { .. } => self.first(message, by, first),
            Meaning::Copy { id, queue, to } => self.copied(&message, &id, queue, to),
            Meaning::Reply { to, says } => self.answered(&message, &to, says, by),
            Meaning::Other => {}
        }
    }

    fn first(&mut self, message: Arc<Message>, by: String, first: Meaning) {
        let Meaning::First {
            id,
            kind,
            api,
            name,
            delay,
            schedule,
            headers,
        } = first
        else {
            return;
        };
        let index = self.seen.len();
        self.by_number.insert(message.number(), (index, None));
        if !id.is_empty() {
            self.by_id.insert(id, index);
        }
        self.seen.push(Seen {
            at: self.now,
            sent: self.begun.unwrap_or(SystemTime::UNIX_EPOCH) + self.now,
            by,
            kind,
            api,
            name,
            content: json(message.body(), message.content_type()),
            headers,
            delay,
            schedule,
            message,
            fates: Vec::new(),
            is_given_up: false,
            is_expected: false,
            copied: Vec::new(),
        });
    }

    /// A message that is published once more, by who had it in hand.
    fn copied(&mut self, message: &Message, id: &str, queue: String, to: Copied) {
        let Some(index) = self.by_id.get(id).copied() else {
            return;
        };
        let number = message.number();
        self.by_number.insert(number, (index, Some(queue.clone())));
        let at = self.now;
        let Some(seen) = self.seen.get_mut(index) else {
            return;
        };
        if to != Copied::Replayed {
            seen.copied.push(queue.clone());
        }
        let fate = match to {
            Copied::Held => return,
            Copied::Replayed => Fate::Replayed { queue },
            Copied::Again { failed, delay } => Fate::Again {
                error: seen.take_failed(&queue, failed),
                queue,
                failed,
                delay,
            },
            Copied::Dead {
                reason,
                error,
                attempts,
            } => Fate::Dead(Death {
                queue,
                reason,
                error,
                attempts: Some(attempts),
            }),
        };
        seen.fates.push((at, fate));
    }

    fn answered(&mut self, message: &Message, call: &str, says: Answered, by: String) {
        let at = self.now;
        let call = self.by_id.get(call);
        let Some(seen) = call.and_then(|index| self.seen.get_mut(*index)) else {
            return;
        };
        let content = json(message.body(), message.content_type());
        let is_secret = is_answer_secret(&seen.api, &seen.name);
        let answer = match (says, content) {
            (Answered::GivenBack, _) => Answer::GivenBack,
            (Answered::Refused(why), _) => Answer::Refused(why),
            (Answered::Value, Ok(value)) => Answer::Value(value),
            (Answered::Error, Ok(error)) => Answer::Error(error),
            (_, Err(why)) => Answer::Refused(format!("the answer cannot be read: {why}")),
        };
        seen.fates.push((
            at,
            Fate::Answered {
                by,
                answer,
                is_secret,
            },
        ));
    }

    /// An attempt that failed: it was before what came of it.
    fn failed(&mut self, failed: FailedAttempt) {
        let now = self.now;
        let index = self.by_id.get(&failed.id);
        let Some(seen) = index.and_then(|index| self.seen.get_mut(*index)) else {
            return;
        };
        let came_of_it = |fate: &Fate| match fate {
            Fate::Handled { queue, .. } | Fate::Dead(Death { queue, .. }) => *queue == failed.queue,
            Fate::Again {
                queue, failed: of, ..
            } => *queue == failed.queue && *of >= failed.number,
            _ => false,
        };
        let index = seen.fates().position(came_of_it);
        let index = index.unwrap_or(seen.fates.len());
        let at = match seen.fates.get_mut(index) {
            Some((
                _,
                Fate::Again {
                    failed: of, error, ..
                },
            )) if *of == failed.number => {
                *error = Some(failed.error);
                return;
            }
            Some((at, _)) => *at,
            None => now,
        };
        let fate = Fate::Failed {
            queue: failed.queue,
            attempt: failed.number,
            error: failed.error,
        };
        seen.fates.insert(index, (at, fate));
    }
}

fn app(connection: &ConnectionName) -> String {
    app_of_connection(&connection.to_string()).to_owned()
}

fn queue(queue: &QueueName) -> String {
    queue.name.to_string()
}

/// Headers as JSON; what JSON does not know is left out.
fn headers(table: &FieldTable) -> Value {
    let entries = table.inner().iter();
    let entries = entries.filter_map(|(name, value)| Some((name.to_string(), header(value)?)));
    Value::Object(entries.collect())
}

fn header(value: &AMQPValue) -> Option<Value> {
    Some(match value {
        AMQPValue::LongString(text) => String::from_utf8_lossy(text.as_bytes()).into(),
        AMQPValue::ShortString(text) => text.as_str().into(),
        AMQPValue::Boolean(is) => (*is).into(),
        AMQPValue::ShortShortInt(n) => (*n).into(),
        AMQPValue::ShortShortUInt(n) => (*n).into(),
        AMQPValue::ShortInt(n) => (*n).into(),
        AMQPValue::ShortUInt(n) => (*n).into(),
        AMQPValue::LongInt(n) => (*n).into(),
        AMQPValue::LongUInt(n) => (*n).into(),
        AMQPValue::LongLongInt(n) => (*n).into(),
        AMQPValue::Timestamp(n) => (*n).into(),
        AMQPValue::FieldTable(table) => headers(table),
        _ => return None,
    })
}
