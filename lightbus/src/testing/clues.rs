//! What went wrong on a bus, and what to do about it: the likely causes of a test's failure.

use lightbus_broker::Snapshot;
use lightbus_runtime::__testing::{DeadReason, Kind};

use super::seen::{Answer, Death, Fate, Seen};
use super::story::{often, since, span};
use super::stub::Stubs;
use super::test_bus::TEST;
use super::traffic::Traffic;

/// As many are told.
const MOST: usize = 5;

/// Something that is not as it should be.
#[derive(Debug, PartialEq)]
pub(super) struct Clue {
    pub(super) what: String,
    /// What to do about it.
    pub(super) help: String,
}

impl Clue {
    fn new(what: String, help: impl Into<String>) -> Self {
        Self {
            what,
            help: help.into(),
        }
    }

    /// The same, as all that is said.
    pub(super) fn told_alone(&self) -> String {
        format!("{}\n  help: {}\n", self.what, self.help)
    }

    pub(super) fn told(&self) -> String {
        let help = match self.help.as_str() {
            "" => String::new(),
            help => format!("    help: {help}\n"),
        };
        format!("  {}\n{help}", self.what)
    }
}

/// All that there are, causes first, for people; empty if there are none.
pub(super) fn tell(traffic: &Traffic, snapshot: Option<&Snapshot>, stubs: &Stubs) -> String {
    let mut all = complaints(traffic, stubs);
    let stubs_are_told = !all.is_empty();
    all.extend(apps(traffic, stubs));
    for seen in suspects(traffic, stubs_are_told, !all.is_empty()) {
        let Some(mut clue) = of(seen, traffic, snapshot) else {
            continue;
        };
        let mut deaths = seen.deaths();
        if !all.is_empty() && deaths.any(|death| death.reason == DeadReason::Failed) {
            // What its handler says has its cause further up.
            clue.help.clear();
        }
        clue.what = format!("the {} by {}: {}", seen.title(), seen.by, clue.what);
        if !all.contains(&clue) {
            all.push(clue);
        }
    }
    let mut text: String = all.iter().take(MOST).map(Clue::told).collect();
    if all.len() > MOST {
        text += &format!("  … and {} more such things\n", all.len() - MOST);
    }
    text
}

/// Messages in which something may be wrong that was not said yet: calls first, because handlers fail over them.
fn suspects(
    traffic: &Traffic,
    stubs_are_told: bool,
    something_is_told: bool,
) -> impl Iterator<Item = &Seen> {
    let is_call = |seen: &&Seen| seen.kind == Kind::Call;
    let calls = traffic.seen.iter().filter(is_call);
    let calls = calls.filter(move |seen| !(stubs_are_told && answered_by_test(seen)));
    let rest = traffic.seen.iter().filter(move |seen| !is_call(seen));
    // That nobody listens goes without saying where nobody is.
    let is_unheard = |seen: &Seen| seen.fates().any(|fate| *fate == Fate::Unheard);
    calls.chain(rest.filter(move |seen| !(something_is_told && is_unheard(seen))))
}

/// What is wrong with the stubs.
pub(super) fn complaints(traffic: &Traffic, stubs: &Stubs) -> Vec<Clue> {
    let twice = traffic.served_twice.iter().map(|what| {
        Clue::new(
            what.clone(),
            "start the app, or stub what it answers, not both",
        )
    });
    let unanswered = stubs.complaints(&traffic.seen);
    twice
        .chain(unanswered.iter().map(|one| of_stub(one)))
        .collect()
}

/// A call that no stub answers.
fn of_stub(complaint: &str) -> Clue {
    Clue::new(
        complaint.to_owned(),
        "stub it as well: `bus.stub(client.method(..)).returns(..).await?`, with these arguments or with `.any_arguments()`",
    )
}

fn answered_by_test(seen: &Seen) -> bool {
    seen.fates().any(|fate| match fate {
        Fate::Answered { by, .. } => by == TEST,
        fate => *fate == Fate::Nowhere,
    })
}

/// Programs that are not there.
fn apps(traffic: &Traffic, stubs: &Stubs) -> Vec<Clue> {
    let others = || traffic.apps.iter().filter(|app| app.name != TEST);
    if others().next().is_none() && stubs.are_none() {
        let help =
            "start the program under test with the bus that `bus.app(\"its-name\").await?` gives";
        return vec![Clue::new(
            "no app but the test itself was ever on this bus".to_owned(),
            help,
        )];
    }
    let left = others().filter_map(|app| {
        let (name, at) = (&app.name, since(app.left?));
        let what = format!("the app {name} left the bus at {at}: it was closed, or nobody held it any more");
        Some(Clue::new(what, "hold what `bus.app_builder(..).connect()` gives as long as the test runs; what `bus.app(..)` gives stays by itself"))
    });
    left.collect()
}

/// What is wrong with a message, if anything is.
pub(super) fn of(seen: &Seen, traffic: &Traffic, snapshot: Option<&Snapshot>) -> Option<Clue> {
    if let Some(fate) = seen
        .fates()
        .rev()
        .find_map(|fate| bad_end(seen, fate, traffic))
    {
        return Some(fate);
    }
    twice(seen).or_else(|| waiting(seen, traffic, snapshot))
}

fn bad_end(seen: &Seen, fate: &Fate, traffic: &Traffic) -> Option<Clue> {
    match fate {
        Fate::Dead(death) => Some(Clue::new(death.told(), remedy_of_death(seen, death))),
        Fate::Unheard => Some(unheard(seen, traffic)),
        Fate::Refused { .. } => Some(Clue::new(
            fate.told(),
            "its sender was told: what does it do then?",
        )),
        Fate::Lost => Some(Clue::new(
            fate.told(),
            "nobody was told: that is what `bus.faults().drop_publishes(..)` does",
        )),
        Fate::Nowhere => {
            let (api, name) = (&seen.api, &seen.name);
            let what = format!("no app serves {api}.{name}");
            let help = format!(
                "stub it by `bus.stub(client.{name}(..)).returns(..)`, or start the app that serves it before it is called"
            );
            Some(Clue::new(what, help))
        }
        Fate::Answered {
            by,
            answer: Answer::Refused(why),
            ..
        } => {
            let what = format!("{by} gave no answer: {why}");
            Some(Clue::new(
                what,
                "the log of that app has more; in a test, `tracing_subscriber::fmt::init()` shows it",
            ))
        }
        _ => None,
    }
}

fn remedy_of_death(seen: &Seen, death: &Death) -> &'static str {
    match (seen.kind, &death.reason) {
        (Kind::Call, DeadReason::Expired) => {
            "nobody took the call before its timeout: is its provider busy, paused or gone?"
        }
        (_, DeadReason::Failed) => {
            "its handler said so at the last attempt. Where that is meant, `.dead_because(..)` expects it"
        }
        (_, DeadReason::Panicked) => {
            "its handler panicked with this text; the output above says where"
        }
        (_, DeadReason::Undecodable) => {
            "sender and handler do not agree on its fields or arguments: are both built from the same API?"
        }
        (_, DeadReason::Unknown) => {
            "its handler was built from a version of the API that does not have it"
        }
        (_, DeadReason::Expired) => {
            "nobody began with it in time: raise `expires`, or start its worker before"
        }
        _ => "the log of the app that had it says more",
    }
}

fn unheard(seen: &Seen, traffic: &Traffic) -> Clue {
    let bound = traffic
        .bound
        .iter()
        .find(|bound| (&bound.api, &bound.event) == (&seen.api, &seen.name) && bound.at >= seen.at);
    match bound {
        Some(bound) => Clue::new(
            format!(
                "nobody listened yet: {} was bound to it at {}, after it was published",
                bound.queue,
                since(bound.at)
            ),
            "let the app listen before the event is published: await its start first",
        ),
        None => Clue::new(
            "nobody listens: no queue is bound to it".to_owned(),
            "start the app that listens before the event is published, and let it await `.listen(..)`",
        ),
    }
}

/// Messages that were handled more than once, for people.
pub(super) fn doubles(traffic: &Traffic) -> String {
    let all = traffic.seen.iter().filter_map(|seen| {
        let clue = twice(seen)?;
        let what = format!("the {} by {}: {}", seen.title(), seen.by, clue.what);
        Some(Clue::new(what, clue.help).told())
    });
    all.take(MOST).collect()
}

fn twice(seen: &Seen) -> Option<Clue> {
    let handled: Vec<_> = seen
        .fates()
        .filter_map(|fate| match fate {
            Fate::Handled { queue, by } => Some((queue, by)),
            _ => None,
        })
        .collect();
    let is_double =
        |one: &&(&String, &String)| handled.iter().filter(|other| other.0 == one.0).count() > 1;
    let (queue, by) = handled.iter().find(is_double)?;
    let times = handled.iter().filter(|other| other.0 == *queue).count();
    Some(Clue::new(
        format!(
            "{by} handled it {}, from {queue}: it was delivered more than once",
            often(times)
        ),
        "that happens in production, too: make the handler idempotent, or have its listener `.deduplicate(..)`",
    ))
}

/// Not at its end: it waits for somebody or something.
fn waiting(seen: &Seen, traffic: &Traffic, snapshot: Option<&Snapshot>) -> Option<Clue> {
    let later = |what: String| {
        let help = match traffic.has_virtual_time {
            true => "let the time pass by `bus.advance(..)` before you expect it",
            false => {
                "let the test say `#[lightbus::test(virtual_time)]`, and the time pass by `bus.advance(..)`"
            }
        };
        Some(Clue::new(what, help))
    };
    let last = seen.fates().last()?;
    match last {
        Fate::Again { failed: 0, .. } if seen.kind == Kind::Task => {
            let help = format!(
                "the worker that took it does not know it, and leaves it to a newer one: has the API `{}` that is served a task `{}`?",
                seen.api, seen.name
            );
            Some(Clue::new(last.told(), help))
        }
        Fate::To(queues) if seen.kind == Kind::Call => {
            let what = format!("it has no answer yet (from {})", queues.join(", "));
            Some(Clue::new(
                what,
                "is its provider slow, or the `.after(..)` of its stub longer than the caller waits?",
            ))
        }
        Fate::Again { .. } => later(last.told()),
        Fate::To(queues) => {
            let queues = snapshot?
                .queues
                .iter()
                .filter(|queue| queues.contains(&queue.name));
            let mut waits = queues.filter(|queue| queue.ready + queue.unacked > 0);
            let queue = match (waits.next(), &seen.delay) {
                (Some(_), Some(delay)) => {
                    return later(format!("it is put off by {}", span(*delay)));
                }
                (Some(queue), None) => queue,
                (None, _) => return None,
            };
            let name = &queue.name;
            Some(match (queue.consumers, queue.paused, seen.kind) {
                (_, true, _) => Clue::new(
                    format!("it waits in {name}, which is paused"),
                    "`bus.faults().resume_queue(..)` lets it go on",
                ),
                (0, _, Kind::Task) => Clue::new(
                    format!("it waits in {name}, and no worker takes it from there"),
                    format!(
                        "start the app that serves {}, and not by `.calls_only()`",
                        seen.api
                    ),
                ),
                (0, _, _) => Clue::new(
                    format!("it waits in {name}, and nobody takes it from there"),
                    "is the app that did still there?",
                ),
                _ => Clue::new(
                    format!("its handler has not ended yet (in {name})"),
                    "what does it wait for?",
                ),
            })
        }
        _ => None,
    }
}
