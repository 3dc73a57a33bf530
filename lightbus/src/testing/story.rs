//! The story of a bus: who sent what, where it went, and what became of it.

use std::fmt::Write as _;
use std::time::Duration;

use super::seen::Seen;
use super::traffic::Traffic;

/// As many messages are told.
const MOST: usize = 60;

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
    let (at, by, title, content) = (
        milliseconds(seen.at),
        &seen.by,
        seen.title(),
        seen.content(),
    );
    let _ = writeln!(text, "  {at} {by}: {title} {content}");
    for (at, fate) in &seen.fates {
        let after = milliseconds(at.saturating_sub(seen.at));
        let _ = writeln!(text, "             {after} {}", fate.told());
    }
}

pub(super) fn milliseconds(at: Duration) -> String {
    format!("+{:>8.1} ms", at.as_secs_f64() * 1000.0)
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
