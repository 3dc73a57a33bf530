//! What schedules say on the wire: an occurrence is a task's message with two headers more, everything else a word in JSON.
//!
//! All of it goes to the app's exchange. The routing key names the schedule, and for a word its kind.

use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable};
use serde::{Deserialize, Serialize};

use super::state::{End, Occurrence, Since, State};
use super::table::Entry;
use crate::clock::system;
use crate::connection::publisher::Outgoing;
use crate::grammar::is_name;
use crate::rpc::caller::Caller;
use crate::topology;
use crate::wire::{self, Sender, short};

/// What is said of a schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "word", rename_all = "lowercase")]
pub(super) enum Word {
    /// A process has it in its code.
    Here {
        at: i64,
    },
    Pause {
        at: i64,
    },
    Resume {
        at: i64,
    },
    Run {
        at: i64,
    },
    /// A run has ended.
    Done {
        run: Occurrence,
        end: End,
    },
    /// All that was known of it when this was written.
    State {
        state: Box<State>,
    },
}

impl Word {
    /// What its routing key ends in, so that a broker's topic permissions can tell reports from commands.
    fn kind(&self) -> &'static str {
        match self {
            Self::Here { .. } | Self::Pause { .. } | Self::Resume { .. } | Self::Run { .. } => {
                "ctl"
            }
            Self::Done { .. } => "done",
            Self::State { .. } => "state",
        }
    }

    pub(super) fn key(&self, schedule: &str) -> String {
        topology::cron_key(schedule, self.kind())
    }

    /// What it says of the schedule's past.
    pub(super) fn into_state(self) -> State {
        let mut state = State::default();
        match self {
            Self::Here { at } => {
                state.born = Some(at);
                state.seen = at;
            }
            Self::Pause { at } => state.paused = Since { at, value: true },
            Self::Resume { at } => state.paused = Since { at, value: false },
            Self::Run { .. } => {}
            Self::Done { run, end } => state.ended(run, end),
            Self::State { state: all } => return *all,
        }
        state
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        // Numbers, texts and lists of them: it cannot fail.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// What a message of the state queue is.
pub(super) enum Heard {
    Fired {
        schedule: String,
        occurrence: Occurrence,
        at: i64,
    },
    Said {
        schedule: String,
        word: Word,
    },
    /// The mark that somebody set, by its id.
    Mark(String),
    Asked(Caller),
    /// Nothing that this version understands.
    Noise,
}

impl Heard {
    pub(super) fn of(delivery: &Delivery) -> Self {
        let key = delivery.routing_key.as_str();
        Self::read(key, &delivery.properties, &delivery.data).unwrap_or(Self::Noise)
    }

    fn read(key: &str, properties: &BasicProperties, payload: &[u8]) -> Option<Self> {
        if key == topology::CRON_MARK {
            return Some(Self::Mark(wire::message_id(properties).to_owned()));
        }
        if key == topology::CRON_ASK {
            return Caller::of(properties).map(Self::Asked);
        }
        let (name, kind) = key.split_once('.').unwrap_or((key, ""));
        if !is_name(name) {
            return None;
        }
        let schedule = name.to_owned();
        if kind.is_empty() {
            let (_, named, occurrence) = occurrence(properties)?;
            let at = wire::header_number(properties, wire::SENT_AT).unwrap_or(occurrence.at);
            return (named == name).then_some(Self::Fired {
                schedule,
                occurrence,
                at,
            });
        }
        let word: Word = serde_json::from_slice(payload).ok()?;
        (word.kind() == kind).then_some(Self::Said { schedule, word })
    }
}

/// The app, the schedule and the run that a task's message is for; `None` if it is not a schedule's.
pub(super) fn occurrence(properties: &BasicProperties) -> Option<(&str, &str, Occurrence)> {
    let (app, schedule) = wire::header_text(properties, wire::SCHEDULE)?.split_once('/')?;
    let occurrence = Occurrence {
        at: wire::header_number(properties, wire::SCHEDULED_AT)?,
        manual: wire::header_number(properties, wire::SCHEDULED_MANUALLY).is_some(),
    };
    (is_name(app) && is_name(schedule)).then_some((app, schedule, occurrence))
}

/// An occurrence that is fired `now`. Fired again, it has the same id.
pub(super) fn fire(
    sender: &Sender,
    app: &str,
    entry: &Entry,
    occurrence: Occurrence,
    now: i64,
) -> BasicProperties {
    let Occurrence { at, manual } = occurrence;
    let suffix = if manual { ":manual" } else { "" };
    let id = format!("cron:{app}:{}:{at}{suffix}", entry.name);
    let properties = entry.task.properties(sender, &id, super::state::time(now));
    let mut table = properties.headers().clone().unwrap_or_default();
    let mut number = |name, number| {
        table.insert(short(name), AMQPValue::LongLongInt(number));
    };
    number(wire::SCHEDULED_AT, at);
    number(wire::SENT_AT, now);
    if manual {
        number(wire::SCHEDULED_MANUALLY, 1);
    }
    insert_name(&mut table, app, &entry.name);
    properties.with_headers(table)
}

fn insert_name(table: &mut FieldTable, app: &str, schedule: &str) {
    let name = format!("{app}/{schedule}");
    let value = AMQPValue::LongString(name.as_str().into());
    table.insert(short(wire::SCHEDULE), value);
}

/// A message on its way to the exchange.
pub(super) struct Letter {
    pub(super) exchange: String,
    pub(super) key: String,
    pub(super) properties: BasicProperties,
    pub(super) payload: Vec<u8>,
}

impl Letter {
    pub(super) fn word(sender: &Sender, app: &str, schedule: &str, word: &Word) -> Self {
        Self {
            exchange: topology::cron_exchange(app),
            key: word.key(schedule),
            properties: sender.word(&system::new_id().to_string()),
            payload: word.encode(),
        }
    }

    pub(super) fn mark(sender: &Sender, app: &str, id: &str) -> Self {
        Self {
            exchange: topology::cron_exchange(app),
            key: topology::CRON_MARK.to_owned(),
            properties: sender.word(id),
            payload: Vec::new(),
        }
    }

    pub(super) fn outgoing(&self) -> Outgoing<'_> {
        Outgoing {
            exchange: &self.exchange,
            key: &self.key,
            mandatory: false,
            properties: self.properties.clone(),
            payload: &self.payload,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::state::RunOutcome;
    use super::*;

    fn read(key: &str, payload: &[u8]) -> Option<Heard> {
        Heard::read(key, &BasicProperties::default(), payload)
    }

    #[test]
    fn a_word_is_read_back_under_its_own_key_alone() {
        let run = Occurrence {
            at: 1000,
            manual: false,
        };
        let end = End {
            at: 1200,
            outcome: RunOutcome::Failed,
        };
        let words = [
            Word::Here { at: 1 },
            Word::Pause { at: 2 },
            Word::Done { run, end },
            Word::State {
                state: Box::default(),
            },
        ];
        for word in words {
            let said = read(&word.key("nightly"), &word.encode());
            assert!(
                matches!(said, Some(Heard::Said { schedule, word: read }) if schedule == "nightly" && read == word)
            );
            assert!(read("nightly.other", &word.encode()).is_none());
            assert!(read(&word.key("Nightly"), &word.encode()).is_none());
        }
        let pause = Word::Pause { at: 2 };
        assert!(read("nightly.done", &pause.encode()).is_none());
        assert!(read("nightly", &pause.encode()).is_none());
        assert!(read("nightly.ctl", b"{\"word\":\"dance\"}").is_none());
    }

    #[test]
    fn words_are_readable_for_people() {
        let end = End {
            at: 1200,
            outcome: RunOutcome::Done,
        };
        let run = Occurrence {
            at: 1000,
            manual: true,
        };
        let text = String::from_utf8(Word::Done { run, end }.encode()).unwrap();
        assert_eq!(
            text,
            r#"{"word":"done","run":{"at":1000,"manual":true},"end":{"at":1200,"outcome":"done"}}"#
        );
    }

    #[test]
    fn an_address_is_checked_before_it_becomes_an_exchange() {
        let of = |name: &str| {
            let mut table = FieldTable::default();
            table.insert(short(wire::SCHEDULE), AMQPValue::LongString(name.into()));
            table.insert(short(wire::SCHEDULED_AT), AMQPValue::LongLongInt(7));
            BasicProperties::default().with_headers(table)
        };
        let good = of("shop/nightly");
        let (app, schedule, run) = occurrence(&good).unwrap();
        assert_eq!(
            (app, schedule, run.at, run.manual),
            ("shop", "nightly", 7, false)
        );
        for forged in ["shop", "shop/", "/nightly", "amq.topic/x", "shop/a/b"] {
            assert!(occurrence(&of(forged)).is_none(), "{forged}");
        }
    }
}
