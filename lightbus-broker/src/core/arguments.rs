//! Reading, comparing and describing the arguments of declarations.

use super::errors::{Fault, Outcome, precondition_failed};
use amq_protocol::types::{AMQPValue, FieldTable};
use std::fmt::Display;

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

fn describe(value: Option<&AMQPValue>) -> String {
    let Some(value) = value else {
        return "none".to_owned();
    };
    let shown = match (integer(value), text(value), value) {
        (Some(number), _, _) => number.to_string(),
        (_, Some(text), _) => text.to_owned(),
        (_, _, AMQPValue::Boolean(flag)) => flag.to_string(),
        _ => format!("{value:?}"),
    };
    format!("the value '{shown}' of type '{}'", type_name(value))
}

/// Integers compare by value, whatever their type.
pub(crate) fn same(a: Option<&AMQPValue>, b: Option<&AMQPValue>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => match (integer(a), integer(b)) {
            (Some(a), Some(b)) => a == b,
            _ => a == b || (text(a).is_some() && text(a) == text(b)),
        },
        _ => false,
    }
}

/// Refuses a declaration whose named arguments differ from the existing ones.
pub(crate) fn assert_same(
    names: &[&str],
    subject: &str,
    received: &FieldTable,
    current: &FieldTable,
) -> Outcome {
    for name in names {
        let (new, old) = (received.inner().get(*name), current.inner().get(*name));
        if !same(new, old) {
            return Err(inequivalent(name, subject, &describe(new), &describe(old)));
        }
    }
    Ok(())
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
