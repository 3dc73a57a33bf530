//! Confirmed publishing: a message is published when every queue that it goes to has stored it.
//!
//! A channel lost before the confirmation came means: the same message once more, under the same id, so that receivers can tell.

use std::time::Duration;

use lapin::{BasicProperties, Confirmation};
use tokio::time::Instant;
use uuid::Uuid;

use crate::bus::Core;
use crate::connection::publisher::{Outgoing, Unconfirmed};
use crate::connection::{LinkClosed, pause};
use crate::error::Error;
use crate::topology::Plan;
use crate::wire;

/// An exchange may be deleted again under a publish that has just declared it, but not each time.
const MOST_REFUSALS: u8 = 3;

/// A message to be stored.
pub(crate) struct Message<'a> {
    pub(crate) exchange: &'a str,
    pub(crate) key: &'a str,
    /// What the exchange needs. Asked for when it is not known to exist.
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
#[derive(Debug)]
pub(crate) struct Progress {
    /// The message's.
    pub(crate) id: Uuid,
    begun: Instant,
    /// Frames have been handed to lapin: from here on, nobody knows.
    pub(crate) sent: bool,
    /// Why there is no confirmation yet.
    pub(crate) reason: Option<String>,
    refusals: u8,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self {
            id: wire::new_id(),
            begun: Instant::now(),
            sent: false,
            reason: None,
            refusals: 0,
        }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
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

enum Attempt {
    NotSent,
    Lost(lapin::Error),
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
    /// Publishes until the message is stored or refused. The caller sets a deadline, or none.
    pub(crate) async fn store(
        &self,
        message: &Message<'_>,
        progress: &mut Progress,
    ) -> Result<(), Refusal> {
        loop {
            let error = match self.attempt(message, progress).await {
                Ok(Confirmation::Nack(_)) => return Err(Refusal::Full),
                Ok(_) => return Ok(()),
                Err(Attempt::NotSent) => continue,
                Err(Attempt::Failed(error)) => return Err(Refusal::Failed(error)),
                Err(Attempt::Lost(error)) => error,
            };
            progress.reason = Some(error.to_string());
            if error.is_amqp_soft_error() {
                // The broker closed the channel for one bad message, and all others on it are lost too. Which one was it?
                self.confirmed.suspect(message.exchange);
                progress.refusals += 1;
                if progress.refusals > MOST_REFUSALS {
                    return Err(Refusal::Denied(error.to_string()));
                }
            }
            pause().await;
        }
    }

    async fn attempt(
        &self,
        message: &Message<'_>,
        progress: &mut Progress,
    ) -> Result<Confirmation, Attempt> {
        let publisher = &self.confirmed;
        if !publisher.is_ready(message.exchange) {
            publisher
                .open()
                .await
                .map_err(|LinkClosed| Attempt::Failed(Error::Closed))?;
            if publisher.is_suspect(message.exchange) {
                let declared = publisher.declare(&(message.plan)()).await;
                self.go_on(declared, progress).await?;
                return self.attempt_alone(message, progress).await;
            }
            let ready = publisher.ensure(message.exchange, message.plan).await;
            self.go_on(ready, progress).await?;
        }
        if message.must_route {
            return self.attempt_alone(message, progress).await;
        }
        let confirmed = publisher.confirmed(message.outgoing(), &mut progress.sent);
        Ok(confirmed.await?)
    }

    /// On a channel that no other message shares: what the broker says there, it says of this one.
    async fn attempt_alone(
        &self,
        message: &Message<'_>,
        progress: &mut Progress,
    ) -> Result<Confirmation, Attempt> {
        let publisher = &self.confirmed;
        match publisher
            .alone(message.outgoing(), &mut progress.sent)
            .await
        {
            Err(Unconfirmed::Lost(error)) if is_denial(&error) => {
                progress.refusals = MOST_REFUSALS;
                Err(Attempt::Lost(error))
            }
            Err(unconfirmed) => Err(unconfirmed.into()),
            // The only message under way on its channel: what came back is this one.
            Ok(Confirmation::Ack(Some(_))) => {
                let declared = publisher.declare(&(message.plan)()).await;
                self.go_on(declared, progress).await?;
                Err(Attempt::NotSent)
            }
            Ok(confirmation) => {
                publisher.trust(message.exchange);
                Ok(confirmation)
            }
        }
    }

    /// A connection lost while declaring is no reason to give up.
    async fn go_on(
        &self,
        declared: Result<(), Error>,
        progress: &mut Progress,
    ) -> Result<(), Attempt> {
        match declared {
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

/// Said of the message itself, as opposed to an exchange that somebody deleted just now.
fn is_denial(error: &lapin::Error) -> bool {
    error.is_amqp_soft_error()
        && !matches!(error.kind(), lapin::ErrorKind::ProtocolError(said) if said.get_id() == 404)
}
