//! What somebody sees who watches a broker: what a message is, and what a queue is for.

use std::time::Duration;

use serde_json::Value;

use super::Kind;
use crate::dead_letters::DeadReason;
use crate::rpc::failure::Failure;
use crate::topology;
use crate::wire::{self, Status, again};

/// A message as a broker has it.
#[derive(Clone, Copy, Debug)]
pub struct OnBroker<'a> {
    /// The property `type`.
    pub type_name: Option<&'a str>,
    /// Where it was published to.
    pub exchange: &'a str,
    /// Under which key.
    pub routing_key: &'a str,
    /// The property `message-id`.
    pub message_id: Option<&'a str>,
    /// The property `correlation-id`.
    pub correlation_id: Option<&'a str>,
    /// Its headers, as JSON.
    pub headers: &'a Value,
}

/// What a message is.
#[derive(Clone, Debug, PartialEq)]
pub enum Meaning {
    /// An event, a call or a task, from whoever sends it.
    First {
        /// Unlike any other message's; what is said of it later names it. Empty if its sender gave it none.
        id: String,
        /// What it is.
        kind: Kind,
        /// Whose it is. Of what a schedule fires, only the queue tells: empty.
        api: String,
        /// Wire name of the event, method or task.
        name: String,
        /// It is put off by so long.
        delay: Option<Duration>,
        /// The schedule that fired it.
        schedule: Option<String>,
        /// What the application says in its headers.
        headers: Value,
    },
    /// An event or a task that is published once more, by who had it in hand.
    Copy {
        /// Which one.
        id: String,
        /// The queue that it was taken from.
        queue: String,
        /// To what end.
        to: Copied,
    },
    /// An answer.
    Reply {
        /// To the call of this id.
        to: String,
        /// What it says.
        says: Answered,
    },
    /// The bus's own business.
    Other,
}

/// To what end a message is published once more.
#[derive(Clone, Debug, PartialEq)]
pub enum Copied {
    /// To be handled again.
    Again {
        /// After so many attempts that failed.
        failed: u32,
        /// After so long.
        delay: Duration,
    },
    /// Its handler takes long.
    Held,
    /// It goes to the dead letters.
    Dead {
        /// Why.
        reason: DeadReason,
        /// What the handler said.
        error: Option<String>,
        /// How often it was tried.
        attempts: u32,
    },
    /// Out of the dead letters.
    Replayed,
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    /// The body is the method's value.
    Value,
    /// The body is the method's own error.
    Error,
    /// Nothing yet: the provider stops, and the caller sends the call once more.
    GivenBack,
    /// There is no value, for this reason.
    Refused(String),
}

/// What a queue is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queue {
    /// Messages that are to be handled.
    Work,
    /// Those that were given up.
    Dead,
    /// Those that nobody has bound a queue for.
    Unrouted,
    /// What is known, or answers, or delays.
    Other,
}

/// What a message is.
pub fn meaning(seen: &OnBroker<'_>) -> Meaning {
    let meaning = match seen.type_name {
        Some(wire::EVENT | wire::TASK) if seen.text(again::ORIGIN).is_some() => seen.copy(),
        Some(wire::EVENT) => seen.event(),
        Some(wire::TASK) => seen.task(),
        Some(wire::REQUEST) => seen.call(),
        Some(wire::REPLY) => seen.reply(),
        _ => None,
    };
    meaning.unwrap_or(Meaning::Other)
}

impl OnBroker<'_> {
    fn text(&self, header: &str) -> Option<&str> {
        self.headers.get(header)?.as_str()
    }

    fn number(&self, header: &str) -> Option<u32> {
        let number = self.headers.get(header)?.as_u64()?;
        u32::try_from(number).ok()
    }

    fn first(&self, kind: Kind, api: &str, name: &str, delay: Option<Duration>) -> Meaning {
        let id = match kind {
            Kind::Call => self.correlation_id.or(self.message_id),
            Kind::Event | Kind::Task => self.message_id,
        };
        Meaning::First {
            id: id.unwrap_or_default().to_owned(),
            kind,
            api: api.to_owned(),
            name: name.to_owned(),
            delay,
            schedule: topology::schedule_of(self.exchange, self.routing_key).map(str::to_owned),
            headers: self.headers.get(wire::META).cloned().unwrap_or_default(),
        }
    }

    fn event(&self) -> Option<Meaning> {
        let (api, name) = topology::event_of(self.exchange, self.routing_key)?;
        Some(self.first(Kind::Event, api, name, None))
    }

    fn call(&self) -> Option<Meaning> {
        let api = topology::api_of_calls(self.exchange)?;
        Some(self.first(Kind::Call, api, self.routing_key, None))
    }

    fn task(&self) -> Option<Meaning> {
        let name = self.text(wire::NAME)?;
        let (queue, delay) = self.way();
        let api = topology::api_of_task_queue(queue).unwrap_or_default();
        Some(self.first(Kind::Task, &api, name, delay))
    }

    /// The queue that the key leads to, and the delay on the way.
    fn way(&self) -> (&str, Option<Duration>) {
        match topology::on_ladder(self.exchange, self.routing_key) {
            Some((delay, queue)) => (queue, Some(delay)),
            None => (self.routing_key, None),
        }
    }

    fn copy(&self) -> Option<Meaning> {
        let (queue, delay) = self.way();
        let (queue, to) = match delay {
            // Past the ordinary exchange, and at once: that is the way out of the dead letters.
            Some(Duration::ZERO) => (queue, Copied::Replayed),
            Some(delay) => {
                let failed = self.number(wire::ATTEMPT).unwrap_or_default();
                (queue, Copied::Again { failed, delay })
            }
            None => match topology::held_from(self.exchange, self.routing_key) {
                Some(queue) => (queue, Copied::Held),
                None => (self.text(again::DEAD_QUEUE)?, self.dead()),
            },
        };
        Some(Meaning::Copy {
            id: self.message_id.unwrap_or_default().to_owned(),
            queue: queue.to_owned(),
            to,
        })
    }

    fn dead(&self) -> Copied {
        Copied::Dead {
            reason: DeadReason::parse(self.text(again::DEAD_REASON).unwrap_or_default()),
            error: self.text(wire::ERROR).map(str::to_owned),
            attempts: self.number(wire::ATTEMPT).unwrap_or_default(),
        }
    }

    fn reply(&self) -> Option<Meaning> {
        let says = match self.text(wire::STATUS) {
            None => Answered::Value,
            Some(status) => match Status::parse(status) {
                Some(Status::Domain) => Answered::Error,
                Some(Status::ShuttingDown) => Answered::GivenBack,
                Some(status) => {
                    let detail = self.text(wire::ERROR).unwrap_or_default();
                    Answered::Refused(Failure::text_of(status, detail))
                }
                None => Answered::Refused(status.to_owned()),
            },
        };
        Some(Meaning::Reply {
            to: self.correlation_id?.to_owned(),
            says,
        })
    }
}

impl Queue {
    /// By its name.
    pub fn of(name: &str) -> Self {
        match () {
            () if topology::is_dead_queue(name) => Self::Dead,
            () if topology::is_unrouted(name) => Self::Unrouted,
            () if topology::is_work(name) => Self::Work,
            () => Self::Other,
        }
    }

    /// The app whose listener it belongs to, and that listener's name. A broadcast listener's queue does not tell.
    pub fn listener_of(name: &str) -> Option<(&str, &str)> {
        topology::listener_of(name)
    }

    /// Of which API it holds tasks.
    pub fn tasks_of(name: &str) -> Option<String> {
        topology::api_of_task_queue(name)
    }
}

/// API and name of the event that a binding of a queue asks for.
pub fn heard_by<'a>(exchange: &'a str, pattern: &'a str) -> Option<(&'a str, &'a str)> {
    topology::event_of(exchange, pattern)
}

/// The app whose connection has this name.
pub fn app_of_connection(name: &str) -> &str {
    name.split(' ').next().unwrap_or_default()
}
