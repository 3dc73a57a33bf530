//! Two brokers, one sequence: whether they differ, and the shortest sequence with which they still do.

use super::{
    client::Lost,
    known::Reference,
    operation::Operation,
    world::{self, Pace, Step},
};

/// Two brokers to compare.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) reference: Reference,
    pub(crate) ours: String,
}

/// A sequence with which two brokers differ.
#[derive(Debug)]
pub(crate) struct Difference {
    pub(crate) operations: Vec<Operation>,
    pub(crate) theirs: Vec<Step>,
    pub(crate) ours: Vec<Step>,
    /// The first step that differs.
    pub(crate) at: usize,
}

/// What a run came to.
#[derive(Debug)]
pub(crate) enum Outcome {
    Same(Vec<Step>),
    Differs(Difference),
}

impl Pair {
    /// Runs a sequence on both.
    pub(crate) fn run(
        &self,
        prefix: &str,
        operations: &[Operation],
        pace: Pace,
    ) -> Result<Outcome, Broken> {
        let run = |url: &str| {
            world::run(url, prefix, operations, pace).inspect_err(|_| {
                let _ = world::clean(url, prefix);
            })
        };
        let (theirs, ours) = std::thread::scope(|scope| {
            let theirs = scope.spawn(|| run(&self.reference.url));
            let ours = run(&self.ours);
            (theirs.join(), ours)
        });
        let theirs = theirs.unwrap_or_else(|_| Err(Lost::because("a panic in the client")));
        let theirs = self.reference.adjust(theirs.map_err(Broken::Reference)?);
        let ours = self.reference.adjust(ours.map_err(Broken::Ours)?);
        let same = |at: usize| match (theirs.get(at), ours.get(at)) {
            (Some(theirs), Some(ours)) => {
                theirs.operation == ours.operation && theirs.lines == ours.lines
            }
            _ => false,
        };
        match (0..theirs.len().max(ours.len())).find(|at| !same(*at)) {
            None => Ok(Outcome::Same(ours)),
            Some(at) => Ok(Outcome::Differs(Difference {
                operations: operations.to_vec(),
                theirs,
                ours,
                at,
            })),
        }
    }

    /// Whether the brokers still differ when there is time for everything.
    pub(crate) fn confirm(
        &self,
        prefix: &str,
        operations: &[Operation],
    ) -> Result<Option<Difference>, Broken> {
        match self.run(prefix, operations, Pace::Careful)? {
            Outcome::Same(_) => Ok(None),
            Outcome::Differs(difference) => Ok(Some(difference)),
        }
    }

    /// Leaves out what can be left out, in at most `budget` runs.
    pub(crate) fn shrink(
        &self,
        prefix: &str,
        mut found: Difference,
        mut budget: usize,
    ) -> Difference {
        let still = |operations: &[Operation], budget: &mut usize| {
            *budget = budget.saturating_sub(1);
            self.confirm(prefix, operations).ok().flatten()
        };
        let mut size = found.operations.len();
        while budget > 0 {
            // Nothing after the first difference is needed, unless it shows only in what is left at the end.
            let mut next = None;
            let count = found.operations.len();
            if found.at + 1 < count {
                next = still(&found.operations[..=found.at], &mut budget);
            }
            let mut from = 0;
            while next.is_none() && from < count && budget > 0 {
                let to = count.min(from + size);
                let mut fewer = found.operations.clone();
                fewer.drain(from..to);
                next = still(&fewer, &mut budget);
                from = to;
            }
            match next {
                Some(next) => found = next,
                None if size > 1 => size = size.div_ceil(2),
                None => break,
            }
            size = size.min(found.operations.len().div_ceil(2)).max(1);
        }
        self.simplify(prefix, found, budget)
    }

    /// Makes the operations that are left simpler.
    fn simplify(&self, prefix: &str, mut found: Difference, mut budget: usize) -> Difference {
        let mut at = 0;
        while at < found.operations.len() {
            let simpler = found.operations[at]
                .simpler()
                .into_iter()
                .find_map(|simpler| {
                    if budget == 0 {
                        return None;
                    }
                    budget -= 1;
                    let mut operations = found.operations.clone();
                    operations[at] = simpler;
                    self.confirm(prefix, &operations).ok().flatten()
                });
            match simpler {
                Some(simpler) => found = simpler,
                None => at += 1,
            }
        }
        found
    }
}

/// A run that could not be brought to its end.
#[derive(Debug)]
pub(crate) enum Broken {
    Reference(Lost),
    Ours(Lost),
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Reference(lost) => write!(f, "the reference broke down: {lost}"),
            Self::Ours(lost) => write!(f, "the embedded broker broke down: {lost}"),
        }
    }
}
