//! One listener's wish to handle one message.

use std::fmt;
use std::sync::Arc;

/// One message, in the eyes of one listener, and the process that wants to handle it. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Claim {
    key: Arc<Key>,
    owner: u128,
}

/// What is handled once.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    scope: Arc<str>,
    message_id: Box<str>,
}

impl Claim {
    /// A claim of its own owner, of which there is one for each delivery.
    pub(crate) fn new(scope: &Arc<str>, message_id: &str) -> Self {
        Self {
            key: Arc::new(Key {
                scope: Arc::clone(scope),
                message_id: message_id.into(),
            }),
            owner: uuid::Uuid::new_v4().as_u128(),
        }
    }

    /// The listener: its queue on the broker. Replicas share it; other listeners handle the same message for themselves.
    pub fn scope(&self) -> &str {
        &self.key.scope
    }

    /// The message's id, up to 255 bytes of any text.
    pub fn message_id(&self) -> &str {
        &self.key.message_id
    }

    /// Who claims it: a random number, another one for each delivery of the message.
    pub fn owner(&self) -> u128 {
        self.owner
    }

    pub(crate) fn key(&self) -> &Arc<Key> {
        &self.key
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim")
            .field("scope", &self.scope())
            .field("message_id", &self.message_id())
            .finish_non_exhaustive()
    }
}
