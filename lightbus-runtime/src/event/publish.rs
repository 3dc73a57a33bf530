//! Publishing an event: done when the broker has confirmed that every bound queue stored it.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::time::Duration;

use super::{Event, KeyWriter};
use crate::bus::Bus;
use crate::codec::{EncodeError, encode};
use crate::config::LONGEST_WAIT;
use crate::error::PublishError;
use crate::manifest::ApiOutline;
use crate::publishing::{Message, Progress, Refusal, Unsent};
use crate::{topology, wire};

/// The AMQP limit of a routing key.
const KEY_LIMIT: usize = 255;

/// What generated publishers stand on.
#[derive(Clone, Debug)]
pub struct Publisher {
    bus: Bus,
}

impl Publisher {
    /// A publisher of an API's events over `bus`, which it keeps open.
    pub fn new(bus: &Bus, of: &'static ApiOutline) -> Self {
        bus.core().known.publisher(of);
        Self { bus: bus.clone() }
    }

    /// The publisher of one event.
    pub fn event<E: Event>(&self) -> EventPublisher<E> {
        EventPublisher::new(&self.bus)
    }
}

/// Publishes one kind of event: the provider's side of it. Cheap to clone.
pub struct EventPublisher<E> {
    bus: Bus,
    event: PhantomData<fn() -> E>,
}

impl<E: Event> EventPublisher<E> {
    pub(crate) fn new(bus: &Bus) -> Self {
        Self {
            bus: bus.clone(),
            event: PhantomData,
        }
    }

    /// Publishes when awaited. `Ok` means: every queue that was bound has stored the event.
    ///
    /// # Errors
    /// When awaited, a [`PublishError`]; [`PublishError::Unconfirmed`] means that the event may or may not have been stored.
    #[allow(clippy::needless_pass_by_value)] // An event that has happened is given away.
    pub fn publish(&self, event: E) -> Publish {
        let (key, payload) = (routing_key(&event), encode(&event));
        Publish::new(&self.bus, E::API, E::NAME, key, payload)
    }
}

impl<E> Clone for EventPublisher<E> {
    fn clone(&self) -> Self {
        Self {
            bus: self.bus.clone(),
            event: PhantomData,
        }
    }
}

impl<E: Event> fmt::Debug for EventPublisher<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventPublisher")
            .field("api", &E::API)
            .field("event", &E::NAME)
            .finish()
    }
}

/// An event that is published when it is awaited.
#[must_use = "an event is published when it is awaited"]
pub struct Publish {
    bus: Bus,
    api: &'static str,
    name: &'static str,
    key: String,
    payload: Result<Vec<u8>, EncodeError>,
    timeout: Option<Duration>,
    headers: Vec<(String, String)>,
}

impl Publish {
    pub(crate) fn new(
        bus: &Bus,
        api: &'static str,
        name: &'static str,
        key: String,
        payload: Result<Vec<u8>, EncodeError>,
    ) -> Self {
        Self {
            bus: bus.clone(),
            api,
            name,
            key,
            payload,
            timeout: None,
            headers: Vec::new(),
        }
    }

    /// How long to wait for the broker's confirmation. Default: the bus's, 10 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout.min(LONGEST_WAIT));
        self
    }

    /// Adds a header that listeners read by [`Context::header`](crate::Context::header). All headers together may take 32 KiB.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    fn event(&self) -> String {
        format!("{}.{}", self.api, self.name)
    }

    fn check(&self) -> Result<(), PublishError> {
        let limit = self.bus.core().config.payload_limit;
        let checked = check(&self.key, &self.payload, limit, &self.headers);
        checked.map_err(|reason| PublishError::Rejected {
            event: self.event(),
            reason,
        })
    }

    async fn send(self) -> Result<(), PublishError> {
        self.check()?;
        let core = self.bus.core();
        let timeout = self.timeout.unwrap_or(core.config.publish_timeout);
        let exchange = topology::event_exchange(self.api);
        let mut progress = Progress::new(&core.clock);
        let id = progress.id;
        let message = Message {
            exchange: &exchange,
            needs: &exchange,
            key: &self.key,
            plan: &|| topology::event_plan(self.api),
            properties: &|| core.sender.event(id, &self.headers),
            payload: self.payload.as_deref().unwrap_or_default(),
            must_route: false,
        };
        let published = core.publish(&message, &mut progress, timeout);
        published.await.map_err(|unsent| self.explain(unsent))
    }

    fn explain(&self, unsent: Unsent) -> PublishError {
        let event = self.event();
        match unsent {
            Unsent::Blocked => PublishError::Blocked { event },
            Unsent::NotSent(reason) => PublishError::Connection { event, reason },
            Unsent::Unconfirmed { id, waited, reason } => {
                self.bus.core().counters.events_unconfirmed.add();
                PublishError::Unconfirmed {
                    event,
                    message_id: id.to_string(),
                    waited_ms: u64::try_from(waited.as_millis()).unwrap_or(u64::MAX),
                    reason,
                }
            }
            Unsent::Refused(Refusal::Full) => PublishError::Refused { event },
            Unsent::Refused(Refusal::Denied(reason)) => PublishError::Denied { event, reason },
            Unsent::Refused(Refusal::Failed(error)) => PublishError::Connection {
                event,
                reason: error.to_string(),
            },
        }
    }
}

/// The routing key that an event is published with.
pub(crate) fn routing_key<E: Event>(event: &E) -> String {
    let mut key = KeyWriter(format!("{}.{}", E::API, E::NAME));
    event.routing_keys(&mut key);
    key.0
}

/// May this be published? Else the reason.
pub(crate) fn check(
    key: &str,
    payload: &Result<Vec<u8>, EncodeError>,
    limit: usize,
    headers: &[(String, String)],
) -> Result<(), String> {
    let payload = payload.as_ref();
    let payload = payload.map_err(|error| format!("it cannot be encoded: {error}"))?;
    check_size(payload.len(), limit)?;
    if key.len() > KEY_LIMIT {
        return Err(format!(
            "its routing key takes {} bytes, the limit is {KEY_LIMIT}: shorten its `#[key]` arguments",
            key.len()
        ));
    }
    wire::check_headers(headers)
}

pub(crate) fn check_size(bytes: usize, limit: usize) -> Result<(), String> {
    match bytes > limit {
        true => Err(format!(
            "it takes {bytes} bytes, the limit is {limit}. Send a reference instead, or raise `payload_limit` on both sides"
        )),
        false => Ok(()),
    }
}

impl IntoFuture for Publish {
    type Output = Result<(), PublishError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

impl fmt::Debug for Publish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publish")
            .field("event", &self.event())
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}
