//! One task for a key at a time: as long as one waits or runs, no second one is enqueued.
//!
//! The lock is a queue that nobody consumes. Only one can be declared of a name, in the whole cluster, and whoever declares it with another argument
//! is refused, and told the argument in force: it is the holder's id. No lock outlives its lease, should its holder be lost without a trace.

use std::time::Duration;

use tracing::warn;

use crate::bus::Core;
use crate::connection::{declare, pause};
use crate::error::Error;
use crate::topology::{self, UNIQUE_HOLDER_ARGUMENT, UNIQUE_LEASE_ARGUMENT};

/// How long a key may be held by a task that waits, after it is due. One that runs extends it.
const LEASE: Duration = Duration::from_secs(24 * 60 * 60);
/// What RabbitMQ's timers can count.
const LONGEST_LEASE: Duration = Duration::from_millis(u32::MAX as u64);
/// Another holder may have another lease, or go between two looks.
const LOOKS: usize = 5;

/// A task's hold on its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lock {
    queue: String,
    lease: Duration,
    holder: String,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    Ours,
    /// By the task of this id.
    Theirs(String),
}

/// What a task's message says of its key: the lease in milliseconds, and the key.
pub(super) fn header(key: &str, delay: Duration) -> String {
    let lease = LEASE.saturating_add(delay).min(LONGEST_LEASE);
    format!("{} {key}", lease.as_millis())
}

impl Lock {
    /// Of a task whose message says so.
    pub(super) fn of(api: &str, task: &str, header: &str, id: &str) -> Option<Self> {
        let (lease, key) = header.split_once(' ')?;
        let lease = lease.parse().ok().map(Duration::from_millis)?;
        Some(Self {
            queue: topology::unique_queue(api, task, key),
            lease: lease.clamp(Duration::from_secs(1), LONGEST_LEASE),
            holder: id.to_owned(),
        })
    }

    /// Takes the lock, or tells who has it.
    pub(super) async fn take(&self, core: &Core) -> Result<Taken, Error> {
        let mut lease = self.lease;
        let mut refused = None;
        for _ in 0..LOOKS {
            match self.declare(core, lease).await {
                Ok(()) => return Ok(Taken::Ours),
                Err(Error::TopologyMismatch { object, detail }) => {
                    match in_force(&detail) {
                        Some((UNIQUE_HOLDER_ARGUMENT, holder)) => return Ok(Taken::Theirs(holder)),
                        // Told the lease first: with the same one, the holder is next.
                        Some((UNIQUE_LEASE_ARGUMENT, theirs)) => {
                            lease = theirs.parse().map_or(lease, Duration::from_millis);
                        }
                        _ => {}
                    }
                    refused = Some(Error::TopologyMismatch { object, detail });
                }
                Err(error) => return Err(error),
            }
        }
        Err(refused.unwrap_or(Error::Closed))
    }

    async fn declare(&self, core: &Core, lease: Duration) -> Result<(), Error> {
        let plan = topology::unique_plan(&self.queue, lease, &self.holder);
        let session = core.io.publish.up().await.map_err(|_| Error::Closed)?;
        declare::declare(&session, &plan).await
    }

    /// Extends the lease: the broker counts a declaration as use.
    pub(super) async fn extend(&self, core: &Core) {
        if let Err(error) = self.declare(core, self.lease).await {
            warn!(queue = self.queue, %error, "cannot extend the lease of a unique task's key");
        }
    }

    /// How often a running task extends its lease.
    pub(super) fn extends_every(&self) -> Duration {
        self.lease / 3
    }

    /// Gives the key back, unless another task has it by now.
    pub(super) async fn release(&self, core: &Core) {
        while !core.life.stop.is_cancelled() {
            match self.try_release(core).await {
                Ok(()) => return,
                Err(Error::Broker { .. }) => pause().await,
                Err(error) => {
                    warn!(queue = self.queue, %error, lease = ?self.lease, "cannot give a unique task's key back; it is free after its lease");
                    return;
                }
            }
        }
    }

    async fn try_release(&self, core: &Core) -> Result<(), Error> {
        match self.declare(core, self.lease).await {
            Ok(()) => {}
            Err(Error::TopologyMismatch { .. }) => return Ok(()),
            Err(error) => return Err(error),
        }
        let session = core.io.publish.up().await.map_err(|_| Error::Closed)?;
        declare::delete_queue(&session, &self.queue).await
    }
}

/// The argument that a broker names as different, and its value in force: `… arg 'x-expires' for queue … received '1' but current is '2'`.
fn in_force(detail: &str) -> Option<(&str, String)> {
    let argument = detail
        .split_once("inequivalent arg '")?
        .1
        .split_once('\'')?
        .0;
    let current = detail.split_once("but current is '")?.1;
    Some((argument, current.split_once('\'')?.0.to_owned()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_broker_tells_who_has_it() {
        let detail = "PRECONDITION_FAILED - inequivalent arg 'x-dead-letter-routing-key' for queue 'lb.unique.a.b.c' in vhost '/': received 'me' but current is 'you'";
        assert_eq!(
            in_force(detail),
            Some((UNIQUE_HOLDER_ARGUMENT, "you".to_owned()))
        );
        assert_eq!(in_force("PRECONDITION_FAILED - something else"), None);
    }

    #[test]
    fn a_message_says_which_key_it_holds_and_for_how_long() {
        let said = header("user 7", Duration::from_secs(60));
        let lock = Lock::of("auth", "resize", &said, "id").unwrap();
        assert_eq!(lock.queue, "lb.unique.auth.resize.user 7");
        assert_eq!(lock.lease, LEASE + Duration::from_secs(60));
        assert_eq!(Lock::of("auth", "resize", "no number", "id"), None);
    }
}
