//! The rows of the result.

use std::fmt;

/// When a figure is good enough.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted {
    /// At least so many times the other's.
    Times(f64),
    /// At most this share of the other's.
    Share(f64),
    /// Less than this, whatever the other does.
    Below(f64),
}

/// One figure of both brokers, round by round.
#[derive(Debug)]
pub(crate) struct Row {
    name: &'static str,
    wanted: Wanted,
    pub(crate) theirs: Vec<f64>,
    pub(crate) ours: Vec<f64>,
}

impl Row {
    pub(crate) fn new(name: &'static str, wanted: Wanted) -> Self {
        Self {
            name,
            wanted,
            theirs: Vec::new(),
            ours: Vec::new(),
        }
    }

    pub(crate) fn is_met(&self) -> bool {
        let ratio = median(&self.ours) / median(&self.theirs);
        match self.wanted {
            Wanted::Times(least) => self.theirs.is_empty() || ratio >= least,
            Wanted::Share(most) => self.theirs.is_empty() || ratio <= most,
            Wanted::Below(limit) => median(&self.ours) < limit,
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (theirs, ours) = (median(&self.theirs), median(&self.ours));
        let digits = if ours < 1000.0 { 1 } else { 0 };
        write!(f, "{:<46}", self.name)?;
        if self.theirs.is_empty() {
            write!(f, "{:>12} {ours:>12.digits$} {:>7}", "", "")?;
        } else {
            write!(
                f,
                "{theirs:>12.digits$} {ours:>12.digits$} {:>6.2}x",
                ours / theirs
            )?;
        }
        let wanted = match self.wanted {
            Wanted::Times(least) => format!("≥ {least}x"),
            Wanted::Share(most) => format!("≤ {most}x"),
            Wanted::Below(limit) => format!("< {limit}"),
        };
        let verdict = if self.is_met() { "met" } else { "SHORT" };
        write!(f, "  {wanted:<8} {verdict}")
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = (sorted.len().saturating_sub(1) / 2, sorted.len() / 2);
    match (sorted.get(low), sorted.get(high)) {
        (Some(low), Some(high)) => (low + high) / 2.0,
        _ => f64::NAN,
    }
}
