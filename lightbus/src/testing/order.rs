//! Expecting messages in their order.

use std::fmt::Write as _;
use std::pin::Pin;
use std::time::Instant;

use super::expect::{Expectation, Expected, Number};
use super::seen::Seen;
use super::settled::{LOOK, Watch};
use super::story::since;
use super::traffic::Traffic;

/// Messages that are expected one after the other: see [`Expectation::then`]. Awaited, it waits as an [`Expectation`] does; where some say [`within`](Expectation::within), for the longest of them.
///
/// # Panics
/// When one of them was not sent, or came too early: with the order in which they were sent.
#[must_use = "nothing is checked until this is awaited"]
pub struct Sequence {
    steps: Vec<Expected>,
}

/// How far a sequence has come.
#[derive(Clone, Copy, PartialEq)]
enum Reached {
    All,
    /// This step was not sent after the one before it.
    Until(usize),
}

impl Sequence {
    pub(super) fn of(first: Expected, next: Expected) -> Self {
        Self {
            steps: vec![first, next],
        }
    }

    /// And after them this one.
    pub fn then<N>(mut self, next: Expectation<N>) -> Self {
        self.steps.push(next.into_expected());
        self
    }

    /// Those that have a place in the order: what is expected never has none.
    fn ordered(&self) -> impl Iterator<Item = (usize, &Expected)> {
        let all = self.steps.iter().enumerate();
        all.filter(|(_, step)| step.number != Number::Exactly(0))
    }

    fn reached(&self, traffic: &mut Traffic) -> Reached {
        let mut from = 0;
        for (index, step) in self.ordered() {
            let mut rest = traffic.seen.iter_mut().enumerate().skip(from);
            match rest.find(|(_, seen)| step.wanted.matches(seen)) {
                Some((at, _)) => from = at + 1,
                None => return Reached::Until(index),
            }
        }
        Reached::All
    }

    async fn check(self) {
        let Some(bus) = self.steps.first().map(|step| step.bus.clone()) else {
            return;
        };
        let begun = Instant::now();
        let asked = self.steps.iter().filter_map(Expected::asked_within).max();
        let within = asked.unwrap_or(bus.patience());
        let mut watch = Watch::default();
        loop {
            let (reached, looked) = watch.look(&bus, |traffic| self.reached(traffic));
            let Reached::Until(step) = reached else {
                break;
            };
            let is_late = begun.elapsed() > within;
            if is_late || (looked.quiet >= bus.pace().end && asked.is_none()) {
                if let Some(text) = self.too_early(step) {
                    bus.fail(&text);
                }
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
        // Each for itself: one that was not sent says so, and numbers count in the whole test.
        for step in self.steps {
            step.check().await;
        }
    }

    /// What is wrong if the step was sent, but before the one that it should follow; for people.
    fn too_early(&self, index: usize) -> Option<String> {
        let step = self.steps.get(index)?;
        let (before, previous) = self.ordered().filter(|(at, _)| *at < index).last()?;
        let (late, early) = (previous.wanted.subject(), step.wanted.subject());
        let (location, before, index) = (step.location, before + 1, index + 1);
        step.bus.look(|traffic, _| {
            let mut all = traffic.seen.iter();
            all.find(|seen| step.wanted.matches(seen))?;
            let mut text = format!("{location}: the {early} came too early: it should follow the {late}\n");
            self.tell(traffic, &mut text);
            let _ = writeln!(
                text,
                "  help: is {before} over before {index} is sent? Where the order does not matter, expect them one by one"
            );
            Some(text)
        })
    }

    /// The order as it should be, and as it was.
    fn tell(&self, traffic: &Traffic, text: &mut String) {
        let _ = writeln!(text, "  wanted in this order:");
        for (at, step) in self.ordered() {
            let _ = writeln!(text, "    {}. {}", at + 1, step.wanted.subject());
        }
        let _ = writeln!(text, "  were sent:");
        let is_named = |seen: &&Seen| self.ordered().any(|(_, step)| step.wanted.is_named(seen));
        for seen in traffic.seen.iter().filter(is_named) {
            let steps = self.ordered().filter(|(_, step)| step.wanted.matches(seen));
            let steps: Vec<_> = steps.map(|(at, _)| (at + 1).to_string()).collect();
            let step = match steps.is_empty() {
                true => "-".to_owned(),
                false => format!("{}.", steps.join(", ")),
            };
            let (at, by, title) = (since(seen.at), &seen.by, seen.title());
            let _ = writeln!(text, "    {step} {at} {by}: {title} {}", seen.content());
        }
    }
}

impl IntoFuture for Sequence {
    type Output = ();
    type IntoFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.check())
    }
}

impl std::fmt::Debug for Sequence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let steps = self.steps.iter().map(|step| step.wanted.subject());
        f.debug_list().entries(steps).finish()
    }
}
