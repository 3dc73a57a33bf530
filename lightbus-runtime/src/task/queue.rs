//! What a worker makes of a delivery: a task for its method, or something to be refused.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::ShortString;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::flow::{self, Stuck};
use super::running::{Desk, Running, told_error};
use super::unique::Lock;
use crate::args::Args;
use crate::attempts::{Attempts, Handled, Handling, Job, Received, Unreadable};
use crate::boxed::Boxed;
use crate::bus::Core;
use crate::clock::Clock;
use crate::codec::{Format, decode_checked};
use crate::context::{Context, Subject};
use crate::counters::Tally;
use crate::delivery::{Outcome, Work, catch_panic_now};
use crate::grammar::is_task;
use crate::idempotence::Deduplicate;
use crate::observer::Why;
use crate::publishing::Refusal;
use crate::retry::{HandlerError, Retry};
use crate::schedule::{RunOutcome, is_scheduled, report_end};
use crate::service::{Answer, Dispatch, HandlerFuture, Reply};
use crate::topology;
use crate::wire;

/// The reason for a task that this version has not, while another one may have it.
const UNKNOWN: &str = "unknown";

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
    timeout: Option<Duration>,
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
        let lost = wire::again::losses(properties);
        // Before the broker does it, of which nobody who waits for the task would hear.
        if lost >= topology::DELIVERY_LIMIT {
            let detail = format!(
                "it was lost {lost} times with the process or the connection of the worker that had it"
            );
            return Err(unreadable("delivery_limit", detail));
        }
        let until = wire::header_number(properties, wire::DEADLINE);
        if let Some(late) = until.and_then(|until| late(until, self.core.clock.date())) {
            self.core.counters.tasks_expired.add();
            return Err(unreadable(
                "expired",
                format!("it should have begun {late:.1?} ago at the latest"),
            ));
        }
        let content_type = properties.content_type().as_ref().map(ShortString::as_str);
        let format =
            Format::of(content_type).map_err(|error| unreadable("undecodable", error.0))?;
        let (name, timeout) = self.find(properties)?;
        if let Some(why) = flow::unreadable(properties) {
            return Err(unreadable(UNKNOWN, why));
        }
        Ok(Accepted {
            name,
            timeout,
            format,
        })
    }

    /// The task that a message names, and how long each attempt may take.
    fn find(
        &self,
        properties: &BasicProperties,
    ) -> Result<(&'static str, Option<Duration>), Unreadable> {
        let unreadable = |reason, detail| Unreadable { reason, detail };
        let named = wire::header_text(properties, wire::NAME).unwrap_or_default();
        if named != flow::BEGIN && !is_task(self.api, named) {
            let detail = "it does not say which task it is".to_owned();
            return Err(unreadable("undecodable", detail));
        }
        self.known(named).ok_or_else(|| {
            let detail = format!("this version of the API has no task `{named}`");
            unreadable(UNKNOWN, detail)
        })
    }

    /// A task of this API, and how long each attempt may take.
    fn known(&self, named: &str) -> Option<(&'static str, Option<Duration>)> {
        if named == flow::BEGIN {
            return Some((flow::BEGIN, None));
        }
        let row = self.dispatch.task(named)?;
        let spec = self.dispatch.spec(row)?;
        Some((self.dispatch.name(row), spec.timeout))
    }

    /// A unique task's hold on its key.
    fn lock(&self, context: &Context) -> Option<Lock> {
        let properties = context.properties();
        let header = wire::header_text(properties, wire::UNIQUE)?;
        // By its own word: one that is refused need not be one of ours.
        let name = wire::header_text(properties, wire::NAME)?;
        let vhost = &self.core.config.uri.vhost;
        Lock::of(vhost, self.api, name, header, wire::message_id(properties))
    }

    fn attempt(
        self: &Arc<Self>,
        accepted: Accepted,
        delivery: Delivery,
        running: Arc<Running>,
    ) -> Work {
        let attempts = self.attempts(
            accepted.name,
            accepted.timeout,
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
        let context = Context::of_task(
            &self.core.clock,
            delivery.properties,
            subject,
            redelivered,
            limit,
            running,
        );
        Attempts::new(Arc::clone(self), format, received, context)
    }

    /// Somebody has cancelled it.
    fn give_up(self: &Arc<Self>, delivery: Delivery, running: Arc<Running>) -> Work {
        let named = wire::header_text(&delivery.properties, wire::NAME).unwrap_or_default();
        let name = self.known(named).map_or("", |(name, _)| name);
        let attempts = self.attempts(name, None, Format::Msgpack, delivery, running);
        let last = self.last_words(attempts.context());
        Work::Attached(Box::pin(async move {
            last.await;
            Outcome::Done
        }))
    }

    /// What is left to do for a task that is cancelled.
    fn last_words(&self, context: &Context) -> Boxed<()> {
        let id = wire::message_id(context.properties());
        let observed = &self.core.config.observed;
        observed.skipped(id, &self.name, Why::Cancelled);
        let lets_go = self.lets_go(context, RunOutcome::Cancelled);
        let flow_ends = self.flow_ends(context, &[], flow::CANCELLED, "somebody cancelled it");
        let context = context.clone();
        Box::pin(async move {
            if let Some(running) = context.running() {
                running.given_up(&context).await;
            }
            for last in [lets_go, flow_ends].into_iter().flatten() {
                last.await;
            }
        })
    }

    /// What follows a task that is not tried again hears of it.
    fn flow_ends(
        &self,
        context: &Context,
        data: &[u8],
        reason: &str,
        error: &str,
    ) -> Option<Boxed<()>> {
        let domain = context.running().and_then(|it| it.domain_error(reason));
        let lost = flow::lost(&self.core, context, data, reason, error, domain)?;
        let (core, context) = (Arc::clone(&self.core), context.clone());
        Some(Box::pin(async move {
            if let Err(stuck) = lost.await {
                core.counters.flows_stuck.add();
                error!(
                    ?context,
                    ?stuck,
                    "those who wait for what follows a task cannot be told that it is dead"
                );
            }
        }))
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
        match unreadable.reason {
            UNKNOWN => Work::Attached(Box::pin(attempts.unknown(unreadable))),
            _ => self.bury(attempts, unreadable),
        }
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
        if context.name() == flow::BEGIN {
            let begun = begin(Arc::clone(&self.core), context.clone(), data.to_vec());
            return Ok(Box::pin(begun));
        }
        let Some(row) = self.dispatch.task(context.name()) else {
            return Err(unreadable(format!("there is no task `{}`", context.name())));
        };
        let decoded = catch_panic_now(|| {
            Args::parse(data.to_vec(), format).and_then(|args| self.dispatch.call(row, args))
        });
        let handler = decoded
            .map_err(|panic| unreadable(format!("decoding it panicked: {panic}")))?
            .map_err(|error| unreadable(error.told(self.api, context.name())))?;
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

    fn died(
        &self,
        data: &[u8],
        context: &Context,
        reason: &str,
        errors: &[String],
    ) -> Option<Boxed<()>> {
        let (kept, lets_go) = (kept(context), self.lets_go(context, outcome(reason)));
        let flow_ends = self.flow_ends(context, data, reason, told_error(reason, errors));
        if kept.is_none() && lets_go.is_none() && flow_ends.is_none() {
            return None;
        }
        let (reason, errors) = (reason.to_owned(), errors.to_vec());
        Some(Box::pin(async move {
            if let Some(context) = &kept
                && let Some(running) = context.running()
            {
                running.died(context, &reason, &errors).await;
            }
            for last in [lets_go, flow_ends].into_iter().flatten() {
                last.await;
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
            () = core.clock.sleep(lock.extends_every()) => lock.extend(&core).await,
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
    match context.running().filter(|running| running.is_awaited()) {
        None => judge(within(context.clock(), handler, limit).await?).map(|_| Handled::Done),
        // In a box: the others need not carry its state.
        Some(running) => Box::pin(run_awaited(handler, limit, running, &context)).await,
    }
}

/// The same; what becomes of it is written down, and what follows it is published.
async fn run_awaited(
    handler: HandlerFuture,
    limit: Option<Duration>,
    running: &Running,
    context: &Context,
) -> Result<Handled, HandlerError> {
    let reply = running
        .told(context, within(context.clock(), handler, limit))
        .await?;
    if let Answer::Domain(error) = &reply.0 {
        running.failed_with(error);
    }
    let value = judge(reply)?;
    let core = &running.desk.core;
    if let Some(followed) = flow::succeeded(core, context, &value)
        && go_on(core, followed.await)? == Handled::Kept
    {
        return Ok(Handled::Kept);
    }
    if running.is_kept() && !running.done(context, value).await {
        return Ok(Handled::Kept);
    }
    Ok(Handled::Done)
}

/// Begins a flow.
async fn begin(core: Arc<Core>, context: Context, data: Vec<u8>) -> Result<Handled, HandlerError> {
    let begun = flow::begin(&core, context.properties(), &data).await;
    go_on(&core, begun)
}

/// Whether what follows is stored. While the bus is closing, it is left for another process to do again.
fn go_on(core: &Core, followed: Result<(), Stuck>) -> Result<Handled, HandlerError> {
    match followed {
        Ok(()) => Ok(Handled::Done),
        Err(Stuck::Refused(Refusal::Failed(_))) if core.life.stop.is_cancelled() => {
            Ok(Handled::Kept)
        }
        Err(Stuck::Refused(refusal)) => {
            Err(format!("what follows it is not stored: {refusal:?}").into())
        }
        Err(Stuck::Cannot(why)) => Err(HandlerError::permanent(why)),
    }
}

async fn within(
    clock: &Clock,
    handler: HandlerFuture,
    limit: Option<Duration>,
) -> Result<Reply, HandlerError> {
    let Some(limit) = limit else {
        return Ok(handler.await);
    };
    let reply = clock.timeout(limit, handler).await;
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
fn late(until_ms: i64, now: SystemTime) -> Option<Duration> {
    let until = u64::try_from(until_ms).unwrap_or_default();
    let until = UNIX_EPOCH.checked_add(Duration::from_millis(until))?;
    now.duration_since(until).ok()
}
