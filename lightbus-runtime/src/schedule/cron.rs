//! A cron expression in a time zone.

use std::fmt;

use croner::Cron;
use croner::parser::{CronParser, Year};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use crate::error::Error;

/// When a cron expression is true, on the clocks of a time zone.
#[derive(Clone, Debug)]
pub(super) struct Calendar {
    text: String,
    cron: Cron,
    zone: TimeZone,
    zone_name: String,
}

impl Calendar {
    pub(super) fn new(text: &str, zone_name: &str) -> Result<Self, Error> {
        let parser = CronParser::builder().year(Year::Disallowed).build();
        let cron = parser
            .parse(text)
            .map_err(|error| illegal(text, &error.to_string()))?;
        let zone = TimeZone::get(zone_name).map_err(|_| unknown_zone(zone_name))?;
        let calendar = Self {
            text: text.to_owned(),
            cron,
            zone,
            zone_name: zone_name.to_owned(),
        };
        // The 30th of February is legal cron.
        match calendar.next(0) {
            Some(_) => Ok(calendar),
            None => Err(illegal(text, "it is never true")),
        }
    }

    /// The first time after this one, in milliseconds since 1970.
    pub(super) fn next(&self, after: i64) -> Option<i64> {
        let found = self.cron.find_next_occurrence(&self.at(after)?, false);
        Some(found.ok()?.timestamp().as_millisecond())
    }

    fn at(&self, ms: i64) -> Option<Zoned> {
        let timestamp = Timestamp::from_millisecond(ms).ok()?;
        Some(timestamp.to_zoned(self.zone.clone()))
    }
}

impl fmt::Display for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.text, self.zone_name)
    }
}

fn illegal(text: &str, reason: &str) -> Error {
    Error::Config(format!(
        "the cron expression `{text}` is not legal: {reason}. It has five fields (minute, hour, day of the month, month, day of the week), or six \
         with the second first: `30 3 * * MON-FRI` is half past three on working days; `@daily` and the like are legal too"
    ))
}

fn unknown_zone(name: &str) -> Error {
    Error::Config(format!(
        "the time zone `{name}` is unknown: use a name of the IANA database, like `Europe/Berlin` or `UTC`"
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn ms(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    fn following(calendar: &Calendar, after: &str, n: usize) -> Vec<String> {
        let mut at = ms(after);
        let next = || {
            at = calendar.next(at)?;
            Some(Timestamp::from_millisecond(at).unwrap().to_string())
        };
        std::iter::from_fn(next).take(n).collect()
    }

    #[test]
    fn a_time_is_the_time_zones() {
        let nightly = Calendar::new("0 3 * * *", "Europe/Berlin").unwrap();
        assert_eq!(nightly.to_string(), "0 3 * * * (Europe/Berlin)");
        let winter = following(&nightly, "2026-01-10T01:59:59.999Z", 2);
        assert_eq!(winter, ["2026-01-10T02:00:00Z", "2026-01-11T02:00:00Z"]);
        let summer = following(&nightly, "2026-07-10T01:00:00Z", 1);
        assert_eq!(summer, ["2026-07-11T01:00:00Z"]);
    }

    #[test]
    fn an_hour_that_is_left_out_in_spring_is_fired_at_its_end() {
        let calendar = Calendar::new("30 2 * * *", "Europe/Berlin").unwrap();
        assert_eq!(
            following(&calendar, "2026-03-27T12:00:00Z", 3),
            [
                "2026-03-28T01:30:00Z",
                "2026-03-29T01:00:00Z",
                "2026-03-30T00:30:00Z"
            ]
        );
    }

    #[test]
    fn an_hour_that_comes_twice_in_autumn_is_fired_once() {
        let calendar = Calendar::new("30 2 * * *", "Europe/Berlin").unwrap();
        assert_eq!(
            following(&calendar, "2026-10-24T12:00:00Z", 2),
            ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]
        );
    }

    #[test]
    fn what_is_every_so_often_is_so_in_both_nights() {
        let calendar = Calendar::new("*/30 * * * *", "Europe/Berlin").unwrap();
        for night in ["2026-03-29T00:00:00Z", "2026-10-25T00:00:00Z"] {
            let times = following(&calendar, night, 6);
            let times: Vec<_> = times.iter().map(|text| ms(text) - ms(night)).collect();
            let minutes: Vec<i64> = (1..=6).map(|n| n * 30 * 60_000).collect();
            assert_eq!(times, minutes, "{night}");
        }
    }

    #[test]
    fn seconds_and_nicknames_are_legal() {
        let every_second = Calendar::new("* * * * * *", "UTC").unwrap();
        assert_eq!(
            following(&every_second, "2026-01-01T00:00:00.5Z", 2),
            ["2026-01-01T00:00:01Z", "2026-01-01T00:00:02Z"]
        );
        let daily = Calendar::new("@daily", "UTC").unwrap();
        assert_eq!(
            following(&daily, "2026-01-01T00:00:00Z", 1),
            ["2026-01-02T00:00:00Z"]
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        for text in [
            "",
            "soon",
            "* * * *",
            "61 * * * *",
            "0 24 * * *",
            "0 0 30 2 *",
            "@sometimes",
            "@reboot",
            "0 0 0 1 1 * 2026",
            "0 0 * * MOO",
        ] {
            let error = Calendar::new(text, "UTC").map(|_| text).unwrap_err();
            let error = error.to_string();
            assert!(
                error.contains(&format!("`{text}`")) && error.contains("`30 3 * * MON-FRI`"),
                "{error}"
            );
        }
        let error = Calendar::new("0 3 * * *", "Europe/Bonn").map_err(|error| error.to_string());
        assert!(error.is_err_and(|text| text.contains("`Europe/Bonn`") && text.contains("`UTC`")));
    }
}
