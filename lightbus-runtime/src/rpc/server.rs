//! The provider's side of a call: decode, run, reply.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use lapin::message::Delivery;
use lapin::types::ShortString;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use super::caller::Caller;
use super::cancel::{self, Cancellable};
use super::clocks::Clocks;
use super::in_progress::{CallKey, InProgress};
use crate::args::Args;
use crate::bus::Core;
use crate::codec::Format;
use crate::connection::consumer::{Consumers, Source};
use crate::context::{Context, Subject};
use crate::delivery::{AtStop, Handling, Outcome, Work, catch_panic, catch_panic_now};
use crate::error::Error;
use crate::service::{Answer, Dispatch, HandlerFuture};
use crate::topology;
use crate::wire::Status;

/// The calls of an API that is served.
pub(crate) struct Calls {
    pub(crate) api: &'static str,
    pub(crate) methods: Vec<&'static str>,
    /// May any of them be cancelled?
    pub(crate) cancels: bool,
    pub(crate) dispatch: Arc<dyn Dispatch>,
    pub(crate) concurrency: u16,
}

/// Answers calls until `stop`.
pub(crate) async fn serve(
    core: &Arc<Core>,
    calls: Calls,
    stop: &CancellationToken,
) -> Result<JoinHandle<()>, Error> {
    let mut plan = topology::rpc_plan(calls.api, calls.methods.iter().copied());
    if calls.cancels {
        core.control
            .get_or_try_init(|| cancel::listen(core))
            .await?;
        plan = topology::with_cancels(plan, calls.api, &core.config.app, &core.instance);
    }
    let source = Source {
        queue: topology::rpc_name(calls.api),
        plan,
        prefetch: calls.concurrency,
    };
    let (mut consumers, started) = Consumers::new(&core.io.publish, source, stop.clone());
    let worker = core.worker(calls.concurrency, AtStop::Refuse);
    let mut server = Server {
        core: Arc::clone(core),
        api: calls.api,
        dispatch: calls.dispatch,
        in_progress: Arc::default(),
        clocks: Clocks::default(),
        stop: stop.clone(),
        slots: Arc::clone(&worker.slots),
    };
    let ended = core.spawn({
        let stop = stop.clone();
        async move {
            while let Some(consumer) = consumers.next().await {
                worker
                    .work(consumer, &stop, |delivery| server.begin(delivery))
                    .await;
            }
        }
    });
    core.first_start(&core.io.publish, started).await?;
    Ok(ended)
}

struct Server {
    core: Arc<Core>,
    api: &'static str,
    dispatch: Arc<dyn Dispatch>,
    in_progress: Arc<InProgress>,
    clocks: Clocks,
    stop: CancellationToken,
    slots: Arc<Semaphore>,
}

/// How many calls run, of all APIs.
#[derive(Debug, Default)]
pub(crate) struct RunningCalls(AtomicUsize);

impl RunningCalls {
    pub(crate) fn any(&self) -> bool {
        self.0.load(Relaxed) > 0
    }
}

/// A call that may run.
#[derive(Clone, Copy)]
struct Accepted {
    method: usize,
    format: Format,
    /// Until its deadline.
    left: Option<Duration>,
}

impl Server {
    fn begin(&mut self, delivery: Delivery) -> Work {
        let Some(caller) = Caller::of(&delivery.properties) else {
            self.core.counters.calls_refused.add();
            warn!(api = self.api, app = ?delivery.properties.app_id(), id = ?delivery.properties.message_id(),
                "dropped a call that names no legal reply address, or is no call");
            return Work::Settled(Outcome::Done);
        };
        if let Some(running) = self.left_to_its_handler(&delivery) {
            return running;
        }
        match self.accept(&delivery) {
            Ok(accepted) => self.run(caller, accepted, delivery),
            Err((status, detail)) => self.refuse(caller, &delivery.routing_key, status, detail),
        }
    }

    /// The connection was lost while a call's handler ran here, and it comes again. The handler answers on the new connection.
    fn left_to_its_handler(&self, delivery: &Delivery) -> Option<Work> {
        let properties = Some(&delivery.properties).filter(|_| delivery.redelivered)?;
        let method = self.dispatch.method(delivery.routing_key.as_str())?;
        if !self.dispatch.is_idempotent(method) {
            let runs = self.in_progress.contains(properties);
            return runs.then_some(Work::Settled(Outcome::Done));
        }
        // Not settled before the handler ends: if this process is lost meanwhile, another provider is to run it.
        let end = self.in_progress.end_of(properties)?;
        Some(Work::Attached(Box::pin(async move {
            match end.await {
                Ok(()) => Outcome::Done,
                Err(_) => Outcome::Kept,
            }
        })))
    }

    /// Everything that is checked before the method may run.
    fn accept(&mut self, delivery: &Delivery) -> Result<Accepted, (Status, String)> {
        let none = String::new;
        let method = self
            .dispatch
            .method(delivery.routing_key.as_str())
            .ok_or((Status::UnknownMethod, none()))?;
        if delivery.redelivered && !self.dispatch.is_idempotent(method) {
            return Err((Status::Redelivered, none()));
        }
        let now_ms = self.core.clock.now_ms();
        let left = self.clocks.time_left(&delivery.properties, now_ms);
        if left.is_some_and(|left| left.is_zero()) {
            return Err((Status::Expired, none()));
        }
        // Not rejected: it would come back as delivered before, and no other provider would dare to run it.
        if self.stop.is_cancelled() && self.slots.available_permits() == 0 {
            return Err((Status::ShuttingDown, none()));
        }
        let limit = self.core.config.payload_limit;
        if delivery.data.len() > limit {
            let detail =
                format!("the arguments take more than the provider's limit of {limit} bytes");
            return Err((Status::TooLarge, detail));
        }
        let content_type = delivery
            .properties
            .content_type()
            .as_ref()
            .map(ShortString::as_str);
        let format = Format::of(content_type).map_err(|error| (Status::BadArguments, error.0))?;
        Ok(Accepted {
            method,
            format,
            left,
        })
    }

    fn run(&self, caller: Caller, accepted: Accepted, mut delivery: Delivery) -> Work {
        let method = accepted.method;
        let cancellable = match self.cancellable(method, &delivery) {
            Ok(cancellable) => cancellable,
            Err(GivenUp) => return Work::Settled(Outcome::Done),
        };
        let data = std::mem::take(&mut delivery.data);
        let handler = match self.decode(accepted, data) {
            Ok(handler) => handler,
            Err((status, detail)) => {
                return self.refuse(caller, &delivery.routing_key, status, detail);
            }
        };
        let subject = Subject {
            api: self.api,
            name: self.dispatch.name(method),
        };
        let (properties, left) = (delivery.properties, accepted.left);
        let clock = &self.core.clock;
        let context = Context::of_call(clock, properties, subject, delivery.redelivered, left);
        let deadline = context.ends_at();
        let (core, in_progress) = (Arc::clone(&self.core), Arc::clone(&self.in_progress));
        let call = context.clone();
        let handling = handle(core, caller, context, handler);
        let handling: Handling = match cancellable {
            None => Box::pin(async move { in_progress.wait(call.properties(), handling).await }),
            Some(cancellable) => {
                let counters = Arc::clone(&self.core.counters);
                let handling = cancellable.run(clock.clone(), deadline, counters, handling);
                Box::pin(async move { in_progress.wait(call.properties(), handling).await })
            }
        };
        match self.dispatch.is_idempotent(method) {
            true => Work::Attached(handling),
            false => Work::Detached(handling),
        }
    }

    fn decode(&self, accepted: Accepted, data: Vec<u8>) -> Result<HandlerFuture, (Status, String)> {
        let Accepted { method, format, .. } = accepted;
        let decoded = catch_panic_now(|| {
            Args::parse(data, format).and_then(|args| self.dispatch.call(method, args))
        });
        match decoded {
            Ok(handler) => handler.map_err(|error| {
                let told = error.told(self.api, self.dispatch.name(method));
                (Status::BadArguments, told)
            }),
            Err(panic) => {
                let method = self.dispatch.name(method);
                error!(
                    api = self.api,
                    method, panic, "decoding a call's arguments panicked"
                );
                Err((Status::Panicked, String::new()))
            }
        }
    }

    /// For methods with `#[rpc(cancel)]`: what ends the handler when the caller gives up.
    fn cancellable(
        &self,
        method: usize,
        delivery: &Delivery,
    ) -> Result<Option<Cancellable>, GivenUp> {
        if !self.dispatch.may_be_cancelled(method) {
            return Ok(None);
        }
        let Some(call) = CallKey::of(&delivery.properties) else {
            return Ok(None);
        };
        let begun = self.core.cancels.begin(call);
        if begun.is_none() {
            self.core.counters.calls_cancelled.add();
            debug!(api = self.api, method = %delivery.routing_key, "a call had been given up before it began");
        }
        begun.map(Some).ok_or(GivenUp)
    }

    fn refuse(&self, caller: Caller, method: &ShortString, status: Status, detail: String) -> Work {
        self.core.counters.calls_refused.add();
        debug!(api = self.api, %method, id = %caller.id, status = status.as_str(), detail, "refused a call");
        let core = Arc::clone(&self.core);
        Work::Detached(Box::pin(async move {
            caller.answer(&core, Some((status, &detail)), &[]).await;
            Outcome::Done
        }))
    }
}

/// The caller does not want the call to run any more.
struct GivenUp;

async fn handle(
    core: Arc<Core>,
    caller: Caller,
    context: Context,
    handler: HandlerFuture,
) -> Outcome {
    let mut unanswered = Unanswered::begin(&core, &context);
    let ended = catch_panic(context.clone().scope(handler)).await;
    let limit = core.config.payload_limit;
    let (status, payload) = match ended {
        Ok(reply) => match reply.0 {
            Answer::Ok(payload) => (None, payload),
            Answer::Domain(payload) => (Some((Status::Domain, String::new())), payload),
            Answer::Unencodable(error) => {
                (Some((Status::Unencodable, error.to_string())), Vec::new())
            }
        },
        Err(panic) => {
            error!(?context, panic, "a method panicked");
            (Some((Status::Panicked, String::new())), Vec::new())
        }
    };
    let status = status
        .as_ref()
        .map(|(status, detail)| (*status, detail.as_str()));
    if payload.len() > limit {
        let detail = format!(
            "the answer takes {} bytes, the limit is {limit}",
            payload.len()
        );
        caller
            .answer(&core, Some((Status::Unencodable, &detail)), &[])
            .await;
    } else {
        caller.answer(&core, status, &payload).await;
    }
    unanswered.ended = true;
    Outcome::Done
}

/// Tells of a handler that is dropped before it has answered.
struct Unanswered<'a> {
    core: &'a Core,
    context: &'a Context,
    ended: bool,
}

impl<'a> Unanswered<'a> {
    fn begin(core: &'a Core, context: &'a Context) -> Self {
        core.running_calls.0.fetch_add(1, Relaxed);
        Self {
            core,
            context,
            ended: false,
        }
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        self.core.running_calls.0.fetch_sub(1, Relaxed);
        if !self.ended {
            self.core.counters.calls_unanswered.add();
            debug!(context = ?self.context, "a handler ended without an answer: cancelled, or at the end of the grace period");
        }
    }
}
