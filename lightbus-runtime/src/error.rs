//! What can go wrong, by what the user was doing: a call, a publish, or anything else.
//!
//! Every message names the thing (API, method, queue, broker), says what happened, and then what to look at.
//! No lapin type is public, and no message holds a password.

use std::fmt;

/// Why connecting, serving, listening or closing failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting or a name is not legal; nothing was sent.
    #[error("{0}")]
    Config(String),
    /// The broker could not be reached, or it refused the connection.
    #[error("cannot connect to the broker at {broker}: {reason}. {remedy}")]
    Connect {
        /// Host, port, vhost and user; never the password.
        broker: String,
        /// What the network or the broker said.
        reason: String,
        /// What to look at.
        remedy: String,
    },
    /// A queue or exchange exists with other arguments than this version of lightbus wants. Nothing was deleted.
    #[error(
        "{object} exists with other arguments than lightbus needs: {detail}. An older version or another program declared it. \
         Finish what is in it and delete it, or use another vhost; lightbus never deletes a queue by itself"
    )]
    TopologyMismatch {
        /// The queue or exchange.
        object: String,
        /// The broker's words: which argument, wanted and found.
        detail: String,
    },
    /// The broker's user lacks a permission.
    #[error(
        "the broker denies access to {object}: {detail}. Ask for permission to configure, write and read `^lb\\.` in this vhost"
    )]
    Denied {
        /// The queue or exchange.
        object: String,
        /// The broker's words.
        detail: String,
    },
    /// The broker refused an operation, or the connection broke during it.
    #[error("{object}: {detail}")]
    Broker {
        /// What was being done to which queue or exchange.
        object: String,
        /// The broker's or the network's words.
        detail: String,
    },
    /// The bus was closed, or dropped, before or during the operation.
    #[error("the bus is closed: `close`, a signal or the drop of its last handle ended it")]
    Closed,
}

/// Why a call gave no answer of its type. [`CallError::Domain`] is the provider's own error; all others come from the bus.
///
/// A method that returns a plain `T` has the domain error [`Infallible`](std::convert::Infallible).
///
/// ```
/// use lightbus_runtime::CallError;
/// # #[derive(Debug)] enum AuthError { Locked }
/// fn explain(error: CallError<AuthError>) -> &'static str {
///     match error {
///         CallError::Domain(AuthError::Locked) => "the account is locked",
///         CallError::NoProvider(_) => "nobody serves this API: is the auth app running?",
///         other if other.is_retryable() => "it did not run: try again",
///         _ => "something else",
///     }
/// }
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum CallError<E> {
    /// The provider's method returned this error.
    Domain(E),
    /// Nobody serves this API. The call did not run.
    NoProvider(Box<CallFailure>),
    /// The API is served, but by a version that lacks this method. The call did not run.
    UnknownMethod(Box<CallFailure>),
    /// No answer came in time, or before the bus was closed. The call may or may not have run.
    Timeout(Box<CallFailure>),
    /// The provider could not read the arguments, or this side could not encode them. The call did not run.
    BadArguments(Box<CallFailure>),
    /// The call was not accepted: it is too large. It did not run.
    Rejected(Box<CallFailure>),
    /// A provider answered that it did not run the call: its deadline had passed, or the provider was shutting down, and until the
    /// deadline no other one took the call.
    NotExecuted(Box<CallFailure>),
    /// The provider panicked, or was lost while it worked on the call. Its own log has the details.
    ProviderFailed(Box<CallFailure>),
    /// There was no connection to the broker until the deadline, or the bus is closed. The call was not sent.
    Connection(Box<CallFailure>),
    /// The broker's user lacks a permission that calls of this API take. The call was not sent, and another try is refused as well.
    Denied(Box<CallFailure>),
    /// The broker blocks publishers, because it is low on memory or disk: until the deadline; or right now, and the calls and events
    /// that wait for it fill the bus's share of memory already. The call was not sent.
    Blocked(Box<CallFailure>),
    /// An answer came that cannot be read: too large, or not of the expected type, because the two sides were built from different
    /// versions of the API.
    BadReply(Box<CallFailure>),
}

/// Which call failed, and what is known about it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallFailure {
    /// The API's name, `auth`.
    pub api: &'static str,
    /// The method's wire name, `check_password`.
    pub method: &'static str,
    /// What happened, in words.
    pub detail: String,
}

impl fmt::Display for CallFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "call {}.{}: {}", self.api, self.method, self.detail)
    }
}

impl<E> CallError<E> {
    /// The provider's own error, if that is what it is.
    pub fn domain(&self) -> Option<&E> {
        match self {
            Self::Domain(error) => Some(error),
            _ => None,
        }
    }

    /// Changes the type of the provider's own error; all other errors stay what they are.
    pub fn map_domain<F>(self, map: impl FnOnce(E) -> F) -> CallError<F> {
        match self {
            Self::Domain(error) => CallError::Domain(map(error)),
            Self::NoProvider(failure) => CallError::NoProvider(failure),
            Self::UnknownMethod(failure) => CallError::UnknownMethod(failure),
            Self::Timeout(failure) => CallError::Timeout(failure),
            Self::BadArguments(failure) => CallError::BadArguments(failure),
            Self::Rejected(failure) => CallError::Rejected(failure),
            Self::NotExecuted(failure) => CallError::NotExecuted(failure),
            Self::ProviderFailed(failure) => CallError::ProviderFailed(failure),
            Self::Connection(failure) => CallError::Connection(failure),
            Self::Denied(failure) => CallError::Denied(failure),
            Self::Blocked(failure) => CallError::Blocked(failure),
            Self::BadReply(failure) => CallError::BadReply(failure),
        }
    }

    /// True when the call certainly did not run, and the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::NoProvider(_) | Self::NotExecuted(_) | Self::Connection(_) | Self::Blocked(_)
        )
    }

    fn failure(&self) -> Option<&CallFailure> {
        match self {
            Self::Domain(_) => None,
            Self::NoProvider(failure)
            | Self::UnknownMethod(failure)
            | Self::Timeout(failure)
            | Self::BadArguments(failure)
            | Self::Rejected(failure)
            | Self::NotExecuted(failure)
            | Self::ProviderFailed(failure)
            | Self::Connection(failure)
            | Self::Denied(failure)
            | Self::Blocked(failure)
            | Self::BadReply(failure) => Some(failure),
        }
    }
}

impl<E: fmt::Display> fmt::Display for CallError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.failure()) {
            (Self::Domain(error), _) => error.fmt(f),
            (_, Some(failure)) => failure.fmt(f),
            (_, None) => Ok(()),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for CallError<E> {}

// Results travel by value through every layer: keep the error small.
const _: () = assert!(size_of::<CallError<()>>() <= 32);

/// Why a publish was not confirmed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The event was not sent: it cannot be encoded, is too large, or its key is too long.
    #[error("event {event} was not sent: {reason}")]
    Rejected {
        /// API and event, `auth.user_registered`.
        event: String,
        /// What is wrong with it, and the limit.
        reason: String,
    },
    /// The broker refused to store the event in at least one listener's queue, which is full.
    #[error(
        "event {event} was refused by the broker: a listener's queue is full. \
         Look at the queues bound to its exchange; other listeners may have got it"
    )]
    Refused {
        /// API and event.
        event: String,
    },
    /// The broker does not let this app publish the event, or not with these properties. It was not stored.
    #[error(
        "event {event} was denied by the broker: {reason}. May this app's user write to the exchange? `rabbitmqctl list_permissions` shows it"
    )]
    Denied {
        /// API and event.
        event: String,
        /// The broker's words.
        reason: String,
    },
    /// The broker takes no messages at the moment, because it is short of memory or disk. The event was not sent: it waited for the
    /// alarm's end until its deadline, or as many messages as may wait (8192, or 32 MiB) do so already.
    #[error(
        "event {event} was not sent: the broker blocks publishers because of a memory or disk alarm. \
         `rabbitmqctl status` names it; free memory or disk space, or consume what is queued"
    )]
    Blocked {
        /// API and event.
        event: String,
    },
    /// No confirmation came in time. The event may or may not have been stored. Until it is confirmed or its connection lost, it counts among the messages
    /// that may wait.
    #[error(
        "event {event} (message {message_id}) was not confirmed within {waited_ms} ms: {reason}. It may or may not have been stored"
    )]
    Unconfirmed {
        /// API and event.
        event: String,
        /// The id under which it may turn up.
        message_id: String,
        /// How long this side waited, in milliseconds.
        waited_ms: u64,
        /// What is known about the connection.
        reason: String,
    },
    /// There was no connection to the broker until the deadline, or the bus is closed. The event was not sent.
    #[error("event {event} was not sent: {reason}")]
    Connection {
        /// API and event.
        event: String,
        /// What is known about the connection.
        reason: String,
    },
}
