//! The table that the rows make.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::outcome::{Outcome, Seconds};

/// What came of a row on a broker.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The row's number.
    pub row: u8,
    /// What went wrong.
    pub fault: &'static str,
    /// On which broker.
    pub broker: &'static str,
    /// How it ended.
    pub verdict: Verdict,
    /// How long all of it took.
    pub took: Duration,
}

/// How a row ended.
#[derive(Clone, Debug, Serialize)]
pub enum Verdict {
    /// It ran; what it has shown may still be bad.
    Ran(Outcome),
    /// It could not be run to its end.
    Broke(String),
    /// The broker cannot have this fault.
    NotApplicable(String),
}

impl Report {
    /// The head of the table.
    pub fn head() -> String {
        format!(
            "{:>3}  {:<24} {:<9} {:>9} {:>8} {:>5} {:>5} {:>8} {:>8}  verdict",
            "row", "fault", "broker", "confirmed", "handled", "lost", "dup", "recovery", "took"
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>3}  {:<24} {:<9} ", self.row, self.fault, self.broker)?;
        let took = Seconds(self.took).to_string();
        let without = |f: &mut fmt::Formatter<'_>, verdict: fmt::Arguments<'_>| {
            write!(
                f,
                "{:>9} {:>8} {:>5} {:>5} {:>8} {took:>8}  {verdict}",
                "", "", "", "", ""
            )
        };
        match &self.verdict {
            Verdict::Ran(outcome) => {
                let recovery = outcome
                    .recovery
                    .map_or_else(String::new, |it| Seconds(it).to_string());
                write!(
                    f,
                    "{:>9} {:>8} {:>5} {:>5} {recovery:>8} {took:>8}  {}",
                    outcome.confirmed,
                    outcome.handled,
                    outcome.lost,
                    outcome.duplicated,
                    outcome.verdict()
                )
            }
            Verdict::Broke(error) => without(f, format_args!("FAILED: {error}")),
            Verdict::NotApplicable(why) => without(f, format_args!("n/a: {why}")),
        }
    }
}

/// What all rows come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Rows that ran, over all brokers.
    pub rows: usize,
    /// Messages that were lost.
    pub lost: usize,
    /// Rows over their time bound.
    pub late: usize,
    /// Rows that failed otherwise.
    pub failed: usize,
}

impl Summary {
    /// Adds them up.
    pub fn of(reports: &[Report]) -> Self {
        let mut summary = Self::default();
        for report in reports {
            match &report.verdict {
                Verdict::NotApplicable(_) => continue,
                Verdict::Broke(_) => summary.failed += 1,
                Verdict::Ran(outcome) => {
                    summary.lost += outcome.lost;
                    summary.late += usize::from(!outcome.late.is_empty());
                    summary.failed += usize::from(!outcome.failed.is_empty());
                }
            }
            summary.rows += 1;
        }
        summary
    }

    /// Did everything go as promised?
    pub fn passed(&self) -> bool {
        self.lost == 0 && self.late == 0 && self.failed == 0
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "rows {}, lost {}, late {}",
            self.rows, self.lost, self.late
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(verdict: Verdict) -> Report {
        Report {
            row: 1,
            fault: "publisher cut off",
            broker: "embedded",
            verdict,
            took: Duration::from_secs(1),
        }
    }

    #[test]
    fn rows_that_could_not_run_are_not_counted_and_rows_that_broke_are() {
        let lost = Outcome {
            lost: 2,
            late: vec!["the recovery".to_owned()],
            ..Outcome::default()
        };
        let summary = Summary::of(&[
            report(Verdict::Ran(Outcome::default())),
            report(Verdict::Ran(lost)),
            report(Verdict::NotApplicable("in memory".to_owned())),
        ]);
        assert_eq!(summary.to_string(), "rows 2, lost 2, late 1");
        assert!(!summary.passed());
        assert!(Summary::of(&[report(Verdict::Ran(Outcome::default()))]).passed());
        assert!(!Summary::of(&[report(Verdict::Broke("no broker".to_owned()))]).passed());
    }

    #[test]
    fn columns_stand_below_their_heads() {
        let line = report(Verdict::Ran(Outcome::default())).to_string();
        assert_eq!(Report::head().find("verdict"), line.find("ok"));
        let line = report(Verdict::NotApplicable("x".to_owned())).to_string();
        assert_eq!(Report::head().find("verdict"), line.find("n/a"));
    }
}
