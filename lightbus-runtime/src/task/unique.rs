//! One task for a key at a time: as long as one waits or runs, no second one is enqueued.
//!
//! The lock is a queue that nobody consumes. Only one can be declared of a name, in the whole cluster, and whoever declares it with another argument
//! is refused, and told the argument in force: it is the holder's id, and whether its result is kept. No lock outlives its lease, should its holder be lost without a trace.

use std::time::Duration;

use tracing::warn;
use uuid::Uuid;

use super::id::{TaskId, made_at};
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
/// Marks a task whose result nobody asked to keep: in its message, and in its name as a holder.
const UNKEPT: &str = "~";
/// How a broker refuses a second holder, but for the names in it. It has no more than 255 bytes for that, and the holder stands at its end.
const REFUSAL: &str = "PRECONDITION_FAILED - inequivalent arg 'x-dead-letter-routing-key' for queue '' in vhost '': received '' but current is ''";
const REFUSAL_LIMIT: usize = 255;
const NAME: usize = uuid::fmt::Simple::LENGTH + UNKEPT.len();

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
    Theirs(Holder),
}

/// Who has a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Holder {
    message: String,
    is_kept: bool,
    /// How long after it was enqueued it is due, as far as a lease can tell.
    delay: Duration,
}

/// What a task's message says of its key: the lease in milliseconds, a mark if its result is not kept, and the key.
pub(super) fn header(key: &str, delay: Duration, is_kept: bool) -> String {
    let lease = LEASE.saturating_add(delay).min(LONGEST_LEASE);
    format!("{}{} {key}", lease.as_millis(), mark(is_kept))
}

fn mark(is_kept: bool) -> &'static str {
    if is_kept { "" } else { UNKEPT }
}

impl Holder {
    /// Its name: short, for a broker has to tell it among others.
    fn name(message: &str, is_kept: bool) -> String {
        let id = Uuid::try_parse(message);
        let id = id.map_or_else(|_| message.to_owned(), |id| id.simple().to_string());
        id + mark(is_kept)
    }

    fn of_name(name: &str, lease: Duration) -> Self {
        let unkept = name.strip_suffix(UNKEPT);
        let id = unkept.unwrap_or(name);
        Self {
            message: Uuid::try_parse(id).map_or_else(|_| id.to_owned(), |id| id.to_string()),
            is_kept: unkept.is_none(),
            delay: lease.saturating_sub(LEASE),
        }
    }

    pub(super) fn into_message(self) -> String {
        self.message
    }

    pub(super) fn task(&self, api: &str, task: &str) -> TaskId {
        let id = TaskId::new(api, task, &self.message);
        let due = made_at(&self.message).filter(|_| !self.delay.is_zero());
        let id = match due.and_then(|made| made.checked_add(self.delay)) {
            Some(due) => id.due_at(due),
            None => id,
        };
        if self.is_kept { id } else { id.unkept() }
    }
}

impl Lock {
    /// Of a task whose message says so.
    pub(super) fn of(vhost: &str, api: &str, task: &str, header: &str, id: &str) -> Option<Self> {
        let (says, key) = header.split_once(' ')?;
        let unkept = says.strip_suffix(UNKEPT);
        let lease = unkept.unwrap_or(says).parse().ok();
        let lease = lease.map(Duration::from_millis)?;
        let room = REFUSAL_LIMIT.saturating_sub(REFUSAL.len() + vhost.len() + 2 * NAME);
        Some(Self {
            queue: topology::unique_queue(api, task, key, room),
            lease: lease.clamp(Duration::from_secs(1), LONGEST_LEASE),
            holder: Holder::name(id, unkept.is_none()),
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
                        Some((UNIQUE_HOLDER_ARGUMENT, holder)) => {
                            return Ok(Taken::Theirs(Holder::of_name(&holder, lease)));
                        }
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

    const ID: &str = "019aa9f4-3c00-7a3b-8f5e-2f1d5c3b7a90";
    const MINUTE: Duration = Duration::from_secs(60);

    fn of(header: &str) -> Option<Lock> {
        Lock::of("/", "auth", "resize", header, ID)
    }

    #[test]
    fn a_message_says_which_key_it_holds_and_for_how_long() {
        for is_kept in [true, false] {
            let lock = of(&header("user 7", MINUTE, is_kept)).unwrap();
            assert_eq!(lock.queue, "lb.unique.auth.resize.user 7");
            assert_eq!(lock.lease, LEASE + MINUTE);
        }
        assert_eq!(of("no number"), None);
    }

    #[test]
    fn a_holder_says_what_is_kept_of_it_and_when_it_is_due() {
        let id = |delay, is_kept| {
            let lock = of(&header("user 7", delay, is_kept)).unwrap();
            let holder = Holder::of_name(&lock.holder, lock.lease);
            holder.task("auth", "resize").to_string()
        };
        let plain = format!("auth.resize/{ID}");
        assert_eq!(id(Duration::ZERO, true), plain);
        assert_eq!(id(Duration::ZERO, false), format!("{plain}~unkept"));
        let made = made_at(ID).unwrap().duration_since(std::time::UNIX_EPOCH);
        let due = (made.unwrap() + MINUTE).as_secs();
        assert_eq!(id(MINUTE, true), format!("{plain}@{due}"));
        let foreign = Holder::of_name("nightly:7", LEASE);
        assert_eq!(foreign.into_message(), "nightly:7");
    }

    #[test]
    fn a_broker_has_room_to_tell_the_holder() {
        let long = "x".repeat(60);
        for (vhost, key) in [
            ("/", "user 7"),
            ("/", &"k".repeat(100)),
            ("a-long-virtual-host", "7"),
        ] {
            let lock = Lock::of(vhost, &long, &long, &header(key, MINUTE, false), ID).unwrap();
            let other = Holder::name("019aa9f4-3c00-7a3b-8f5e-000000000000", false);
            let told =
                REFUSAL.len() + vhost.len() + lock.queue.len() + lock.holder.len() + other.len();
            assert!(told <= REFUSAL_LIMIT, "{told}: {}", lock.queue);
        }
    }
}
