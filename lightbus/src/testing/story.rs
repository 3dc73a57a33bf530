//! The story of a bus: who sent what, where it went, and what became of it.

use std::fmt::Write as _;
use std::time::Duration;

use lightbus_runtime::__testing::Kind;

use super::compare::short;
use super::traffic::{Fate, Seen, Traffic};

/// As many messages are told.
const MOST: usize = 60;

pub(super) fn tell(traffic: &Traffic) -> String {
    let (all, seen) = (traffic.seen.len(), &traffic.seen);
    let mut text = match all {
        0 => "The story of the bus: nothing was sent.\n".to_owned(),
        1 => "The story of the bus, 1 message:\n".to_owned(),
        all => format!("The story of the bus, {all} messages:\n"),
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
    let what = word(seen.kind);
    let content = match &seen.content {
        Ok(content) => short(content),
        Err(why) => format!("(unreadable: {why})"),
    };
    let (at, by, subject) = (milliseconds(seen.at), &seen.by, seen.subject());
    let _ = writeln!(text, "  {at} {by}: {what} {subject} {content}");
    for (at, fate) in &seen.fates {
        let after = milliseconds(at.saturating_sub(seen.at));
        let _ = writeln!(text, "             {after} {}", ending(fate));
    }
}

pub(super) fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Event => "event",
        Kind::Call => "call",
        Kind::Task => "task",
    }
}

fn ending(fate: &Fate) -> String {
    match fate {
        Fate::To(queues) if queues.iter().any(|queue| queue == "lb.sys.unrouted") => {
            "to nobody: no listener has bound a queue to it".to_owned()
        }
        Fate::To(queues) => format!("to {}", queues.join(", ")),
        Fate::Nowhere => "to nobody".to_owned(),
        Fate::Handled { queue, by } => format!("handled by {by} ({queue})"),
        Fate::Again => "failed, to be tried again".to_owned(),
        Fate::Dead(why) => format!("dead: {why}"),
        Fate::Answered {
            by,
            answer: Ok(value),
        } => format!("answered by {by}: {}", short(value)),
        Fate::Answered {
            by,
            answer: Err(why),
        } => format!("refused by {by}: {why}"),
    }
}

pub(super) fn milliseconds(at: Duration) -> String {
    format!("+{:>8.1} ms", at.as_secs_f64() * 1000.0)
}
