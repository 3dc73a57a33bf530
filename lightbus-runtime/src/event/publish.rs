//! Publishing an event: done when the broker has confirmed that every bound queue stored it.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::time::Duration;

use lapin::Confirmation;
use tokio::time::Instant;
use uuid::Uuid;

use super::{Event, KeyWriter};
use crate::bus::Bus;
use crate::codec::{EncodeError, encode};
use crate::config::LONGEST_WAIT;
use crate::connection::publisher::{Outgoing, Unconfirmed};
use crate::connection::{LinkClosed, pause};
use crate::error::{Error, PublishError};
use crate::{topology, wire};

/// The AMQP limit of a routing key.
const KEY_LIMIT: usize = 255;
/// The broker closes a channel for one bad message on it, and fails the others too: this one may be innocent, but not each time.
const MOST_REFUSALS: u8 = 3;

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

/// Publishes one kind of event: the provider's side of it.
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
        let mut key = KeyWriter(format!("{}.{}", E::API, E::NAME));
        event.routing_keys(&mut key);
        Publish {
            bus: self.bus.clone(),
            api: E::API,
            name: E::NAME,
            key: key.0,
            payload: encode(&event),
            timeout: None,
            headers: Vec::new(),
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
        let rejected = |reason| PublishError::Rejected {
            event: self.event(),
            reason,
        };
        let payload = self
            .payload
            .as_ref()
            .map_err(|error| rejected(format!("it cannot be encoded: {error}")))?;
        let limit = self.bus.core().config.payload_limit;
        if payload.len() > limit {
            return Err(rejected(format!(
                "it takes {} bytes, the limit is {limit}. Send a reference instead, or raise `payload_limit` on both sides",
                payload.len()
            )));
        }
        if self.key.len() > KEY_LIMIT {
            let reason = format!(
                "its routing key takes {} bytes, the limit is {KEY_LIMIT}: shorten its `#[key]` arguments",
                self.key.len()
            );
            return Err(rejected(reason));
        }
        wire::check_headers(&self.headers).map_err(rejected)
    }

    async fn send(self) -> Result<(), PublishError> {
        self.check()?;
        let core = self.bus.core();
        let timeout = self.timeout.unwrap_or(core.config.publish_timeout);
        let deadline = Instant::now() + timeout;
        let payload = self.payload.as_deref().unwrap_or_default();
        let room = tokio::time::timeout_at(deadline, core.budget.reserve(payload.len())).await;
        let _room = room
            .map_err(|_| self.not_sent(timeout, "too many messages wait for their confirmation"))?;
        let mut progress = Progress::new(timeout);
        let ended = tokio::time::timeout_at(deadline, self.attempts(payload, &mut progress)).await;
        ended.unwrap_or_else(|_| Err(self.gave_up(&progress)))
    }

    /// A channel lost before the confirmation: the same message again, under the same id, so that receivers can tell.
    async fn attempts(&self, payload: &[u8], progress: &mut Progress) -> Result<(), PublishError> {
        let exchange = topology::event_exchange(self.api);
        loop {
            match self.attempt(&exchange, payload, progress).await {
                Ok(Confirmation::Nack(_)) => {
                    return Err(PublishError::Refused {
                        event: self.event(),
                    });
                }
                Ok(_) => return Ok(()),
                Err(Attempt::NotSent) => {}
                Err(Attempt::Lost(error)) => {
                    progress.refusals += u8::from(error.is_amqp_soft_error());
                    progress.reason = Some(error.to_string());
                    if progress.refusals == MOST_REFUSALS {
                        return Err(self.gave_up(progress));
                    }
                    pause().await;
                }
                Err(Attempt::Failed(error)) => return Err(self.failed(&error)),
            }
        }
    }

    async fn attempt(
        &self,
        exchange: &str,
        payload: &[u8],
        progress: &mut Progress,
    ) -> Result<Confirmation, Attempt> {
        let core = self.bus.core();
        let publisher = &core.confirmed;
        if !publisher.is_ready(exchange) {
            publisher
                .open()
                .await
                .map_err(|LinkClosed| Attempt::Failed(Error::Closed))?;
            let plan = || topology::event_plan(self.api);
            match publisher.ensure(exchange, plan).await {
                Ok(()) => {}
                Err(error @ (Error::Broker { .. } | Error::Closed))
                    if !core.life.stop.is_cancelled() =>
                {
                    progress.reason = Some(error.to_string());
                    pause().await;
                    return Err(Attempt::NotSent);
                }
                Err(error) => return Err(Attempt::Failed(error)),
            }
        }
        let message = Outgoing {
            exchange,
            key: &self.key,
            mandatory: false,
            properties: core.sender.event(progress.id, &self.headers),
            payload,
        };
        let confirmation = publisher.confirmed(message, &mut progress.sent).await;
        confirmation.map_err(|error| match error {
            Unconfirmed::NotSent => Attempt::NotSent,
            Unconfirmed::Lost(error) => Attempt::Lost(error),
        })
    }

    /// What to say when there is no confirmation: nothing left this process, or nobody knows.
    fn gave_up(&self, progress: &Progress) -> PublishError {
        let known = self.bus.core().io.publish.trouble().map(str::to_owned);
        let known = known.or_else(|| progress.reason.clone());
        let reason = known.unwrap_or_else(|| "the broker is slow".to_owned());
        if !progress.sent {
            return self.not_sent(progress.timeout, &reason);
        }
        PublishError::Unconfirmed {
            event: self.event(),
            message_id: progress.id.to_string(),
            waited_ms: u64::try_from(progress.begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            reason,
        }
    }

    fn failed(&self, error: &Error) -> PublishError {
        PublishError::Connection {
            event: self.event(),
            reason: error.to_string(),
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

/// How far a publish has come.
struct Progress {
    id: Uuid,
    begun: Instant,
    timeout: Duration,
    /// Frames have been handed to lapin: from here on, nobody knows.
    sent: bool,
    /// How often the broker closed the channel while this was on it.
    refusals: u8,
    reason: Option<String>,
}

impl Progress {
    fn new(timeout: Duration) -> Self {
        Self {
            id: wire::new_id(),
            begun: Instant::now(),
            timeout,
            sent: false,
            refusals: 0,
            reason: None,
        }
    }
}

enum Attempt {
    NotSent,
    Lost(lapin::Error),
    Failed(Error),
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
