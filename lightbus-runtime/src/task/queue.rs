//! What a worker makes of a delivery: a task for its method, or something to be refused.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::ShortString;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::running::{Desk, Running};
use super::spec::TaskSpec;
use super::unique::Lock;
use crate::args::Args;
use crate::attempts::{Attempts, Handled, Handling, Job, Received, Unreadable};
use crate::boxed::Boxed;
use crate::bus::Core;
use crate::codec::{Format, decode_checked};
use crate::context::{Context, Subject};
use crate::counters::Tally;
use crate::delivery::{Outcome, Work, catch_panic_now};
use crate::idempotence::Deduplicate;
use crate::retry::{HandlerError, Retry};
use crate::schedule::{RunOutcome, is_scheduled, report_end};
use crate::service::{Answer, Dispatch, HandlerFuture, Reply};
use crate::topology;
use crate::wire;

/// One task queue being worked on.
pub(super) struct TaskQueue {
    pub(super) core: Arc<Core>,
    pub(super) api: &'static str,
    pub(super) name: String,
    /// What its dead letters lie under.
    pub(super) lane: String,
    pub(super) dispatch: Arc<dyn Dispatch>,
    pub(super) desk: Arc<Desk>,
    /// When each is tried again, by its row.
    pub(super) policies: Arc<[Retry]>,
    pub(super) stop: CancellationToken,
}

/// A task that may run.
#[derive(Clone, Copy)]
struct Accepted {
    name: &'static str,
    spec: &'static TaskSpec,
    format: Format,
}

impl TaskQueue {
    pub(super) fn begin(self: &Arc<Self>, delivery: Delivery) -> Work {
        let running = Running::new(&self.desk, &delivery.properties);
        if running.is_cancelled() {
            return self.give_up(delivery, running);
        }
        match self.read(&delivery) {
            Ok(accepted) => self.attempt(accepted, delivery, running),
            Err(unreadable) => self.refuse(delivery, unreadable, running),
        }
    }

    /// Everything that is checked before the arguments are decoded.
    fn read(&self, delivery: &Delivery) -> Result<Accepted, Unreadable> {
        let unreadable = |reason, detail| Unreadable { reason, detail };
        let properties = &delivery.properties;
        if !wire::is_kind(properties, wire::TASK) {
            let detail = format!("its type is {:?}, not `{}`", properties.kind(), wire::TASK);
            return Err(unreadable("kind", detail));
        }
        let limit = self.core.config.payload_limit;
        if delivery.data.len() > limit {
            let detail = format!("it takes more than the limit of {limit} bytes");
            return Err(unreadable("size", detail));
        }
        if wire::headers_size(properties) > wire::HEADERS_LIMIT {
            let limit = wire::HEADERS_LIMIT;
            let detail = format!("its headers take more than the limit of {limit} bytes");
            return Err(unreadable("size", detail));
        }
        let named = wire::header_text(properties, wire::NAME).unwrap_or_default();
        let row = self.dispatch.task(named);
        let spec = row.and_then(|row| self.dispatch.spec(row));
        let (Some(row), Some(spec)) = (row, spec) else {
            let detail = format!("this version of the API has no task `{named}`");
            return Err(unreadable("unknown", detail));
        };
        let lost = wire::again::losses(properties);
        if lost > topology::DELIVERY_LIMIT {
            let detail = format!("{lost} processes were lost while they had it");
            return Err(unreadable("delivery_limit", detail));
        }
        if let Some(late) = late(wire::header_number(properties, wire::DEADLINE)) {
            self.core.counters.tasks_expired.add();
            return Err(unreadable(
                "expired",
                format!("it should have begun {late:.1?} ago at the latest"),
            ));
        }
        let content_type = properties.content_type().as_ref().map(ShortString::as_str);
        let format =
            Format::of(content_type).map_err(|error| unreadable("undecodable", error.0))?;
        Ok(Accepted {
            name: self.dispatch.name(row),
            spec,
            format,
        })
    }

    /// A unique task's hold on its key.
    fn lock(&self, context: &Context) -> Option<Lock> {
        let properties = context.properties();
        let header = wire::header_text(properties, wire::UNIQUE)?;
        Lock::of(
            self.api,
            context.name(),
            header,
            wire::message_id(properties),
        )
    }

    fn attempt(
        self: &Arc<Self>,
        accepted: Accepted,
        delivery: Delivery,
        running: Arc<Running>,
    ) -> Work {
        let attempts = self.attempts(
            accepted.name,
            accepted.spec.timeout,
            accepted.format,
            delivery,
            running,
        );
        match attempts.handling() {
            Ok(handling) => Work::Attached(Box::pin(attempts.run(handling))),
            Err(unreadable) => self.bury(attempts, unreadable),
        }
    }

    fn attempts(
        self: &Arc<Self>,
        name: &'static str,
        limit: Option<Duration>,
        format: Format,
        delivery: Delivery,
        running: Arc<Running>,
    ) -> Attempts<Self> {
        let subject = Subject {
            api: self.api,
            name,
        };
        let received = Received {
            exchange: delivery.exchange,
            key: delivery.routing_key,
            data: delivery.data,
            acker: delivery.acker,
        };
        let redelivered = delivery.redelivered;
        let context = Context::of_task(delivery.properties, subject, redelivered, limit, running);
        Attempts::new(Arc::clone(self), format, received, context)
    }

    /// Somebody has cancelled it.
    fn give_up(self: &Arc<Self>, delivery: Delivery, running: Arc<Running>) -> Work {
        let named = wire::header_text(&delivery.properties, wire::NAME).unwrap_or_default();
        let row = self.dispatch.task(named);
        let name = row.map_or("", |row| self.dispatch.name(row));
        let attempts = self.attempts(name, None, Format::Msgpack, delivery, running);
        let last = self.last_words(attempts.context());
        Work::Attached(Box::pin(async move {
            last.await;
            Outcome::Done
        }))
    }

    /// What is left to do for a task that is cancelled.
    fn last_words(&self, context: &Context) -> Boxed<()> {
        let lets_go = self.lets_go(context, RunOutcome::Cancelled);
        let context = context.clone();
        Box::pin(async move {
            if let Some(running) = context.running() {
                running.given_up(&context).await;
            }
            if let Some(lets_go) = lets_go {
                lets_go.await;
            }
        })
    }

    /// A task that is not tried again gives back its key, and its schedule hears how it ended.
    fn lets_go(&self, context: &Context, outcome: RunOutcome) -> Option<Boxed<()>> {
        let (lock, scheduled) = (self.lock(context), scheduled(context));
        if lock.is_none() && scheduled.is_none() {
            return None;
        }
        let core = Arc::clone(&self.core);
        Some(Box::pin(async move {
            if let Some(lock) = lock {
                lock.release(&core).await;
            }
            if let Some(properties) = scheduled {
                report_end(&core, &properties, outcome).await;
            }
        }))
    }

    fn refuse(
        self: &Arc<Self>,
        delivery: Delivery,
        unreadable: Unreadable,
        running: Arc<Running>,
    ) -> Work {
        let attempts = self.attempts("", None, Format::Msgpack, delivery, running);
        self.bury(attempts, unreadable)
    }

    fn bury(&self, attempts: Attempts<Self>, unreadable: Unreadable) -> Work {
        let properties = attempts.context().properties();
        warn!(queue = self.name, id = ?properties.message_id(), from = ?properties.app_id(), reason = unreadable.reason, detail = unreadable.detail,
            "a task cannot be run; it goes to the dead letters");
        Work::Attached(Box::pin(attempts.unreadable(unreadable)))
    }
}

impl Job for TaskQueue {
    const WHAT: &'static str = "task";

    fn core(&self) -> &Arc<Core> {
        &self.core
    }

    fn queue(&self) -> &str {
        &self.name
    }

    fn dead_letters(&self) -> Option<(&str, &str)> {
        Some((self.api, &self.lane))
    }

    fn retry(&self, context: &Context) -> &Retry {
        let row = self.dispatch.task(context.name());
        let policy = row.and_then(|row| self.policies.get(row));
        policy.unwrap_or(&self.core.config.retry)
    }

    fn deduplicate(&self) -> Option<&Deduplicate> {
        None
    }

    fn stays_in_place(&self) -> bool {
        false
    }

    fn may_take_long(&self) -> bool {
        true
    }

    fn rest(&self) -> CancellationToken {
        self.stop.clone()
    }

    fn tally(&self) -> &Tally {
        &self.core.counters.tasks
    }

    fn handling(
        &self,
        data: &[u8],
        format: Format,
        context: &Context,
    ) -> Result<Handling, Unreadable> {
        let unreadable = |detail| Unreadable {
            reason: "undecodable",
            detail,
        };
        let Some(row) = self.dispatch.task(context.name()) else {
            return Err(unreadable(format!("there is no task `{}`", context.name())));
        };
        let decoded = catch_panic_now(|| {
            Args::parse(data.to_vec(), format).and_then(|args| self.dispatch.call(row, args))
        });
        let handler = decoded
            .map_err(|panic| unreadable(format!("decoding it panicked: {panic}")))?
            .map_err(|error| unreadable(error.0))?;
        let limit = self.dispatch.spec(row).and_then(|spec| spec.timeout);
        let handling = run(handler, limit, context.clone());
        let handling: Handling = match self.lock(context) {
            None => Box::pin(handling),
            Some(lock) => Box::pin(locked(Arc::clone(&self.core), lock, handling)),
        };
        Ok(match scheduled(context) {
            None => handling,
            Some(properties) => Box::pin(reported(Arc::clone(&self.core), properties, handling)),
        })
    }

    fn given_up(&self, context: &Context) -> Option<Boxed<()>> {
        let is_cancelled = context.is_cancelled();
        is_cancelled.then(|| self.last_words(context))
    }

    fn retrying(&self, context: &Context, error: &str) -> Option<Boxed<()>> {
        let (context, error) = (kept(context)?, error.to_owned());
        Some(Box::pin(async move {
            if let Some(running) = context.running() {
                running.retrying(&context, &error).await;
            }
        }))
    }

    fn died(&self, context: &Context, reason: &str, errors: &[String]) -> Option<Boxed<()>> {
        let (kept, lets_go) = (kept(context), self.lets_go(context, outcome(reason)));
        if kept.is_none() && lets_go.is_none() {
            return None;
        }
        let (reason, errors) = (reason.to_owned(), errors.to_vec());
        Some(Box::pin(async move {
            if let Some(context) = &kept
                && let Some(running) = context.running()
            {
                running.died(context, &reason, &errors).await;
            }
            if let Some(lets_go) = lets_go {
                lets_go.await;
            }
        }))
    }
}

fn outcome(reason: &str) -> RunOutcome {
    match reason {
        "expired" => RunOutcome::Expired,
        _ => RunOutcome::Failed,
    }
}

/// The context of a task of which something is written down.
fn kept(context: &Context) -> Option<Context> {
    let running = context.running().filter(|running| running.is_kept());
    running.map(|_| context.clone())
}

/// What a schedule is told by that this occurrence of it has ended.
fn scheduled(context: &Context) -> Option<BasicProperties> {
    let properties = context.properties();
    is_scheduled(properties).then(|| properties.clone())
}

/// Runs an occurrence of a schedule, and tells the schedule's app when it is done.
async fn reported(
    core: Arc<Core>,
    properties: BasicProperties,
    handling: Handling,
) -> Result<Handled, HandlerError> {
    let ended = handling.await;
    if ended.is_ok() {
        report_end(&core, &properties, RunOutcome::Done).await;
    }
    ended
}

/// Runs a unique task. Its key is its own until it is done, or dead.
async fn locked(
    core: Arc<Core>,
    lock: Lock,
    handling: impl Future<Output = Result<Handled, HandlerError>>,
) -> Result<Handled, HandlerError> {
    let mut handling = pin!(handling);
    let ended = loop {
        tokio::select! {
            biased;
            ended = &mut handling => break ended,
            () = tokio::time::sleep(lock.extends_every()) => lock.extend(&core).await,
        }
    };
    if ended.is_ok() {
        lock.release(&core).await;
    }
    ended
}

async fn run(
    handler: HandlerFuture,
    limit: Option<Duration>,
    context: Context,
) -> Result<Handled, HandlerError> {
    match context.running().filter(|running| running.is_kept()) {
        None => judge(within(handler, limit).await?).map(|_| Handled::Done),
        // In a box: the others need not carry its state.
        Some(running) => Box::pin(run_kept(handler, limit, running, &context)).await,
    }
}

/// The same, and writes down what becomes of it.
async fn run_kept(
    handler: HandlerFuture,
    limit: Option<Duration>,
    running: &Running,
    context: &Context,
) -> Result<Handled, HandlerError> {
    let reply = running.told(context, within(handler, limit)).await?;
    if let Answer::Domain(error) = &reply.0 {
        running.failed_with(error);
    }
    match running.done(context, judge(reply)?).await {
        true => Ok(Handled::Done),
        false => Ok(Handled::Kept),
    }
}

async fn within(handler: HandlerFuture, limit: Option<Duration>) -> Result<Reply, HandlerError> {
    let Some(limit) = limit else {
        return Ok(handler.await);
    };
    let reply = tokio::time::timeout(limit, handler).await;
    reply.map_err(|_| format!("it took longer than its timeout, {limit:?}").into())
}

/// The value, encoded.
fn judge(reply: Reply) -> Result<Vec<u8>, HandlerError> {
    match reply.0 {
        Answer::Ok(value) => Ok(value),
        Answer::Domain(error) => Err(text(&error).into()),
        Answer::Unencodable(error) => {
            let text = format!("what it returned cannot be encoded: {error}");
            Err(HandlerError::permanent(text))
        }
    }
}

/// A method's own error, for people: as JSON, and a text as it is.
fn text(error: &[u8]) -> String {
    match decode_checked::<serde_json::Value>(error) {
        Ok(serde_json::Value::String(text)) => text,
        Ok(value) => value.to_string(),
        Err(error) => format!("an error that cannot be read: {error}"),
    }
}

/// How long the time has passed until which a task may begin.
fn late(until_ms: Option<i64>) -> Option<Duration> {
    let until = u64::try_from(until_ms?).unwrap_or_default();
    let until = UNIX_EPOCH.checked_add(Duration::from_millis(until))?;
    SystemTime::now().duration_since(until).ok()
}
