//! A message by its names, with JSON as its content: for those who have no trait at hand, as a recording has none.

use std::collections::{HashMap, HashSet};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use super::{Kind, Outline, Sendable};
use crate::bus::Bus;
use crate::codec::encode;
use crate::error::{CallError, PublishError};
use crate::event::{KeyWriter, Publish};
use crate::grammar::{is_task, is_word};
use crate::rpc::{Call, CallSpec};
use crate::task::spec::TaskSpec;
use crate::task::{EnqueueError, Task};
use crate::topology::Priority;

/// A message by its names, with JSON as its content, that no type stands for. It is sent as any other, by `bus.simulate(..)`, which gives what came of it: a call's answer, a task's id as text, of an
/// event `null`.
///
/// Who receives it decodes it as always: what is missing or of another type is found out there.
#[derive(Clone, Debug, PartialEq)]
pub struct Raw {
    kind: Kind,
    api: String,
    name: String,
    content: Value,
    keys: Vec<String>,
    queue: Option<String>,
    limited: bool,
    priority: Priority,
    delay: Duration,
    headers: Vec<(String, String)>,
}

/// Why a [`Raw`] message was not sent, or a call not answered with a value.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RawError {
    /// Its names are not legal, or it cannot be encoded; nothing was sent.
    #[error("{0}")]
    Rejected(String),
    /// The event was not published.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The task was not enqueued.
    #[error(transparent)]
    Enqueue(#[from] EnqueueError),
    /// The call was answered with an error, which is JSON if it is the method's own, or not at all.
    #[error(transparent)]
    Call(#[from] CallError<Value>),
}

impl Raw {
    fn new(kind: Kind, api: &str, name: &str, content: Value) -> Self {
        Self {
            kind,
            api: api.to_owned(),
            name: name.to_owned(),
            content,
            keys: Vec::new(),
            queue: None,
            limited: false,
            priority: Priority::Normal,
            delay: Duration::ZERO,
            headers: Vec::new(),
        }
    }

    /// An event of an API, with these fields: `Raw::event("auth", "user_registered", json!({"username": "ada"}))`. One with `#[key]` fields needs them as [`key`](Self::key)s as well.
    pub fn event(api: &str, name: &str, fields: Value) -> Self {
        Self::new(Kind::Event, api, name, fields)
    }

    /// A call of an API's method, with these arguments.
    pub fn call(api: &str, method: &str, arguments: Value) -> Self {
        Self::new(Kind::Call, api, method, arguments)
    }

    /// A task of an API, with these arguments. It goes to the API's own queue, unless it is said to be in [another](Self::queue), or [limited](Self::limited): as its `#[task(..)]` says.
    pub fn task(api: &str, name: &str, arguments: Value) -> Self {
        Self::new(Kind::Task, api, name, arguments)
    }

    /// The value of an event's next `#[key]`, in their order.
    pub fn key(mut self, value: impl Into<String>) -> Self {
        self.keys.push(value.into());
        self
    }

    /// The queue of a task with `#[task(queue = "slow")]`.
    pub fn queue(mut self, queue: impl Into<String>) -> Self {
        self.queue = Some(queue.into());
        self
    }

    /// Of a task with `#[task(rate)]` or `#[task(concurrency)]`, which has a queue of its own.
    pub fn limited(mut self) -> Self {
        self.limited = true;
        self
    }

    /// A task's priority. Default: [`Priority::Normal`].
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// A task begins no earlier than so long after it is enqueued. Default: at once.
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Adds a header that the handler reads by [`Context::header`](crate::Context::header).
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    fn check(&self) -> Result<(), RawError> {
        let is_queue = self.queue.as_deref().is_none_or(is_word);
        match is_task(&self.api, &self.name) && is_queue {
            true => Ok(()),
            false => Err(RawError::Rejected(format!(
                "`{}.{}`{} is no legal name on the bus: an API's name, a dot, and the name of its event, call or task, as in `auth.user_registered`",
                self.api,
                self.name,
                self.queue
                    .as_ref()
                    .map_or(String::new(), |queue| format!(" in the queue `{queue}`"))
            ))),
        }
    }

    async fn publish(self, bus: &Bus) -> Result<Value, RawError> {
        let (api, name) = (lasting(&self.api), lasting(&self.name));
        let mut key = KeyWriter(format!("{api}.{name}"));
        self.keys.iter().for_each(|value| key.push(value));
        let publish = Publish::new(bus, api, name, key.0, encode(&self.content));
        let headers = self.headers.into_iter();
        let publish = headers.fold(publish, |it, (name, value)| it.header(name, value));
        publish.await?;
        Ok(Value::Null)
    }

    async fn ask(self, bus: &Bus) -> Result<Value, RawError> {
        let spec = call_spec(&self.api, &self.name);
        let call = Call::<Value, Value>::raw(bus, spec, encode(&self.content));
        let headers = self.headers.into_iter();
        let call = headers.fold(call, |it, (name, value)| it.header(name, value));
        Ok(call.await?)
    }

    async fn enqueue(self, bus: &Bus) -> Result<Value, RawError> {
        let spec = task_spec(&self);
        let task = Task::<Value, Value>::raw(bus, spec, encode(&self.content));
        let task = task.priority(self.priority).after(self.delay);
        let headers = self.headers.into_iter();
        let task = headers.fold(task, |it, (name, value)| it.header(name, value));
        let handle = task.enqueue().await?;
        Ok(Value::String(handle.id().to_string()))
    }
}

impl Sendable for Raw {
    type Sent = Result<Value, RawError>;

    fn outline(&self) -> Result<Outline, String> {
        Ok(Outline {
            kind: self.kind,
            api: lasting(&self.api),
            name: lasting(&self.name),
            content: self.content.clone(),
        })
    }

    async fn send(self, bus: &Bus) -> Self::Sent {
        self.check()?;
        match self.kind {
            Kind::Event => self.publish(bus).await,
            Kind::Call => self.ask(bus).await,
            Kind::Task => self.enqueue(bus).await,
        }
    }
}

/// Names and specs are the program's own everywhere else, and live as long. So do these, each once: as many as a test or a recording names.
#[derive(Default)]
struct Lasting {
    names: HashSet<&'static str>,
    calls: HashMap<(&'static str, &'static str), &'static CallSpec>,
    tasks: HashMap<TaskKey, &'static TaskSpec>,
}

/// API, name, queue, and whether it is limited.
type TaskKey = (&'static str, &'static str, Option<&'static str>, bool);

static LASTING: LazyLock<Mutex<Lasting>> = LazyLock::new(Mutex::default);

impl Lasting {
    fn name(&mut self, name: &str) -> &'static str {
        if let Some(known) = self.names.get(name) {
            return known;
        }
        let name: &'static str = Box::leak(name.into());
        self.names.insert(name);
        name
    }
}

fn with<R>(lasting: impl FnOnce(&mut Lasting) -> R) -> R {
    lasting(&mut LASTING.lock().unwrap_or_else(PoisonError::into_inner))
}

fn lasting(name: &str) -> &'static str {
    with(|all| all.name(name))
}

fn call_spec(api: &str, method: &str) -> &'static CallSpec {
    with(|all| {
        let (api, method) = (all.name(api), all.name(method));
        let new = || CallSpec {
            api,
            method,
            timeout: None,
            idempotent: false,
            cancel: false,
        };
        let spec = all.calls.entry((api, method));
        *spec.or_insert_with(|| Box::leak(Box::new(new())))
    })
}

fn task_spec(raw: &Raw) -> &'static TaskSpec {
    with(|all| {
        let (api, task) = (all.name(&raw.api), all.name(&raw.name));
        let queue = raw.queue.as_ref().map(|queue| all.name(queue));
        let new = || TaskSpec {
            api,
            task,
            queue,
            retries: None,
            backoff: None,
            timeout: None,
            expires: None,
            result_ttl: None,
            unique: false,
            rate: None,
            concurrency: raw.limited.then_some(1),
        };
        let spec = all.tasks.entry((api, task, queue, raw.limited));
        *spec.or_insert_with(|| Box::leak(Box::new(new())))
    })
}
