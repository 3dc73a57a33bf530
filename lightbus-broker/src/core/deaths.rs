//! The history of a dead-lettered message, kept by the broker and shown to clients in headers. What clients write there is not believed.

use amq_protocol::types::{AMQPValue, FieldArray, FieldTable, ShortString};
use std::sync::Arc;

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
    fn table(&self) -> AMQPValue {
        let keys: Vec<_> = self.keys.iter().map(|key| text(key)).collect();
        let mut table = FieldTable::default();
        table.insert("count".into(), AMQPValue::LongLongInt(self.count));
        table.insert("reason".into(), text(self.reason.name()));
        table.insert("queue".into(), text(&self.queue));
        table.insert("time".into(), AMQPValue::Timestamp(self.time));
        table.insert("exchange".into(), text(&self.exchange));
        table.insert(
            "routing-keys".into(),
            AMQPValue::FieldArray(FieldArray::from(keys)),
        );
        if let Some(expiration) = self.expiration {
            table.insert("original-expiration".into(), text(&expiration.to_string()));
        }
        AMQPValue::FieldTable(table)
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

    /// Writes the history into a message's headers.
    pub(crate) fn write(&self, headers: &mut FieldTable) {
        let list: Vec<_> = self.list.iter().map(Death::table).collect();
        headers.insert(
            "x-death".into(),
            AMQPValue::FieldArray(FieldArray::from(list)),
        );
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
        let mut headers = FieldTable::default();
        deaths.write(&mut headers);
        assert_eq!(headers.inner().get("x-first-death-queue"), Some(&text("a")));
        assert_eq!(headers.inner().get("x-last-death-queue"), Some(&text("a")));
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
