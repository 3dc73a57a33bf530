//! Expecting messages: what was sent, by whom, how often.

use std::fmt::Write as _;
use std::panic::Location;
use std::pin::Pin;
use std::time::{Duration, Instant};

use lightbus_runtime::__testing::{Kind, Outline};
use serde_json::Value;

use super::compare::{describe, differences, short};
use super::settled::{Quiet, going_on};
use super::story::{milliseconds, word};
use super::test_bus::TestBus;
use super::traffic::{Seen, Traffic};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(1);

/// A message that is expected; made by [`TestBus::published`], [`TestBus::called`] and [`TestBus::enqueued`]. Awaited, it waits until the message was sent, or, where the number
/// counts, until the bus is [settled](TestBus::settled). Before it gives up, nothing may have happened for a quarter of a second (half a second on a RabbitMQ).
///
/// # Panics
/// When it is not as expected: with what was wanted, the nearest message of the same name, and where they differ.
#[must_use = "nothing is checked until this is awaited"]
pub struct Expectation {
    bus: TestBus,
    wanted: Wanted,
    number: Number,
    by: Option<String>,
    within: Duration,
    location: &'static Location<'static>,
}

pub(super) struct Wanted {
    pub(super) kind: Kind,
    pub(super) api: String,
    pub(super) name: String,
    pub(super) content: Content,
}

pub(super) enum Content {
    Exactly(Value),
    /// These fields, whatever else there is.
    Fields(Value),
    Such(Box<dyn Fn(&Seen) -> bool + Send + Sync>),
}

#[derive(Clone, Copy, PartialEq)]
enum Number {
    AtLeast(usize),
    Exactly(usize),
}

impl Wanted {
    pub(super) fn exactly(outline: Outline) -> Self {
        Self {
            kind: outline.kind,
            api: outline.api.to_owned(),
            name: outline.name.to_owned(),
            content: Content::Exactly(outline.content),
        }
    }

    fn is_named(&self, seen: &Seen) -> bool {
        (seen.kind, &seen.api, &seen.name) == (self.kind, &self.api, &self.name)
    }

    pub(super) fn matches(&self, seen: &Seen) -> bool {
        let content = || seen.content.as_ref().ok();
        self.is_named(seen)
            && match &self.content {
                Content::Exactly(wanted) => content() == Some(wanted),
                Content::Fields(fields) => content().is_some_and(|it| differing(fields, it) == 0),
                Content::Such(is_such) => is_such(seen),
            }
    }

    pub(super) fn subject(&self) -> String {
        format!("{} {}.{}", word(self.kind), self.api, self.name)
    }
}

/// In how many of the fields that are asked for.
fn differing(fields: &Value, found: &Value) -> usize {
    let all = differences(fields, found);
    all.iter().filter(|one| one.wanted.is_some()).count()
}

impl Expectation {
    pub(super) fn new(bus: &TestBus, wanted: Wanted, location: &'static Location<'static>) -> Self {
        Self {
            bus: bus.clone(),
            wanted,
            number: Number::AtLeast(1),
            by: None,
            within: bus.patience(),
            location,
        }
    }

    /// So many times, no more and no less. Default: at least once.
    pub fn times(mut self, times: usize) -> Self {
        self.number = Number::Exactly(times);
        self
    }

    /// Once, and no second time.
    pub fn once(self) -> Self {
        self.times(1)
    }

    /// Not at all.
    pub fn never(self) -> Self {
        self.times(0)
    }

    /// By this app.
    pub fn by(mut self, app: &str) -> Self {
        self.by = Some(app.to_owned());
        self
    }

    /// Compares these fields only, or arguments, as JSON: `.fields(json!({"username": "ada"}))`.
    pub fn fields(mut self, fields: Value) -> Self {
        self.wanted.content = Content::Fields(fields);
        self
    }

    fn found(&self, traffic: &Traffic) -> usize {
        let is_by = |seen: &&Seen| self.by.as_ref().is_none_or(|by| *by == seen.by);
        let seen = traffic.seen.iter().filter(is_by);
        seen.filter(|seen| self.wanted.matches(seen)).count()
    }

    async fn check(self) {
        let (begun, pace) = (Instant::now(), self.bus.pace());
        let mut quiet = Quiet::default();
        loop {
            let now = self.bus.date();
            let (found, busy, count) = self.bus.look(|traffic, snapshot| {
                (
                    self.found(traffic),
                    going_on(traffic, snapshot, now),
                    traffic.count,
                )
            });
            let busy = busy.or_else(|| self.bus.in_flight());
            if matches!(self.number, Number::AtLeast(least) if found >= least) {
                return;
            }
            let quiet = quiet.look(busy.is_some(), count);
            let is_late = begun.elapsed() > self.within;
            if quiet >= pace.quiet && self.number == Number::Exactly(found) {
                return;
            }
            let is_over = matches!(self.number, Number::Exactly(times) if found > times);
            if is_over || quiet >= pace.end || is_late {
                let failure = self.failure(found, busy.filter(|_| is_late));
                self.bus.fail(&failure);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// What is wrong, for people.
    fn failure(&self, found: usize, busy: Option<String>) -> String {
        let wanted = self.wanted.subject();
        let by = self
            .by
            .as_ref()
            .map_or(String::new(), |by| format!(" by {by}"));
        let times = match self.number {
            Number::Exactly(0) => "never".to_owned(),
            Number::Exactly(1) => "once".to_owned(),
            Number::Exactly(times) => format!("{times} times"),
            Number::AtLeast(_) => "at least once".to_owned(),
        };
        let was = match found {
            0 => "it was not sent".to_owned(),
            1 => "it was sent once".to_owned(),
            times => format!("it was sent {times} times"),
        };
        let mut text = format!(
            "{}: the {wanted} should be sent {times}{by}, and {was}\n",
            self.location
        );
        if let Content::Exactly(content) | Content::Fields(content) = &self.wanted.content {
            let _ = writeln!(text, "  wanted {}", short(content));
        }
        if let Some(busy) = busy {
            let _ = writeln!(
                text,
                "  the bus was not quiet after {:?}: {busy}",
                self.within
            );
        }
        self.bus
            .look(|traffic, _| self.nearest(traffic, found, &mut text));
        text
    }

    fn nearest(&self, traffic: &Traffic, found: usize, text: &mut String) {
        let named = || {
            traffic
                .seen
                .iter()
                .filter(|seen| self.wanted.is_named(seen))
        };
        let all = named().count();
        if found > 0 || all == 0 {
            let such = traffic.seen.iter().filter(|seen| self.wanted.matches(seen));
            for seen in such {
                let _ = writeln!(text, "  {} by {}", milliseconds(seen.at), seen.by);
            }
            if all == 0 {
                self.others(traffic, text);
            }
            return;
        }
        // Of those that are as near, the last.
        let nearest = named().rev().min_by_key(|seen| self.distance(seen));
        let Some(nearest) = nearest else {
            return;
        };
        let others = match all {
            1 => String::new(),
            all => format!(", the nearest of {all} of that name"),
        };
        let _ = writeln!(
            text,
            "  {} by {}{others}",
            milliseconds(nearest.at),
            nearest.by
        );
        self.compare(nearest, text);
    }

    /// Where it differs from what is wanted.
    fn compare(&self, nearest: &Seen, text: &mut String) {
        match (&self.wanted.content, &nearest.content) {
            (Content::Exactly(wanted), Ok(found)) => {
                *text += &describe(&differences(wanted, found))
            }
            (Content::Fields(wanted), Ok(found)) => {
                let mut all = differences(wanted, found);
                all.retain(|one| one.wanted.is_some());
                *text += &describe(&all);
            }
            (_, Ok(found)) => {
                let _ = writeln!(text, "      {}", short(found));
            }
            (_, Err(why)) => {
                let _ = writeln!(text, "      it cannot be read: {why}");
            }
        }
    }

    fn distance(&self, seen: &Seen) -> usize {
        match (&self.wanted.content, &seen.content) {
            (Content::Exactly(wanted), Ok(found)) => differences(wanted, found).len(),
            (Content::Fields(fields), Ok(found)) => differing(fields, found),
            _ => usize::MAX,
        }
    }

    /// What else there was.
    fn others(&self, traffic: &Traffic, text: &mut String) {
        let mut names: Vec<_> = traffic
            .seen
            .iter()
            .map(|seen| format!("{} {}", word(seen.kind), seen.subject()))
            .collect();
        names.sort();
        names.dedup();
        let _ = match names.is_empty() {
            true => writeln!(text, "  nothing at all was sent over this bus"),
            false => writeln!(
                text,
                "  none of that name was sent; what was: {}",
                names.join(", ")
            ),
        };
    }
}

impl IntoFuture for Expectation {
    type Output = ();
    type IntoFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.check())
    }
}

impl std::fmt::Debug for Expectation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Expectation")
            .field("of", &self.wanted.subject())
            .finish_non_exhaustive()
    }
}
