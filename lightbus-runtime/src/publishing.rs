//! Confirmed publishing: a message is published when every queue that it goes to has stored it.
//!
//! A channel lost before the confirmation came means: the same message once more, under the same id, so that receivers can tell.

use std::time::Duration;

use lapin::{BasicProperties, Confirmation};
use tokio::time::Instant;
use uuid::Uuid;

use crate::budget::Room;
use crate::bus::Core;
use crate::clock::Clock;
use crate::connection::publisher::{Outgoing, Unconfirmed};
use crate::connection::{LinkClosed, pause};
use crate::error::Error;
use crate::remains::Place;
use crate::topology::Plan;

/// A message to be stored.
pub(crate) struct Message<'a> {
    pub(crate) exchange: &'a str,
    pub(crate) key: &'a str,
    /// What has to exist before it is published: the exchange, or the queue that it is for. Declared by `plan` when it is not known to.
    pub(crate) needs: &'a str,
    pub(crate) plan: &'a (dyn Fn() -> Plan + Sync),
    /// Asked for at each attempt: lapin takes them away.
    pub(crate) properties: &'a (dyn Fn() -> BasicProperties + Sync),
    pub(crate) payload: &'a [u8],
    /// Is it lost if no queue is bound? Then that is looked at, for the price of a channel of its own.
    pub(crate) must_route: bool,
}

impl Message<'_> {
    fn outgoing(&self) -> Outgoing<'_> {
        Outgoing {
            exchange: self.exchange,
            key: self.key,
            mandatory: self.must_route,
            properties: (self.properties)(),
            payload: self.payload,
        }
    }
}

/// How far a publish has come.
pub(crate) struct Progress<'a> {
    /// The message's.
    pub(crate) id: Uuid,
    place: Place<'a>,
    begun: Instant,
    /// Frames have been handed to lapin: from here on, nobody knows.
    pub(crate) sent: bool,
    /// Why there is no confirmation yet.
    pub(crate) reason: Option<String>,
    /// The channel was closed under it, perhaps on its account: from now on it goes alone.
    alone: bool,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(clock: &Clock) -> Self {
        Self {
            id: clock.new_id(),
            place: Place::default(),
            begun: clock.now(),
            sent: false,
            reason: None,
            alone: false,
        }
    }

    /// From here on the message has a place in the budget.
    pub(crate) fn take_place(&mut self, core: &'a Core, room: Room) {
        self.place = Place::of_event(core, room);
    }

    pub(crate) fn elapsed(&self, clock: &Clock) -> Duration {
        clock.now() - self.begun
    }
}

/// Why a message is not stored, and will not be by trying again.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// A queue is full, and said so.
    Full,
    /// The broker refuses this message: a permission, or a property that it may not have.
    Denied(String),
    /// What it needs cannot be declared, or the bus is closed.
    Failed(Error),
}

/// Why a message is not known to be stored.
#[derive(Debug)]
pub(crate) enum Unsent {
    /// The broker takes nothing, and nothing was sent.
    Blocked,
    /// Nothing was sent: why.
    NotSent(String),
    /// It was sent, and is stored or not.
    Unconfirmed {
        id: Uuid,
        waited: Duration,
        reason: String,
    },
    Refused(Refusal),
}

enum Attempt {
    NotSent,
    Lost(lapin::Error),
    /// The broker refused this message, and no other.
    Denied(lapin::Error),
    Failed(Error),
}

impl From<Unconfirmed> for Attempt {
    fn from(unconfirmed: Unconfirmed) -> Self {
        match unconfirmed {
            Unconfirmed::NotSent => Self::NotSent,
            Unconfirmed::Lost(error) => Self::Lost(error),
        }
    }
}

impl Core {
    /// Publishes within `timeout`, as one of the messages that may wait for their confirmation.
    pub(crate) async fn publish<'a>(
        &'a self,
        message: &Message<'_>,
        progress: &mut Progress<'a>,
        timeout: Duration,
    ) -> Result<(), Unsent> {
        let deadline = self.clock.now() + timeout;
        let room = self.room(message.payload.len(), deadline, timeout).await?;
        progress.take_place(self, room);
        let stored = self
            .clock
            .timeout_at(deadline, self.store(message, progress));
        match stored.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(Refusal::Failed(error))) if progress.sent => {
                progress.reason = Some(error.to_string());
                Err(self.gave_up(progress, timeout))
            }
            Ok(Err(refusal)) => Err(Unsent::Refused(refusal)),
            Err(_) => Err(self.gave_up(progress, timeout)),
        }
    }

    /// A place among the messages that wait for their confirmation. There are only so many, and while the broker is blocked none gets free.
    async fn room(
        &self,
        bytes: usize,
        deadline: Instant,
        timeout: Duration,
    ) -> Result<Room, Unsent> {
        if let Some(room) = self.budget.try_reserve(bytes) {
            return Ok(room);
        }
        if self.io.publish.is_blocked() {
            return Err(Unsent::Blocked);
        }
        let room = self
            .clock
            .timeout_at(deadline, self.budget.reserve(bytes))
            .await;
        room.ok()
            .flatten()
            .ok_or_else(|| match self.io.publish.is_blocked() {
                true => Unsent::Blocked,
                false => self.not_sent(timeout, "too many messages wait for their confirmation"),
            })
    }

    /// What to say when there is no confirmation: nothing left this process, or nobody knows.
    fn gave_up(&self, progress: &Progress<'_>, timeout: Duration) -> Unsent {
        let link = &self.io.publish;
        if !progress.sent && link.is_blocked() {
            return Unsent::Blocked;
        }
        let known = link.trouble().map(str::to_owned);
        let known = known.or_else(|| progress.reason.clone());
        let reason = known.unwrap_or_else(|| "the broker is slow".to_owned());
        match progress.sent {
            false => self.not_sent(timeout, &reason),
            true => Unsent::Unconfirmed {
                id: progress.id,
                waited: progress.elapsed(&self.clock),
                reason,
            },
        }
    }

    fn not_sent(&self, timeout: Duration, otherwise: &str) -> Unsent {
        let why = self.io.publish.trouble().unwrap_or(otherwise);
        Unsent::NotSent(format!("not within {} ms: {why}", timeout.as_millis()))
    }

    /// Publishes until the message is stored or refused. The caller sets a deadline, or none.
    pub(crate) async fn store(
        &self,
        message: &Message<'_>,
        progress: &mut Progress<'_>,
    ) -> Result<(), Refusal> {
        progress.alone |= message.must_route;
        loop {
            let attempt = match progress.alone {
                // In a box: the others need not carry its state.
                true => Box::pin(self.attempt_alone(message, progress)).await,
                false => self.attempt(message, progress).await,
            };
            match attempt {
                Ok(Confirmation::Nack(_)) => return Err(Refusal::Full),
                Ok(_) => return Ok(()),
                Err(Attempt::NotSent) => {}
                Err(Attempt::Failed(error)) => return Err(Refusal::Failed(error)),
                Err(Attempt::Denied(error)) => return Err(Refusal::Denied(error.to_string())),
                Err(Attempt::Lost(error)) => {
                    // The broker closes a channel for one bad message, and all others on it are lost too. Which one was it?
                    progress.alone |= error.is_amqp_soft_error();
                    progress.reason = Some(error.to_string());
                    pause().await;
                }
            }
        }
    }

    async fn attempt(
        &self,
        message: &Message<'_>,
        progress: &mut Progress<'_>,
    ) -> Result<Confirmation, Attempt> {
        let publisher = &self.confirmed;
        if !publisher.is_ready(message.needs) {
            if publisher.is_suspect(message.exchange) {
                progress.alone = true;
                return Err(Attempt::NotSent);
            }
            Box::pin(self.prepare(message, progress)).await?;
        }
        let (sent, held) = (&mut progress.sent, &mut progress.place.held);
        let confirmed = publisher.confirmed(message.outgoing(), sent, held);
        Ok(confirmed.await?)
    }

    /// On a channel that no other message shares: what the broker says there, it says of this one.
    async fn attempt_alone(
        &self,
        message: &Message<'_>,
        progress: &mut Progress<'_>,
    ) -> Result<Confirmation, Attempt> {
        let publisher = &self.confirmed;
        if !publisher.is_ready(message.needs) {
            self.prepare(message, progress).await?;
        }
        let confirmed = self.alone.publish(message.outgoing(), &mut progress.sent);
        match confirmed.await {
            Ok(Confirmation::Ack(Some(_))) => {
                // No queue is bound any more.
                publisher.unlearn(message.needs);
                pause().await;
                Err(Attempt::NotSent)
            }
            Ok(confirmation) => {
                publisher.trust(message.exchange);
                Ok(confirmation)
            }
            Err(Unconfirmed::NotSent) => {
                pause().await;
                Err(Attempt::NotSent)
            }
            Err(Unconfirmed::Lost(error)) => match code(&error) {
                Some(NOT_FOUND) => {
                    publisher.unlearn(message.needs);
                    Err(Attempt::Lost(error))
                }
                Some(code) if error.is_amqp_soft_error() => {
                    if code == ACCESS_REFUSED {
                        publisher.suspect(message.exchange);
                        publisher.unlearn(message.needs);
                    }
                    Err(Attempt::Denied(error))
                }
                _ => Err(Attempt::Lost(error)),
            },
        }
    }

    /// An open channel, the alarm's end, and what the exchange needs. A connection lost while declaring is no reason to give up.
    async fn prepare(
        &self,
        message: &Message<'_>,
        progress: &mut Progress<'_>,
    ) -> Result<(), Attempt> {
        let publisher = &self.confirmed;
        let opened = publisher.open().await;
        opened.map_err(|LinkClosed| Attempt::Failed(Error::Closed))?;
        match publisher.ensure(message.needs, message.plan).await {
            Ok(()) => Ok(()),
            Err(error @ (Error::Broker { .. } | Error::Closed))
                if !self.life.stop.is_cancelled() =>
            {
                progress.reason = Some(error.to_string());
                pause().await;
                Err(Attempt::NotSent)
            }
            Err(error) => Err(Attempt::Failed(error)),
        }
    }
}

const ACCESS_REFUSED: u16 = 403;
const NOT_FOUND: u16 = 404;

fn code(error: &lapin::Error) -> Option<u16> {
    match error.kind() {
        lapin::ErrorKind::ProtocolError(said) => Some(said.get_id()),
        _ => None,
    }
}
