//! What is shown to people: differences, side by side, and what was tried.

use super::{compare::Difference, world::Step};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    time::Duration,
};

/// Counts what was done and what came of it.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    sequences: usize,
    steps: usize,
    operations: BTreeMap<String, usize>,
    outcomes: BTreeMap<&'static str, usize>,
    errors: BTreeMap<String, usize>,
    /// Differences that were gone when there was time for everything.
    pub(crate) fleeting: usize,
    /// Runs that broke off.
    pub(crate) broken: usize,
}

/// Signs of an outcome in a transcript.
const OUTCOMES: [(&str, &str); 16] = [
    ("deliveries", ": deliver to"),
    ("redeliveries", " redelivered"),
    ("fetched", ": get-ok"),
    ("fetched nothing", ": basic.get-empty"),
    ("confirms", ": confirmed message"),
    ("nacks", ": refused message"),
    ("returns", ": basic.return"),
    ("dead letters", "x-first-death-reason"),
    ("dead: expired", "x-first-death-reason: \"expired\""),
    ("dead: rejected", "x-first-death-reason: \"rejected\""),
    ("dead: maxlen", "x-first-death-reason: \"maxlen\""),
    (
        "dead: delivery limit",
        "x-first-death-reason: \"delivery_limit\"",
    ),
    ("channel errors", ": channel.close reply_code"),
    ("connection errors", ": connection.close reply_code"),
    ("cancelled by the broker", ": basic.cancel consumer_tag"),
    ("left out", "left out"),
];

impl Counts {
    pub(crate) fn add(&mut self, steps: &[Step]) {
        self.sequences += 1;
        self.steps += steps.len();
        for step in steps {
            *self.operations.entry(step.kind.clone()).or_default() += 1;
            for (outcome, sign) in OUTCOMES {
                let count = step.lines.iter().filter(|line| line.contains(sign)).count();
                *self.outcomes.entry(outcome).or_default() += count;
            }
            for error in step.lines.iter().filter_map(|line| error(line)) {
                *self.errors.entry(error).or_default() += 1;
            }
        }
    }

    pub(crate) fn show(&self, took: Duration) -> String {
        let minutes = took.as_secs_f64() / 60.0;
        let mut out = format!(
            "{} sequences, {} steps in {:.1} s: {:.0} sequences a minute; {} fleeting differences, {} runs broke off\n",
            self.sequences,
            self.steps,
            took.as_secs_f64(),
            self.sequences as f64 / minutes,
            self.fleeting,
            self.broken,
        );
        let operations = self
            .operations
            .iter()
            .map(|(name, count)| (name.as_str(), *count));
        let _ = writeln!(out, "operations: {}", list(operations));
        let outcomes = self.outcomes.iter().map(|(name, count)| (*name, *count));
        let _ = writeln!(out, "outcomes: {}", list(outcomes));
        let errors = self
            .errors
            .iter()
            .map(|(text, count)| (text.as_str(), *count));
        let _ = writeln!(out, "errors: {}", list(errors));
        out
    }
}

/// The constant part of the text with which something was closed.
fn error(line: &str) -> Option<String> {
    let (_, text) = line.split_once("reply_text: (")?;
    let text = text.trim_start_matches('"').split(['\'', '"']).next()?;
    (!text.is_empty()).then(|| without_digits(text.trim()))
}

fn list<'a>(counts: impl Iterator<Item = (&'a str, usize)>) -> String {
    let mut all: Vec<_> = counts.collect();
    all.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let all: Vec<_> = all
        .iter()
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    all.join(", ")
}

impl Difference {
    /// What tells this difference from others.
    pub(crate) fn signature(&self) -> String {
        let (theirs, ours) = (self.theirs.get(self.at), self.ours.get(self.at));
        let lines = |step: Option<&Step>| -> BTreeSet<String> {
            step.map(|step| step.lines.iter().map(|line| without_digits(line)).collect())
                .unwrap_or_default()
        };
        let (theirs_lines, ours_lines) = (lines(theirs), lines(ours));
        let kind = theirs.or(ours).map_or("", |step| step.kind.as_str());
        format!(
            "{kind}\n  - {:?}\n  + {:?}",
            theirs_lines.difference(&ours_lines).collect::<Vec<_>>(),
            ours_lines.difference(&theirs_lines).collect::<Vec<_>>()
        )
    }

    pub(crate) fn show(&self) -> String {
        let mut out = String::new();
        for at in 0..=self.at {
            let (theirs, ours) = (self.theirs.get(at), self.ours.get(at));
            let operation = theirs.or(ours).map_or("", |step| step.operation.as_str());
            let _ = writeln!(out, "{:>3}. {operation}", at + 1);
            let lines =
                |step: Option<&Step>| step.map(|step| step.lines.clone()).unwrap_or_default();
            let (theirs, ours) = (lines(theirs), lines(ours));
            for line in &theirs {
                let mark = if ours.contains(line) {
                    "      "
                } else {
                    "    < "
                };
                let _ = writeln!(out, "{mark}{line}");
            }
            for line in ours.iter().filter(|line| !theirs.contains(line)) {
                let _ = writeln!(out, "    > {line}");
            }
            if at == self.at
                && theirs.iter().all(|line| ours.contains(line))
                && theirs.len() == ours.len()
            {
                let _ = writeln!(out, "    ! the same in another order, ours: {ours:#?}");
            }
        }
        out
    }
}

fn without_digits(line: &str) -> String {
    line.chars()
        .filter(|letter| !letter.is_ascii_digit())
        .collect()
}
