//! One message that went over the bus, and what became of it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lightbus_broker::Message;
use lightbus_runtime::__testing::{DeadReason, Kind, SECRET, Why};
use serde_json::Value;

use super::compare::{short, shown};
use super::story::span;

/// So far the clocks of a broker and of its clients may be apart.
const CLOCKS: Duration = Duration::from_millis(50);

/// One message.
pub(super) struct Seen {
    /// Since the first thing that happened.
    pub(super) at: Duration,
    /// And by the broker's clock.
    pub(super) sent: SystemTime,
    /// The app that sent it.
    pub(super) by: String,
    pub(super) kind: Kind,
    pub(super) api: String,
    pub(super) name: String,
    /// As JSON; or why it is none.
    pub(super) content: Result<Value, String>,
    /// The application's.
    pub(super) headers: Value,
    /// It was put off by its sender.
    pub(super) delay: Option<Duration>,
    /// Of a task: the schedule that fired it.
    pub(super) schedule: Option<String>,
    pub(super) message: Arc<Message>,
    pub(super) fates: Vec<(Duration, Fate)>,
    /// Of a call: nobody waits for its answer any more.
    pub(super) is_given_up: bool,
    /// An expectation was met by it.
    pub(super) is_expected: bool,
    /// Queues in which it is to be acknowledged only because a copy of it goes on.
    pub(super) copied: Vec<String>,
}

/// Something that became of a message.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fate {
    To(Vec<String>),
    /// No queue is bound to the event.
    Unheard,
    /// The call went back to its caller.
    Nowhere,
    /// A queue that is full did not take it, or the broker did not; whoever sent it was told.
    Refused {
        queue: Option<String>,
    },
    /// By the broker, on purpose.
    Lost,
    /// It was sent once more under the same id.
    Twice,
    Failed {
        queue: String,
        attempt: u32,
        error: String,
    },
    Again {
        queue: String,
        failed: u32,
        delay: Duration,
        /// If the process that had it is of this test.
        error: Option<String>,
    },
    Handled {
        queue: String,
        by: String,
    },
    /// It was acknowledged, and not handled.
    Skipped {
        queue: String,
        by: String,
        why: Why,
    },
    /// That it was handled did not reach the broker.
    AckLost,
    Dead(Death),
    Replayed {
        queue: String,
    },
    Answered {
        by: String,
        answer: Answer,
        /// It is not to be shown.
        is_secret: bool,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Death {
    pub(super) queue: String,
    pub(super) reason: DeadReason,
    pub(super) error: Option<String>,
    /// If somebody counted.
    pub(super) attempts: Option<u32>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer {
    Value(Value),
    Error(Value),
    /// By a provider that stops.
    GivenBack,
    Refused(String),
}

impl Seen {
    pub(super) fn is_answered(&self) -> bool {
        let is_end = |fate: &Fate| {
            matches!(
                fate,
                Fate::Answered { .. }
                    | Fate::Nowhere
                    | Fate::Refused { .. }
                    | Fate::Lost
                    | Fate::Dead { .. }
            )
        };
        self.fates().any(is_end)
    }

    /// Is it a call that waits for its answer?
    pub(super) fn is_open_call(&self, now: SystemTime) -> bool {
        let is_open = self.kind == Kind::Call && !self.is_given_up && !self.is_answered();
        is_open && !self.is_late(now)
    }

    /// Is it a call whose caller waits no longer?
    fn is_late(&self, now: SystemTime) -> bool {
        let within = self.message.expiration().and_then(|ms| ms.parse().ok());
        let passed = now.duration_since(self.sent).unwrap_or_default();
        within.is_some_and(|ms| passed + CLOCKS >= Duration::from_millis(ms))
    }

    pub(super) fn fates(&self) -> impl DoubleEndedIterator<Item = &Fate> {
        self.fates.iter().map(|(_, fate)| fate)
    }

    /// API and name.
    pub(super) fn subject(&self) -> String {
        format!("{}.{}", self.api, self.name)
    }

    /// With what it is.
    pub(super) fn title(&self) -> String {
        format!("{} {}", word(self.kind), self.subject())
    }

    pub(super) fn deaths(&self) -> impl Iterator<Item = &Death> {
        self.fates().filter_map(|fate| match fate {
            Fate::Dead(death) => Some(death),
            _ => None,
        })
    }

    /// How many attempts failed and were followed by another one.
    pub(super) fn retries(&self) -> u32 {
        let failed = self.fates().map(|fate| match fate {
            Fate::Failed { attempt, .. } => *attempt,
            Fate::Again { failed, .. } => *failed,
            Fate::Dead(Death { attempts, .. }) => attempts.unwrap_or_default().saturating_sub(1),
            _ => 0,
        });
        failed.max().unwrap_or_default()
    }

    /// The error of an attempt that was told of before it was known what comes of it.
    pub(super) fn take_failed(&mut self, queue: &str, number: u32) -> Option<String> {
        let is_it = |fate: &Fate| matches!(fate, Fate::Failed { queue: of, attempt, .. } if of == queue && *attempt == number);
        let is_new = |fate: &&(Duration, Fate)| !matches!(fate.1, Fate::Replayed { .. });
        let new = self.fates.iter().rev().take_while(is_new).count();
        let old = self.fates.len() - new;
        let index = self.fates().skip(old).position(is_it)?;
        match self.fates.remove(old + index).1 {
            Fate::Failed { error, .. } => Some(error),
            _ => None,
        }
    }

    pub(super) fn content(&self) -> String {
        match &self.content {
            Ok(content) => shown(content, &self.api, &self.name),
            Err(why) => format!("(unreadable: {why})"),
        }
    }
}

pub(super) fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Event => "event",
        Kind::Call => "call",
        Kind::Task => "task",
    }
}

/// How it is sent.
pub(super) fn sent(kind: Kind) -> &'static str {
    match kind {
        Kind::Event => "published",
        Kind::Call => "made",
        Kind::Task => "enqueued",
    }
}

impl Fate {
    /// Does nothing of the bus's own follow?
    pub(super) fn is_end(&self) -> bool {
        !matches!(
            self,
            Self::To(_) | Self::Failed { .. } | Self::Again { .. } | Self::AckLost
        )
    }

    /// For people.
    pub(super) fn told(&self) -> String {
        match self {
            Self::To(queues) => format!("to {}", queues.join(", ")),
            Self::Unheard => "to nobody: no queue is bound to it".to_owned(),
            Self::Nowhere => "to nobody: no app serves it".to_owned(),
            Self::Refused { queue: Some(queue) } => format!("refused by {queue}, which is full"),
            Self::Refused { queue: None } => "refused by the broker".to_owned(),
            Self::Lost => "lost by the broker".to_owned(),
            Self::Twice => "sent once more, under the same id".to_owned(),
            Self::Failed { attempt, error, .. } => format!("attempt {attempt} failed: {error}"),
            Self::Again {
                failed: 0, delay, ..
            } => format!("put off by {}", span(*delay)),
            Self::Again {
                failed,
                delay,
                error,
                ..
            } => {
                let (delay, error) = (span(*delay), after_colon(error.as_ref()));
                format!("attempt {failed} failed, to be tried again in {delay}{error}")
            }
            Self::Handled { queue, by } => format!("handled by {by} ({queue})"),
            Self::Skipped { queue, by, why } => match why {
                Why::Cancelled => format!("not run by {by} ({queue}): it was cancelled"),
                Why::Known => format!("not handled once more by {by} ({queue}): it is known"),
            },
            Self::AckLost => "its acknowledgement was lost: it comes again".to_owned(),
            Self::Dead(death) => death.told(),
            Self::Replayed { queue } => format!("out of the dead letters, to {queue}"),
            Self::Answered {
                by,
                answer,
                is_secret,
            } => match answer {
                Answer::Value(_) if *is_secret => format!("answered by {by}: {SECRET}"),
                Answer::Error(_) if *is_secret => {
                    format!("answered by {by} with an error: {SECRET}")
                }
                Answer::Value(value) => format!("answered by {by}: {}", short(value)),
                Answer::Error(error) => format!("answered by {by} with an error: {}", short(error)),
                Answer::GivenBack => format!("given back by {by}, which stops"),
                Answer::Refused(why) => format!("refused by {by}: {why}"),
            },
        }
    }
}

impl Death {
    pub(super) fn told(&self) -> String {
        let attempts = match self.attempts {
            None | Some(0) => String::new(),
            Some(1) => " after 1 attempt".to_owned(),
            Some(attempts) => format!(" after {attempts} attempts"),
        };
        format!("dead in {}{attempts}, {}", self.queue, self.why())
    }

    /// The reason, and what the handler said.
    pub(super) fn why(&self) -> String {
        format!("{}{}", self.reason, after_colon(self.error.as_ref()))
    }
}

fn after_colon(error: Option<&String>) -> String {
    error.map_or(String::new(), |error| format!(": {error}"))
}
