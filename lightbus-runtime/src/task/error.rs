//! Why a task has no value.

use std::fmt;

use super::id::TaskId;

/// Why a task gave no value of its type. [`TaskError::Domain`] is the task's own error; all others come from the bus.
///
/// ```
/// use lightbus_runtime::TaskError;
/// # #[derive(Debug)] enum AuthError { NoSuchUser }
/// fn explain(error: TaskError<AuthError>) -> String {
///     match error {
///         TaskError::Domain(AuthError::NoSuchUser) => "there is no such user".to_owned(),
///         TaskError::Failed(failure) => format!("after {} attempts: {}", failure.attempts, failure.detail),
///         TaskError::Timeout(_) => "not yet".to_owned(),
///         other => format!("{other:?}"),
///     }
/// }
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum TaskError<E> {
    /// The task returned this error at its last attempt.
    Domain(E),
    /// It failed otherwise at its last attempt: it panicked, took longer than its timeout, or could not be read; or process after process was lost while it had it, twenty of
    /// them. Its dead letter has the details.
    Failed(Box<TaskFailure>),
    /// It was cancelled.
    Cancelled(Box<TaskFailure>),
    /// It waited for longer than it may, and was not begun.
    Expired(Box<TaskFailure>),
    /// Whoever enqueued it did not ask for its result to be kept: by `.keep_result()` or `.result_ttl(..)` where it is enqueued, or `#[task(result_ttl = "1h")]`.
    NotKept(Box<TaskFailure>),
    /// It ended, and its result was kept for no longer.
    Gone(Box<TaskFailure>),
    /// It did not end in time. It may still.
    Timeout(Box<TaskFailure>),
    /// There is no way to know: no connection to the broker, a permission, or the bus is closed.
    Connection(Box<TaskFailure>),
    /// It has a value or an error that cannot be read: too large to be kept, or not of the expected type, because the two sides were built from different versions of the API.
    BadResult(Box<TaskFailure>),
}

/// Which task it is, and what is known about it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskFailure {
    /// The task's id.
    pub id: TaskId,
    /// How many attempts were made, as far as known.
    pub attempts: u32,
    /// What happened, in words.
    pub detail: String,
}

impl fmt::Display for TaskFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {}: {}", self.id, self.detail)
    }
}

impl<E> TaskError<E> {
    /// The task's own error, if that is what it is.
    pub fn domain(&self) -> Option<&E> {
        match self {
            Self::Domain(error) => Some(error),
            _ => None,
        }
    }

    fn failure(&self) -> Option<&TaskFailure> {
        match self {
            Self::Domain(_) => None,
            Self::Failed(failure)
            | Self::Cancelled(failure)
            | Self::Expired(failure)
            | Self::NotKept(failure)
            | Self::Gone(failure)
            | Self::Timeout(failure)
            | Self::Connection(failure)
            | Self::BadResult(failure) => Some(failure),
        }
    }
}

impl<E: fmt::Display> fmt::Display for TaskError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.failure()) {
            (Self::Domain(error), _) => error.fmt(f),
            (_, Some(failure)) => failure.fmt(f),
            (_, None) => Ok(()),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for TaskError<E> {}

/// Why it is not known what became of a task, or it cannot be cancelled.
#[derive(Debug)]
pub(super) enum Unknown {
    NotKept,
    Gone,
    Timeout(String),
    Connection(String),
}

impl Unknown {
    pub(super) fn of<E>(self, id: &TaskId) -> TaskError<E> {
        let failure = |detail: &str| {
            Box::new(TaskFailure {
                id: id.clone(),
                attempts: 0,
                detail: detail.to_owned(),
            })
        };
        match self {
            Self::NotKept => TaskError::NotKept(failure(
                "whoever enqueued it did not ask for its result to be kept: call `.keep_result()` or `.result_ttl(..)` before `.enqueue()`, or write `#[task(result_ttl = \"1h\")]`",
            )),
            Self::Gone => TaskError::Gone(failure(
                "nothing is known of it any more: it ended, and its result was kept for no longer",
            )),
            Self::Timeout(detail) => TaskError::Timeout(failure(&detail)),
            Self::Connection(detail) => TaskError::Connection(failure(&detail)),
        }
    }
}

// Results travel by value through every layer: keep the error small.
const _: () = assert!(size_of::<TaskError<()>>() <= 32);
