//! The types of queue there are.

/// A type of queue, as `x-queue-type` names it.
///
/// ```
/// use lightbus_broker::{Broker, QueueType};
///
/// let builder = Broker::builder().default_queue_type(QueueType::Quorum);
/// # drop(builder);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum QueueType {
    /// `classic`: messages wait, in order of priority if so declared, until they are acknowledged.
    #[default]
    Classic,
    /// `quorum`: counts how often a message comes back, and gives up on it when that is too often.
    Quorum,
    /// `stream`: an append-only log that every consumer reads at a pace of its own.
    Stream,
}

impl QueueType {
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "classic" => Self::Classic,
            "quorum" => Self::Quorum,
            "stream" => Self::Stream,
            _ => return None,
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Quorum => "quorum",
            Self::Stream => "stream",
        }
    }

    /// What RabbitMQ calls it in errors.
    pub(crate) fn module(self) -> &'static str {
        match self {
            Self::Classic => "rabbit_classic_queue",
            Self::Quorum => "rabbit_quorum_queue",
            Self::Stream => "rabbit_stream_queue",
        }
    }
}
