//! What became of each event: the books that a row is judged by.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Which events were confirmed, and which were handled how often.
#[derive(Debug, Default)]
pub struct Ledger {
    books: Mutex<Books>,
}

#[derive(Debug, Default)]
struct Books {
    next: u64,
    confirmed: HashSet<u64>,
    handled: HashMap<u64, Seen>,
    newest_confirmed: Option<u64>,
    newest_handled: Option<u64>,
    slowest: Duration,
    renamed: usize,
    errors: Vec<String>,
}

#[derive(Debug)]
struct Seen {
    times: u32,
    message_id: String,
}

/// The totals of a ledger.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    /// Events whose publish returned Ok.
    pub confirmed: usize,
    /// Events that a handler has seen, confirmed or not.
    pub handled: usize,
    /// How often a handler saw an event that it, or another one, had seen before.
    pub duplicated: usize,
}

impl Ledger {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number for the next event.
    pub fn next(&self) -> u64 {
        let mut books = self.books();
        books.next += 1;
        books.next
    }

    /// The number of the newest event.
    pub fn newest(&self) -> u64 {
        self.books().next
    }

    /// The publish of this event returned Ok.
    pub fn confirmed(&self, n: u64, took: Duration) {
        let mut books = self.books();
        books.confirmed.insert(n);
        books.newest_confirmed = books.newest_confirmed.max(Some(n));
        books.slowest = books.slowest.max(took);
    }

    /// The publish of an event failed.
    pub fn failed(&self, error: impl Into<String>, took: Duration) {
        let mut books = self.books();
        books.slowest = books.slowest.max(took);
        books.errors.push(error.into());
    }

    /// A handler has seen this event. Says how often by now.
    pub fn handled(&self, n: u64, message_id: &str) -> u32 {
        let mut books = self.books();
        books.newest_handled = books.newest_handled.max(Some(n));
        let seen = books.handled.entry(n).or_insert_with(|| Seen {
            times: 0,
            message_id: message_id.to_owned(),
        });
        seen.times += 1;
        let (times, same) = (seen.times, seen.message_id == message_id);
        books.renamed += usize::from(!same);
        times
    }

    /// How often an event came again under another message id than before.
    pub fn renamed(&self) -> usize {
        self.books().renamed
    }

    /// Has an event after `n` been confirmed, and one been handled?
    pub fn flows_since(&self, n: u64) -> bool {
        let books = self.books();
        books.newest_confirmed > Some(n) && books.newest_handled > Some(n)
    }

    /// The confirmed events that nobody handled.
    pub fn missing(&self) -> Vec<u64> {
        let books = self.books();
        let unseen = |n: &&u64| !books.handled.contains_key(*n);
        books.confirmed.iter().filter(unseen).copied().collect()
    }

    /// The longest that a publish took to return.
    pub fn slowest(&self) -> Duration {
        self.books().slowest
    }

    /// What failed publishes said.
    pub fn errors(&self) -> Vec<String> {
        self.books().errors.clone()
    }

    /// The totals by now.
    pub fn totals(&self) -> Totals {
        let books = self.books();
        let seen: u64 = books
            .handled
            .values()
            .map(|seen| u64::from(seen.times))
            .sum();
        Totals {
            confirmed: books.confirmed.len(),
            handled: books.handled.len(),
            duplicated: usize::try_from(seen).unwrap_or(usize::MAX) - books.handled.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_confirmed_event_is_missing_until_it_was_handled() {
        let ledger = Ledger::default();
        let (first, second, third) = (ledger.next(), ledger.next(), ledger.next());
        ledger.confirmed(first, Duration::from_secs(1));
        ledger.confirmed(second, Duration::from_secs(3));
        ledger.failed("refused", Duration::from_secs(2));
        assert_eq!(ledger.handled(first, "a"), 1);
        assert_eq!(ledger.handled(first, "b"), 2);
        assert_eq!(ledger.renamed(), 1);
        assert_eq!(ledger.missing(), [second]);
        assert_eq!(ledger.slowest(), Duration::from_secs(3));
        assert!(!ledger.flows_since(first), "the second was not handled");
        // Stored, though its publisher was never told.
        ledger.handled(third, "c");
        assert!(ledger.flows_since(first));
        let totals = ledger.totals();
        assert_eq!(
            (totals.confirmed, totals.handled, totals.duplicated),
            (2, 2, 1)
        );
    }
}
