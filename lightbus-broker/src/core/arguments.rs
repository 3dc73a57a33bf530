//! Reading, comparing and describing the arguments of declarations.

use super::errors::{Fault, Outcome, precondition_failed};
use amq_protocol::types::{AMQPValue, FieldTable, ShortString};
use std::{collections::BTreeMap, fmt::Display};

/// Any integer type's value.
pub(crate) fn integer(value: &AMQPValue) -> Option<i64> {
    Some(match value {
        AMQPValue::ShortShortInt(n) => i64::from(*n),
        AMQPValue::ShortShortUInt(n) => i64::from(*n),
        AMQPValue::ShortInt(n) => i64::from(*n),
        AMQPValue::ShortUInt(n) => i64::from(*n),
        AMQPValue::LongInt(n) => i64::from(*n),
        AMQPValue::LongUInt(n) => i64::from(*n),
        AMQPValue::LongLongInt(n) => *n,
        _ => return None,
    })
}

/// A string's value.
pub(crate) fn text(value: &AMQPValue) -> Option<&str> {
    match value {
        AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok(),
        AMQPValue::ShortString(text) => Some(text.as_str()),
        _ => None,
    }
}

/// The name RabbitMQ gives a value's type.
pub(crate) fn type_name(value: &AMQPValue) -> &'static str {
    match value {
        AMQPValue::Boolean(_) => "bool",
        AMQPValue::ShortShortInt(_) => "byte",
        AMQPValue::ShortShortUInt(_) => "unsignedbyte",
        AMQPValue::ShortInt(_) => "short",
        AMQPValue::ShortUInt(_) => "unsignedshort",
        AMQPValue::LongInt(_) => "signedint",
        AMQPValue::LongUInt(_) => "unsignedint",
        AMQPValue::LongLongInt(_) => "long",
        AMQPValue::Float(_) => "float",
        AMQPValue::Double(_) => "double",
        AMQPValue::DecimalValue(_) => "decimal",
        AMQPValue::ShortString(_) | AMQPValue::LongString(_) => "longstr",
        AMQPValue::FieldArray(_) => "array",
        AMQPValue::Timestamp(_) => "timestamp",
        AMQPValue::FieldTable(_) => "table",
        AMQPValue::ByteArray(_) => "binary",
        AMQPValue::Void => "void",
    }
}

/// A value as errors show it.
fn shown(value: &AMQPValue) -> String {
    match (integer(value), text(value), value) {
        (Some(number), _, _) => number.to_string(),
        (_, Some(text), _) => text.to_owned(),
        (_, _, AMQPValue::Boolean(flag)) => flag.to_string(),
        (_, _, AMQPValue::Timestamp(seconds)) => seconds.to_string(),
        (_, _, AMQPValue::Void) => "undefined".to_owned(),
        _ => format!("{value:?}"),
    }
}

/// A table as people read it.
pub(crate) fn readable(table: &FieldTable) -> BTreeMap<String, String> {
    let entry = |(name, value): (&ShortString, &AMQPValue)| (name.to_string(), shown(value));
    table.inner().iter().map(entry).collect()
}

/// A value that stands against none at all: its type counts too.
fn described(value: &AMQPValue) -> String {
    format!(
        "the value '{}' of type '{}'",
        shown(value),
        type_name(value)
    )
}

/// Numbers compare by value, whatever their width.
pub(crate) fn same(a: Option<&AMQPValue>, b: Option<&AMQPValue>) -> bool {
    let (Some(a), Some(b)) = (a, b) else {
        return a.is_none() && b.is_none();
    };
    match (integer(a), integer(b)) {
        (Some(a), Some(b)) => a == b,
        _ => a == b || agree(text(a), text(b)) || agree(real(a), real(b)),
    }
}

/// Whether both are there, and equal.
pub(crate) fn agree<T: Copy + PartialEq>(a: Option<T>, b: Option<T>) -> bool {
    a.is_some() && a == b
}

fn real(value: &AMQPValue) -> Option<f64> {
    match value {
        AMQPValue::Float(number) => Some(f64::from(*number)),
        AMQPValue::Double(number) => Some(*number),
        _ => None,
    }
}

/// Refuses a declaration whose argument differs from the existing one's.
pub(crate) fn assert_same(
    name: &str,
    subject: &str,
    received: Option<&AMQPValue>,
    current: Option<&AMQPValue>,
) -> Outcome {
    if same(received, current) {
        return Ok(());
    }
    let (received, current) = match (received, current) {
        (Some(new), Some(old)) => (format!("'{}'", shown(new)), format!("'{}'", shown(old))),
        (new, old) => {
            let show = |value: Option<&AMQPValue>| value.map_or("none".to_owned(), described);
            (show(new), show(old))
        }
    };
    Err(inequivalent(name, subject, &received, &current))
}

/// Refuses a declaration whose property differs from the existing one.
pub(crate) fn assert_equal<T: Copy + Display + PartialEq>(
    name: &str,
    subject: &str,
    received: T,
    current: T,
) -> Outcome {
    if received == current {
        return Ok(());
    }
    let (received, current) = (format!("'{received}'"), format!("'{current}'"));
    Err(inequivalent(name, subject, &received, &current))
}

fn inequivalent(name: &str, subject: &str, received: &str, current: &str) -> Fault {
    precondition_failed(format!(
        "inequivalent arg '{name}' for {subject}: received {received} but current is {current}"
    ))
}

/// Refuses an argument's value.
pub(crate) fn invalid(name: &str, subject: &str, why: &str) -> Fault {
    precondition_failed(format!("invalid arg '{name}' for {subject}: {why}"))
}
