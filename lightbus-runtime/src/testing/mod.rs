//! What the testing kit of the facade stands on: a message before it is sent, as data; what a message is that was seen on the broker; and a provider without a trait's implementation.

mod raw;
mod seen;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::args::{ArgError, Args};
use crate::bus::Bus;
use crate::codec::{EncodeError, Format, Payload, encode};
use crate::config::BusBuilder;
use crate::error::{CallError, Error, PublishError};
use crate::event::{Event, EventPublisher};
use crate::json;
use crate::manifest::share_secrets_of;
use crate::observer::Observed;
use crate::rpc::{self, Call, Calls};
use crate::service::{Answer, Dispatch, HandlerFuture, Reply};
use crate::task::spec::TaskSpec;
use crate::task::{EnqueueError, Task, TaskHandle};

pub use crate::clock::Manual as Clock;
pub use crate::dead_letters::DeadReason;
pub use crate::manifest::{
    ApiOutline, Heard, Manifest, SECRET, Served, is_answer_secret, redact, secrets,
};
pub use crate::observer::{FailedAttempt, Observer, Skipped, Why};
pub use crate::topology::{TaskPlace, event_keys, task_place};
pub use raw::{Raw, RawError};
pub use seen::{Answered, Copied, Meaning, OnBroker, Queue, app_of_connection, heard_by, meaning};

/// Has a bus go by a clock that a test moves.
pub fn with_clock(builder: BusBuilder, clock: &Arc<Clock>) -> BusBuilder {
    builder.clock(clock)
}

/// Has a bus tell what it does.
pub fn observed(builder: BusBuilder, by: Arc<dyn Observer>) -> BusBuilder {
    builder.observed(Observed::by(by))
}

/// What this handle's process is about to send, or waits for: in words, if there is any.
pub fn in_flight(bus: &Bus) -> Option<&'static str> {
    let core = bus.core();
    if core.life.stop.is_cancelled() {
        return None;
    }
    let all = core.budget.in_use() + core.calls_budget.in_use();
    if all <= core.unwritten.in_use() {
        return None;
    }
    Some(match core.calls_budget.in_use() {
        0 => "publishes something that is not confirmed yet",
        _ => "waits for the answer to a call",
    })
}

/// Is the bus closed, or closing?
pub fn is_closed(bus: &Bus) -> bool {
    bus.core().life.stop.is_cancelled()
}

/// Does a call run in this handle's process? Also one that nobody waits for any more.
pub fn runs_calls(bus: &Bus) -> bool {
    bus.core().running_calls.any()
}

/// Does this handle's process still wait for the answer to a call, known by its correlation id?
pub fn is_waiting_for(bus: &Bus, call: &str) -> bool {
    bus.core().pending.has(call)
}

/// The schedules that this handle's process has, while it is open.
pub fn schedules(bus: &Bus) -> Vec<String> {
    match bus.core().life.stop.is_cancelled() {
        true => Vec::new(),
        false => bus.core().schedules.names(),
    }
}

/// Does this one fire them, and has nothing to do before its clock has been moved?
pub fn is_scheduler_at_rest(bus: &Bus) -> bool {
    bus.core().schedules.is_at_rest()
}

/// What a bus knows of itself.
pub fn manifest(bus: &Bus) -> Manifest {
    bus.core().manifest()
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An event that is published.
    Event,
    /// A call of a method.
    Call,
    /// A task that is enqueued.
    Task,
}

/// A message before it is sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Outline {
    /// What it is.
    pub kind: Kind,
    /// The API's name.
    pub api: &'static str,
    /// The event's, method's or task's wire name.
    pub name: &'static str,
    /// The event's fields, or the arguments.
    pub content: Value,
}

/// What can be sent over the bus: an event, a call, or a task. The same value says what is expected, and what is to be sent.
pub trait Sendable {
    /// What comes of sending it.
    type Sent;

    #[doc(hidden)]
    fn outline(&self) -> Result<Outline, String>;

    #[doc(hidden)]
    fn send(self, bus: &Bus) -> impl Future<Output = Self::Sent> + Send;
}

impl<E: Event> Sendable for E {
    type Sent = Result<(), PublishError>;

    fn outline(&self) -> Result<Outline, String> {
        share_secrets_of::<E>();
        Ok(Outline {
            kind: Kind::Event,
            api: E::API,
            name: E::NAME,
            content: json_of(self)?,
        })
    }

    async fn send(self, bus: &Bus) -> Self::Sent {
        share_secrets_of::<E>();
        EventPublisher::new(bus).publish(self).await
    }
}

impl<T: DeserializeOwned + 'static, E: 'static> Sendable for Call<T, E> {
    type Sent = Result<T, CallError<E>>;

    fn outline(&self) -> Result<Outline, String> {
        let (spec, payload) = self.parts();
        Ok(Outline {
            kind: Kind::Call,
            api: spec.api,
            name: spec.method,
            content: json(payload?, None)?,
        })
    }

    async fn send(self, _: &Bus) -> Self::Sent {
        self.await
    }
}

impl<T: 'static, E: 'static> Sendable for Task<T, E> {
    type Sent = Result<TaskHandle<T, E>, EnqueueError>;

    fn outline(&self) -> Result<Outline, String> {
        let (spec, payload) = self.parts();
        Ok(Outline {
            kind: Kind::Task,
            api: spec.api,
            name: spec.task,
            content: json(payload?, None)?,
        })
    }

    async fn send(self, _: &Bus) -> Self::Sent {
        self.enqueue().await
    }
}

/// A payload as JSON.
pub fn json(payload: &[u8], content_type: Option<&str>) -> Result<Value, String> {
    let decoded =
        Format::of(content_type).and_then(|format| json::of(Payload::check(payload, format)?));
    decoded.map_err(|error| error.to_string())
}

/// A value as it travels, as JSON.
pub fn json_of(value: &impl Serialize) -> Result<Value, String> {
    let payload = encode(value).map_err(|error| error.to_string())?;
    json(&payload, None)
}

/// A payload as the event it is.
pub fn event<E: Event>(payload: &[u8], content_type: Option<&str>) -> Result<E, String> {
    let decoded =
        Format::of(content_type).and_then(|format| Payload::check(payload, format)?.decode::<E>());
    decoded.map_err(|error| error.to_string())
}

/// Answers calls of a stubbed method, given its arguments.
pub type Answering = Arc<dyn Fn(Value) -> HandlerFuture + Send + Sync>;

/// An answer that says that there is none.
pub fn refusal(why: String) -> Reply {
    Reply(Answer::Unencodable(EncodeError::new(why)))
}

/// A provider of one API that answers some of its methods, each by a function.
pub struct Stubs {
    api: &'static str,
    rows: Arc<Rows>,
}

#[derive(Default)]
struct Rows(Mutex<Vec<(&'static str, Answering)>>);

impl Stubs {
    /// Of an API, with no method yet.
    pub fn new(api: &'static str) -> Self {
        Self {
            api,
            rows: Arc::default(),
        }
    }

    /// Answers this method, too, from now on.
    pub async fn answer(
        &self,
        bus: &Bus,
        method: &'static str,
        answering: Answering,
    ) -> Result<(), Error> {
        self.rows.lock().push((method, answering));
        let core = bus.core();
        let calls = Calls {
            api: self.api,
            methods: vec![method],
            cancels: false,
            dispatch: Arc::clone(&self.rows) as Arc<dyn Dispatch>,
            concurrency: core.config.concurrency,
        };
        rpc::serve(core, calls, &core.life.stop).await.map(drop)
    }
}

impl fmt::Debug for Stubs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stubs")
            .field("api", &self.api)
            .finish_non_exhaustive()
    }
}

impl Rows {
    fn lock(&self) -> MutexGuard<'_, Vec<(&'static str, Answering)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Dispatch for Rows {
    fn rows(&self) -> usize {
        self.lock().len()
    }

    fn method(&self, name: &str) -> Option<usize> {
        self.lock().iter().position(|(method, _)| *method == name)
    }

    fn task(&self, _: &str) -> Option<usize> {
        None
    }

    fn name(&self, row: usize) -> &'static str {
        self.lock()[row].0
    }

    fn spec(&self, _: usize) -> Option<&'static TaskSpec> {
        None
    }

    fn is_idempotent(&self, _: usize) -> bool {
        false
    }

    fn may_be_cancelled(&self, _: usize) -> bool {
        false
    }

    fn call(&self, row: usize, args: Args) -> Result<HandlerFuture, ArgError> {
        let args = json(&args.into_bytes(), None).map_err(ArgError::of_all)?;
        let answering = Arc::clone(&self.lock()[row].1);
        Ok(answering(args))
    }
}
