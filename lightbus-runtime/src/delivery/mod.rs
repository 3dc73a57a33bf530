//! Takes deliveries from a consumer, runs handlers, and settles messages: acknowledged in multiples, in whatever order handlers finish.

mod gate;
mod pace;
mod turns;

use std::any::Any;
use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use lapin::message::Delivery;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use gate::Gate;
pub(crate) use pace::Pace;
pub(crate) use turns::shares;

use crate::connection::consumer::Consumer;
use gate::Held;

/// After at most so many deliveries in a row the settled ones are acknowledged, and other tasks get a turn.
const BATCH: usize = 64;

/// How long after a stop handlers are still begun.
const LAST_BEGIN: Duration = Duration::from_secs(1);

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Handled, or refused with an answer: acknowledged.
    Done,
    /// Not handled: goes to the queue's dead letters.
    Failed,
    /// Acknowledged already.
    Settled,
    /// Not handled, and not to be lost: stays unacknowledged, and is delivered again when the listener ends.
    Kept,
}

/// The work that a delivery asks for.
pub(crate) enum Work {
    /// Nothing is left to do.
    Settled(Outcome),
    /// Settled like that whatever comes of the handler: the message must not be delivered again.
    Detached(Handling),
    /// Settled by the handler's outcome.
    Attached(Handling),
}

pub(crate) type Handling = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// What becomes at a stop of deliveries that have arrived and not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AtStop {
    /// They are begun for a moment more: quick handlers get through, slow ones hand back.
    Handle,
    /// Those that find no slot are begun nevertheless: they will be refused.
    Refuse,
    /// They go back to their place in the queue, together with the consumer: without it the next replica would begin with those behind them.
    HandBack,
}

/// How handlers are run.
#[derive(Clone, Debug)]
pub(crate) struct Worker {
    /// One for each handler that may run; those of a lost consumer still hold theirs.
    pub(crate) slots: Arc<Semaphore>,
    /// How long they may go on after a stop.
    pub(crate) grace: Duration,
    pub(crate) at_stop: AtStop,
    /// What else has to be waited for, besides a slot.
    pub(crate) gate: Gate,
    /// Where handlers finish whose consumer was lost under them.
    pub(crate) tasks: TaskTracker,
}

impl Worker {
    /// Works on deliveries until the consumer is lost, or until `stop` and everything in progress has finished.
    pub(crate) async fn work(
        &self,
        mut consumer: Consumer,
        stop: &CancellationToken,
        mut start: impl FnMut(Delivery) -> Work,
    ) {
        let mut unsettled = Unsettled::default();
        let mut handlers = Handlers::default();
        let mut held: Option<Held> = None;
        let gated = self.gate.is_there();
        loop {
            let mut next = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(finished) = handlers.finished() => {
                    unsettled.settle(finished);
                    None
                }
                () = self.slot(), if !gated && !self.has_slot() => None,
                slot = self.passage(), if held.is_some() => held.take().map(|held| (held.delivery, slot)),
                delivery = consumer.next(), if held.is_none() && (gated || self.has_slot()) => match delivery {
                    Some(delivery) if gated && !(self.has_slot() && self.gate.is_open()) => {
                        held = Some(self.gate.hold(delivery));
                        None
                    }
                    Some(delivery) => Some((delivery, None)),
                    None => {
                        consumer.close().await;
                        return self.let_finish(handlers);
                    }
                },
            };
            let mut begun = 0;
            while let Some((delivery, slot)) = next.take() {
                self.begin(&mut handlers, &mut unsettled, delivery, slot, &mut start);
                begun += 1;
                if begun < BATCH && self.has_slot() && self.gate.is_open() {
                    next = consumer.ready().map(|delivery| (delivery, None));
                }
            }
            while let Some(finished) = handlers.try_finished() {
                unsettled.settle(finished);
            }
            unsettled.flush(&consumer);
            // Under load: others get a turn, and meanwhile more arrives to be taken and acknowledged in one go.
            if begun > 1 {
                tokio::task::yield_now().await;
            }
        }
        let held = held.map(|held| held.delivery);
        self.drain(consumer, held, unsettled, handlers, start).await;
    }

    fn has_slot(&self) -> bool {
        self.slots.available_permits() > 0
    }

    fn begins_at_stop(&self, stopped: Instant) -> bool {
        match self.at_stop {
            AtStop::Handle => self.has_slot() && stopped.elapsed() < LAST_BEGIN,
            AtStop::Refuse => true,
            AtStop::HandBack => false,
        }
    }

    /// Waits until a handler may run.
    async fn slot(&self) {
        // The semaphore is never closed.
        drop(self.slots.acquire().await);
    }

    /// A slot, and the gate's leave.
    async fn passage(&self) -> Option<OwnedSemaphorePermit> {
        loop {
            self.slot().await;
            self.gate.opens().await;
            if let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
                self.gate.begun();
                return Some(slot);
            }
        }
    }

    fn begin(
        &self,
        handlers: &mut Handlers,
        unsettled: &mut Unsettled,
        delivery: Delivery,
        slot: Option<OwnedSemaphorePermit>,
        start: &mut impl FnMut(Delivery) -> Work,
    ) {
        let tag = delivery.delivery_tag;
        let slot = || slot.or_else(|| Arc::clone(&self.slots).try_acquire_owned().ok());
        handlers.begin(unsettled, tag, start(delivery), slot);
    }

    /// The broker will deliver their messages again, or never did expect an answer: what has begun is still finished.
    fn let_finish(&self, mut handlers: Handlers) {
        if handlers.running() > 0 {
            self.tasks
                .spawn(async move { while handlers.finished().await.is_some() {} });
        }
    }

    /// Finishes what is running, within the grace period. What has arrived and is not begun goes back with the channel.
    async fn drain(
        &self,
        mut consumer: Consumer,
        mut held: Option<Delivery>,
        mut unsettled: Unsettled,
        mut handlers: Handlers,
        mut start: impl FnMut(Delivery) -> Work,
    ) {
        let stopped = Instant::now();
        let finish = async {
            if self.at_stop != AtStop::HandBack {
                consumer.cancel().await;
            }
            loop {
                while self.begins_at_stop(stopped)
                    && let Some(delivery) = held.take().or_else(|| consumer.ready())
                {
                    self.begin(&mut handlers, &mut unsettled, delivery, None, &mut start);
                }
                unsettled.flush(&consumer);
                match handlers.finished().await {
                    Some(finished) => unsettled.settle(finished),
                    None if self.has_slot() => break,
                    None => self.slot().await,
                }
            }
        };
        if tokio::time::timeout(self.grace, finish).await.is_err() {
            tracing::warn!(
                "handlers were still running at the end of the grace period; messages that are not acknowledged go back to the broker"
            );
        }
        unsettled.flush(&consumer);
        consumer.close().await;
    }
}

/// The handlers that are running. Dropped, it aborts them.
#[derive(Default)]
struct Handlers {
    tasks: JoinSet<Option<(u64, Outcome)>>,
    inline: Inline,
}

impl Handlers {
    fn running(&self) -> usize {
        self.tasks.len()
    }

    fn begin(
        &mut self,
        unsettled: &mut Unsettled,
        tag: u64,
        work: Work,
        slot: impl FnOnce() -> Option<OwnedSemaphorePermit>,
    ) {
        let (handling, attached) = match work {
            Work::Settled(outcome) => return unsettled.push(tag, Some(outcome)),
            Work::Detached(handling) => {
                unsettled.push(tag, Some(Outcome::Done));
                (handling, false)
            }
            Work::Attached(handling) => {
                unsettled.push(tag, None);
                (handling, true)
            }
        };
        match self.inline.poll(handling) {
            Ok(outcome) if attached => unsettled.settle(Finished(Some((tag, outcome)))),
            Ok(_) => {}
            Err(unfinished) => {
                let slot = slot();
                self.tasks.spawn(async move {
                    let outcome = unfinished.await;
                    drop(slot);
                    Some((tag, outcome)).filter(|_| attached)
                });
            }
        }
    }

    /// The next handler to finish; `None` when none is running.
    async fn finished(&mut self) -> Option<Finished> {
        self.tasks.join_next().await.map(Finished::from)
    }

    fn try_finished(&mut self) -> Option<Finished> {
        self.tasks.try_join_next().map(Finished::from)
    }
}

/// A handler that has finished: the delivery it decided about, if it was for it to decide.
#[derive(Clone, Copy)]
struct Finished(Option<(u64, Outcome)>);

impl From<Result<Option<(u64, Outcome)>, JoinError>> for Finished {
    fn from(joined: Result<Option<(u64, Outcome)>, JoinError>) -> Self {
        // A handler's panic is caught within; an error means that the task was aborted, with the runtime.
        Self(joined.ok().flatten())
    }
}

/// Polls a handler once where it stands. Most finish at once, and need no task; a task for each would cost more than all the rest.
///
/// Handlers that compute for long would hold up those behind them, so two slow ones in short order put an end to it.
#[derive(Default)]
struct Inline {
    slowness: u8,
}

const SLOW: Duration = Duration::from_millis(1);
const PER_SLOW_POLL: u8 = 64;
const TOO_SLOW: u8 = 65;

impl Inline {
    fn poll(&mut self, mut handling: Handling) -> Result<Outcome, Handling> {
        if self.slowness >= TOO_SLOW {
            return Err(handling);
        }
        let begun = Instant::now();
        let polled = handling
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        self.took(begun.elapsed());
        match polled {
            Poll::Ready(outcome) => Ok(outcome),
            Poll::Pending => Err(handling),
        }
    }

    fn took(&mut self, time: Duration) {
        self.slowness = match time > SLOW {
            true => self.slowness.saturating_add(PER_SLOW_POLL),
            false => self.slowness.saturating_sub(1),
        };
    }
}

/// A decoder's panic, too, is a failure of its message.
pub(crate) fn catch_panic_now<T>(decode: impl FnOnce() -> T) -> Result<T, String> {
    std::panic::catch_unwind(AssertUnwindSafe(decode)).map_err(|panic| panic_text(&*panic))
}

/// A handler's panic is a failure of its message, not of the program.
pub(crate) async fn catch_panic<T>(handler: impl Future<Output = T>) -> Result<T, String> {
    let caught = AssertUnwindSafe(handler).catch_unwind().await;
    caught.map_err(|panic| panic_text(&*panic))
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a value that is no text".to_owned())
}

/// Deliveries of one channel that the broker still counts as unacknowledged, in their order.
#[derive(Default)]
struct Unsettled {
    entries: VecDeque<Entry>,
    finished: usize,
}

struct Entry {
    tag: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    Finished(Outcome),
}

impl Unsettled {
    fn push(&mut self, tag: u64, outcome: Option<Outcome>) {
        self.finished += usize::from(outcome.is_some());
        self.entries.push_back(Entry {
            tag,
            state: outcome.map_or(State::Running, State::Finished),
        });
    }

    fn settle(&mut self, finished: Finished) {
        let Some((tag, outcome)) = finished.0 else {
            return;
        };
        if let Ok(at) = self.entries.binary_search_by_key(&tag, |entry| entry.tag) {
            self.entries[at].state = State::Finished(outcome);
            self.finished += 1;
        }
    }

    fn flush(&mut self, consumer: &Consumer) {
        if self.finished == 0 {
            return;
        }
        self.finished = 0;
        for settlement in self.settlements() {
            match settlement {
                Settlement::AckUpTo(tag) => consumer.ack(tag, true),
                Settlement::Ack(tag) => consumer.ack(tag, false),
                Settlement::Reject(tag) => consumer.reject(tag),
            }
        }
    }

    /// The finished ones before the first running one by one multiple ack; the finished ones after it one by one.
    fn settlements(&mut self) -> Vec<Settlement> {
        let mut settlements = Vec::new();
        let mut done = None;
        while let Some(&Entry { tag, state }) = self.entries.front() {
            match state {
                State::Finished(Outcome::Done) => done = Some(tag),
                State::Finished(Outcome::Settled) => {}
                State::Finished(Outcome::Failed) => {
                    settlements.extend(done.take().map(Settlement::AckUpTo));
                    settlements.push(Settlement::Reject(tag));
                }
                State::Running | State::Finished(Outcome::Kept) => break,
            }
            self.entries.pop_front();
        }
        settlements.extend(done.map(Settlement::AckUpTo));
        self.entries.retain(|entry| match entry.state {
            State::Finished(Outcome::Done) => {
                settlements.push(Settlement::Ack(entry.tag));
                false
            }
            State::Finished(Outcome::Failed) => {
                settlements.push(Settlement::Reject(entry.tag));
                false
            }
            State::Finished(Outcome::Settled) => false,
            State::Running | State::Finished(Outcome::Kept) => true,
        });
        settlements
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Settlement {
    AckUpTo(u64),
    Ack(u64),
    Reject(u64),
}

#[cfg(test)]
mod tests {
    use super::*;
    use Outcome::{Done, Failed, Kept};

    fn unsettled(states: &[Option<Outcome>]) -> Unsettled {
        let mut unsettled = Unsettled::default();
        for (tag, outcome) in (1..).zip(states) {
            unsettled.push(tag, *outcome);
        }
        unsettled
    }

    #[test]
    fn what_finished_in_order_takes_one_ack() {
        let mut all = unsettled(&[Some(Done); 5]);
        assert_eq!(all.settlements(), [Settlement::AckUpTo(5)]);
        assert_eq!(all.settlements(), []);
    }

    #[test]
    fn a_slow_handler_holds_up_no_other_message() {
        let mut slow = unsettled(&[Some(Done), None, Some(Done), Some(Failed)]);
        assert_eq!(
            slow.settlements(),
            [
                Settlement::AckUpTo(1),
                Settlement::Ack(3),
                Settlement::Reject(4)
            ]
        );
        slow.push(5, Some(Done));
        slow.settle(Finished(Some((2, Done))));
        assert_eq!(slow.settlements(), [Settlement::AckUpTo(5)]);
    }

    #[test]
    fn a_multiple_ack_never_covers_a_failed_message() {
        let mut failed = unsettled(&[Some(Done), Some(Done), Some(Failed), Some(Done)]);
        let expected = [
            Settlement::AckUpTo(2),
            Settlement::Reject(3),
            Settlement::AckUpTo(4),
        ];
        assert_eq!(failed.settlements(), expected);
    }

    #[test]
    fn a_kept_message_is_never_settled() {
        let mut kept = unsettled(&[Some(Done), Some(Kept), Some(Done)]);
        assert_eq!(
            kept.settlements(),
            [Settlement::AckUpTo(1), Settlement::Ack(3)]
        );
        assert_eq!(kept.settlements(), []);
    }

    #[test]
    fn what_was_acknowledged_elsewhere_is_forgotten() {
        let mut held = unsettled(&[Some(Done), None, Some(Done)]);
        held.settlements();
        held.settle(Finished(Some((2, Outcome::Settled))));
        held.push(4, Some(Done));
        assert_eq!(held.settlements(), [Settlement::AckUpTo(4)]);
        assert!(held.entries.is_empty());
    }

    #[test]
    fn slow_handlers_end_the_inline_polling() {
        let next = |inline: &mut Inline| inline.poll(Box::pin(async { Done })).is_ok();
        let mut inline = Inline::default();
        inline.took(SLOW * 2);
        for _ in 0..PER_SLOW_POLL {
            inline.took(SLOW / 2);
        }
        inline.took(SLOW * 2);
        assert!(next(&mut inline), "they were far apart");
        inline.took(SLOW * 2);
        assert!(!next(&mut inline), "it is left to a task of its own");
    }
}
