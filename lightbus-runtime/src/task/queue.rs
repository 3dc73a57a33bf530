//! What a worker makes of a delivery: a task for its method, or something to be refused.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::ShortString;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::spec::TaskSpec;
use super::unique::Lock;
use crate::args::Args;
use crate::attempts::{Attempts, Handled, Handling, Job, Received, Unreadable};
use crate::boxed::Boxed;
use crate::bus::Core;
use crate::codec::{Format, decode_checked};
use crate::context::{Context, Subject};
use crate::counters::Tally;
use crate::delivery::{Work, catch_panic_now};
use crate::idempotence::Deduplicate;
use crate::retry::{HandlerError, Retry};
use crate::schedule::{RunOutcome, is_scheduled, report_end};
use crate::service::{Answer, Dispatch, HandlerFuture};
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
        match self.read(&delivery) {
            Ok(accepted) => self.attempt(accepted, delivery),
            Err(unreadable) => self.refuse(delivery, unreadable),
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

    fn attempt(self: &Arc<Self>, accepted: Accepted, delivery: Delivery) -> Work {
        let attempts = self.attempts(
            accepted.name,
            accepted.spec.timeout,
            accepted.format,
            delivery,
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
        let context = Context::of_task(delivery.properties, subject, delivery.redelivered, limit);
        Attempts::new(Arc::clone(self), format, received, context)
    }

    fn refuse(self: &Arc<Self>, delivery: Delivery, unreadable: Unreadable) -> Work {
        let attempts = self.attempts("", None, Format::Msgpack, delivery);
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
        let handling = run(handler, limit);
        let handling: Handling = match self.lock(context) {
            None => Box::pin(handling),
            Some(lock) => Box::pin(locked(Arc::clone(&self.core), lock, handling)),
        };
        Ok(match scheduled(context) {
            None => handling,
            Some(properties) => Box::pin(reported(Arc::clone(&self.core), properties, handling)),
        })
    }

    fn died(&self, context: &Context, reason: &str, _: &[String]) -> Option<Boxed<()>> {
        let (lock, scheduled) = (self.lock(context), scheduled(context));
        if lock.is_none() && scheduled.is_none() {
            return None;
        }
        let outcome = match reason {
            "expired" => RunOutcome::Expired,
            _ => RunOutcome::Failed,
        };
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

async fn run(handler: HandlerFuture, limit: Option<Duration>) -> Result<Handled, HandlerError> {
    let reply = match limit {
        None => handler.await,
        Some(limit) => match tokio::time::timeout(limit, handler).await {
            Ok(reply) => reply,
            Err(_) => return Err(format!("it took longer than its timeout, {limit:?}").into()),
        },
    };
    match reply.0 {
        Answer::Ok(_) => Ok(Handled::Done),
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
