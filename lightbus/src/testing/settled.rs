//! Is anything going on? A bus is quiet when no message is on its way, being handled, or about to be tried again in place.

use std::collections::HashMap;
use std::panic::Location;
use std::time::{Duration, Instant, SystemTime};

use lightbus_broker::{QueueInfo, Snapshot};
use lightbus_runtime::__testing::Queue;

use super::story::span;
use super::test_bus::TestBus;
use super::traffic::Traffic;
use super::unmet::with_clues;

/// Between two looks.
pub(super) const LOOK: Duration = Duration::from_millis(1);

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
pub(super) const STILL: Duration = Duration::from_millis(40);

/// For how long nothing has been going on.
#[derive(Debug, Default)]
struct Quiet {
    since: Option<Since>,
}

#[derive(Clone, Copy, Debug)]
struct Since {
    begun: Instant,
    /// How many things had happened by then.
    count: u64,
    looks: u32,
}

impl Quiet {
    /// Looks once more. Gives for how long it has been quiet: as far as somebody looked, for a handler may have kept the very thread busy that looks.
    fn look(&mut self, is_busy: bool, count: u64) -> Duration {
        let before = self.since.filter(|since| since.count == count);
        let since = Since {
            begun: before.map_or_else(Instant::now, |it| it.begun),
            count,
            looks: before.map_or(0, |it| it.looks + 1),
        };
        self.since = (!is_busy).then_some(since);
        let looked = 2 * LOOK * since.looks;
        match is_busy {
            true => Duration::ZERO,
            false => looked.min(since.begun.elapsed()),
        }
    }
}

/// One who looks again and again whether anything is going on.
#[derive(Debug, Default)]
pub(super) struct Watch {
    quiet: Quiet,
    still: Quiet,
}

/// What a look has found.
pub(super) struct Looked {
    /// What is going on.
    pub(super) busy: Option<String>,
    /// For how long nothing has been.
    pub(super) quiet: Duration,
    /// For how long nothing has happened, whatever is under way.
    pub(super) still: Duration,
    /// So much happened that was not seen.
    pub(super) missed: u64,
}

impl Watch {
    /// Looks, and at something else at the same moment.
    pub(super) fn look<R>(
        &mut self,
        bus: &TestBus,
        at: impl FnOnce(&mut Traffic) -> R,
    ) -> (R, Looked) {
        let now = bus.date();
        let (found, busy, count, missed, is_kept_out) = bus.look(|traffic, snapshot| {
            let is_kept_out =
                snapshot.is_some_and(|it| it.faults.refusing.is_some() || it.faults.stalled);
            let found = at(traffic);
            let busy = going_on(traffic, snapshot, now);
            (found, busy, traffic.count, traffic.missed, is_kept_out)
        });
        let busy = busy.or_else(|| bus.in_flight());
        let busy = busy.or_else(|| bus.unready_schedules().filter(|_| !is_kept_out));
        let still = self.still.look(false, count);
        // Of such a handler nobody can say whether it will ever end.
        let busy = busy.or_else(|| bus.runs_on().filter(|_| still < bus.pace().end));
        let mut quiet = self.quiet.look(busy.is_some(), count);
        // What waits for the clock to be moved waits for us.
        if still >= STILL && bus.clock().is_some_and(|it| it.is_anybody_waiting()) {
            quiet = quiet.max(still - STILL + bus.pace().quiet);
        }
        let looked = Looked {
            busy,
            quiet,
            still,
            missed,
        };
        (found, looked)
    }
}

/// That it took too long, for people.
pub(super) fn not_quiet(
    bus: &TestBus,
    within: Duration,
    busy: Option<String>,
    location: Option<&Location<'_>>,
) -> String {
    let place = location.map_or(String::new(), |location| format!("{location}: "));
    bus.look(|traffic, snapshot| {
        let busy = busy.unwrap_or_else(|| restless(traffic));
        let within = span(within);
        let text = format!("{place}the bus was not quiet within {within}: {busy}\n");
        with_clues(text, traffic, snapshot, bus.stubs())
    })
}

/// That numbers cannot be told, for people.
pub(super) fn too_fast(missed: u64, location: &Location<'_>) -> String {
    format!(
        "{location}: {missed} things happened on the bus too fast to be seen, so nobody can say how often something was sent\n    help: let the test wait now and then by `bus.settled().await`, or send less in one go"
    )
}

/// What is sent all the time.
pub(super) fn restless(traffic: &Traffic) -> String {
    let mut counts: HashMap<_, usize> = HashMap::new();
    for seen in &traffic.seen {
        *counts.entry((seen.title(), &seen.by)).or_default() += 1;
    }
    match counts.into_iter().max_by_key(|(_, count)| *count) {
        Some(((title, by), _)) => {
            format!("something is sent all the time, most of all the {title} by {by}")
        }
        None => "something happens all the time".to_owned(),
    }
}

/// What is going on, in words; `None` if nothing is. There is no snapshot while the broker has not said what waits.
fn going_on(traffic: &Traffic, snapshot: Option<&Snapshot>, now: SystemTime) -> Option<String> {
    let call = traffic.seen.iter().find(|seen| seen.is_open_call(now));
    if let Some(call) = call {
        let (subject, by) = (call.subject(), &call.by);
        return Some(format!("the call {subject} by {by} has no answer yet"));
    }
    if let Some(away) = &traffic.away {
        return Some(away.clone());
    }
    let Some(snapshot) = snapshot else {
        return Some("the broker has not said yet what waits in its queues".to_owned());
    };
    let queue = snapshot.queues.iter().find(|queue| is_busy(queue))?;
    Some(match queue.unacked {
        0 => format!("messages wait in {} for its consumers", queue.name),
        _ => format!("a handler of {} has not ended", queue.name),
    })
}

fn is_busy(queue: &QueueInfo) -> bool {
    let waits = queue.ready > 0 && queue.consumers > 0 && !queue.paused;
    Queue::of(&queue.name) == Queue::Work && (queue.unacked > 0 || waits)
}
