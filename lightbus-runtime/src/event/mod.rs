//! Events: what they are, how they are published, and how they are heard.

mod hearing;
mod key;
mod listen;
mod pause;
mod publish;
mod stream;
mod subscription;

#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) use publish::{check, check_size, routing_key};

pub use key::{EventKey, KeyFilter, KeyWriter};
pub use listen::{HandlerResult, Listener};
pub use publish::{EventPublisher, Publish, Publisher};
pub use stream::{EventStream, Received};
pub use subscription::Subscription;

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::{DecodeError, Payload};
use crate::manifest::ApiOutline;

/// The payload of an event; `#[lightbus::api]` generates and implements one for each `#[event]`.
pub trait Event: Clone + Debug + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The API's name, `auth`.
    const API: &'static str;
    /// The event's wire name, `user_registered`.
    const NAME: &'static str;
    /// The names of the arguments marked `#[key]`, in order.
    const KEYS: &'static [&'static str] = &[];
    /// Of its API, if a field is secret.
    #[doc(hidden)]
    const OUTLINE: Option<&'static ApiOutline> = None;
    #[doc(hidden)]
    fn routing_keys(&self, keys: &mut KeyWriter) {
        let _ = keys;
    }
}

/// What one listener may hear: one event, or all events of an API as an enum. Implemented by generated types.
pub trait EventSet: Sized + Send + 'static {
    #[doc(hidden)]
    const API: &'static str;
    #[doc(hidden)]
    const EVENTS: &'static [&'static str];
    #[doc(hidden)]
    fn decode(event: &str, payload: Payload<'_>) -> Result<Self, DecodeError>;
}

impl<E: Event> EventSet for E {
    const API: &'static str = E::API;
    const EVENTS: &'static [&'static str] = &[E::NAME];

    fn decode(_: &str, payload: Payload<'_>) -> Result<Self, DecodeError> {
        payload.decode()
    }
}
