//! Handling a message once: a listener notes what it has handled, and leaves alone what it sees again.
//!
//! `deduplicate` stands between a delivery and its handler. What it notes goes to a `DedupStore`: `memory` here, or `SqlStore`. `claim` is what the two
//! talk about.

mod claim;
mod deduplicate;
mod memory;

pub use claim::Claim;
pub use memory::MemoryStore;

pub(crate) use deduplicate::Deduplicate;

use std::fmt::Debug;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// What a [`DedupStore`] returns.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Where listeners that [deduplicate](crate::Subscription::deduplicate) note which messages they have handled: [`MemoryStore`], `SqlStore` with the feature `sqlite` or
/// `postgres`, or one of your own.
///
/// A claim is one listener's wish to handle one message. [`begin`](Self::begin) gives it to one at a time. It ends in one of three ways: the handler has
/// succeeded ([`done`](Self::done)), it has failed ([`release`](Self::release)), or nothing more was heard of it for a [lease](Self::lease_time).
///
/// Each call that takes longer than 10 s counts as failed.
pub trait DedupStore: Debug + Send + Sync + 'static {
    /// Asks for a message. Of several that ask at once, one is told [`Begun::New`]; so is the owner of the claim that is asked for, and whoever asks after its lease.
    fn begin<'a>(&'a self, claim: &'a Claim) -> StoreFuture<'a, Begun>;

    /// The handler still works on it: the lease starts anew, if the claim is still its.
    fn renew<'a>(&'a self, claim: &'a Claim) -> StoreFuture<'a, ()>;

    /// The message is handled, whoever holds the claim by now.
    fn done<'a>(&'a self, claim: &'a Claim) -> StoreFuture<'a, ()>;

    /// The handler failed: the next attempt may begin. Changes nothing if the claim is another's by now, or the message is handled.
    fn release<'a>(&'a self, claim: &'a Claim) -> StoreFuture<'a, ()>;

    /// How long a claim lives without being [renewed](Self::renew), which happens three times as often: what has to pass after a crash before another process may begin.
    fn lease_time(&self) -> Duration;
}

impl<S: DedupStore + ?Sized> DedupStore for Arc<S> {
    fn begin<'a>(&'a self, claim: &'a Claim) -> StoreFuture<'a, Begun> {
        S::begin(self, claim)
    }

    fn renew<'a>(&'a self, claim: &'a Claim) -> StoreFuture<'a, ()> {
        S::renew(self, claim)
    }

    fn done<'a>(&'a self, claim: &'a Claim) -> StoreFuture<'a, ()> {
        S::done(self, claim)
    }

    fn release<'a>(&'a self, claim: &'a Claim) -> StoreFuture<'a, ()> {
        S::release(self, claim)
    }

    fn lease_time(&self) -> Duration {
        S::lease_time(self)
    }
}

/// What a store says to one who wants to handle a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begun {
    /// Nobody has handled it, and nobody else is at it: handle it now.
    New,
    /// It is handled.
    Done,
    /// Somebody else is at it.
    Running {
        /// What is left of the other's lease.
        left: Duration,
    },
}

/// Why a store of handled messages could not say, or note, what it was asked to.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The store did not do it.
    #[error("{doing}: {reason}. Is the database reachable, and did `migrate()` create its tables?")]
    Failed {
        /// What was being done.
        doing: &'static str,
        /// The database's words.
        reason: String,
    },
    /// It is not for this handler to say that the message is handled.
    #[error(
        "message {message_id} of {scope} is not this handler's any more: its lease had ended, and another replica has handled the message, or is at it. \
         Roll back; a longer lease helps if handlers block their thread"
    )]
    ClaimLost {
        /// The listener's queue.
        scope: String,
        /// The message.
        message_id: String,
    },
    /// The message at hand is not deduplicated.
    #[error(
        "there is nothing to note: the listener was not given this store by `deduplicate`, or the message has no id"
    )]
    NoClaim,
}

impl StoreError {
    /// For a store of your own: what was being done, and what went wrong.
    pub fn failed(doing: &'static str, reason: impl Into<String>) -> Self {
        Self::Failed {
            doing,
            reason: reason.into(),
        }
    }
}
