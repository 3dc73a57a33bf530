//! How a headers exchange compares a message's headers with a binding's arguments.

use super::{
    arguments::{agree, integer, same, type_name},
    errors::{Outcome, precondition_failed},
};
use amq_protocol::types::{AMQPValue, FieldTable};

/// Whether the headers satisfy the binding.
pub(crate) fn matches(binding: &FieldTable, headers: &FieldTable) -> bool {
    let mode = match binding.inner().get("x-match") {
        Some(AMQPValue::LongString(mode)) => mode.as_bytes(),
        _ => b"all",
    };
    let with_x = mode.ends_with(b"-with-x");
    let mut wanted = binding.inner().iter().filter(|(key, _)| {
        key.as_str() != "x-match" && (with_x || !key.as_str().starts_with("x-"))
    });
    let holds = |(key, value): (&amq_protocol::types::ShortString, &AMQPValue)| match (
        value,
        headers.inner().get(key.as_str()),
    ) {
        (_, None) => false,
        (AMQPValue::Void, Some(_)) => true,
        (value, Some(found)) => is(value, found),
    };
    if mode.starts_with(b"any") {
        wanted.any(holds)
    } else {
        wanted.all(holds)
    }
}

/// Whether a header has the value a binding asks for. As in RabbitMQ 4, types count for nothing where values are of a kind;
/// and a message's time is in milliseconds, a binding's in seconds.
fn is(wanted: &AMQPValue, found: &AMQPValue) -> bool {
    let number = |value: &AMQPValue, second: i128| match value {
        AMQPValue::Timestamp(at) => Some(i128::from(*at) * second),
        other => integer(other).map(i128::from),
    };
    match (number(wanted, 1), number(found, 1000)) {
        (Some(wanted), Some(found)) => wanted == found,
        _ => same(Some(wanted), Some(found)) || agree(bytes(wanted), bytes(found)),
    }
}

fn bytes(value: &AMQPValue) -> Option<&[u8]> {
    match value {
        AMQPValue::LongString(text) => Some(text.as_bytes()),
        AMQPValue::ByteArray(bytes) => Some(bytes.as_slice()),
        _ => None,
    }
}

/// Refuses arguments that make no sense for a headers exchange.
pub(crate) fn assert_valid(binding: &FieldTable) -> Outcome {
    match binding.inner().get("x-match") {
        None => Ok(()),
        Some(AMQPValue::LongString(mode)) => match mode.as_bytes() {
            b"all" | b"any" | b"all-with-x" | b"any-with-x" => Ok(()),
            _ => Err(precondition_failed(format!(
                "Invalid x-match field value <<\"{mode}\">>; expected all, any, all-with-x, or any-with-x"
            ))),
        },
        Some(other) => {
            let shown = integer(other).map_or_else(|| format!("{other:?}"), |n| n.to_string());
            Err(precondition_failed(format!(
                "Invalid x-match field type {} (value {shown}); expected longstr",
                type_name(other)
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(entries: &[(&str, AMQPValue)]) -> FieldTable {
        let mut table = FieldTable::default();
        for (key, value) in entries {
            table.insert((*key).into(), value.clone());
        }
        table
    }

    fn text(value: &str) -> AMQPValue {
        AMQPValue::LongString(value.into())
    }

    #[test]
    fn all_is_the_default_and_any_needs_one() {
        let headers = table(&[("a", text("1")), ("b", AMQPValue::LongInt(2))]);
        let both = [("a", text("1")), ("b", AMQPValue::LongLongInt(2))];
        assert!(matches(&table(&both), &headers));
        let wrong = [("a", text("1")), ("b", AMQPValue::LongInt(3))];
        assert!(!matches(&table(&wrong), &headers));
        let mut any = table(&wrong);
        any.insert("x-match".into(), text("any"));
        assert!(matches(&any, &headers));
        assert!(!matches(&any, &FieldTable::default()));
    }

    #[test]
    fn void_asks_for_presence_and_x_is_ignored_unless_asked_for() {
        let headers = table(&[("a", text("1"))]);
        assert!(matches(&table(&[("a", AMQPValue::Void)]), &headers));
        assert!(!matches(&table(&[("z", AMQPValue::Void)]), &headers));
        assert!(matches(&table(&[("x-z", text("1"))]), &headers));
        assert!(!matches(
            &table(&[("x-z", text("1")), ("x-match", text("all-with-x"))]),
            &headers
        ));
        assert!(matches(&FieldTable::default(), &headers));
    }
}
