//! Enqueueing a flow: its beginning is one message, so all of it is stored, or nothing.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use super::advance::{End, end, length};
use super::compose::Plan;
use super::lower::lower;
use super::next::{self, MOST_MEMBERS, Member, Next};
use super::posting::Posting;
use super::{Place, Stuck};
use crate::boxed::Boxed;
use crate::bus::Bus;
use crate::config::LONGEST_WAIT;
use crate::publishing::Progress;
use crate::task::address::Address;
use crate::task::enqueue::{EnqueueError, explain};
use crate::task::handle::TaskHandle;
use crate::task::id::TaskId;
use crate::task::results::DecodeDomain;
use crate::topology::{Lane, Priority};

/// A flow that is enqueued when this is awaited. `Ok` means: all of it is stored, on disk, and will be run, as [`Enqueue`](crate::Enqueue) says of one task.
#[must_use = "a flow is enqueued when this is awaited"]
pub struct EnqueueFlow<T, E> {
    plan: Plan,
    timeout: Option<Duration>,
    decode_domain: DecodeDomain<E>,
    returns: PhantomData<fn() -> Result<T, E>>,
}

pub(super) fn enqueue<T, E>(plan: Plan, decode_domain: DecodeDomain<E>) -> EnqueueFlow<T, E> {
    EnqueueFlow {
        plan,
        timeout: None,
        decode_domain,
        returns: PhantomData,
    }
}

impl<T, E> EnqueueFlow<T, E> {
    /// How long to wait for the broker's confirmation. Default: the bus's `publish_timeout`, 10 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout.min(LONGEST_WAIT));
        self
    }
}

type Enqueued = (Bus, TaskId);

fn send(mut plan: Plan, timeout: Option<Duration>) -> Boxed<Result<Enqueued, EnqueueError>> {
    Box::pin(async move {
        let task = format!("{plan:?}");
        let rejected = |reason: String| EnqueueError::Rejected {
            task: task.clone(),
            reason,
        };
        let Some(bus) = plan.bus().cloned() else {
            return Err(rejected(
                "a group without members has nothing to do".to_owned(),
            ));
        };
        if let Some(mistake) = plan.mistake() {
            return Err(rejected(mistake));
        }
        let core = bus.core();
        let limit = core.config.payload_limit;
        let row = lower(plan.row, limit).map_err(rejected)?;
        let mut progress = Progress::new(&core.clock);
        let begin = Beginning::of(&row, progress.id).map_err(rejected)?;
        let posting = begin.posting(core).map_err(|stuck| match stuck {
            Stuck::Cannot(why) => rejected(why),
            // Nothing is sent before it is whole.
            Stuck::Refused(refusal) => rejected(format!("the broker refuses it: {refusal:?}")),
        })?;
        let timeout = timeout.unwrap_or(core.config.publish_timeout);
        let published = posting.publish(core, &mut progress, timeout).await;
        published.map_err(|unsent| explain(task, posting.queue(), unsent))?;
        Ok((bus.clone(), begin.handle(core.clock.date())))
    })
}

/// The first message of a flow.
struct Beginning<'a> {
    row: &'a [Next],
    end: End<'a>,
    flow: String,
    id: uuid::Uuid,
}

impl<'a> Beginning<'a> {
    fn of(row: &'a [Next], id: uuid::Uuid) -> Result<Self, String> {
        let end = match row.split_first() {
            // It has the first message's own id.
            Some((Next::Task(first), rest)) => end(id, rest).unwrap_or(End {
                id,
                api: &first.api,
                task: &first.task,
                ttl_ms: first.ttl_ms,
            }),
            _ => end(id, row).ok_or("there is nothing in it")?,
        };
        let flow = format!("{}/{}", end.api, end.id);
        Ok(Self { row, end, flow, id })
    }

    fn posting(&self, core: &crate::bus::Core) -> Result<Posting<'a>, Stuck> {
        let place = Place {
            id: self.id,
            flow: &self.flow,
            length: length(self.row),
            replayed: 0,
        };
        match self.row.split_first() {
            Some((Next::Task(first), rest)) => Posting::step(core, &place, first, rest, &[]),
            Some((Next::Group { to, members }, rest)) => {
                self.check_members(core, members, rest)?;
                let payload = next::write(self.row).map_err(Stuck::Cannot)?;
                let (size, limit) = (payload.len(), core.config.payload_limit);
                if size > limit {
                    return Err(Stuck::Cannot(format!(
                        "it begins with a group, so it is one message, which takes {size} bytes; the limit is {limit}. Give references to large values, or make \
                         the group out of a task's list, with `then_each`"
                    )));
                }
                let address = Address {
                    api: &to.api,
                    lane: Lane::Api,
                    priority: Priority::Normal,
                };
                Ok(Posting::begin(core, &place, address, payload))
            }
            _ => Err(Stuck::Cannot("it begins with nothing".to_owned())),
        }
    }

    /// What would be found out only when a worker begins with them.
    fn check_members(
        &self,
        core: &crate::bus::Core,
        members: &[Vec<Next>],
        rest: &[Next],
    ) -> Result<(), Stuck> {
        if members.len() > MOST_MEMBERS as usize {
            let of = members.len();
            return Err(Stuck::Cannot(format!(
                "a group of {of} members is too large, the limit is {MOST_MEMBERS}"
            )));
        }
        let join = Next::Join(Member::default());
        let place = Place {
            id: self.id,
            flow: &self.flow,
            length: length(self.row),
            replayed: 0,
        };
        for member in members {
            if let Some((Next::Task(step), after)) = member.split_first() {
                let row = [after, std::slice::from_ref(&join), rest].concat();
                Posting::step(core, &place, step, &row, &[])?;
            }
        }
        Ok(())
    }

    /// By what its end is known.
    fn handle(&self, now: SystemTime) -> TaskId {
        let End { api, task, id, .. } = self.end;
        let id = TaskId::new(api, task, &id.to_string());
        // Nothing becomes of it before its first task is due.
        let delay = match self.row.first() {
            Some(Next::Task(first)) => first.due().delay(now),
            _ => Duration::ZERO,
        };
        let id = match now.checked_add(delay) {
            Some(due) if !delay.is_zero() => id.due_at(due),
            _ => id,
        };
        match self.end.ttl_ms {
            Some(_) => id,
            None => id.unkept(),
        }
    }
}

impl<T, E> IntoFuture for EnqueueFlow<T, E> {
    type Output = Result<TaskHandle<T, E>, EnqueueError>;
    type IntoFuture = EnqueueingFlow<T, E>;

    fn into_future(self) -> Self::IntoFuture {
        EnqueueingFlow {
            sent: send(self.plan, self.timeout),
            decode_domain: self.decode_domain,
            returns: PhantomData,
        }
    }
}

/// A flow on its way. Dropping this does not take it back.
#[must_use = "futures do nothing unless polled"]
pub struct EnqueueingFlow<T, E> {
    sent: Boxed<Result<Enqueued, EnqueueError>>,
    decode_domain: DecodeDomain<E>,
    returns: PhantomData<fn() -> Result<T, E>>,
}

impl<T, E> Future for EnqueueingFlow<T, E> {
    type Output = Result<TaskHandle<T, E>, EnqueueError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let decode_domain = self.decode_domain;
        let sent = self.sent.as_mut().poll(cx);
        sent.map_ok(|(bus, id)| TaskHandle::new(&bus, id, decode_domain))
    }
}

impl<T, E> fmt::Debug for EnqueueingFlow<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnqueueingFlow").finish_non_exhaustive()
    }
}

impl<T, E> fmt::Debug for EnqueueFlow<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnqueueFlow")
            .field("plan", &self.plan)
            .finish_non_exhaustive()
    }
}
