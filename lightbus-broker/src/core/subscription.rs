//! What each type of queue asks of a consumer, and what the arguments of `basic.consume` mean.

use super::{
    arguments::invalid,
    errors::{Outcome, access_refused, not_implemented, precondition_failed},
    queue::Queue,
    queue_checks::{foreign, whole},
    stream_offset::{self, Filter, Start},
};
use crate::queue_type::QueueType;
use amq_protocol::{protocol::basic, types::FieldTable};

/// A consumer's arguments, understood.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) priority: i32,
    pub(crate) start: Start,
    pub(crate) filter: Option<Filter>,
}

/// How much a channel takes at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Credit {
    /// For each consumer; 0 is no limit.
    pub(crate) prefetch: u16,
    /// For all of them together; 0 is no limit.
    pub(crate) limit: u16,
}

const OF_QUEUES: &[&str] = &["x-priority"];
const OF_STREAMS: &[&str] = &[
    "x-stream-offset",
    "x-stream-filter",
    "x-stream-match-unfiltered",
];

impl Subscription {
    /// Reads and checks what a client asks of a queue; `now` is in seconds since 1970.
    pub(crate) fn read(
        queue: &Queue,
        consume: &basic::Consume,
        credit: Credit,
        now: u64,
    ) -> Outcome<Self> {
        let (kind, subject) = (queue.arguments.kind, queue.subject());
        let subscription = Self::arguments(&consume.arguments, kind, &subject, now)?;
        match kind {
            QueueType::Classic => assert_not_exclusive(queue, consume.exclusive)?,
            QueueType::Quorum if credit.limit > 0 => return Err(no_global_qos(&subject)),
            // Neither knows consumers that are alone.
            QueueType::Quorum => {}
            QueueType::Stream => assert_paced(consume.no_ack, credit, &subject)?,
        }
        Ok(subscription)
    }

    fn arguments(table: &FieldTable, kind: QueueType, subject: &str, now: u64) -> Outcome<Self> {
        let given = |name: &str| table.inner().get(name);
        let refuse = |name: &'static str| move |why: String| invalid(name, subject, &why);
        let (known, unknown) = match kind {
            QueueType::Stream => (OF_STREAMS, OF_QUEUES),
            _ => (OF_QUEUES, OF_STREAMS),
        };
        let mine = |name: &str| given(name).filter(|_| known.contains(&name));
        let priority = mine("x-priority").map(whole).transpose();
        let start = stream_offset::start(mine("x-stream-offset"), now);
        let subscription = Self {
            priority: priority
                .map_err(refuse("x-priority"))?
                .map_or(0, |n| n.clamp(i32::MIN.into(), i32::MAX.into()) as i32),
            start: start.map_err(refuse("x-stream-offset"))?,
            filter: stream_offset::filter(table),
        };
        match table
            .inner()
            .keys()
            .find(|name| unknown.contains(&name.as_str()))
        {
            Some(name) => Err(foreign(name.as_str(), subject, kind)),
            None => Ok(subscription),
        }
    }
}

fn no_global_qos(subject: &str) -> super::errors::Fault {
    not_implemented(format!("{subject} does not support global qos"))
}

/// Refuses consumers of a stream that do not say how much they can take.
fn assert_paced(no_ack: bool, credit: Credit, subject: &str) -> Outcome {
    if credit.prefetch == 0 {
        return Err(precondition_failed(format!(
            "consumer prefetch count is not set for stream {subject}"
        )));
    }
    if no_ack {
        return Err(not_implemented(format!(
            "automatic acknowledgement not supported by stream {subject}"
        )));
    }
    match credit.limit {
        0 => Ok(()),
        _ => Err(no_global_qos(subject)),
    }
}

/// Refuses a consumer where one wants to be alone.
fn assert_not_exclusive(queue: &Queue, wants_it: bool) -> Outcome {
    let others = !queue.consumers.is_empty() || queue.arguments.single_active;
    if (wants_it && others) || queue.consumers.iter().any(|other| other.exclusive) {
        return Err(access_refused(format!(
            "{} in exclusive use",
            queue.subject()
        )));
    }
    Ok(())
}
