//! Is anything going on? A bus is quiet when no message is on its way, being handled, or about to be tried again in place.

use std::time::{Duration, Instant, SystemTime};

use lightbus_broker::{QueueInfo, Snapshot};
use lightbus_runtime::__testing::Kind;

use super::traffic::Traffic;

/// How long a broker takes its time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// So long nothing may happen before it counts as quiet: what a client has sent may be on its way through a socket.
    pub(super) quiet: Duration,
    /// And so long before it counts as an end: a program may be about to send something, of which nobody can know.
    pub(super) end: Duration,
}

impl Pace {
    pub(super) const EMBEDDED: Self = Self {
        quiet: Duration::from_millis(5),
        end: Duration::from_millis(250),
    };
    /// What waits is known there, what is between a queue and a consumer is not.
    pub(super) const RABBITMQ: Self = Self {
        quiet: Duration::from_millis(25),
        end: Duration::from_millis(500),
    };
}

/// With virtual time: so long nothing may happen while something waits for the clock, before it is taken to wait for nothing else.
pub(super) const STILL: Duration = Duration::from_millis(30);

/// For how long nothing has been going on.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    /// Since when, and how many things had happened by then.
    since: Option<(Instant, u64)>,
}

impl Quiet {
    /// Looks once more. Gives for how long it has been quiet.
    pub(super) fn look(&mut self, is_busy: bool, count: u64) -> Duration {
        let now = Instant::now();
        self.since = match self.since {
            _ if is_busy => None,
            Some((since, before)) if before == count => Some((since, before)),
            _ => Some((now, count)),
        };
        self.since.map_or(Duration::ZERO, |(since, _)| now - since)
    }
}

/// What is going on, in words; `None` if nothing is. There is no snapshot while the broker has not said what waits.
pub(super) fn going_on(
    traffic: &Traffic,
    snapshot: Option<&Snapshot>,
    now: SystemTime,
) -> Option<String> {
    let call = traffic
        .seen
        .iter()
        .find(|seen| seen.kind == Kind::Call && !seen.is_answered() && !seen.is_late(now));
    if let Some(call) = call {
        let (subject, by) = (call.subject(), &call.by);
        return Some(format!("the call {subject} by {by} has no answer yet"));
    }
    let Some(snapshot) = snapshot else {
        return Some("the broker has not said yet what waits in its queues".to_owned());
    };
    let queue = snapshot.queues.iter().find(|queue| is_busy(queue))?;
    Some(format!(
        "the queue {} has {} messages that wait for its consumers, and {} in their hands",
        queue.name, queue.ready, queue.unacked
    ))
}

fn is_busy(queue: &QueueInfo) -> bool {
    let waits = queue.ready > 0 && queue.consumers > 0 && !queue.paused;
    is_work(&queue.name) && (queue.unacked > 0 || waits)
}

/// Queues of messages to be handled; others hold what is known, and keep it unacknowledged.
fn is_work(queue: &str) -> bool {
    let kinds = ["lb.rpc.", "lb.q.", "lb.b.", "lb.task.", "lb.hold."];
    let is_kind = kinds.iter().any(|kind| queue.starts_with(kind));
    let is_state =
        queue.ends_with(".dead") || queue.starts_with("lb.q.") && queue.ends_with(".cron");
    is_kind && !is_state
}
