//! The history of a dead-lettered message, kept by the broker and shown to clients in headers. What clients write there is not believed.

use super::tables;
use amq_protocol::types::{AMQPValue, FieldTable, ShortString};
use std::{collections::BTreeMap, sync::Arc};

/// Why a message left a queue other than by being consumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    Rejected,
    Expired,
    MaxLen,
    DeliveryLimit,
}

impl Reason {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::MaxLen => "maxlen",
            Self::DeliveryLimit => "delivery_limit",
        }
    }
}

/// The deaths of one message in one queue for one reason.
#[derive(Clone, Debug)]
pub(crate) struct Death {
    pub(crate) queue: Arc<str>,
    pub(crate) reason: Reason,
    pub(crate) exchange: Arc<str>,
    pub(crate) keys: Vec<Arc<str>>,
    pub(crate) time: u64,
    pub(crate) expiration: Option<u64>,
    pub(crate) count: i64,
}

impl Death {
    /// Appends its table, in the order in which RabbitMQ writes one: some clients show it.
    fn encode(&self, wire: &mut Vec<u8>) {
        let keys: Vec<_> = self.keys.iter().map(|key| text(key)).collect();
        let expiration = self
            .expiration
            .map(|expiration| text(&expiration.to_string()));
        let entries = [
            ("count", Some(AMQPValue::LongLongInt(self.count))),
            ("reason", Some(text(self.reason.name()))),
            ("queue", Some(text(&self.queue))),
            ("time", Some(AMQPValue::Timestamp(self.time))),
            ("exchange", Some(text(&self.exchange))),
            ("routing-keys", Some(AMQPValue::FieldArray(keys.into()))),
            ("original-expiration", expiration),
        ];
        wire.push(b'F');
        tables::sized(wire, |wire| {
            for (name, value) in entries {
                if let Some(value) = value {
                    tables::entry(wire, name, value);
                }
            }
        });
    }
}

/// All deaths of one message, the latest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deaths {
    list: Vec<Death>,
    first: Option<Brief>,
    last: Option<Brief>,
}

/// A death in brief: queue, reason and the exchange it had come from. Where a message dies again as before, that exchange may
/// be another than in the list, which keeps the first.
type Brief = (Arc<str>, Reason, Arc<str>);

impl Deaths {
    /// Adds a death, or counts it where the message died so before.
    pub(crate) fn record(&mut self, mut death: Death) {
        let brief = (death.queue.clone(), death.reason, death.exchange.clone());
        self.first.get_or_insert_with(|| brief.clone());
        self.last = Some(brief);
        let same = |other: &Death| other.queue == death.queue && other.reason == death.reason;
        if let Some(at) = self.list.iter().position(same) {
            let before = self.list.remove(at);
            death = Death {
                count: before.count + 1,
                ..before
            };
        }
        self.list.insert(0, death);
    }

    /// The death it died last.
    pub(crate) fn last(&self) -> Option<&Death> {
        self.list.first()
    }

    /// Whether the message comes back to a queue without anyone having rejected it since it was there.
    pub(crate) fn is_cycle(&self, queue: &str) -> bool {
        match self.list.iter().position(|death| &*death.queue == queue) {
            Some(at) => self
                .list
                .iter()
                .take(at + 1)
                .all(|death| death.reason != Reason::Rejected),
            None => false,
        }
    }

    /// A message's headers as bytes, with the history in them.
    pub(crate) fn encode(&self, headers: &FieldTable) -> Vec<u8> {
        let mut headers = headers.inner().clone();
        self.insert_ends(&mut headers);
        headers.insert("x-death".into(), AMQPValue::Void);
        let mut wire = Vec::new();
        tables::sized(&mut wire, |wire| {
            for (name, value) in headers {
                if name.as_str() == "x-death" {
                    self.encode_list(wire);
                } else {
                    tables::entry(wire, name.as_str(), value);
                }
            }
        });
        wire
    }

    fn encode_list(&self, wire: &mut Vec<u8>) {
        wire.extend_from_slice(b"\x07x-deathA");
        tables::sized(wire, |wire| {
            self.list.iter().for_each(|death| death.encode(wire));
        });
    }

    /// The headers that tell of the first and of the last death.
    fn insert_ends(&self, headers: &mut BTreeMap<ShortString, AMQPValue>) {
        for (which, death) in [("first", &self.first), ("last", &self.last)] {
            if let Some((queue, reason, exchange)) = death {
                headers.insert(name(which, "queue"), text(queue));
                headers.insert(name(which, "reason"), text(reason.name()));
                headers.insert(name(which, "exchange"), text(exchange));
            }
        }
    }
}

fn name(which: &str, what: &str) -> ShortString {
    format!("x-{which}-death-{what}").into()
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn death(queue: &str, reason: Reason) -> Death {
        Death {
            queue: queue.into(),
            reason,
            exchange: "x".into(),
            keys: vec!["k".into()],
            time: 1,
            expiration: None,
            count: 1,
        }
    }

    #[test]
    fn repeated_deaths_are_counted_and_come_first() {
        let mut deaths = Deaths::default();
        for queue in ["a", "b", "a"] {
            deaths.record(death(queue, Reason::Expired));
        }
        let seen: Vec<_> = deaths
            .list
            .iter()
            .map(|death| (&*death.queue, death.count))
            .collect();
        assert_eq!(seen, [("a", 2), ("b", 1)]);
        let headers = tables::decode(&deaths.encode(&FieldTable::default())).unwrap_or_default();
        assert_eq!(headers.inner().get("x-first-death-queue"), Some(&text("a")));
        assert_eq!(headers.inner().get("x-last-death-queue"), Some(&text("a")));
    }

    #[test]
    fn a_death_is_told_in_rabbitmqs_order() {
        let mut deaths = Deaths::default();
        deaths.record(Death {
            expiration: Some(5),
            ..death("q", Reason::Expired)
        });
        let mut headers = FieldTable::default();
        headers.insert("z".into(), AMQPValue::Boolean(true));
        let wire = deaths.encode(&headers);
        let shown = String::from_utf8_lossy(&wire);
        let places: Vec<_> = [
            "count",
            "reason",
            "queue",
            "time",
            "exchange",
            "routing-keys",
            "original-expiration",
        ]
        .iter()
        .map(|name| shown.find(name))
        .collect();
        assert!(places[0].is_some() && places.is_sorted(), "{shown}");
        let read = tables::decode(&wire).unwrap_or_default();
        assert_eq!(read.inner().len(), 8, "x-death, its two ends, z");
    }

    #[test]
    fn a_rejection_breaks_a_cycle() {
        let mut deaths = Deaths::default();
        deaths.record(death("a", Reason::Expired));
        assert!(deaths.is_cycle("a"));
        assert!(!deaths.is_cycle("b"));
        deaths.record(death("b", Reason::Rejected));
        assert!(!deaths.is_cycle("a"));
    }
}
