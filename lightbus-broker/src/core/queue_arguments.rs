//! What the arguments of `queue.declare` mean.

use super::{
    arguments::{integer, invalid, text, type_name},
    errors::{Outcome, precondition_failed},
};
use amq_protocol::types::{AMQPValue, FieldTable};
use std::{sync::Arc, time::Duration};

/// How often a quorum queue delivers a message again, where the declaration does not say.
const DEFAULT_DELIVERY_LIMIT: i64 = 20;

/// The arguments that two declarations of one queue must share.
pub(crate) const COMPARED: &[&str] = &[
    "x-expires",
    "x-message-ttl",
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
    "x-dead-letter-strategy",
    "x-max-length",
    "x-max-length-bytes",
    "x-max-in-memory-length",
    "x-max-in-memory-bytes",
    "x-max-priority",
    "x-overflow",
    "x-queue-mode",
    "x-single-active-consumer",
    "x-delivery-limit",
    "x-quorum-initial-group-size",
    "x-max-age",
    "x-stream-max-segment-size-bytes",
];

/// The kinds of queue there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    #[default]
    Classic,
    Quorum,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Quorum => "quorum",
        }
    }
}

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
    pub(crate) kind: Kind,
    pub(crate) expires: Option<Duration>,
    pub(crate) message_ttl: Option<u64>,
    pub(crate) max_length: Option<usize>,
    pub(crate) max_bytes: Option<usize>,
    pub(crate) overflow: Overflow,
    pub(crate) dead_letter_exchange: Option<Arc<str>>,
    pub(crate) dead_letter_key: Option<Arc<str>>,
    pub(crate) single_active: bool,
    pub(crate) delivery_limit: Option<u32>,
    pub(crate) max_priority: u8,
}

/// A table being read on behalf of one queue.
struct Reader<'a> {
    table: &'a FieldTable,
    subject: &'a str,
}

impl QueueArguments {
    /// Reads and checks a declaration's arguments; `subject` names the queue in errors.
    pub(crate) fn read(table: &FieldTable, subject: &str) -> Outcome<Self> {
        let reader = Reader { table, subject };
        let kind = reader.kind()?;
        let arguments = Self {
            kind,
            expires: reader.number("x-expires", 1)?.map(Duration::from_millis),
            message_ttl: reader.number("x-message-ttl", 0)?,
            max_length: reader.number("x-max-length", 0)?.map(|n| n as usize),
            max_bytes: reader.number("x-max-length-bytes", 0)?.map(|n| n as usize),
            overflow: reader.overflow(kind)?,
            dead_letter_exchange: reader.text("x-dead-letter-exchange")?.map(Arc::from),
            dead_letter_key: reader.text("x-dead-letter-routing-key")?.map(Arc::from),
            single_active: reader.flag("x-single-active-consumer")?,
            delivery_limit: reader.delivery_limit(kind)?,
            max_priority: reader.max_priority(kind)?,
        };
        if arguments.dead_letter_key.is_some() && arguments.dead_letter_exchange.is_none() {
            return Err(invalid(
                "x-dead-letter-routing-key",
                subject,
                "routing_key_but_no_dlx_defined",
            ));
        }
        Ok(arguments)
    }
}

impl<'a> Reader<'a> {
    fn get(&self, name: &str) -> Option<&'a AMQPValue> {
        self.table.inner().get(name)
    }

    fn refuse<T>(&self, name: &str, why: &str) -> Outcome<T> {
        Err(invalid(name, self.subject, why))
    }

    fn number(&self, name: &str, least: i64) -> Outcome<Option<u64>> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        match integer(value) {
            None => self.refuse(name, &format!("{{unacceptable_type,{}}}", type_name(value))),
            Some(n) if n < 0 => self.refuse(name, &format!("{{value_negative,{n}}}")),
            Some(n) if n < least => self.refuse(name, &format!("{{value_zero,{n}}}")),
            Some(n) if n > i64::from(u32::MAX) && name != "x-max-length-bytes" => {
                self.refuse(name, &format!("{{value_too_big,{n}}}"))
            }
            Some(n) => Ok(Some(n as u64)),
        }
    }

    fn text(&self, name: &str) -> Outcome<Option<&'a str>> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        match text(value) {
            Some(text) => Ok(Some(text)),
            None => self.refuse(name, &format!("{{unacceptable_type,{}}}", type_name(value))),
        }
    }

    fn flag(&self, name: &str) -> Outcome<bool> {
        match self.get(name) {
            None => Ok(false),
            Some(AMQPValue::Boolean(flag)) => Ok(*flag),
            Some(value) => {
                self.refuse(name, &format!("{{unacceptable_type,{}}}", type_name(value)))
            }
        }
    }

    fn kind(&self) -> Outcome<Kind> {
        match self.text("x-queue-type")? {
            None | Some("classic") => Ok(Kind::Classic),
            Some("quorum") => Ok(Kind::Quorum),
            Some("stream") => Err(precondition_failed(format!(
                "queue type 'stream' of {} is not supported by this broker",
                self.subject
            ))),
            Some(_) => self.refuse("x-queue-type", "unknown_queue_type"),
        }
    }

    fn overflow(&self, kind: Kind) -> Outcome<Overflow> {
        match (self.text("x-overflow")?, kind) {
            (None | Some("drop-head"), _) => Ok(Overflow::DropHead),
            (Some("reject-publish"), _) => Ok(Overflow::RejectPublish),
            (Some("reject-publish-dlx"), Kind::Classic) => Ok(Overflow::RejectPublishDeadLetter),
            (Some(other), _) => {
                self.refuse("x-overflow", &format!("{{unsupported_overflow,{other}}}"))
            }
        }
    }

    fn delivery_limit(&self, kind: Kind) -> Outcome<Option<u32>> {
        let given = match self
            .get("x-delivery-limit")
            .map(|value| (value, integer(value)))
        {
            None => None,
            Some((_, Some(limit))) => Some(limit),
            Some((value, None)) => {
                return self.refuse(
                    "x-delivery-limit",
                    &format!("{{unacceptable_type,{}}}", type_name(value)),
                );
            }
        };
        match kind {
            Kind::Classic => Ok(None),
            Kind::Quorum => Ok(u32::try_from(given.unwrap_or(DEFAULT_DELIVERY_LIMIT)).ok()),
        }
    }

    fn max_priority(&self, kind: Kind) -> Outcome<u8> {
        let Some(max) = self.number("x-max-priority", 0)? else {
            return Ok(0);
        };
        if kind == Kind::Quorum {
            return self.refuse("x-max-priority", "not supported by queues of type quorum");
        }
        u8::try_from(max)
            .or_else(|_| self.refuse("x-max-priority", &format!("{{value_too_big,{max}}}")))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(name: &str, value: AMQPValue) -> Outcome<QueueArguments> {
        let mut table = FieldTable::default();
        table.insert(name.into(), value);
        QueueArguments::read(&table, "queue 'q' in vhost '/'")
    }

    #[test]
    fn understands_what_it_is_given() {
        assert_eq!(
            read("x-expires", AMQPValue::LongInt(5)).unwrap().expires,
            Some(Duration::from_millis(5))
        );
        assert_eq!(
            read("x-message-ttl", AMQPValue::LongLongInt(0))
                .unwrap()
                .message_ttl,
            Some(0)
        );
        assert_eq!(
            read("x-queue-type", AMQPValue::LongString("quorum".into()))
                .unwrap()
                .delivery_limit,
            Some(20)
        );
        assert_eq!(
            read("x-unknown", AMQPValue::Void).unwrap().kind,
            Kind::Classic
        );
    }

    #[test]
    fn refuses_what_makes_no_sense() {
        let text = |name, value| read(name, value).unwrap_err().text;
        assert_eq!(
            text("x-expires", AMQPValue::LongInt(0)),
            "PRECONDITION_FAILED - invalid arg 'x-expires' for queue 'q' in vhost '/': {value_zero,0}"
        );
        assert!(text("x-message-ttl", AMQPValue::LongInt(-1)).ends_with("{value_negative,-1}"));
        assert!(
            text("x-max-length", AMQPValue::LongString("9".into()))
                .ends_with("{unacceptable_type,longstr}")
        );
        assert!(text("x-queue-type", AMQPValue::LongString("stream".into())).contains("'stream'"));
        assert!(
            read(
                "x-dead-letter-routing-key",
                AMQPValue::LongString("k".into())
            )
            .is_err()
        );
    }
}
