//! What an expectation says that is not met.

use std::fmt::Write as _;
use std::panic::Location;
use std::time::Duration;

use lightbus_broker::Snapshot;
use lightbus_runtime::__testing::Kind;

use super::clues;
use super::compare::{conceal, describe, differences, differences_of_fields, short, shown};
use super::expect::{Expected, Number};
use super::seen::{Fate, Seen, sent};
use super::settled::restless;
use super::story::{often, since, span};
use super::stub::Stubs;
use super::test_bus::TEST;
use super::traffic::Traffic;
use super::wanted::{Became, Content, Wanted};

/// As many messages are shown.
const MOST: usize = 10;

/// Why it gave up before the bus was quiet.
pub(super) struct Late {
    pub(super) within: Duration,
    pub(super) busy: Option<String>,
}

/// What is wrong, for people.
pub(super) fn unmet(expected: &Expected, found: usize, late: Option<Late>) -> String {
    let wanted = &expected.wanted;
    let (should, times) = match expected.number {
        Number::AtLeastOne => ("should be", String::new()),
        Number::Exactly(0) => ("should never be", String::new()),
        Number::Exactly(times) => ("should be", format!(" {}", often(times))),
    };
    let (location, subject) = (expected.location, wanted.subject());
    let told = wanted.told(&times);
    let mut text = format!("{location}: the {subject} {should} {told}\n");
    if let Content::Exactly(content) | Content::Fields(content) = &wanted.content {
        let content = shown(content, &wanted.api, &wanted.name);
        let _ = writeln!(text, "  wanted {content}");
    }
    expected.bus.look(|traffic, snapshot| {
        if let Some(Late { within, busy }) = late {
            let (within, busy) = (span(within), busy.unwrap_or_else(|| restless(traffic)));
            if expected.is_met_by(found) {
                let _ = writeln!(text, "  but the bus was not quiet within {within}: {busy}");
                text += "    help: a number counts when nothing more is to come: stop what never rests, or expect what is sent at least once\n";
                return text;
            }
            let _ = writeln!(text, "  gave up after {within}: {busy}");
        }
        if found > 0 {
            let _ = writeln!(text, "  but it was {} {}:", sent(wanted.kind), often(found));
            list(traffic, |seen| wanted.matches(seen), &mut text);
            text += &clues::doubles(traffic);
            return text;
        }
        match missing(wanted, traffic, snapshot, &mut text) {
            Missing::Otherwise => text,
            Missing::Altogether => with_clues(text, traffic, snapshot, expected.bus.stubs()),
        }
    })
}

/// Why it proves nothing that none was sent, or so many; for people.
pub(super) fn unproven(expected: &Expected, traffic: &Traffic) -> Option<String> {
    let (wanted, location) = (&expected.wanted, expected.location);
    let unknown = traffic
        .seen
        .iter()
        .find_map(|seen| Some((seen, wanted.unknown(seen)?)));
    if let Some((seen, why)) = unknown {
        let (title, at) = (seen.title(), since(seen.at));
        return Some(format!(
            "{location}: nobody can say whether the {title} of {at} is such a one: it cannot be read: {why}\n    help: was it sent by another version of the API?\n"
        ));
    }
    let is_there = |name: &str| name == TEST || traffic.apps.iter().any(|app| app.name == name);
    let missing = wanted.apps().find(|name| !is_there(name))?;
    let others: Vec<_> = traffic.apps.iter().map(|app| app.name.as_str()).collect();
    Some(format!(
        "{location}: no app `{missing}` was ever on this bus: that it did nothing proves nothing\n    help: there were {}\n",
        others.join(", ")
    ))
}

/// With what else is wrong on the bus.
pub(super) fn with_clues(
    mut text: String,
    traffic: &Traffic,
    snapshot: Option<&Snapshot>,
    stubs: &Stubs,
) -> String {
    let clues = clues::tell(traffic, snapshot, stubs);
    if !clues.is_empty() {
        text += "what went wrong on the bus:\n";
        text += &clues;
    }
    text
}

/// What was sent though nobody expected it; `None` if all was expected, or sent by the test.
pub(super) fn unexpected(
    traffic: &Traffic,
    met: &[Wanted],
    location: &Location<'_>,
) -> Option<String> {
    let is_expected = |seen: &Seen| seen.is_expected || met.iter().any(|it| it.matches(seen));
    let is_new = |seen: &Seen| seen.by != TEST && !is_expected(seen);
    let count = traffic.seen.iter().filter(|seen| is_new(seen)).count();
    let what = match count {
        0 => return None,
        1 => "one more message was".to_owned(),
        count => format!("{count} more messages were"),
    };
    let mut text = format!(
        "{location}: nothing else should be sent than what the test sent or expected; {what}\n"
    );
    list(traffic, is_new, &mut text);
    text += "  help: where it is meant, expect it as well, before `nothing_else()`\n";
    Some(text)
}

fn list(traffic: &Traffic, is_such: impl Fn(&Seen) -> bool, text: &mut String) {
    let such: Vec<_> = traffic.seen.iter().filter(|seen| is_such(seen)).collect();
    for seen in such.iter().take(MOST) {
        let (at, by) = (since(seen.at), &seen.by);
        let _ = writeln!(text, "  {at:>9} {by}: {} {}", seen.title(), seen.content());
    }
    if such.len() > MOST {
        let _ = writeln!(text, "  … and {} more", such.len() - MOST);
    }
}

/// How it is missing.
enum Missing {
    /// There is something like it.
    Otherwise,
    Altogether,
}

/// None was as it is wanted: what is nearest to it?
fn missing(
    wanted: &Wanted,
    traffic: &Traffic,
    snapshot: Option<&Snapshot>,
    text: &mut String,
) -> Missing {
    let all = &traffic.seen;
    let such: Vec<&Seen> = all.iter().filter(|seen| wanted.is_it(seen)).collect();
    let from = such.iter().filter(|seen| wanted.is_from(seen));
    let from: Vec<&Seen> = from.copied().take(MOST).collect();
    if !from.is_empty() {
        for seen in from {
            fell_short(wanted, seen, traffic, snapshot, text);
        }
    } else if !such.is_empty() {
        let mut others: Vec<_> = such.iter().map(|seen| seen.by.as_str()).collect();
        others.dedup();
        let others = others.join(" and by ");
        let _ = writeln!(text, "  but it was {} by {others}", sent(wanted.kind));
    } else if all.iter().any(|seen| wanted.is_named(seen)) {
        nearest(wanted, traffic, text);
    } else if let Some(alike) = all.iter().find(|seen| seen.name == wanted.name) {
        let (title, api) = (alike.title(), &alike.api);
        let by = match alike.kind {
            Kind::Event => "published",
            Kind::Call => "called",
            Kind::Task => "enqueued",
        };
        let _ = writeln!(text, "  but the {title} was {}", sent(alike.kind));
        let _ = writeln!(
            text,
            "    help: `bus.{by}(..)` of the API `{api}` expects that"
        );
    } else {
        others(traffic, text);
        return Missing::Altogether;
    }
    Missing::Otherwise
}

/// It was sent, but not with those headers, or something else became of it.
fn fell_short(
    wanted: &Wanted,
    seen: &Seen,
    traffic: &Traffic,
    snapshot: Option<&Snapshot>,
    text: &mut String,
) {
    let (at, by) = (since(seen.at), &seen.by);
    let _ = writeln!(text, "  but as it was {} by {by} at {at}:", sent(seen.kind));
    for (name, value) in &wanted.headers {
        match seen.headers.get(name) {
            Some(found) if found == value => {}
            Some(found) => *text += &format!("    its header {name} is {}\n", short(found)),
            None => drop(writeln!(text, "    it has no header {name}")),
        }
    }
    let unmet = || {
        wanted
            .became
            .iter()
            .filter(|became| !became.is_true_of(seen))
    };
    if unmet().next().is_none() {
        return;
    }
    if unmet().any(|became| matches!(became, Became::Retried(_))) {
        let retried = Became::Retried(seen.retries());
        let _ = writeln!(text, "    it was {}", retried.told());
    }
    let ends = seen.fates().filter(|fate| fate.is_end());
    let ends: Vec<_> = ends.map(Fate::told).collect();
    // What is wanted is a death: this one needs no remedy.
    let is_meant = wanted
        .became
        .iter()
        .any(|became| matches!(became, Became::Dead | Became::DeadBecause(_)));
    match clues::of(seen, traffic, snapshot) {
        Some(clue) if !is_meant || seen.deaths().next().is_none() => {
            let _ = writeln!(text, "    {}", clue.what);
            let _ = writeln!(text, "    help: {}", clue.help);
        }
        _ if ends.is_empty() => *text += "    nothing became of it\n",
        _ if ends.iter().any(|end| end.starts_with("dead")) => {
            *text += &format!("    it is {}\n", ends.join("; "))
        }
        _ => *text += &format!("    it was {}\n", ends.join("; ")),
    }
}

fn nearest(wanted: &Wanted, traffic: &Traffic, text: &mut String) {
    let named = || traffic.seen.iter().filter(|seen| wanted.is_named(seen));
    // Of those that are as near, the last.
    let Some(nearest) = named().rev().min_by_key(|seen| wanted.distance(seen)) else {
        return;
    };
    let others = match named().count() {
        1 => String::new(),
        all => format!(", the nearest of {all} of that name"),
    };
    let (at, by) = (since(nearest.at), &nearest.by);
    let what = sent(wanted.kind);
    let _ = writeln!(text, "  but    {}", nearest.content());
    let _ = writeln!(text, "         was {what} by {by} at {at}{others}:");
    if let Ok(found) = &nearest.content {
        let mut all = match &wanted.content {
            Content::Exactly(wanted) => differences(wanted, found),
            Content::Fields(wanted) => differences_of_fields(wanted, found),
            Content::Such(_) => Vec::new(),
        };
        conceal(&mut all, &wanted.api, &wanted.name);
        *text += &describe(&all);
    }
}

/// What else there was.
fn others(traffic: &Traffic, text: &mut String) {
    let mut names: Vec<_> = traffic.seen.iter().map(Seen::title).collect();
    names.sort();
    names.dedup();
    let _ = match names.is_empty() {
        true => writeln!(
            text,
            "  but nothing at all was sent over this bus\n    help: first do what sends it, then expect it"
        ),
        false => writeln!(
            text,
            "  but of that name nothing was sent; what was: {}",
            names.join(", ")
        ),
    };
}
