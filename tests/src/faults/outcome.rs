//! What a row has shown.

use std::fmt::{self, Display};
use std::time::Duration;

use serde::Serialize;

/// What a row has shown; it has passed if nothing is lost, late or failed.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Outcome {
    /// Events whose publish returned Ok, or calls that were answered.
    pub confirmed: usize,
    /// Messages that a handler has seen.
    pub handled: usize,
    /// Confirmed messages that were neither handled nor are among the dead letters.
    pub lost: usize,
    /// How often a handler saw a message again.
    pub duplicated: usize,
    /// How long it took until messages flowed again, or until what the row measures.
    pub recovery: Option<Duration>,
    /// What took longer than it may.
    pub late: Vec<String>,
    /// What else is not as promised.
    pub failed: Vec<String>,
    /// What else was seen.
    pub notes: Vec<String>,
}

impl Outcome {
    /// Notes how long the recovery took: at most `bound`. Of several, the longest counts.
    pub fn recovered(&mut self, took: Duration, bound: Duration) {
        self.recovery = self.recovery.max(Some(took));
        self.in_time("the recovery", took, bound);
    }

    /// Something had to take at most `bound`.
    pub fn in_time(&mut self, what: impl Display, took: Duration, bound: Duration) {
        if took > bound {
            let (took, bound) = (Seconds(took), Seconds(bound));
            self.late.push(format!("{what} took {took}, bound {bound}"));
        }
    }

    /// Something had to be so.
    pub fn check(&mut self, is_so: bool, what: impl Display) {
        if !is_so {
            self.failed.push(format!("not so: {what}"));
        }
    }

    /// Something worth to be read.
    pub fn note(&mut self, what: impl Into<String>) {
        self.notes.push(what.into());
    }

    /// Did everything go as promised?
    pub fn passed(&self) -> bool {
        self.lost == 0 && self.late.is_empty() && self.failed.is_empty()
    }

    /// All that is to be said, in one line.
    pub fn verdict(&self) -> String {
        let mut words = Vec::new();
        if self.lost > 0 {
            words.push(format!("LOST {}", self.lost));
        }
        words.extend(self.late.iter().map(|late| format!("LATE: {late}")));
        words.extend(self.failed.iter().map(|failed| format!("FAILED: {failed}")));
        if words.is_empty() {
            words.push("ok".to_owned());
        }
        words.extend(self.notes.iter().cloned());
        words.join("; ")
    }
}

/// A duration in seconds, for people.
#[derive(Clone, Copy, Debug)]
pub struct Seconds(pub Duration);

impl Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} s", self.0.as_secs_f64())
    }
}

/// A fault that does not exist on a broker, and why.
#[derive(Debug)]
pub struct NotApplicable(pub &'static str);

impl Display for NotApplicable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for NotApplicable {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_names_all_that_went_wrong() {
        let mut outcome = Outcome::default();
        outcome.recovered(Duration::from_secs(1), Duration::from_secs(2));
        outcome.check(true, "two are two");
        assert!(outcome.passed());
        assert_eq!(outcome.verdict(), "ok");
        outcome.lost = 2;
        outcome.recovered(Duration::from_secs(3), Duration::from_secs(2));
        outcome.check(false, "one is two");
        assert!(!outcome.passed());
        assert_eq!(
            outcome.verdict(),
            "LOST 2; LATE: the recovery took 3.00 s, bound 2.00 s; FAILED: not so: one is two"
        );
        assert_eq!(outcome.recovery, Some(Duration::from_secs(3)));
    }
}
