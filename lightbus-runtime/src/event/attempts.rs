//! One event in a listener's hands: handled, tried again, or dead.

use std::sync::Arc;
use std::time::Duration;

use lapin::types::ShortString;
use tracing::{debug, error, warn};

use super::hearing::{Handling, Hearing, Unreadable};
use super::listen::Handled;
use crate::codec::Format;
use crate::config::PAYLOAD_HARD_LIMIT;
use crate::context::Context;
use crate::delivery::{Outcome, catch_panic};
use crate::publishing::{Message, Progress, Refusal};
use crate::retry::{HandlerError, Wish, chance};
use crate::topology::{self, Order};
use crate::wire;
use crate::wire::again::{self, Death};

/// Shorter delays are waited for in place: the ladder counts in seconds.
const IN_PLACE: Duration = Duration::from_millis(500);

/// What is needed of a delivery to publish it once more.
pub(super) struct Received {
    pub(super) exchange: ShortString,
    pub(super) key: ShortString,
    pub(super) data: Vec<u8>,
}

pub(super) struct Attempts {
    hearing: Arc<Hearing>,
    format: Format,
    received: Received,
    context: Context,
}

/// An attempt that failed.
struct Failed {
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

impl Attempts {
    pub(super) fn new(
        hearing: Arc<Hearing>,
        format: Format,
        received: Received,
        context: Context,
    ) -> Self {
        Self {
            hearing,
            format,
            received,
            context,
        }
    }

    pub(super) fn context(&self) -> &Context {
        &self.context
    }

    /// The handler's future, for the next attempt.
    pub(super) fn handling(&self) -> Result<Handling, Unreadable> {
        self.hearing
            .handling(&self.received.data, self.format, &self.context)
    }

    pub(super) async fn run(mut self, mut handling: Handling) -> Outcome {
        loop {
            let failed = match catch_panic(self.context.clone().scope(handling)).await {
                Ok(Ok(Handled::Done)) => return Outcome::Done,
                Ok(Ok(Handled::Kept)) => return Outcome::Kept,
                Ok(Err(error)) => Failed::from(error),
                Err(panic) => Failed::panicked(panic),
            };
            match self.next(&failed) {
                Next::Never => return self.die(failed).await,
                Next::Later(delay) => return self.later(delay, failed).await,
                Next::Here(delay) => {
                    self.log_retry(delay, &failed);
                    if !self.wait(delay).await {
                        return self.give_back(failed).await;
                    }
                }
            }
            self.context = self.context.next_attempt();
            handling = match self.handling() {
                Ok(handling) => handling,
                Err(unreadable) => return self.unreadable(unreadable).await,
            };
        }
    }

    pub(super) async fn unreadable(self, unreadable: Unreadable) -> Outcome {
        self.die(Failed::unreadable(unreadable)).await
    }

    fn next(&self, failed: &Failed) -> Next {
        let made = self.context.attempt().saturating_add(1);
        let policy = self.hearing.options.retry.delay(made, chance());
        let delay = match (failed.wish, policy) {
            (Wish::Permanent, _) | (_, None) => return Next::Never,
            (Wish::After(delay), Some(_)) => delay,
            (Wish::Policy, Some(delay)) => delay,
        };
        let stays = self.hearing.is_broadcast() || self.hearing.options.order == Order::Kept;
        match stays || delay < IN_PLACE {
            true => Next::Here(delay),
            false => Next::Later(delay),
        }
    }

    /// False when the listener is stopped meanwhile.
    async fn wait(&self, delay: Duration) -> bool {
        let waited = tokio::time::sleep(delay);
        let stop = &self.hearing.stop;
        stop.run_until_cancelled(waited).await.is_some()
    }

    /// The listener ends between two attempts. Where order counts, the event has to stay where it is.
    async fn give_back(self, failed: Failed) -> Outcome {
        match self.hearing.is_broadcast() || self.hearing.options.order == Order::Kept {
            true => Outcome::Kept,
            false => self.later(Duration::ZERO, failed).await,
        }
    }

    /// Leaves the next attempt to the ladder, and to whoever takes the event from the queue then.
    async fn later(self, delay: Duration, failed: Failed) -> Outcome {
        let delay = Duration::from_secs_f64(delay.as_secs_f64().round().max(1.0));
        self.log_retry(delay, &failed);
        let made = self.context.attempt().saturating_add(1);
        let to = topology::delayed(&self.hearing.queue, delay);
        let properties = again::for_attempt(self.context.properties(), self.from(), made);
        let message = Message {
            exchange: &to.exchange,
            key: &to.key,
            plan: &topology::ladder_plan,
            properties: &|| properties.clone(),
            payload: &self.received.data,
            must_route: false,
        };
        match self
            .hearing
            .core
            .store(&message, &mut Progress::new())
            .await
        {
            Ok(()) => {
                self.hearing.core.counters.events_retried.add();
                Outcome::Done
            }
            Err(Refusal::Failed(error)) if self.hearing.core.life.stop.is_cancelled() => {
                debug!(%error, "the bus is closed; the event goes back to its queue");
                Outcome::Kept
            }
            Err(refusal) => {
                error!(queue = self.hearing.queue, context = ?self.context, ?refusal, "an event cannot be put off");
                self.die(failed).await
            }
        }
    }

    /// No attempt is left. The event goes to the dead letters, with what is known about its end.
    async fn die(self, failed: Failed) -> Outcome {
        let Self {
            hearing,
            received,
            context,
            ..
        } = &self;
        error!(
            queue = hearing.queue,
            ?context,
            reason = failed.reason,
            error = failed.text(),
            attempts = context.attempt() + 1,
            "an event is dead; a named listener's goes to the dead letters, a broadcast one's is dropped"
        );
        if hearing.is_broadcast() {
            hearing.core.counters.events_dropped.add();
            return Outcome::Failed;
        }
        hearing.core.counters.events_dead.add();
        if wire::is_unreadable(context.properties())
            || received.data.len() > PAYLOAD_HARD_LIMIT
            || wire::headers_size(context.properties()) > wire::HEADERS_LIMIT
        {
            // What the guard left out is missing here, and with our headers added they might not fit a frame. The broker moves it as it is.
            return Outcome::Failed;
        }
        let core = &hearing.core;
        let death = Death {
            reason: failed.reason,
            errors: &failed.errors,
            attempts: context.attempt().saturating_add(1),
            queue: &hearing.queue,
            host: &core.host,
        };
        let properties = again::for_the_dead(context.properties(), self.from(), &death);
        let (exchange, key) = topology::dead_letters(&core.config.app, &hearing.queue);
        let message = Message {
            exchange: &exchange,
            key,
            plan: &|| topology::dead_plan(&core.config.app, &hearing.queue),
            properties: &|| properties.clone(),
            payload: &received.data,
            // To delete this queue is a quick way to be rid of what is in it.
            must_route: true,
        };
        match core.store(&message, &mut Progress::new()).await {
            Ok(()) => Outcome::Done,
            Err(Refusal::Failed(_)) if core.life.stop.is_cancelled() => Outcome::Kept,
            Err(refusal) => {
                warn!(
                    queue = hearing.queue,
                    ?context,
                    ?refusal,
                    "cannot write the dead letter; leaving that to the broker, without the reason"
                );
                Outcome::Failed
            }
        }
    }

    fn from(&self) -> again::From<'_> {
        again::From {
            exchange: self.received.exchange.as_str(),
            key: self.received.key.as_str(),
        }
    }

    fn log_retry(&self, delay: Duration, failed: &Failed) {
        warn!(queue = self.hearing.queue, context = ?self.context, reason = failed.reason, error = failed.text(),
            attempt = self.context.attempt() + 1, of = self.hearing.options.retry.most_attempts(), ?delay,
            "a listener failed; the event will be tried again");
    }
}
