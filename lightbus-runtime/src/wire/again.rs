//! A message that is published once more: for another attempt, into the dead letters, or out of them.
//!
//! It keeps its id and what its sender gave it. What the broker or an earlier attempt added is left behind: RabbitMQ 3 would believe an `x-death` of a
//! publisher, and drop the message as going round in circles; `CC` and `BCC` would route it once more.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};

use super::{
    ATTEMPT, CHECKPOINT, ERROR, PERSISTENT, header, header_number, header_text, short, text_value,
    truncate,
};

/// The exchange and the routing key that it was first published with.
pub(crate) const ORIGIN: &str = "lb-orig-x";
pub(crate) const ORIGIN_KEY: &str = "lb-orig-key";
/// Who published it, as the broker attested. As its own property it would be refused: that has to be the one who publishes now.
const ORIGIN_USER: &str = "lb-orig-user";
pub(crate) const FIRST_FAILED: &str = "lb-first-fail-ts";
pub(crate) const ERROR_CHAIN: &str = "lb-err-chain";
pub(crate) const DEAD_REASON: &str = "lb-dead-reason";
pub(crate) const DEAD_QUEUE: &str = "lb-dead-queue";
pub(crate) const DEAD_AT: &str = "lb-dead-ts";
pub(crate) const DEAD_HOST: &str = "lb-dead-host";
pub(crate) const REPLAYED: &str = "lb-replayed";
/// How many deliveries of the message were lost before this copy was made of it.
const LOST: &str = "lb-lost";
/// How often in a row it was put off because nobody knew what to do with it.
const UNKNOWN: &str = "lb-unknown";

const CHAIN_LIMIT: usize = 8 * 1024;
const ONE_ERROR_LIMIT: usize = 1024;

/// Where a delivery came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct From<'a> {
    pub(crate) exchange: &'a str,
    pub(crate) key: &'a str,
}

/// What a dead letter says of its end.
#[derive(Debug)]
pub(crate) struct Death<'a> {
    pub(crate) reason: &'a str,
    /// The error, and its causes.
    pub(crate) errors: &'a [String],
    pub(crate) attempts: u32,
    pub(crate) queue: &'a str,
    pub(crate) host: &'a str,
    /// In milliseconds since 1970.
    pub(crate) at_ms: i64,
}

/// For attempt number `attempt`, counted from 0. The same number as before is for a message that is only put off.
pub(crate) fn for_attempt(
    old: &BasicProperties,
    from: From<'_>,
    attempt: u32,
    now_ms: i64,
) -> BasicProperties {
    let mut table = kept(old, from);
    table.insert(short(ATTEMPT), AMQPValue::LongUInt(attempt));
    if i64::from(attempt) > header_number(old, ATTEMPT).unwrap_or_default() {
        note_first_failure(old, now_ms, &mut table);
    }
    copy(old).with_headers(table)
}

/// For the dead letters.
pub(crate) fn for_the_dead(
    old: &BasicProperties,
    from: From<'_>,
    death: &Death<'_>,
) -> BasicProperties {
    let mut table = kept(old, from);
    note_first_failure(old, death.at_ms, &mut table);
    table.insert(short(ATTEMPT), AMQPValue::LongUInt(death.attempts));
    table.insert(short(DEAD_REASON), text_value(death.reason));
    table.insert(short(DEAD_QUEUE), text_value(death.queue));
    table.insert(short(DEAD_AT), AMQPValue::LongLongInt(death.at_ms));
    table.insert(short(DEAD_HOST), text_value(death.host));
    if let Some((first, causes)) = death.errors.split_first() {
        table.insert(short(ERROR), text_value(first));
        if !causes.is_empty() {
            table.insert(short(ERROR_CHAIN), chain(causes));
        }
    }
    copy(old).with_headers(table)
}

/// For the process that has it in hand. Should that be lost, it counts as a loss of the message.
pub(crate) fn to_hold(old: &BasicProperties, from: From<'_>) -> BasicProperties {
    let mut table = kept(old, from);
    let lost = losses(old).saturating_add(1);
    table.insert(short(LOST), AMQPValue::LongLongInt(lost));
    if let Some(attempt) = header(old, ATTEMPT) {
        table.insert(short(ATTEMPT), attempt.clone());
    }
    copy(old).with_headers(table)
}

/// How often the message was lost together with who had it: before this copy was made, and since.
pub(crate) fn losses(properties: &BasicProperties) -> i64 {
    let count = |name| header_number(properties, name).unwrap_or_default();
    count(LOST).saturating_add(count("x-delivery-count"))
}

/// For somebody who may know what to do with it, put off so often in a row.
pub(crate) fn unknown_again(new: BasicProperties, times: u32) -> BasicProperties {
    with_header(new, UNKNOWN, AMQPValue::LongUInt(times))
}

/// How often in a row nobody knew what to do with it.
pub(crate) fn times_unknown(properties: &BasicProperties) -> u32 {
    let times = header_number(properties, UNKNOWN).unwrap_or_default();
    u32::try_from(times).unwrap_or(u32::MAX)
}

/// Out of the dead letters, to be handled as if for the first time.
pub(crate) fn for_replay(old: &BasicProperties, from: From<'_>) -> BasicProperties {
    let mut table = kept(old, from);
    let before = header_number(old, REPLAYED).unwrap_or_default();
    table.insert(
        short(REPLAYED),
        AMQPValue::LongLongInt(before.saturating_add(1)),
    );
    copy(old).with_headers(table)
}

/// With what the attempt before it has noted for it.
pub(crate) fn with_checkpoint(new: BasicProperties, state: Option<Vec<u8>>) -> BasicProperties {
    let Some(state) = state else {
        return new;
    };
    let state = AMQPValue::LongString(LongString::from(state));
    with_header(new, CHECKPOINT, state)
}

fn with_header(new: BasicProperties, name: &str, value: AMQPValue) -> BasicProperties {
    let mut table = new.headers().clone().unwrap_or_default();
    table.insert(short(name), value);
    new.with_headers(table)
}

/// Where the message was first published to.
pub(crate) fn origin<'a>(properties: &'a BasicProperties, from: From<'a>) -> From<'a> {
    From {
        exchange: header_text(properties, ORIGIN).unwrap_or(from.exchange),
        key: header_text(properties, ORIGIN_KEY).unwrap_or(from.key),
    }
}

fn note_first_failure(old: &BasicProperties, now_ms: i64, table: &mut FieldTable) {
    let first = header_number(old, FIRST_FAILED).unwrap_or(now_ms);
    table.insert(short(FIRST_FAILED), AMQPValue::LongLongInt(first));
}

fn chain(causes: &[String]) -> AMQPValue {
    let mut left = CHAIN_LIMIT;
    let mut texts = lapin::types::FieldArray::default();
    for cause in causes {
        let cause = truncate(cause, ONE_ERROR_LIMIT.min(left));
        left -= cause.len();
        texts.push(text_value(cause));
        if left == 0 {
            break;
        }
    }
    AMQPValue::FieldArray(texts)
}

/// The headers that go on with the message, and where it came from.
fn kept(old: &BasicProperties, from: From<'_>) -> FieldTable {
    let mut table = FieldTable::default();
    if let Some(old) = old.headers() {
        for (name, value) in old.inner() {
            if goes_on(name.as_str()) {
                table.insert(name.clone(), value.clone());
            }
        }
    }
    let origin = origin(old, from);
    table.insert(short(ORIGIN), text_value(origin.exchange));
    table.insert(short(ORIGIN_KEY), text_value(origin.key));
    if let (Some(user), None) = (old.user_id(), header(old, ORIGIN_USER)) {
        table.insert(short(ORIGIN_USER), text_value(user.as_str()));
    }
    table
}

fn goes_on(header: &str) -> bool {
    let left_behind = [
        DEAD_REASON,
        DEAD_QUEUE,
        DEAD_AT,
        DEAD_HOST,
        ERROR,
        ERROR_CHAIN,
        ATTEMPT,
        LOST,
        UNKNOWN,
    ];
    !header.starts_with("x-") && !["CC", "BCC"].contains(&header) && !left_behind.contains(&header)
}

/// All properties but the expiration, which would end the message on the ladder, the user, the headers, and the priority and cluster, which mean nothing here.
fn copy(old: &BasicProperties) -> BasicProperties {
    fn set(
        properties: BasicProperties,
        value: &Option<ShortString>,
        with: fn(BasicProperties, ShortString) -> BasicProperties,
    ) -> BasicProperties {
        match value {
            Some(value) => with(properties, value.clone()),
            None => properties,
        }
    }
    let mut new = BasicProperties::default().with_delivery_mode(PERSISTENT);
    new = set(new, old.content_type(), BasicProperties::with_content_type);
    new = set(
        new,
        old.content_encoding(),
        BasicProperties::with_content_encoding,
    );
    new = set(
        new,
        old.correlation_id(),
        BasicProperties::with_correlation_id,
    );
    new = set(new, old.reply_to(), BasicProperties::with_reply_to);
    new = set(new, old.message_id(), BasicProperties::with_message_id);
    new = set(new, old.kind(), BasicProperties::with_type);
    new = set(new, old.app_id(), BasicProperties::with_app_id);
    if let Some(timestamp) = *old.timestamp() {
        new = new.with_timestamp(timestamp);
    }
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM: From<'_> = From {
        exchange: "lb.ev.shop",
        key: "shop.sold.bolt",
    };

    fn message(headers: &[&str]) -> BasicProperties {
        let mut table = FieldTable::default();
        for name in headers {
            table.insert(short(name), AMQPValue::LongInt(3));
        }
        BasicProperties::default()
            .with_message_id(short("id"))
            .with_user_id(short("ada"))
            .with_expiration(short("1000"))
            .with_headers(table)
    }

    fn names(properties: &BasicProperties) -> Vec<&str> {
        let headers = properties.headers().as_ref();
        headers.map_or_else(Vec::new, |table| {
            table.inner().keys().map(ShortString::as_str).collect()
        })
    }

    #[test]
    fn an_attempt_keeps_the_id_and_leaves_behind_what_the_broker_said() {
        let old = message(&["x-death", "CC", "BCC", "mine", "lb-err-msg"]);
        let new = for_attempt(&old, FROM, 4, 1);
        assert_eq!(new.message_id(), old.message_id());
        assert_eq!((new.expiration(), new.user_id()), (&None, &None));
        assert_eq!(header_number(&new, ATTEMPT), Some(4));
        assert_eq!(header_text(&new, ORIGIN_USER), Some("ada"));
        let kept = names(&new);
        for gone in ["x-death", "CC", "BCC", "lb-err-msg"] {
            assert!(!kept.contains(&gone), "{kept:?}");
        }
        assert!(kept.contains(&"mine"), "{kept:?}");
    }

    #[test]
    fn the_first_origin_and_the_first_failure_stay() {
        let first = for_attempt(&message(&[]), FROM, 1, 1);
        let ladder = From {
            exchange: "lb.delay.out",
            key: "0.1.lb.q.shop.log",
        };
        let second = for_attempt(&first, ladder, 2, 2);
        assert_eq!(origin(&second, ladder).key, FROM.key);
        assert_eq!(header_number(&second, FIRST_FAILED), Some(1));
    }

    #[test]
    fn what_nobody_knew_is_counted_in_a_row() {
        let unknown = unknown_again(for_attempt(&message(&[]), FROM, 1, 1), 7);
        assert_eq!(times_unknown(&unknown), 7);
        // Somebody knew it, and failed.
        assert_eq!(times_unknown(&for_attempt(&unknown, FROM, 2, 2)), 0);
        assert_eq!(times_unknown(&for_replay(&unknown, FROM)), 0);
    }

    #[test]
    fn a_dead_letter_tells_why_and_a_replay_forgets_it() {
        let errors: Vec<String> = (0..40).map(|n| n.to_string().repeat(600)).collect();
        let death = Death {
            at_ms: 1_700_000_000_000,
            reason: "failed",
            errors: &errors,
            attempts: 5,
            queue: "lb.q.shop.log",
            host: "here",
        };
        let dead = for_the_dead(&message(&[]), FROM, &death);
        assert_eq!(header_text(&dead, DEAD_REASON), Some("failed"));
        assert_eq!(header_number(&dead, ATTEMPT), Some(5));
        let Some(AMQPValue::FieldArray(chain)) = header(&dead, ERROR_CHAIN) else {
            unreachable!("a chain was written")
        };
        let size: usize = chain
            .as_slice()
            .iter()
            .filter_map(super::super::as_text)
            .map(str::len)
            .sum();
        assert_eq!(size, CHAIN_LIMIT);
        let replayed = for_replay(&dead, FROM);
        assert_eq!(header_number(&replayed, REPLAYED), Some(1));
        assert_eq!(header(&replayed, ATTEMPT), None);
        assert_eq!(header(&replayed, DEAD_REASON), None);
        assert_eq!(
            header_number(&for_replay(&replayed, FROM), REPLAYED),
            Some(2)
        );
    }
}
