//! Faults: why a channel or a connection is closed, with the reply codes and texts that clients know from RabbitMQ.

/// What a fault closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Channel,
    Connection,
}

/// A refused operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) scope: Scope,
    pub(crate) code: u16,
    pub(crate) text: String,
    /// The method it is reported against, where that is not the one being handled: class and number.
    pub(crate) against: Option<(u16, u16)>,
}

impl Fault {
    /// Reports it against a method other than the one being handled; `(0, 0)` is none.
    pub(crate) fn against(self, class: u16, method: u16) -> Self {
        Self {
            against: Some((class, method)),
            ..self
        }
    }
}

/// What a handler returns.
pub(crate) type Outcome<T = ()> = Result<T, Fault>;

macro_rules! faults {
    ($($scope:ident $code:literal $name:ident $prefix:literal;)*) => {$(
        pub(crate) fn $name(detail: impl AsRef<str>) -> Fault {
            Fault {
                scope: Scope::$scope,
                code: $code,
                text: format!(concat!($prefix, " - {}"), detail.as_ref()),
                against: None,
            }
        }
    )*};
}

faults! {
    Channel 403 access_refused "ACCESS_REFUSED";
    Channel 404 not_found "NOT_FOUND";
    Channel 405 resource_locked "RESOURCE_LOCKED";
    Channel 406 precondition_failed "PRECONDITION_FAILED";
    Connection 320 connection_forced "CONNECTION_FORCED";
    Connection 403 login_refused "ACCESS_REFUSED";
    Connection 501 frame_error "FRAME_ERROR";
    Connection 502 syntax_error "SYNTAX_ERROR";
    Connection 503 command_invalid "COMMAND_INVALID";
    Connection 504 channel_error "CHANNEL_ERROR";
    Connection 505 unexpected_frame "UNEXPECTED_FRAME";
    Connection 530 not_allowed "NOT_ALLOWED";
    Connection 540 not_implemented "NOT_IMPLEMENTED";
    Connection 541 internal_error "INTERNAL_ERROR";
}

/// Cuts a reply text to what a short string can carry, on a character boundary.
pub(crate) fn reply_text(text: &str) -> &str {
    let mut end = text.len().min(255);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reply_texts_fit_a_short_string() {
        assert_eq!(reply_text("short"), "short");
        assert_eq!(reply_text(&"x".repeat(300)).len(), 255);
        assert_eq!(reply_text(&"é".repeat(200)).len(), 254);
    }
}
