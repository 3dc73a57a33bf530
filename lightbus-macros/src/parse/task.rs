//! The words inside `#[task(…)]`.

use std::ops::RangeInclusive;

use syn::{Attribute, LitStr};

use super::duration::{self, OF_BACKOFFS, OF_TASKS};
use super::{Entry, Key, Takes, attribute_entries};
use crate::diagnostics::Diagnostics;
use crate::model::{Backoff, Rate, TaskOptions};

const TASK_KEYS: &[Key] = &[
    Key {
        name: "retries",
        usage: "`retries = 5`",
        takes: Takes::Number,
    },
    Key {
        name: "backoff",
        usage: "`backoff = \"2s\"`",
        takes: Takes::Text,
    },
    Key {
        name: "timeout",
        usage: "`timeout = \"30s\"`",
        takes: Takes::Text,
    },
    Key {
        name: "expires",
        usage: "`expires = \"1h\"`",
        takes: Takes::Text,
    },
    Key {
        name: "result_ttl",
        usage: "`result_ttl = \"1h\"`",
        takes: Takes::Text,
    },
    Key {
        name: "unique",
        usage: "`unique`",
        takes: Takes::Nothing,
    },
    Key {
        name: "queue",
        usage: "`queue = \"slow\"`",
        takes: Takes::Text,
    },
    Key {
        name: "rate",
        usage: "`rate = \"10/s\"`",
        takes: Takes::Text,
    },
    Key {
        name: "concurrency",
        usage: "`concurrency = 3`",
        takes: Takes::Number,
    },
    Key {
        name: "name",
        usage: "`name = \"name_on_the_bus\"`",
        takes: Takes::Text,
    },
];

const RETRIES: RangeInclusive<u32> = 0..=1000;
const CONCURRENCY: RangeInclusive<u32> = 1..=1000;

/// Reads `#[task]` and `#[task(…)]`.
pub(crate) fn task_options(attr: &Attribute, diagnostics: &mut Diagnostics) -> TaskOptions {
    let mut options = TaskOptions::default();
    for entry in attribute_entries("task", attr, TASK_KEYS, diagnostics) {
        match entry.key.to_string().as_str() {
            "retries" => options.retries = number(&entry, RETRIES, diagnostics),
            "backoff" => options.backoff = entry.literal().and_then(|v| backoff(v, diagnostics)),
            "timeout" => options.timeout_ms = entry.duration(&OF_TASKS, diagnostics),
            "expires" => options.expires_ms = entry.duration(&OF_TASKS, diagnostics),
            "result_ttl" => options.result_ttl_ms = entry.duration(&OF_TASKS, diagnostics),
            "unique" => options.unique = true,
            "queue" => options.queue = entry.text(),
            "rate" => options.rate = entry.literal().and_then(|v| rate(v, diagnostics)),
            "concurrency" => {
                let number = number(&entry, CONCURRENCY, diagnostics);
                options.concurrency = number.and_then(|number| number.try_into().ok());
            }
            _ => options.name = entry.text(),
        }
    }
    options
}

fn number(entry: &Entry, range: RangeInclusive<u32>, diagnostics: &mut Diagnostics) -> Option<u32> {
    let written = entry.number()?;
    let number = written.base10_parse().ok().filter(|n| range.contains(n));
    if number.is_none() {
        let (key, from, to) = (&entry.key, range.start(), range.end());
        diagnostics.on(
            written,
            format_args!("`{key}` is a whole number from {from} to {to}"),
        );
    }
    number
}

fn backoff(written: &LitStr, diagnostics: &mut Diagnostics) -> Option<Backoff> {
    match read_backoff(&written.value()) {
        Ok(backoff) => Some(backoff),
        Err(reason) => {
            diagnostics.on(written, format_args!("{reason}: the time between attempts is `\"2s\"`, doubled after each, `\"10s fixed\"`, or one after another, `\"1s, 10s, 1m\"`; a time is a whole number and `ms`, `s`, `m`, `h` or `d`, up to `365d`"));
            None
        }
    }
}

fn read_backoff(text: &str) -> Result<Backoff, &'static str> {
    let ms = |text: &str| duration::milliseconds(text.trim(), &OF_BACKOFFS);
    if text.contains(',') {
        let list = text.split(',').map(ms).collect::<Result<_, _>>()?;
        return Ok(Backoff::List(list));
    }
    match text.trim().split_once(' ') {
        Some((time, word)) if word.trim() == "fixed" => ms(time).map(Backoff::Fixed),
        Some(_) => Err("not a backoff"),
        None => ms(text).map(Backoff::Exponential),
    }
}

fn rate(written: &LitStr, diagnostics: &mut Diagnostics) -> Option<Rate> {
    let rate = read_rate(&written.value());
    if rate.is_none() {
        diagnostics.on(written, "not a rate: it is a whole number from 1 on and `/s`, `/m` or `/h`, like `\"10/s\"`: so many begin in a second, a minute or an hour, across all workers");
    }
    rate
}

fn read_rate(text: &str) -> Option<Rate> {
    let (count, unit) = text.split_once('/')?;
    let per_ms = match unit {
        "s" => 1000,
        "m" => 60 * 1000,
        "h" => 60 * 60 * 1000,
        _ => return None,
    };
    // `parse` would take `+10`.
    let digits = count.bytes().all(|byte| byte.is_ascii_digit());
    let count = count.parse().ok().filter(|count| digits && *count > 0)?;
    Some(Rate { count, per_ms })
}

#[cfg(test)]
mod tests {
    use super::{read_backoff, read_rate};
    use crate::model::{Backoff, Rate};

    #[test]
    fn backoffs() {
        assert_eq!(read_backoff("2s"), Ok(Backoff::Exponential(2000)));
        assert_eq!(read_backoff("10s fixed"), Ok(Backoff::Fixed(10_000)));
        assert_eq!(read_backoff("0s fixed"), Ok(Backoff::Fixed(0)));
        let list = Backoff::List(vec![1000, 10_000, 60_000]);
        assert_eq!(read_backoff("1s, 10s,1m"), Ok(list));
        for wrong in [
            "",
            "2",
            "fixed",
            "10s slowly",
            "10s fixed fixed",
            "1s, 10s fixed",
            "1s,",
            ",",
            "1s 10s",
            "366d",
        ] {
            assert!(read_backoff(wrong).is_err(), "{wrong} was taken");
        }
    }

    #[test]
    fn rates() {
        let rate = |count, per_ms| Some(Rate { count, per_ms });
        assert_eq!(read_rate("10/s"), rate(10, 1000));
        assert_eq!(read_rate("1/m"), rate(1, 60_000));
        assert_eq!(read_rate("4294967295/h"), rate(u32::MAX, 3_600_000));
        for wrong in [
            "",
            "10",
            "10/",
            "/s",
            "0/s",
            "-1/s",
            "+1/s",
            "1.5/s",
            "10/d",
            "10/ms",
            "10 / s",
            "4294967296/s",
        ] {
            assert_eq!(read_rate(wrong), None, "{wrong} was taken");
        }
    }
}
