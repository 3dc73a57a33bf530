//! The story of a bus: who sent what, where it went, and what became of it.

use std::fmt::Write as _;
use std::time::Duration;

use super::seen::Seen;
use super::traffic::Traffic;

/// As many messages are told.
const MOST: usize = 60;
/// In seconds.
const DAY: u64 = 24 * 3600;

/// `of` is what the bus belongs to: a test, by its name.
pub(super) fn tell(traffic: &Traffic, of: &str) -> String {
    let (all, seen) = (traffic.seen.len(), &traffic.seen);
    let mut text = match all {
        0 => format!("The story of {of}: nothing was sent.\n"),
        1 => format!("The story of {of}, 1 message:\n"),
        all => format!("The story of {of}, {all} messages:\n"),
    };
    let skipped = all.saturating_sub(MOST);
    if skipped > 0 {
        let _ = writeln!(text, "  … {skipped} before these");
    }
    seen.iter()
        .skip(skipped)
        .for_each(|seen| one(seen, &mut text));
    if traffic.missed > 0 {
        let _ = writeln!(
            text,
            "  ({} things happened too fast to be told)",
            traffic.missed
        );
    }
    text
}

fn one(seen: &Seen, text: &mut String) {
    let (at, by, title, content) = (since(seen.at), &seen.by, seen.title(), seen.content());
    let _ = writeln!(text, "  {at:>11} {by}: {title} {content}");
    for (at, fate) in &seen.fates {
        let after = since(at.saturating_sub(seen.at));
        let _ = writeln!(text, "      {after:>11} {}", fate.told());
    }
}

/// How much later, as exactly as one wants to know it: `+12.3 ms`, `+1.5 s`, `+2:05 min`, `+3 h`, `+2 d 3:00 h`.
pub(super) fn since(time: Duration) -> String {
    let (seconds, tenths) = (time.as_secs(), time.subsec_millis() / 100);
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    match seconds {
        0 => {
            let tenths = time.as_micros() / 100;
            format!("+{}.{} ms", tenths / 10, tenths % 10)
        }
        1..60 if tenths == 0 => format!("+{seconds} s"),
        1..60 => format!("+{seconds}.{tenths} s"),
        60..3600 if seconds % 60 == 0 => format!("+{minutes} min"),
        60..3600 => format!("+{minutes}:{:02} min", seconds % 60),
        3600..DAY if seconds % 3600 == 0 => format!("+{hours} h"),
        3600..DAY => format!("+{hours}:{:02} h", minutes % 60),
        _ if seconds % DAY == 0 => format!("+{} d", seconds / DAY),
        _ => {
            let (days, hours, minutes) = (seconds / DAY, hours % 24, minutes % 60);
            format!("+{days} d {hours}:{minutes:02} h")
        }
    }
}

/// What a line says after its time, if it has one.
pub(super) fn untimed(line: &str) -> &str {
    let line = line.trim_start();
    let mut words = line.splitn(5, ' ');
    let unit = words.nth(1).filter(|_| line.starts_with('+'));
    let is_longer = unit == Some("d") && words.nth(1) == Some("h");
    let count = match (unit, is_longer) {
        (None, _) => 0,
        (_, false) => 2,
        (_, true) => 4,
    };
    line.splitn(count + 1, ' ').nth(count).unwrap_or(line)
}

/// A time as one says it: `1 h`, `90 s`.
pub(super) fn span(time: Duration) -> String {
    match (time.as_secs(), time.subsec_millis()) {
        (s @ 3600.., _) if s % 3600 == 0 => format!("{} h", s / 3600),
        (s @ 60.., _) if s % 60 == 0 => format!("{} min", s / 60),
        (s, 0) => format!("{s} s"),
        _ => format!("{time:?}"),
    }
}

/// A number of times.
pub(super) fn often(times: usize) -> String {
    match times {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        times => format!("{times} times"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In milliseconds.
    fn told(time: u64) -> String {
        since(Duration::from_millis(time))
    }

    #[test]
    fn times_are_told_as_a_person_reads_them() {
        const MINUTE: u64 = 60_000;
        const HOUR: u64 = 60 * MINUTE;
        assert_eq!(since(Duration::from_micros(12_390)), "+12.3 ms");
        assert_eq!([told(0), told(999)], ["+0.0 ms", "+999.0 ms"]);
        assert_eq!(
            [told(1000), told(1590), told(59_999)],
            ["+1 s", "+1.5 s", "+59.9 s"]
        );
        assert_eq!([told(MINUTE), told(125_000)], ["+1 min", "+2:05 min"]);
        assert_eq!(
            [told(3 * HOUR), told(HOUR + 5 * MINUTE)],
            ["+3 h", "+1:05 h"]
        );
        assert_eq!([told(48 * HOUR), told(51 * HOUR)], ["+2 d", "+2 d 3:00 h"]);
    }

    #[test]
    fn a_line_is_read_without_its_time() {
        for time in [12, 1500, 125_000, 10_800_000, 172_800_000, 183_600_000] {
            let line = format!("      {:>11} dead in the end", told(time));
            assert_eq!(untimed(&line), "dead in the end");
        }
        assert_eq!(untimed("    help: try again"), "help: try again");
    }
}
