//! One message in a handler's hands: handled, tried again, or dead.

mod hold;
mod job;
mod once;
mod unknown;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use lapin::types::ShortString;
use lapin::{Acker, BasicProperties};
use tracing::{debug, error, warn};

pub(crate) use hold::{Hold, HoldTimes};
pub(crate) use job::{Handled, Handling, Job, Unreadable};

use hold::Held;

use crate::bus::Core;
use crate::codec::Format;
use crate::context::Context;
use crate::delivery::{Outcome, catch_panic};
use crate::observer::FailedAttempt;
use crate::publishing::{Message, Progress, Refusal};
use crate::retry::{HandlerError, Wish, chance};
use crate::topology;
use crate::wire;
use crate::wire::again::{self, Death};

/// Shorter delays are waited for in place: the ladder counts in seconds.
const IN_PLACE: Duration = Duration::from_millis(500);
/// Longer ones are cut where an event has to stay in its place: after half an hour RabbitMQ takes it away from who does not acknowledge it.
const IN_PLACE_LONGEST: Duration = Duration::from_secs(15 * 60);

/// How long a handler that has ended waits for the copy of its message.
const COPY: Duration = Duration::from_secs(5);

/// What is needed of a delivery to publish it once more.
pub(crate) struct Received {
    pub(crate) exchange: ShortString,
    pub(crate) key: ShortString,
    pub(crate) data: Vec<u8>,
    pub(crate) acker: Acker,
}

pub(crate) struct Attempts<J> {
    job: Arc<J>,
    format: Format,
    received: Received,
    context: Context,
    /// It has taken long.
    held: Option<Held>,
}

/// How an attempt went.
pub(crate) enum Attempted {
    Handled(Handled),
    Failed(Failed),
    /// Not made: another process is handling the same message.
    Elsewhere(Duration),
}

/// What comes of a handler, with its panic caught.
pub(crate) type HandlerEnd = Result<Result<Handled, HandlerError>, String>;

impl From<HandlerEnd> for Attempted {
    fn from(end: HandlerEnd) -> Self {
        match end {
            Ok(Ok(handled)) => Self::Handled(handled),
            Ok(Err(error)) => Self::Failed(error.into()),
            Err(panic) => Self::Failed(Failed::panicked(panic)),
        }
    }
}

/// An attempt that failed.
pub(crate) struct Failed {
    reason: &'static str,
    wish: Wish,
    /// The error, and its causes.
    errors: Vec<String>,
}

impl From<HandlerError> for Failed {
    fn from(error: HandlerError) -> Self {
        Self {
            reason: "failed",
            wish: error.wish(),
            errors: error.chain(),
        }
    }
}

impl Failed {
    fn panicked(text: String) -> Self {
        Self {
            reason: "panicked",
            wish: Wish::Policy,
            errors: vec![text],
        }
    }

    fn unreadable(unreadable: Unreadable) -> Self {
        Self {
            reason: unreadable.reason,
            wish: Wish::Permanent,
            errors: vec![unreadable.detail],
        }
    }

    /// What the handler said by its context goes before what its error says.
    fn wishing(self, wish: Wish) -> Self {
        match wish {
            Wish::Policy => self,
            wish => Self { wish, ..self },
        }
    }

    fn text(&self) -> &str {
        self.errors.first().map_or("", String::as_str)
    }
}

/// When the next attempt is made.
enum Next {
    Here(Duration),
    Later(Duration),
    Never,
}

impl<J: Job> Attempts<J> {
    pub(crate) fn new(job: Arc<J>, format: Format, received: Received, context: Context) -> Self {
        Self {
            job,
            format,
            received,
            context,
            held: None,
        }
    }

    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    /// The handler's future, for the next attempt.
    pub(crate) fn handling(&self) -> Result<Handling, Unreadable> {
        self.job
            .handling(&self.received.data, self.format, &self.context)
    }

    pub(crate) async fn run(mut self, handling: Handling) -> Outcome {
        let outcome = self.try_until_settled(handling).await;
        match self.held.take() {
            Some(held) => held.settle(outcome).await,
            None => outcome,
        }
    }

    /// What follows a failure is in boxes: most messages are handled, and need not carry its state.
    async fn try_until_settled(&mut self, mut handling: Handling) -> Outcome {
        loop {
            let handler = catch_panic(self.context.clone().scope(handling));
            let attempted = match (self.job.deduplicate(), self.context.claim()) {
                (Some(layer), Some(claim)) => Box::pin(self.once(layer, claim, handler)).await,
                _ if self.job.may_take_long() => Attempted::from(self.patiently(handler).await),
                _ => Attempted::from(handler.await),
            };
            let failed = match attempted {
                Attempted::Handled(Handled::Done) => return Outcome::Done,
                Attempted::Handled(Handled::Kept) => return Outcome::Kept,
                Attempted::Failed(failed) => failed.wishing(self.context.wish()),
                Attempted::Elsewhere(delay) => return Box::pin(self.put_off(delay)).await,
            };
            if self.is_lost() {
                // The consumer was lost meanwhile, and the broker delivers the event again: two copies of it would go on.
                debug!(queue = self.job.queue(), context = ?self.context, error = failed.text(), "a handler failed, and the message comes again by itself");
                return Outcome::Kept;
            }
            if self.is_given_up().await {
                return Outcome::Done;
            }
            match self.next(&failed) {
                Next::Never => return Box::pin(self.die(failed)).await,
                Next::Later(delay) => return Box::pin(self.later(delay, failed)).await,
                Next::Here(delay) => {
                    self.retrying(delay, &failed).await;
                    if !self.wait(delay).await {
                        return Box::pin(self.give_back(failed)).await;
                    }
                    if self.is_given_up().await {
                        return Outcome::Done;
                    }
                }
            }
            self.context = self.context.next_attempt();
            handling = match self.handling() {
                Ok(handling) => handling,
                Err(unreadable) => return Box::pin(self.die(Failed::unreadable(unreadable))).await,
            };
        }
    }

    /// Its message moves to this process's own queue when the handler takes long.
    async fn patiently<T>(&mut self, handler: impl Future<Output = T>) -> T {
        let times = self.job.core().config.hold;
        let mut handler = pin!(handler);
        let mut wait = times.after;
        loop {
            tokio::select! {
                biased;
                ended = &mut handler => return ended,
                () = tokio::time::sleep(wait) => {}
            }
            let mut holding = Box::pin(self.hold());
            tokio::select! {
                biased;
                ended = &mut handler => {
                    // A copy that is on its way is waited for: left alone, it would be taken for a task of its own.
                    let _ = tokio::time::timeout(COPY, holding).await;
                    return ended;
                }
                () = &mut holding => {}
            }
            wait = times.until_next();
        }
    }

    /// A fresh delivery of the message, in place of the one in hand.
    async fn hold(&mut self) {
        let core = Arc::clone(self.job.core());
        let id = wire::message_id(self.context.properties());
        if id.is_empty() || self.is_lost() || !self.is_whole() {
            return;
        }
        if self.held.is_none() {
            let hold = core.hold.get_or_init(|| Hold::start(&core));
            self.held = Some(hold.hold(id));
        }
        if let Err(refusal) = self.store_held(&core).await {
            debug!(context = ?self.context, ?refusal, "a message stays where it is, although its handler takes long");
            return;
        }
        if let Some(held) = &mut self.held {
            held.arrived(&self.received.acker).await;
        }
    }

    async fn store_held(&self, core: &Core) -> Result<(), Refusal> {
        let (app, instance) = (&core.config.app, &core.instance);
        let exchange = topology::hold_exchange(app);
        let key = topology::hold_key(instance, self.job.queue());
        let properties = again::to_hold(self.context.properties(), self.from());
        let message = Message {
            exchange: &exchange,
            needs: &exchange,
            key: &key,
            plan: &|| topology::hold_plan(app, instance, core.config.hold.back),
            properties: &|| properties.clone(),
            payload: &self.received.data,
            must_route: true,
        };
        core.store(&message, &mut Progress::new(&core.clock)).await
    }

    /// Was the delivery in hand lost with its connection? The message comes again.
    fn is_lost(&self) -> bool {
        match &self.held {
            Some(held) if held.is_moved() => held.is_lost(),
            _ => self.received.acker.poisoned(),
        }
    }

    pub(crate) async fn unreadable(self, unreadable: Unreadable) -> Outcome {
        self.die(Failed::unreadable(unreadable)).await
    }

    fn next(&self, failed: &Failed) -> Next {
        let made = self.context.attempt().saturating_add(1);
        let policy = self.job.retry(&self.context).delay(made, chance());
        let delay = match (failed.wish, policy) {
            (Wish::Permanent, _) | (_, None) => return Next::Never,
            (Wish::After(delay), Some(_)) => delay,
            (Wish::Policy, Some(delay)) => delay,
        };
        match self.job.stays_in_place() || delay < IN_PLACE {
            true => Next::Here(delay.min(IN_PLACE_LONGEST)),
            false => Next::Later(delay),
        }
    }

    /// False when the listener is stopped or paused meanwhile.
    pub(crate) async fn wait(&self, delay: Duration) -> bool {
        let waited = self.job.core().clock.pause(delay);
        let rest = self.job.rest();
        rest.run_until_cancelled(waited).await.is_some()
    }

    /// The listener ends, or pauses, between two attempts. Where order counts, the event has to stay where it is.
    async fn give_back(&self, failed: Failed) -> Outcome {
        match self.job.stays_in_place() {
            true => Outcome::Kept,
            false => self.later(Duration::ZERO, failed).await,
        }
    }

    /// Is it not to be handled any more? Then what was left to do for it is done.
    async fn is_given_up(&self) -> bool {
        match self.job.given_up(&self.context) {
            Some(last) => {
                last.await;
                true
            }
            None => false,
        }
    }

    /// Leaves the next attempt to the ladder, and to whoever takes the event from the queue then.
    async fn later(&self, delay: Duration, failed: Failed) -> Outcome {
        let delay = on_ladder(delay);
        self.retrying(delay, &failed).await;
        let made = self.context.attempt().saturating_add(1);
        match self.delayed(delay, self.copy_for(made)).await {
            Ok(()) => {
                self.job.tally().retried.add();
                Outcome::Done
            }
            Err(refusal) => self.not_delayed(refusal, failed).await,
        }
    }

    /// Another process is at it. Not an attempt: the copy has the same number.
    async fn put_off(&self, delay: Duration) -> Outcome {
        if self.job.stays_in_place() || self.is_lost() {
            return Outcome::Kept;
        }
        let delay = on_ladder(delay);
        debug!(queue = self.job.queue(), context = ?self.context, ?delay, "another process is handling this message; it is put off");
        let copy = self.copy_for(self.context.attempt());
        let error = HandlerError::from("another process was handling it");
        self.put_off_as(copy, delay, error.into()).await
    }

    async fn put_off_as(&self, copy: BasicProperties, delay: Duration, failed: Failed) -> Outcome {
        match self.delayed(delay, copy).await {
            Ok(()) => {
                self.job.tally().put_off.add();
                Outcome::Done
            }
            Err(refusal) => self.not_delayed(refusal, failed).await,
        }
    }

    async fn not_delayed(&self, refusal: Refusal, failed: Failed) -> Outcome {
        match refusal {
            Refusal::Failed(error) if self.job.core().life.stop.is_cancelled() => {
                debug!(%error, "the bus is closed; the message goes back to its queue");
                Outcome::Kept
            }
            refusal => {
                error!(queue = self.job.queue(), context = ?self.context, ?refusal, "a message cannot be put off");
                self.die(failed).await
            }
        }
    }

    /// The properties of a copy for attempt number `attempt`.
    fn copy_for(&self, attempt: u32) -> BasicProperties {
        let now_ms = self.job.core().clock.now_ms();
        let copy = again::for_attempt(self.context.properties(), self.from(), attempt, now_ms);
        again::with_checkpoint(copy, self.checkpoint())
    }

    /// Stores a copy on the ladder.
    async fn delayed(&self, delay: Duration, properties: BasicProperties) -> Result<(), Refusal> {
        let to = topology::delayed(self.job.queue(), delay);
        let message = Message {
            exchange: &to.exchange,
            needs: &to.exchange,
            key: &to.key,
            plan: &topology::ladder_plan,
            properties: &|| properties.clone(),
            payload: &self.received.data,
            // A level of the ladder may be deleted under it, to be rid of what is put off.
            must_route: true,
        };
        let core = self.job.core();
        core.store(&message, &mut Progress::new(&core.clock)).await
    }

    /// No attempt is left.
    async fn die(&self, failed: Failed) -> Outcome {
        let (job, context) = (&self.job, &self.context);
        error!(
            what = J::WHAT,
            queue = job.queue(),
            ?context,
            reason = failed.reason,
            error = failed.text(),
            attempts = context.attempt() + 1,
            "a message is dead: it goes to the dead letters"
        );
        let Some(place) = job.dead_letters() else {
            job.tally().dropped.add();
            return Outcome::Failed;
        };
        if let Some(last) = job.died(&self.received.data, context, failed.reason, &failed.errors) {
            last.await;
        }
        let outcome = match self.is_whole() {
            true => self.bury(place, &failed).await,
            false => Outcome::Failed,
        };
        if outcome != Outcome::Kept {
            job.tally().dead.add();
        }
        outcome
    }

    /// Can it be published once more as it was? Not if the guard left something out, or if with our headers its own might not fit a
    /// frame. Then the broker moves it.
    fn is_whole(&self) -> bool {
        let properties = self.context.properties();
        !wire::is_unreadable(properties)
            && self.received.data.len() <= self.job.core().config.payload_limit
            && wire::headers_size(properties) <= wire::HEADERS_LIMIT
    }

    /// Writes the dead letter, with what is known about its end.
    async fn bury(&self, (owner, name): (&str, &str), failed: &Failed) -> Outcome {
        let (context, core, queue) = (&self.context, self.job.core(), self.job.queue());
        let death = Death {
            reason: failed.reason,
            errors: &failed.errors,
            attempts: context.attempt().saturating_add(1),
            queue,
            host: &core.host,
            at_ms: core.clock.now_ms(),
        };
        let properties = again::for_the_dead(context.properties(), self.from(), &death);
        // For a replay, which need not begin at the beginning.
        let properties = again::with_checkpoint(properties, self.checkpoint());
        let (exchange, key) = topology::dead_letters(owner, name);
        let message = Message {
            exchange: &exchange,
            needs: &topology::dead_queue(name),
            key,
            plan: &|| topology::dead_plan(owner, name),
            properties: &|| properties.clone(),
            payload: &self.received.data,
            // To delete this queue is a quick way to be rid of what is in it.
            must_route: true,
        };
        match core.store(&message, &mut Progress::new(&core.clock)).await {
            Ok(()) => Outcome::Done,
            Err(Refusal::Failed(_)) if core.life.stop.is_cancelled() => Outcome::Kept,
            Err(refusal) => {
                warn!(
                    what = J::WHAT,
                    queue,
                    ?context,
                    ?refusal,
                    "cannot write the dead letter; leaving that to the broker, without the reason"
                );
                Outcome::Failed
            }
        }
    }

    fn checkpoint(&self) -> Option<Vec<u8>> {
        self.context.running()?.checkpoint()
    }

    fn from(&self) -> again::From<'_> {
        again::From {
            exchange: self.received.exchange.as_str(),
            key: self.received.key.as_str(),
        }
    }

    async fn retrying(&self, delay: Duration, failed: &Failed) {
        self.log_retry(delay, failed);
        self.job.core().config.observed.tell(|observer| {
            observer.failed(FailedAttempt {
                id: wire::message_id(self.context.properties()).to_owned(),
                queue: self.job.queue().to_owned(),
                number: self.context.attempt().saturating_add(1),
                error: failed.text().to_owned(),
            });
        });
        if let Some(rest) = self.job.retrying(&self.context, failed.text()) {
            rest.await;
        }
    }

    fn log_retry(&self, delay: Duration, failed: &Failed) {
        warn!(what = J::WHAT, queue = self.job.queue(), context = ?self.context, reason = failed.reason, error = failed.text(),
            attempt = self.context.attempt() + 1, of = self.job.retry(&self.context).most_attempts(), ?delay,
            "a handler failed; the message will be tried again");
    }
}

/// The ladder counts in seconds. Rounded up or down by chance, in proportion: what failed together does not come back together.
fn on_ladder(delay: Duration) -> Duration {
    Duration::from_secs_f64((delay.as_secs_f64() + chance()).floor().max(1.0))
}
