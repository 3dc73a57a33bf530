//! Which arguments each type of queue takes, and what is wrong with those it does not: names, order and texts are RabbitMQ's.

use super::{
    arguments::{integer, invalid, text, type_name},
    errors::{Outcome, precondition_failed},
    stream_offset,
};
use crate::queue_type::QueueType;
use amq_protocol::types::{AMQPValue, FieldTable};

/// The longest time to live or lease: ten years, in milliseconds.
pub(crate) const MAX_EXPIRY: i64 = 315_360_000_000;
/// The largest segment a stream can be asked for.
const MAX_SEGMENT: i64 = 3_000_000_000;

/// The arguments that a type of queue takes, in the order in which two declarations are compared.
pub(crate) fn known(kind: QueueType) -> &'static [&'static str] {
    match kind {
        QueueType::Classic => &[
            "x-expires",
            "x-message-ttl",
            "x-dead-letter-exchange",
            "x-dead-letter-routing-key",
            "x-max-length",
            "x-max-length-bytes",
            "x-max-priority",
            "x-overflow",
            "x-queue-mode",
            "x-queue-version",
            "x-single-active-consumer",
            "x-queue-type",
            "x-queue-master-locator",
            "x-queue-leader-locator",
        ],
        QueueType::Quorum => &[
            "x-dead-letter-exchange",
            "x-dead-letter-routing-key",
            "x-dead-letter-strategy",
            "x-expires",
            "x-max-length",
            "x-max-length-bytes",
            "x-max-in-memory-length",
            "x-max-in-memory-bytes",
            "x-overflow",
            "x-single-active-consumer",
            "x-queue-type",
            "x-quorum-initial-group-size",
            "x-delivery-limit",
            "x-message-ttl",
            "x-queue-leader-locator",
        ],
        QueueType::Stream => &[
            "x-max-length-bytes",
            "x-queue-type",
            "x-max-age",
            "x-stream-max-segment-size-bytes",
            "x-initial-cluster-size",
            "x-queue-leader-locator",
        ],
    }
}

const TYPES: [QueueType; 3] = [QueueType::Classic, QueueType::Quorum, QueueType::Stream];

/// Says what is wrong with a value, in RabbitMQ's words.
type Check = fn(&AMQPValue, &FieldTable) -> Result<(), String>;

/// The checks, in the order in which they are made. An argument without one may be anything.
const CHECKS: &[(&str, Check)] = &[
    ("x-expires", |value, _| lease(value, 1)),
    ("x-message-ttl", |value, _| lease(value, 0)),
    ("x-dead-letter-routing-key", dead_letter_key),
    ("x-dead-letter-strategy", |value, _| {
        one_of(
            value,
            &["at-most-once", "at-least-once"],
            "invalid_dlx_strategy",
        )
    }),
    ("x-max-length", |value, _| natural(value).map(drop)),
    ("x-max-length-bytes", |value, _| natural(value).map(drop)),
    ("x-max-in-memory-length", |value, _| {
        natural(value).map(drop)
    }),
    ("x-max-in-memory-bytes", |value, _| natural(value).map(drop)),
    ("x-max-priority", |value, _| match natural(value)? {
        n if n > 255 => Err(format!("{{max_value_exceeded,{n}}}")),
        _ => Ok(()),
    }),
    ("x-overflow", |value, _| {
        one_of(
            value,
            &["drop-head", "reject-publish", "reject-publish-dlx"],
            "invalid_overflow",
        )
    }),
    ("x-queue-mode", |value, _| {
        let why = format!(
            "\"unsupported queue mode '{}'\"",
            text(value).unwrap_or_default()
        );
        one_of(value, &["default", "lazy"], &why)
    }),
    ("x-queue-version", |value, _| match natural(value)? {
        1 | 2 => Ok(()),
        n => Err(format!("\"unsupported queue version '{n}'\"")),
    }),
    ("x-single-active-consumer", |value, _| match value {
        AMQPValue::Boolean(_) => Ok(()),
        _ => Err(unacceptable(value)),
    }),
    ("x-quorum-initial-group-size", |value, _| positive(value)),
    ("x-max-age", |value, _| match text(value) {
        None => Err(unacceptable(value)),
        Some(age) => stream_offset::age(age)
            .map(drop)
            .ok_or_else(|| "invalid_max_age".to_owned()),
    }),
    ("x-stream-max-segment-size-bytes", |value, _| {
        natural(value).map(drop)
    }),
    ("x-initial-cluster-size", |value, _| positive(value)),
    ("x-queue-leader-locator", |value, _| {
        one_of(
            value,
            &["client-local", "balanced", "random", "min-masters"],
            "invalid_queue_locator_arg",
        )
    }),
];

/// The type a declaration asks for, if it names one.
pub(crate) fn named_type(table: &FieldTable, subject: &str) -> Outcome<Option<QueueType>> {
    let Some(value) = table.inner().get("x-queue-type") else {
        return Ok(None);
    };
    let why = match text(value).map(|name| (name, QueueType::named(name))) {
        Some((_, Some(kind))) => return Ok(Some(kind)),
        Some((name, None)) => format!("\"unsupported queue type '{name}'\""),
        None => unacceptable(value),
    };
    Err(invalid("x-queue-type", subject, &why))
}

/// Refuses values that make no sense and arguments that belong to other types of queue.
pub(crate) fn check(table: &FieldTable, kind: QueueType, subject: &str) -> Outcome {
    let given = |name: &str| table.inner().get(name);
    if let Some(value) = given("x-dead-letter-exchange").filter(|value| text(value).is_none()) {
        return Err(wrong_type("x-dead-letter-exchange", subject, value));
    }
    let known_here = known(kind);
    for (name, check) in CHECKS.iter().filter(|(name, _)| known_here.contains(name)) {
        if let Some(value) = given(name) {
            check(value, table).map_err(|why| invalid(name, subject, &why))?;
        }
    }
    let belongs = |name: &str| {
        known_here.contains(&name) || !TYPES.iter().any(|other| known(*other).contains(&name))
    };
    match table.inner().keys().find(|name| !belongs(name.as_str())) {
        Some(name) => Err(foreign(name.as_str(), subject, kind)),
        None => Ok(()),
    }
}

/// What only streams are asked, after all else was found in order.
pub(crate) fn check_stream(table: &FieldTable) -> Outcome {
    let given = |name: &str| table.inner().get(name);
    let segment = given("x-stream-max-segment-size-bytes").and_then(integer);
    if segment.is_some_and(|bytes| bytes > MAX_SEGMENT) {
        return Err(precondition_failed(
            "Exceeded max value for x-stream-max-segment-size-bytes",
        ));
    }
    match given("x-stream-filter-size-bytes").map(integer) {
        None | Some(Some(16..=255)) => Ok(()),
        // The two spaces are RabbitMQ's.
        Some(_) => Err(precondition_failed(
            "Invalid value for  x-stream-filter-size-bytes",
        )),
    }
}

/// The fault of an argument that only other types of queue take.
pub(crate) fn foreign(name: &str, subject: &str, kind: QueueType) -> super::errors::Fault {
    precondition_failed(format!(
        "invalid arg '{name}' for {subject} of queue type {}",
        kind.module()
    ))
}

/// The fault of an exchange's name that is no text.
pub(crate) fn wrong_type(name: &str, subject: &str, value: &AMQPValue) -> super::errors::Fault {
    precondition_failed(format!(
        "invalid type '{}' for arg '{name}' in {subject}",
        type_name(value)
    ))
}

fn unacceptable(value: &AMQPValue) -> String {
    format!("{{unacceptable_type,{}}}", type_name(value))
}

/// An integer of any width.
pub(crate) fn whole(value: &AMQPValue) -> Result<i64, String> {
    integer(value).ok_or_else(|| format!("\"expected integer, got {}\"", type_name(value)))
}

fn natural(value: &AMQPValue) -> Result<i64, String> {
    match whole(value)? {
        n if n < 0 => Err(format!("{{value_negative,{n}}}")),
        n => Ok(n),
    }
}

fn positive(value: &AMQPValue) -> Result<(), String> {
    match natural(value)? {
        0 => Err("{value_zero,0}".to_owned()),
        _ => Ok(()),
    }
}

fn lease(value: &AMQPValue, least: i64) -> Result<(), String> {
    match whole(value)? {
        0 if least > 0 => Err("{value_zero,0}".to_owned()),
        n => expiry(n).map(drop),
    }
}

/// A time to live, in milliseconds.
pub(crate) fn expiry(n: i64) -> Result<u64, String> {
    match n {
        n if n > MAX_EXPIRY => Err(format!("{{value_too_large,{n}}}")),
        n => u64::try_from(n).map_err(|_| format!("{{value_negative,{n}}}")),
    }
}

fn one_of(value: &AMQPValue, names: &[&str], why: &str) -> Result<(), String> {
    match text(value) {
        None => Err(unacceptable(value)),
        Some(name) if names.contains(&name) => Ok(()),
        Some(_) => Err(why.to_owned()),
    }
}

fn dead_letter_key(value: &AMQPValue, table: &FieldTable) -> Result<(), String> {
    match text(value) {
        None => Err(unacceptable(value)),
        Some(_) if table.inner().contains_key("x-dead-letter-exchange") => Ok(()),
        Some(_) => Err("routing_key_but_no_dlx_defined".to_owned()),
    }
}
