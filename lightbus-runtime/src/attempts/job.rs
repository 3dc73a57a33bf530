//! What differs between those whose messages are tried until they are handled or dead.

use std::pin::Pin;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::boxed::Boxed;
use crate::bus::Core;
use crate::codec::Format;
use crate::context::Context;
use crate::counters::Tally;
use crate::idempotence::Deduplicate;
use crate::retry::{HandlerError, Retry};

/// A handler's future, without its types.
pub(crate) type Handling = Pin<Box<dyn Future<Output = Result<Handled, HandlerError>> + Send>>;

/// A handler's success, as opposed to a message that is left for later.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handled {
    Done,
    Kept,
}

/// Why a message is dead without any attempt: a word for the dead letter, and the details.
pub(crate) struct Unreadable {
    pub(crate) reason: &'static str,
    pub(crate) detail: String,
}

/// A queue's handler: of a listener, or of tasks.
pub(crate) trait Job: Send + Sync + 'static {
    /// What its messages are, for the log: `event`.
    const WHAT: &'static str;

    fn core(&self) -> &Arc<Core>;

    fn queue(&self) -> &str;

    /// Where its dead letters go: whose exchange, and the name that they lie under; `None` if it has none.
    fn dead_letters(&self) -> Option<(&str, &str)>;

    fn retry(&self, context: &Context) -> &Retry;

    fn deduplicate(&self) -> Option<&Deduplicate>;

    /// Must a failed message stay where it is?
    fn stays_in_place(&self) -> bool;

    /// Is the message held for its handler when that takes long?
    fn may_take_long(&self) -> bool {
        false
    }

    /// Cancelled when no more attempts are to begin here.
    fn rest(&self) -> CancellationToken;

    fn tally(&self) -> &Tally;

    /// Decodes the message and makes the handler's future.
    fn handling(
        &self,
        data: &[u8],
        format: Format,
        context: &Context,
    ) -> Result<Handling, Unreadable>;

    /// Has somebody asked for the message not to be handled any more? Then what is left to do for it.
    fn given_up(&self, _context: &Context) -> Option<Boxed<()>> {
        None
    }

    /// What is left to do for an attempt that failed and is not the last one.
    fn retrying(&self, _context: &Context, _error: &str) -> Option<Boxed<()>> {
        None
    }

    /// What is left to do for a message that no attempt could handle.
    fn died(
        &self,
        _data: &[u8],
        _context: &Context,
        _reason: &str,
        _errors: &[String],
    ) -> Option<Boxed<()>> {
        None
    }
}
