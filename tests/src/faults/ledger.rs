//! What became of each event: the books that a row is judged by.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Which events were confirmed, and which were handled how often. A few bytes for each, so that hours of events leave the memory flat.
#[derive(Debug, Default)]
pub struct Ledger {
    /// All numbers are above this one: ledgers side by side know their own events.
    base: u64,
    books: Mutex<Books>,
}

#[derive(Debug, Default)]
struct Books {
    entries: Vec<Entry>,
    newest_confirmed: Option<u64>,
    newest_handled: Option<u64>,
    slowest: Duration,
    renamed: usize,
    failures: usize,
    /// Different ones, and not more than a person reads.
    errors: HashSet<String>,
}

/// An event.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    /// The hash of its message id, when it was first handled.
    id: u64,
    times: u32,
    confirmed: bool,
}

const MOST_ERRORS: usize = 20;

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
    /// Books that number their events from here on; at most 2⁴⁰ of them.
    pub fn above(base: u64) -> Self {
        Self {
            base,
            ..Self::default()
        }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number for the next event.
    pub fn next(&self) -> u64 {
        let mut books = self.books();
        books.entries.push(Entry::default());
        self.base + books.entries.len() as u64
    }

    /// The number of the newest event.
    pub fn newest(&self) -> u64 {
        self.base + self.books().entries.len() as u64
    }

    /// Is this event one of these books?
    pub fn knows(&self, n: u64) -> bool {
        n > self.base && n <= self.newest()
    }

    /// The publish of this event returned Ok.
    pub fn confirmed(&self, n: u64, took: Duration) {
        let mut books = self.books();
        if let Some(entry) = books.entry(self.base, n) {
            entry.confirmed = true;
        }
        books.newest_confirmed = books.newest_confirmed.max(Some(n));
        books.slowest = books.slowest.max(took);
    }

    /// The publish of an event failed.
    pub fn failed(&self, error: impl Into<String>, took: Duration) {
        let mut books = self.books();
        books.slowest = books.slowest.max(took);
        books.failures += 1;
        if books.errors.len() < MOST_ERRORS {
            books.errors.insert(error.into());
        }
    }

    /// A handler has seen this event. Says how often by now.
    pub fn handled(&self, n: u64, message_id: &str) -> u32 {
        let mut books = self.books();
        let id = hash(message_id);
        let Some(entry) = books.entry(self.base, n) else {
            return 0;
        };
        if entry.times == 0 {
            entry.id = id;
        }
        entry.times += 1;
        let (times, renamed) = (entry.times, entry.id != id);
        books.renamed += usize::from(renamed);
        books.newest_handled = books.newest_handled.max(Some(n));
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
        let numbered = (self.base + 1..).zip(&books.entries);
        let missing = numbered.filter(|(_, entry)| entry.confirmed && entry.times == 0);
        missing.map(|(n, _)| n).collect()
    }

    /// The longest that a publish took to return.
    pub fn slowest(&self) -> Duration {
        self.books().slowest
    }

    /// How many publishes failed.
    pub fn failures(&self) -> usize {
        self.books().failures
    }

    /// What failed publishes said, each once.
    pub fn errors(&self) -> Vec<String> {
        self.books().errors.iter().cloned().collect()
    }

    /// The totals by now.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for entry in &self.books().entries {
            totals.confirmed += usize::from(entry.confirmed);
            totals.handled += usize::from(entry.times > 0);
            totals.duplicated += entry.times.saturating_sub(1) as usize;
        }
        totals
    }
}

impl Books {
    fn entry(&mut self, base: u64, n: u64) -> Option<&mut Entry> {
        let nth = usize::try_from(n.checked_sub(base + 1)?).ok()?;
        self.entries.get_mut(nth)
    }
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
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

    #[test]
    fn books_side_by_side_know_their_own_events() {
        let ledger = Ledger::above(1 << 40);
        let n = ledger.next();
        assert!(ledger.knows(n) && !ledger.knows(1) && !ledger.knows(n + 1));
        ledger.confirmed(n, Duration::ZERO);
        ledger.handled(1, "another ledger's");
        assert_eq!(ledger.missing(), [n]);
    }
}
