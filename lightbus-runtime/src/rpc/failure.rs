//! Why a call has no answer, in words, before the error takes the call's type.

use super::call::CallSpec;
use crate::error::{CallError, CallFailure, Error};
use crate::wire::Status;

#[derive(Debug)]
pub(crate) enum Failure {
    /// The call came back: no queue is bound for it.
    Returned,
    NoProvider(String),
    UnknownMethod(String),
    Timeout(String),
    BadArguments(String),
    Rejected(String),
    NotExecuted(String),
    ProviderFailed(String),
    Connection(String),
    Denied(String),
    Blocked(String),
    BadReply(String),
}

impl Failure {
    pub(super) fn of_status(status: Status, detail: &str) -> Self {
        match status {
            Status::UnknownMethod => Self::UnknownMethod(
                "the provider does not know this method; it was built from another version of the API".to_owned(),
            ),
            Status::BadArguments => Self::BadArguments(format!("the provider could not read the arguments: {detail}")),
            Status::Expired => Self::NotExecuted("the deadline had passed when a provider took the call, and so it did not run".to_owned()),
            Status::ShuttingDown => Self::NotExecuted("the provider was shutting down, and did not run the call".to_owned()),
            Status::TooLarge => Self::Rejected(format!("the provider refuses the call: {detail}")),
            Status::Redelivered => Self::ProviderFailed(
                "a provider was lost while it had this call; it may have run. \
                 Methods marked `#[rpc(idempotent)]` are tried again on another provider"
                    .to_owned(),
            ),
            Status::Panicked => Self::ProviderFailed("the provider's method panicked; the provider's log has the text".to_owned()),
            Status::Unencodable | Status::Domain => {
                Self::ProviderFailed(format!("the provider has no answer that can be sent: {detail}"))
            }
        }
    }

    /// The same as text.
    pub(crate) fn text_of(status: Status, detail: &str) -> String {
        match Self::of_status(status, detail) {
            Self::Returned => String::new(),
            Self::NoProvider(text)
            | Self::UnknownMethod(text)
            | Self::Timeout(text)
            | Self::BadArguments(text)
            | Self::Rejected(text)
            | Self::NotExecuted(text)
            | Self::ProviderFailed(text)
            | Self::Connection(text)
            | Self::Denied(text)
            | Self::Blocked(text)
            | Self::BadReply(text) => text,
        }
    }

    /// What a call needs could not be set up.
    pub(super) fn of_preparing(error: &Error) -> Self {
        match error {
            Error::Denied { .. } => Self::Denied(format!(
                "not sent: {error}; `rabbitmqctl list_permissions` shows what this app's user may do"
            )),
            _ => Self::Connection(error.to_string()),
        }
    }

    pub(super) fn abandoned() -> Self {
        Self::Timeout("the bus was closed before an answer came; the call may have run".to_owned())
    }

    pub(super) fn into_error<E>(self, spec: &'static CallSpec) -> CallError<E> {
        let failure = |detail| {
            Box::new(CallFailure {
                api: spec.api,
                method: spec.method,
                detail,
            })
        };
        match self {
            Self::Returned => CallError::NoProvider(failure("nobody serves it".to_owned())),
            Self::NoProvider(detail) => CallError::NoProvider(failure(detail)),
            Self::UnknownMethod(detail) => CallError::UnknownMethod(failure(detail)),
            Self::Timeout(detail) => CallError::Timeout(failure(detail)),
            Self::BadArguments(detail) => CallError::BadArguments(failure(detail)),
            Self::Rejected(detail) => CallError::Rejected(failure(detail)),
            Self::NotExecuted(detail) => CallError::NotExecuted(failure(detail)),
            Self::ProviderFailed(detail) => CallError::ProviderFailed(failure(detail)),
            Self::Connection(detail) => CallError::Connection(failure(detail)),
            Self::Denied(detail) => CallError::Denied(failure(detail)),
            Self::Blocked(detail) => CallError::Blocked(failure(detail)),
            Self::BadReply(detail) => CallError::BadReply(failure(detail)),
        }
    }
}
