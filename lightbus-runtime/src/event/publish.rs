//! Publishing an event: done when the broker has confirmed that every bound queue stored it.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::time::Duration;

use tokio::sync::SemaphorePermit;
use tokio::time::Instant;

use super::{Event, KeyWriter};
use crate::bus::Bus;
use crate::codec::{EncodeError, encode};
use crate::config::LONGEST_WAIT;
use crate::error::PublishError;
use crate::publishing::{Message, Progress, Refusal};
use crate::{topology, wire};

/// The AMQP limit of a routing key.
const KEY_LIMIT: usize = 255;

/// What generated publishers stand on.
#[derive(Clone, Debug)]
pub struct Publisher {
    bus: Bus,
}

impl Publisher {
    /// A publisher over `bus`, which it keeps open.
    pub fn new(bus: &Bus) -> Self {
        Self { bus: bus.clone() }
    }

    /// The publisher of one event.
    pub fn event<E: Event>(&self) -> EventPublisher<E> {
        EventPublisher {
            bus: self.bus.clone(),
            event: PhantomData,
        }
    }
}

/// Publishes one kind of event: the provider's side of it. Cheap to clone.
pub struct EventPublisher<E> {
    bus: Bus,
    event: PhantomData<fn() -> E>,
}

impl<E: Event> EventPublisher<E> {
    /// Publishes when awaited. `Ok` means: every queue that was bound has stored the event.
    ///
    /// # Errors
    /// When awaited, a [`PublishError`]; [`PublishError::Unconfirmed`] means that the event may or may not have been stored.
    #[allow(clippy::needless_pass_by_value)] // An event that has happened is given away.
    pub fn publish(&self, event: E) -> Publish {
        Publish {
            bus: self.bus.clone(),
            api: E::API,
            name: E::NAME,
            key: routing_key(&event),
            payload: encode(&event),
            timeout: None,
            headers: Vec::new(),
        }
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
        let deadline = Instant::now() + timeout;
        let payload = self.payload.as_deref().unwrap_or_default();
        let _room = self.room(payload.len(), deadline, timeout).await?;
        let mut progress = Progress::new();
        let stored = self.store(payload, &mut progress);
        match tokio::time::timeout_at(deadline, stored).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(Refusal::Failed(error))) if progress.sent => {
                progress.reason = Some(error.to_string());
                Err(self.gave_up(&progress, timeout))
            }
            Ok(Err(refusal)) => Err(self.refused(refusal)),
            Err(_) => Err(self.gave_up(&progress, timeout)),
        }
    }

    async fn store(&self, payload: &[u8], progress: &mut Progress) -> Result<(), Refusal> {
        let core = self.bus.core();
        let id = progress.id;
        let message = Message {
            exchange: &topology::event_exchange(self.api),
            key: &self.key,
            plan: &|| topology::event_plan(self.api),
            properties: &|| core.sender.event(id, &self.headers),
            payload,
            must_route: false,
        };
        core.store(&message, progress).await
    }

    /// A place among the messages that wait for their confirmation. There are only so many, and while the broker is blocked none gets free.
    async fn room(
        &self,
        bytes: usize,
        deadline: Instant,
        timeout: Duration,
    ) -> Result<SemaphorePermit<'_>, PublishError> {
        let core = self.bus.core();
        if let Some(room) = core.budget.try_reserve(bytes) {
            return Ok(room);
        }
        if core.io.publish.is_blocked() {
            return Err(self.blocked());
        }
        let room = tokio::time::timeout_at(deadline, core.budget.reserve(bytes)).await;
        room.ok()
            .flatten()
            .ok_or_else(|| match core.io.publish.is_blocked() {
                true => self.blocked(),
                false => self.not_sent(timeout, "too many messages wait for their confirmation"),
            })
    }

    fn refused(&self, refusal: Refusal) -> PublishError {
        let event = self.event();
        match refusal {
            Refusal::Full => PublishError::Refused { event },
            Refusal::Denied(reason) => PublishError::Denied { event, reason },
            Refusal::Failed(error) => PublishError::Connection {
                event,
                reason: error.to_string(),
            },
        }
    }

    /// What to say when there is no confirmation: nothing left this process, or nobody knows.
    fn gave_up(&self, progress: &Progress, timeout: Duration) -> PublishError {
        let link = &self.bus.core().io.publish;
        if !progress.sent && link.is_blocked() {
            return self.blocked();
        }
        let known = link.trouble().map(str::to_owned);
        let known = known.or_else(|| progress.reason.clone());
        let reason = known.unwrap_or_else(|| "the broker is slow".to_owned());
        if !progress.sent {
            return self.not_sent(timeout, &reason);
        }
        self.bus.core().counters.events_unconfirmed.add();
        PublishError::Unconfirmed {
            event: self.event(),
            message_id: progress.id.to_string(),
            waited_ms: u64::try_from(progress.elapsed().as_millis()).unwrap_or(u64::MAX),
            reason,
        }
    }

    fn blocked(&self) -> PublishError {
        PublishError::Blocked {
            event: self.event(),
        }
    }

    fn not_sent(&self, timeout: Duration, otherwise: &str) -> PublishError {
        let why = self.bus.core().io.publish.trouble().unwrap_or(otherwise);
        PublishError::Connection {
            event: self.event(),
            reason: format!("not within {} ms: {why}", timeout.as_millis()),
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
