//! Where a consumer of a stream starts, and which of its messages it wants.

use super::arguments::{integer, text, type_name};
use amq_protocol::types::{AMQPValue, FieldTable};
use std::time::Duration;

/// Where to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    First,
    Last,
    /// With what comes after.
    Next,
    /// With this record, or the first that is there.
    Offset(u64),
    /// With the first record of this second since 1970, or of a later one.
    Since(u64),
}

/// Which messages a consumer wants, by their `x-stream-filter-value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    values: Vec<String>,
    unfiltered: bool,
}

impl Filter {
    /// Whether a message with this value, or with none, is wanted.
    pub(crate) fn admits(&self, value: Option<&str>) -> bool {
        match value {
            Some(value) => self.values.iter().any(|wanted| wanted == value),
            None => self.unfiltered,
        }
    }
}

/// Reads `x-stream-offset`; `now` is in seconds since 1970. Fails with RabbitMQ's words.
pub(crate) fn start(value: Option<&AMQPValue>, now: u64) -> Result<Start, String> {
    let Some(value) = value else {
        return Ok(Start::Next);
    };
    let start = match (value, text(value)) {
        (_, Some("first")) => Some(Start::First),
        (_, Some("last")) => Some(Start::Last),
        (_, Some("next")) => Some(Start::Next),
        (_, Some(other)) => age(other).map(|age| Start::Since(now.saturating_sub(age.as_secs()))),
        (AMQPValue::Timestamp(second), _) => Some(Start::Since(*second)),
        _ => integer(value).map(|n| Start::Offset(u64::try_from(n).unwrap_or(0))),
    };
    let term = || match (value, text(value)) {
        (_, Some(text)) => format!("{{longstr,<<\"{text}\">>}}"),
        (AMQPValue::Boolean(flag), _) => format!("{{bool,{flag}}}"),
        _ => type_name(value).to_owned(),
    };
    start.ok_or_else(|| format!("{{invalid_stream_offset_arg,{}}}", term()))
}

/// Reads `x-stream-filter` and `x-stream-match-unfiltered`.
pub(crate) fn filter(arguments: &FieldTable) -> Option<Filter> {
    let values = match arguments.inner().get("x-stream-filter")? {
        AMQPValue::FieldArray(list) => {
            let texts = list.as_slice().iter().filter_map(text);
            texts.map(str::to_owned).collect()
        }
        value => vec![text(value)?.to_owned()],
    };
    let unfiltered = arguments.inner().get("x-stream-match-unfiltered");
    Some(Filter {
        values,
        unfiltered: matches!(unfiltered, Some(AMQPValue::Boolean(true))),
    })
}

/// A time like `5m` or `1D`: a number above zero and one of `Y`, `M`, `D`, `h`, `m`, `s`.
pub(crate) fn age(text: &str) -> Option<Duration> {
    const DAY: u64 = 24 * 3600;
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = match unit {
        "Y" => 365 * DAY,
        "M" => 30 * DAY,
        "D" => DAY,
        "h" => 3600,
        "m" => 60,
        "s" => 1,
        _ => return None,
    };
    let number: u64 = number.parse().ok().filter(|number| *number > 0)?;
    number.checked_mul(unit).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use amq_protocol::types::FieldArray;

    fn long(text: &str) -> AMQPValue {
        AMQPValue::LongString(text.into())
    }

    #[test]
    fn ages_have_a_number_and_a_unit() {
        for (text, seconds) in [
            ("4s", 4),
            ("3m", 180),
            ("2h", 7200),
            ("1D", 86_400),
            ("2M", 5_184_000),
            ("1Y", 31_536_000),
        ] {
            assert_eq!(age(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in [
            "",
            "5",
            "D",
            "0s",
            "5x",
            "1DD",
            " 1D",
            "1d",
            "99999999999999999999s",
        ] {
            assert_eq!(age(text), None, "{text}");
        }
    }

    #[test]
    fn every_kind_of_start_is_understood() {
        let at = |value: AMQPValue| start(Some(&value), 10_000);
        assert_eq!(start(None, 10_000), Ok(Start::Next));
        assert_eq!(at(long("first")), Ok(Start::First));
        assert_eq!(at(long("last")), Ok(Start::Last));
        assert_eq!(at(long("next")), Ok(Start::Next));
        assert_eq!(at(long("1h")), Ok(Start::Since(6400)));
        assert_eq!(at(AMQPValue::Timestamp(5)), Ok(Start::Since(5)));
        assert_eq!(at(AMQPValue::LongLongInt(5)), Ok(Start::Offset(5)));
        assert_eq!(at(AMQPValue::LongInt(-5)), Ok(Start::Offset(0)));
        let why = "{invalid_stream_offset_arg,{longstr,<<\"5x\">>}}";
        assert_eq!(at(long("5x")), Err(why.to_owned()));
        assert!(at(AMQPValue::Boolean(true)).is_err());
    }

    #[test]
    fn a_filter_names_values_and_says_what_of_messages_without() {
        let mut arguments = FieldTable::default();
        assert_eq!(filter(&arguments), None);
        let both = FieldArray::from(vec![long("x"), long("y")]);
        arguments.insert("x-stream-filter".into(), AMQPValue::FieldArray(both));
        let admits = |arguments: &FieldTable| {
            let filter = filter(arguments);
            [Some("x"), Some("y"), Some("z"), None]
                .map(|value| filter.as_ref().is_some_and(|filter| filter.admits(value)))
        };
        assert_eq!(admits(&arguments), [true, true, false, false]);
        arguments.insert("x-stream-match-unfiltered".into(), AMQPValue::Boolean(true));
        assert_eq!(admits(&arguments), [true, true, false, true]);
    }
}
