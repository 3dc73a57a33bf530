//! What the arguments of `queue.declare` mean.

use super::{
    arguments::{integer, text},
    errors::Outcome,
    queue_checks, stream_offset,
};
use crate::queue_type::QueueType;
use amq_protocol::types::{AMQPValue, FieldTable};
use std::{sync::Arc, time::Duration};

/// How often a quorum queue delivers a message again, where the declaration does not say.
const DEFAULT_DELIVERY_LIMIT: i64 = 20;

/// What a full queue does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Overflow {
    #[default]
    DropHead,
    RejectPublish,
    RejectPublishDeadLetter,
}

/// A queue's arguments, understood.
#[derive(Clone, Debug, Default)]
pub(crate) struct QueueArguments {
    pub(crate) kind: QueueType,
    pub(crate) expires: Option<Duration>,
    pub(crate) message_ttl: Option<u64>,
    pub(crate) max_length: Option<usize>,
    pub(crate) max_bytes: Option<usize>,
    pub(crate) overflow: Overflow,
    pub(crate) dead_letter_exchange: Option<Arc<str>>,
    pub(crate) dead_letter_key: Option<Arc<str>>,
    /// A dead letter is kept until every queue it goes to has taken it.
    pub(crate) at_least_once: bool,
    pub(crate) single_active: bool,
    /// How often a message may come back; none is as often as it likes.
    pub(crate) delivery_limit: Option<u32>,
    pub(crate) max_priority: u8,
    /// How long a delivery may stay unacknowledged, where that differs from the broker's own limit; `Duration::MAX` is for ever.
    pub(crate) consumer_timeout: Option<Duration>,
    /// How old a stream's records may become.
    pub(crate) max_age: Option<Duration>,
    pub(crate) segment_bytes: Option<usize>,
}

impl QueueArguments {
    /// Reads and checks the arguments of a queue of some type; `subject` names the queue in errors.
    pub(crate) fn read(table: &FieldTable, kind: QueueType, subject: &str) -> Outcome<Self> {
        queue_checks::check(table, kind, subject)?;
        let number = |name: &str| get(table, name).and_then(integer);
        let words = |name: &str| get(table, name).and_then(text);
        let size = |name: &str| number(name).and_then(|n| usize::try_from(n).ok());
        let milliseconds = |name: &str| number(name).and_then(|n| u64::try_from(n).ok());
        let overflow = overflow(words("x-overflow"), kind);
        Ok(Self {
            kind,
            expires: milliseconds("x-expires").map(Duration::from_millis),
            message_ttl: milliseconds("x-message-ttl"),
            max_length: size("x-max-length"),
            max_bytes: size("x-max-length-bytes"),
            overflow,
            dead_letter_exchange: words("x-dead-letter-exchange").map(Arc::from),
            dead_letter_key: words("x-dead-letter-routing-key").map(Arc::from),
            // A queue that drops its head cannot promise to keep anything.
            at_least_once: words("x-dead-letter-strategy") == Some("at-least-once")
                && overflow == Overflow::RejectPublish
                && words("x-dead-letter-exchange").is_some(),
            single_active: matches!(
                get(table, "x-single-active-consumer"),
                Some(AMQPValue::Boolean(true))
            ),
            delivery_limit: delivery_limit(get(table, "x-delivery-limit"), kind),
            max_priority: number("x-max-priority").map_or(0, |max| max as u8),
            consumer_timeout: get(table, "x-consumer-timeout").map(|_| {
                milliseconds("x-consumer-timeout").map_or(Duration::MAX, Duration::from_millis)
            }),
            max_age: words("x-max-age").and_then(stream_offset::age),
            segment_bytes: size("x-stream-max-segment-size-bytes"),
        })
    }
}

fn get<'a>(table: &'a FieldTable, name: &str) -> Option<&'a AMQPValue> {
    table.inner().get(name)
}

/// Quorum queues know but two ways.
fn overflow(given: Option<&str>, kind: QueueType) -> Overflow {
    match given {
        Some("reject-publish") => Overflow::RejectPublish,
        Some("reject-publish-dlx") if kind == QueueType::Classic => {
            Overflow::RejectPublishDeadLetter
        }
        _ => Overflow::DropHead,
    }
}

/// What is not a number, or is a negative one, is no limit.
fn delivery_limit(given: Option<&AMQPValue>, kind: QueueType) -> Option<u32> {
    let limit = match given {
        _ if kind != QueueType::Quorum => return None,
        None => DEFAULT_DELIVERY_LIMIT,
        Some(value) => integer(value)?,
    };
    u32::try_from(limit).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SUBJECT: &str = "queue 'q' in vhost '/'";

    fn read(kind: QueueType, name: &str, value: AMQPValue) -> Outcome<QueueArguments> {
        let mut table = FieldTable::default();
        table.insert(name.into(), value);
        QueueArguments::read(&table, kind, SUBJECT)
    }

    fn text(value: &str) -> AMQPValue {
        AMQPValue::LongString(value.into())
    }

    #[test]
    fn understands_what_it_is_given() {
        let classic = |name, value| read(QueueType::Classic, name, value).unwrap();
        let quorum = |name, value| read(QueueType::Quorum, name, value).unwrap();
        let expires = classic("x-expires", AMQPValue::LongInt(5)).expires;
        assert_eq!(expires, Some(Duration::from_millis(5)));
        let ttl = classic("x-message-ttl", AMQPValue::LongLongInt(0)).message_ttl;
        assert_eq!(ttl, Some(0));
        assert_eq!(quorum("x-other", AMQPValue::Void).delivery_limit, Some(20));
        let limit = |value| quorum("x-delivery-limit", value).delivery_limit;
        assert_eq!(limit(AMQPValue::LongInt(-1)), None);
        assert_eq!(limit(AMQPValue::LongInt(3)), Some(3));
        assert_eq!(limit(text("many")), None);
        let timeout = |value| classic("x-consumer-timeout", value).consumer_timeout;
        assert_eq!(
            timeout(AMQPValue::LongInt(7)),
            Some(Duration::from_millis(7))
        );
        assert_eq!(timeout(AMQPValue::Void), Some(Duration::MAX));
    }

    #[test]
    fn keeping_dead_letters_needs_an_exchange_and_a_queue_that_refuses() {
        let all = [
            ("x-dead-letter-strategy", "at-least-once"),
            ("x-dead-letter-exchange", "dlx"),
            ("x-overflow", "reject-publish"),
        ];
        for skipped in 0..=all.len() {
            let mut table = FieldTable::default();
            for (_, (name, value)) in all.iter().enumerate().filter(|(at, _)| *at != skipped) {
                table.insert((*name).into(), text(value));
            }
            let read = QueueArguments::read(&table, QueueType::Quorum, SUBJECT).unwrap();
            assert_eq!(read.at_least_once, skipped == all.len());
        }
    }

    #[test]
    fn refuses_what_makes_no_sense() {
        use QueueType::{Classic, Quorum, Stream};
        let int = AMQPValue::LongInt;
        let cases = [
            (Classic, "x-expires", int(0), "{value_zero,0}"),
            (Classic, "x-message-ttl", int(-1), "{value_negative,-1}"),
            (
                Classic,
                "x-expires",
                AMQPValue::LongLongInt(315_360_000_001),
                "{value_too_large,315360000001}",
            ),
            (
                Classic,
                "x-max-length",
                text("9"),
                "\"expected integer, got longstr\"",
            ),
            (
                Classic,
                "x-max-priority",
                int(256),
                "{max_value_exceeded,256}",
            ),
            (Classic, "x-overflow", text("spill"), "invalid_overflow"),
            (
                Classic,
                "x-overflow",
                int(1),
                "{unacceptable_type,signedint}",
            ),
            (
                Classic,
                "x-queue-mode",
                text("x"),
                "\"unsupported queue mode 'x'\"",
            ),
            (
                Classic,
                "x-queue-version",
                int(3),
                "\"unsupported queue version '3'\"",
            ),
            (
                Classic,
                "x-single-active-consumer",
                int(1),
                "{unacceptable_type,signedint}",
            ),
            (
                Classic,
                "x-dead-letter-routing-key",
                text("k"),
                "routing_key_but_no_dlx_defined",
            ),
            (
                Quorum,
                "x-dead-letter-strategy",
                text("x"),
                "invalid_dlx_strategy",
            ),
            (
                Quorum,
                "x-quorum-initial-group-size",
                int(0),
                "{value_zero,0}",
            ),
            (
                Quorum,
                "x-queue-leader-locator",
                text("x"),
                "invalid_queue_locator_arg",
            ),
            (Stream, "x-max-age", text("5x"), "invalid_max_age"),
        ];
        for (kind, name, value, why) in cases {
            let wanted = format!("PRECONDITION_FAILED - invalid arg '{name}' for {SUBJECT}: {why}");
            assert_eq!(read(kind, name, value).unwrap_err().text, wanted);
        }
    }

    #[test]
    fn refuses_what_belongs_to_another_type_of_queue() {
        for (kind, name, value) in [
            (QueueType::Quorum, "x-max-priority", AMQPValue::LongInt(1)),
            (
                QueueType::Classic,
                "x-delivery-limit",
                AMQPValue::LongInt(1),
            ),
            (QueueType::Stream, "x-message-ttl", AMQPValue::LongInt(1)),
        ] {
            let wanted = format!(
                "PRECONDITION_FAILED - invalid arg '{name}' for {SUBJECT} of queue type {}",
                kind.module()
            );
            assert_eq!(read(kind, name, value).unwrap_err().text, wanted);
        }
        assert!(read(QueueType::Classic, "x-unknown", AMQPValue::Void).is_ok());
    }
}
