//! Durations as people write them: `"2s"`.

use syn::LitStr;

use crate::diagnostics::Diagnostics;

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Which durations a key takes.
pub(super) struct Range {
    /// Its longest, in milliseconds.
    longest: u64,
    /// What is said of a longer one.
    too_long: &'static str,
    /// What is said of none at all, where that is wrong.
    zero: Option<&'static str>,
    /// Units, an example and the longest, for messages.
    usage: &'static str,
}

/// How long a caller waits.
pub(super) const OF_CALLS: Range = Range {
    longest: DAY,
    too_long: "longer than a day",
    zero: Some("with no time at all no call can succeed"),
    usage: "a timeout is a whole number and a unit, `ms`, `s`, `m` or `h`, like `\"2s\"`, up to `\"24h\"`",
};

/// Times of a task.
pub(super) const OF_TASKS: Range = Range {
    longest: 365 * DAY,
    too_long: "longer than a year",
    zero: Some("with no time at all no task can succeed"),
    usage: "a task's time is a whole number and a unit, `ms`, `s`, `m`, `h` or `d`, like `\"30s\"`, up to `\"365d\"`",
};

/// Times between a task's attempts: it may be tried again at once.
pub(super) const OF_BACKOFFS: Range = Range {
    zero: None,
    ..OF_TASKS
};

/// The milliseconds of a duration; a wrong one is reported.
pub(super) fn read(value: &LitStr, range: &Range, diagnostics: &mut Diagnostics) -> Option<u64> {
    match milliseconds(&value.value(), range) {
        Ok(ms) => Some(ms),
        Err(reason) => {
            diagnostics.on(value, format_args!("{reason}: {}", range.usage));
            None
        }
    }
}

/// `"2s"` → 2000.
pub(super) fn milliseconds(text: &str, range: &Range) -> Result<u64, &'static str> {
    let digits = text
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "ms" => 1,
        "s" => SECOND,
        "m" => MINUTE,
        "h" => HOUR,
        "d" if range.longest > DAY => DAY,
        "" => return Err("the unit is missing"),
        _ => return Err("not a duration"),
    };
    if number.is_empty() {
        return Err("the number is missing");
    }
    let ms = number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(factor));
    match (ms, range.zero) {
        (Some(0), Some(reason)) => Err(reason),
        (Some(ms), _) if ms <= range.longest => Ok(ms),
        _ => Err(range.too_long),
    }
}

#[cfg(test)]
mod tests {
    use super::{OF_BACKOFFS, OF_CALLS, OF_TASKS, milliseconds};

    #[test]
    fn durations() {
        assert_eq!(milliseconds("2s", &OF_CALLS), Ok(2000));
        assert_eq!(milliseconds("150ms", &OF_CALLS), Ok(150));
        assert_eq!(milliseconds("5m", &OF_CALLS), Ok(300_000));
        assert_eq!(milliseconds("24h", &OF_CALLS), Ok(86_400_000));
        for wrong in [
            "",
            "s",
            "2",
            "0s",
            "2 s",
            "-1s",
            "1.5s",
            "2d",
            "25h",
            "99999999999999999999s",
            "2sec",
        ] {
            assert!(milliseconds(wrong, &OF_CALLS).is_err(), "{wrong} was taken");
        }
    }

    #[test]
    fn durations_of_tasks() {
        assert_eq!(milliseconds("25h", &OF_TASKS), Ok(90_000_000));
        assert_eq!(milliseconds("365d", &OF_TASKS), Ok(31_536_000_000));
        assert_eq!(milliseconds("0s", &OF_BACKOFFS), Ok(0));
        for wrong in [
            "0s",
            "0d",
            "366d",
            "8761h",
            "1w",
            "1 d",
            "1.5d",
            "999999999999999999d",
        ] {
            assert!(milliseconds(wrong, &OF_TASKS).is_err(), "{wrong} was taken");
        }
    }
}
