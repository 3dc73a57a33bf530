//! What is known of one dead letter.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable, ShortString};

use crate::codec::{Format, Payload};
use crate::json;
use crate::wire::again::{self, From as Origin};
use crate::wire::{self, as_text, header, header_number, header_text};

/// An event that no attempt could handle, as it lies in the dead letters.
///
/// `Display` tells its story in one line; the fields are what is known, whoever moved it there: the listener (with the error), or the broker (without).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The message's id, given by its publisher and the same since. Empty if it has none.
    pub id: String,
    /// The queue that it was in: `lb.q.<app>.<listener>`, `lb.task.<api>` or one beside that.
    pub queue: String,
    /// What the message was published under: `auth.user_registered`, for an event, and its key words.
    pub routing_key: String,
    /// Of a task, its wire name: `resize_avatar`.
    pub task: Option<String>,
    /// The exchange it was published to.
    pub exchange: String,
    /// The app that published it, if it said so.
    pub from: Option<String>,
    /// Why it is dead.
    pub reason: DeadReason,
    /// The error's text of the last attempt, if the listener moved it.
    pub error: Option<String>,
    /// The texts of the error's causes.
    pub causes: Vec<String>,
    /// How many attempts were made; `None` if nobody counted.
    pub attempts: Option<u32>,
    /// When it failed for the first time.
    pub first_failed: Option<SystemTime>,
    /// When it was moved to the dead letters.
    pub died: Option<SystemTime>,
    /// The machine of the process that moved it.
    pub host: Option<String>,
    /// How often it was replayed before.
    pub replayed: u32,
    /// The payload's bytes, as published.
    pub payload: Vec<u8>,
    /// What its sender added.
    pub(super) headers: Vec<(String, String)>,
    format: Option<Format>,
}

/// Why a message is among the dead letters.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeadReason {
    /// The handler returned an error at each attempt, or one that said not to try again.
    Failed,
    /// The handler panicked at the last attempt.
    Panicked,
    /// It could not be decoded.
    Undecodable,
    /// It names an event that the listener does not know; or a task that none of the workers which it came to in ten minutes and more knew.
    Unknown,
    /// It is no event, or no task, at all.
    WrongKind,
    /// The listener refused it unread: it is larger than its limit, or its headers are, or they cannot be read. The broker moved it, as it is.
    Rejected,
    /// It had waited for longer than it may: a task with `expires`.
    Expired,
    /// Process after process was lost while it had the message: it may kill those who handle it.
    DeliveryLimit,
    /// Something else; the broker's or another program's word.
    Other(String),
}

impl DeadReason {
    pub(crate) fn parse(text: &str) -> Self {
        match text {
            "failed" => Self::Failed,
            "panicked" => Self::Panicked,
            "undecodable" => Self::Undecodable,
            "unknown" => Self::Unknown,
            "kind" => Self::WrongKind,
            "rejected" => Self::Rejected,
            "expired" => Self::Expired,
            "delivery_limit" => Self::DeliveryLimit,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl fmt::Display for DeadReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Failed => "failed",
            Self::Panicked => "panicked",
            Self::Undecodable => "undecodable",
            Self::Unknown => "unknown",
            Self::WrongKind => "of another kind",
            Self::Rejected => "refused unread",
            Self::Expired => "expired",
            Self::DeliveryLimit => "its handlers' processes were lost, one after the other",
            Self::Other(other) => other,
        })
    }
}

impl DeadLetter {
    pub(super) fn read(delivery: &Delivery, queue: &str) -> Self {
        let properties = &delivery.properties;
        let origin = origin(delivery);
        let text = |name| header_text(properties, name).map(str::to_owned);
        let content_type = properties.content_type().as_ref().map(ShortString::as_str);
        Self {
            id: wire::message_id(properties).to_owned(),
            queue: queue.to_owned(),
            routing_key: origin.key.to_owned(),
            task: text(wire::NAME).filter(|_| wire::is_kind(properties, wire::TASK)),
            exchange: origin.exchange.to_owned(),
            from: properties.app_id().as_ref().map(ToString::to_string),
            reason: reason(properties),
            error: text(wire::ERROR),
            causes: causes(properties),
            attempts: header_number(properties, wire::ATTEMPT).and_then(|n| u32::try_from(n).ok()),
            first_failed: time(properties, again::FIRST_FAILED),
            died: time(properties, again::DEAD_AT).or_else(|| died_at(properties)),
            host: text(again::DEAD_HOST),
            replayed: header_number(properties, again::REPLAYED)
                .and_then(|n| u32::try_from(n).ok())
                .unwrap_or_default(),
            payload: delivery.data.clone(),
            headers: wire::own_headers(properties),
            format: Format::of(content_type).ok(),
        }
    }

    /// The payload as JSON; `None` if it cannot be read.
    pub fn json(&self) -> Option<serde_json::Value> {
        let payload = Payload::check(&self.payload, self.format?).ok()?;
        json::of(payload).ok()
    }
}

impl fmt::Display for DeadLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.routing_key)?;
        if let Some(task) = &self.task {
            write!(f, " {task}")?;
        }
        write!(f, " {}: {}", self.id, self.reason)?;
        match self.attempts {
            None => {}
            Some(1) => f.write_str(" after 1 attempt")?,
            Some(attempts) => write!(f, " after {attempts} attempts")?,
        }
        if let Some(error) = &self.error {
            write!(f, ": {error}")?;
        }
        Ok(())
    }
}

/// Where a dead letter was first published to, by whoever noted it down.
pub(super) fn origin(delivery: &Delivery) -> Origin<'_> {
    let properties = &delivery.properties;
    let first_death = deaths(properties).last();
    let exchange = first_death.and_then(|death| as_text(death.inner().get("exchange")?));
    let key = wire::dead_letter_keys(properties).last();
    let by_broker = Origin {
        exchange: exchange.unwrap_or(delivery.exchange.as_str()),
        key: key.unwrap_or(delivery.routing_key.as_str()),
    };
    again::origin(properties, by_broker)
}

fn reason(properties: &BasicProperties) -> DeadReason {
    let by_broker = || {
        deaths(properties)
            .next()
            .and_then(|death| as_text(death.inner().get("reason")?))
    };
    let word = header_text(properties, again::DEAD_REASON).or_else(by_broker);
    word.map_or_else(
        || DeadReason::Other("unknown".to_owned()),
        DeadReason::parse,
    )
}

/// What the broker noted of each time it moved the message, newest first.
fn deaths(properties: &BasicProperties) -> impl Iterator<Item = &FieldTable> {
    let deaths = match header(properties, "x-death") {
        Some(AMQPValue::FieldArray(deaths)) => deaths.as_slice(),
        _ => &[],
    };
    deaths.iter().filter_map(|death| match death {
        AMQPValue::FieldTable(death) => Some(death),
        _ => None,
    })
}

fn died_at(properties: &BasicProperties) -> Option<SystemTime> {
    match deaths(properties).next()?.inner().get("time")? {
        AMQPValue::Timestamp(seconds) => UNIX_EPOCH.checked_add(Duration::from_secs(*seconds)),
        _ => None,
    }
}

fn time(properties: &BasicProperties, name: &str) -> Option<SystemTime> {
    let ms = u64::try_from(header_number(properties, name)?).ok()?;
    UNIX_EPOCH.checked_add(Duration::from_millis(ms))
}

fn causes(properties: &BasicProperties) -> Vec<String> {
    match header(properties, again::ERROR_CHAIN) {
        Some(AMQPValue::FieldArray(causes)) => {
            let causes = causes.as_slice().iter().filter_map(as_text);
            causes.map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}
