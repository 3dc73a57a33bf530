//! The provider's side of a call: decode, run, reply.

use std::collections::HashSet;
use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use lapin::message::Delivery;
use lapin::types::ShortString;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use crate::args::Args;
use crate::bus::{Bus, Core};
use crate::codec::Format;
use crate::connection::consumer::{Consumers, Source};
use crate::connection::pause;
use crate::connection::publisher::Outgoing;
use crate::context::{Context, Subject};
use crate::delivery::{Outcome, Work, catch_panic, catch_panic_now};
use crate::error::Error;
use crate::service::{Answer, Dispatch, HandlerFuture, Service, Table};
use crate::topology;
use crate::wire::{self, Status};

/// How far the clocks of two machines may be apart before a call is thought to be expired, in milliseconds.
const CLOCK_SKEW_MS: i64 = 1000;

/// Serves an API once it is awaited; made by [`Bus::serve`].
#[must_use = "nothing is served until this is awaited"]
pub struct Serve {
    bus: Bus,
    api: &'static str,
    methods: Vec<&'static str>,
    dispatch: Arc<dyn Dispatch>,
    concurrency: u16,
}

impl Serve {
    pub(crate) fn new<S: Service>(bus: &Bus, service: S) -> Self {
        Self {
            bus: bus.clone(),
            api: S::NAME,
            methods: S::METHODS.iter().map(|method| method.name).collect(),
            dispatch: Arc::new(Table::new(service)),
            concurrency: bus.core().config.concurrency,
        }
    }

    /// How many calls of this API are handled at a time in this process. Default: the bus's, 64.
    pub fn concurrency(mut self, concurrency: u16) -> Self {
        self.concurrency = concurrency.max(1);
        self
    }

    async fn start(self) -> Result<Serving, Error> {
        let core = self.bus.core();
        let source = Source {
            queue: topology::rpc_name(self.api),
            plan: topology::rpc_plan(self.api, self.methods.iter().copied()),
            prefetch: self.concurrency,
        };
        let stop = core.life.stop.child_token();
        // Dropped before it is done, it does not begin to serve later.
        let guard = stop.clone().drop_guard();
        let (mut consumers, started) = Consumers::new(&core.io.publish, source, stop.clone());
        let worker = core.worker(self.concurrency);
        let server = Server {
            core: Arc::clone(core),
            api: self.api,
            dispatch: self.dispatch,
            in_progress: Arc::default(),
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
        core.first_start(started).await?;
        guard.disarm();
        Ok(Serving {
            api: self.api,
            stop,
            ended,
        })
    }
}

impl IntoFuture for Serve {
    type Output = Result<Serving, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.start())
    }
}

impl fmt::Debug for Serve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serve")
            .field("api", &self.api)
            .field("concurrency", &self.concurrency)
            .finish_non_exhaustive()
    }
}

/// An API being served. Dropping this does not end it: that is for [`stop`](Self::stop), or the end of the bus.
#[derive(Debug)]
pub struct Serving {
    api: &'static str,
    stop: CancellationToken,
    ended: tokio::task::JoinHandle<()>,
}

impl Serving {
    /// The API's name.
    pub fn api(&self) -> &'static str {
        self.api
    }

    /// Takes no more calls, and returns when those in progress have finished (within the bus's grace period).
    pub async fn stop(self) {
        self.stop.cancel();
        // An abort at the end of the runtime is an end as well.
        let _ = self.ended.await;
    }
}

struct Server {
    core: Arc<Core>,
    api: &'static str,
    dispatch: Arc<dyn Dispatch>,
    in_progress: Arc<InProgress>,
}

/// Where the answer of one call goes.
struct Caller {
    exchange: String,
    instance: String,
    id: ShortString,
}

impl Server {
    fn begin(&self, delivery: Delivery) -> Work {
        let Some(caller) = caller(&delivery) else {
            self.core.counters.calls_refused.add();
            warn!(api = self.api, app = ?delivery.properties.app_id(), id = ?delivery.properties.message_id(),
                "dropped a call that names no legal reply address, or is no call");
            return Work::Settled(Outcome::Done);
        };
        if delivery.redelivered && self.in_progress.contains(&caller.id) {
            // The connection was lost before the acknowledgement got through. The running handler answers on the new one.
            return Work::Settled(Outcome::Done);
        }
        match self.accept(&delivery) {
            Ok((method, format)) => self.run(caller, method, format, delivery),
            Err((status, detail)) => self.refuse(caller, status, &detail),
        }
    }

    /// Everything that is checked before the method may run.
    fn accept(&self, delivery: &Delivery) -> Result<(usize, Format), (Status, String)> {
        let none = String::new;
        let method = self
            .dispatch
            .method(delivery.routing_key.as_str())
            .ok_or((Status::UnknownMethod, none()))?;
        if delivery.redelivered && !self.dispatch.is_idempotent(method) {
            return Err((Status::Redelivered, none()));
        }
        let deadline = wire::deadline_ms(&delivery.properties);
        if deadline.is_some_and(|at| at.saturating_add(CLOCK_SKEW_MS) < wire::now_ms()) {
            return Err((Status::Expired, none()));
        }
        let limit = self.core.config.payload_limit;
        if delivery.data.len() > limit {
            let detail = format!(
                "the arguments take {} bytes, the provider's limit is {limit}",
                delivery.data.len()
            );
            return Err((Status::TooLarge, detail));
        }
        let content_type = delivery
            .properties
            .content_type()
            .as_ref()
            .map(ShortString::as_str);
        let format = Format::of(content_type).map_err(|error| (Status::BadArguments, error.0))?;
        Ok((method, format))
    }

    fn run(&self, caller: Caller, method: usize, format: Format, delivery: Delivery) -> Work {
        let data = delivery.data;
        let decoded = catch_panic_now(|| {
            Args::parse(data, format).and_then(|args| self.dispatch.call(method, args))
        });
        let handler = match decoded {
            Ok(Ok(handler)) => handler,
            Ok(Err(error)) => return self.refuse(caller, Status::BadArguments, &error.0),
            Err(panic) => {
                error!(
                    api = self.api,
                    method = self.dispatch.name(method),
                    panic,
                    "decoding a call's arguments panicked"
                );
                return self.refuse(caller, Status::Panicked, "");
            }
        };
        let subject = Subject {
            api: self.api,
            name: self.dispatch.name(method),
        };
        let context = Context::new(delivery.properties, subject, delivery.redelivered);
        let handling = Box::pin(handle(
            Arc::clone(&self.core),
            Arc::clone(&self.in_progress),
            caller,
            context,
            handler,
        ));
        match self.dispatch.is_idempotent(method) {
            true => Work::Attached(handling),
            false => Work::Detached(handling),
        }
    }

    fn refuse(&self, caller: Caller, status: Status, detail: &str) -> Work {
        self.core.counters.calls_refused.add();
        debug!(api = self.api, id = %caller.id, status = status.as_str(), detail, "refused a call");
        let (core, detail) = (Arc::clone(&self.core), detail.to_owned());
        Work::Detached(Box::pin(async move {
            caller.answer(&core, Some((status, &detail)), &[]).await;
            Outcome::Done
        }))
    }
}

/// Calls whose handlers did not finish at once, by the caller's id.
#[derive(Debug, Default)]
struct InProgress(Mutex<HashSet<ShortString>>);

impl InProgress {
    fn ids(&self) -> MutexGuard<'_, HashSet<ShortString>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn contains(&self, id: &ShortString) -> bool {
        self.ids().contains(id)
    }

    /// Waits for a handler; noted down only if there is something to wait for.
    async fn wait<T>(&self, id: &ShortString, handler: impl Future<Output = T>) -> T {
        let mut handler = pin!(handler);
        if let Poll::Ready(ended) = poll_fn(|cx| Poll::Ready(handler.as_mut().poll(cx))).await {
            return ended;
        }
        self.ids().insert(id.clone());
        let noted = Noted { calls: self, id };
        let ended = handler.await;
        drop(noted);
        ended
    }
}

/// Crosses a call out again, also when its handler is dropped.
struct Noted<'a> {
    calls: &'a InProgress,
    id: &'a ShortString,
}

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        self.calls.ids().remove(self.id);
    }
}

async fn handle(
    core: Arc<Core>,
    in_progress: Arc<InProgress>,
    caller: Caller,
    context: Context,
    handler: HandlerFuture,
) -> Outcome {
    let ended = in_progress
        .wait(&caller.id, catch_panic(context.clone().scope(handler)))
        .await;
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
    Outcome::Done
}

fn caller(delivery: &Delivery) -> Option<Caller> {
    let properties = &delivery.properties;
    let is_request = properties
        .kind()
        .as_ref()
        .is_some_and(|kind| kind.as_str() == wire::REQUEST);
    let (app, instance) = wire::reply_to(properties).filter(|_| is_request)?;
    Some(Caller {
        exchange: topology::reply_exchange(app),
        instance: instance.to_owned(),
        id: wire::call_id(properties)?.clone(),
    })
}

impl Caller {
    async fn answer(self, core: &Core, status: Option<(Status, &str)>, payload: &[u8]) {
        loop {
            if !core.direct.is_ready(&self.exchange) {
                match self.find(core).await {
                    Some(true) => {}
                    Some(false) => {
                        core.counters.replies_dropped.add();
                        warn!(
                            exchange = self.exchange,
                            "dropped a reply: its address does not exist"
                        );
                        return;
                    }
                    None => return,
                }
            }
            let message = Outgoing {
                exchange: &self.exchange,
                key: &self.instance,
                mandatory: false,
                properties: core.sender.reply(self.id.clone(), status),
                payload,
            };
            if core.direct.submit(message).is_ok() {
                return;
            }
        }
    }

    /// Does the caller's exchange exist? `None` when the bus is closed. Waits out a lost connection: the caller's queue does too.
    async fn find(&self, core: &Core) -> Option<bool> {
        loop {
            core.direct.open().await.ok()?;
            match core.direct.find(&self.exchange).await {
                Ok(found) => return Some(found),
                Err(Error::Broker { .. } | Error::Closed) => pause().await,
                Err(error) => {
                    warn!(exchange = self.exchange, %error, "cannot reply");
                    return Some(false);
                }
            }
        }
    }
}
