//! Providing an API: its calls are answered, its tasks are worked on.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::bus::Bus;
use crate::error::Error;
use crate::manifest::{ApiOutline, Served};
use crate::rpc::{self, Calls};
use crate::service::{Dispatch, Service, Table};
use crate::task::spec::TaskSpec;
use crate::task::{self, Tasks};
use crate::topology::Lane;

/// Serves an API once it is awaited; made by [`Bus::serve`]. A program may serve its calls, its tasks, or both: workers of tasks scale apart from those who
/// answer calls.
///
/// A task that this version of the API does not have waits for a worker of a newer one: it is put off for a second, then for two, and so on up to a minute, for ten minutes in
/// all, and dead after that. So whoever enqueues may be deployed before the workers.
///
/// ```no_run
/// # use lightbus_runtime::{Bus, Error, Service};
/// # async fn example(bus: &Bus, auth: impl Service) -> Result<(), Error> {
/// bus.serve(auth).tasks_only().task_concurrency(8).queue_concurrency("slow", 2).await?;
/// # Ok(()) }
/// ```
#[must_use = "nothing is served until this is awaited"]
pub struct Serve {
    bus: Bus,
    api: &'static str,
    outline: &'static ApiOutline,
    methods: Vec<&'static str>,
    cancels: bool,
    specs: Vec<&'static TaskSpec>,
    dispatch: Arc<dyn Dispatch>,
    part: Part,
    concurrency: u16,
    task_concurrency: u16,
    queues: BTreeMap<String, u16>,
    choice: Choice,
}

/// Which task queues are worked on here.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Choice {
    All,
    Only(Vec<String>),
    Except(Vec<String>),
}

impl Choice {
    fn has(&self, lane: Lane<'_>) -> bool {
        let is_named = |names: &[String]| matches!(lane, Lane::Named(name) if names.iter().any(|it| it == name));
        match self {
            Self::All => true,
            Self::Only(names) => is_named(names),
            Self::Except(names) => !is_named(names),
        }
    }

    fn names(&self) -> &[String] {
        match self {
            Self::All => &[],
            Self::Only(names) | Self::Except(names) => names,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    All,
    Calls,
    Tasks,
}

impl Serve {
    pub(crate) fn new<S: Service>(bus: &Bus, service: S) -> Self {
        let calls = || S::METHODS.iter().filter(|row| row.task.is_none());
        let concurrency = bus.core().config.concurrency;
        Self {
            bus: bus.clone(),
            api: S::NAME,
            outline: S::OUTLINE,
            methods: calls().map(|row| row.name).collect(),
            cancels: calls().any(|row| row.cancel),
            specs: S::METHODS.iter().filter_map(|row| row.task).collect(),
            dispatch: Arc::new(Table::new(service)),
            part: Part::All,
            concurrency,
            task_concurrency: concurrency,
            queues: BTreeMap::new(),
            choice: Choice::All,
        }
    }

    /// How many calls of this API are handled at a time in this process. Default: the bus's, 64.
    pub fn concurrency(mut self, concurrency: u16) -> Self {
        self.concurrency = concurrency.max(1);
        self
    }

    /// How many tasks of this API are worked on at a time in this process, of those that name no queue; and as many of each queue that says nothing else. No more
    /// than so many are sent here ahead. Default: the bus's `concurrency`, 64.
    pub fn task_concurrency(mut self, concurrency: u16) -> Self {
        self.task_concurrency = concurrency.max(1);
        self
    }

    /// How many tasks of one queue, `#[task(queue = "slow")]`, are worked on at a time in this process, apart from all others.
    pub fn queue_concurrency(mut self, queue: &str, concurrency: u16) -> Self {
        self.queues.insert(queue.to_owned(), concurrency.max(1));
        self
    }

    /// Works on the tasks of these queues, `#[task(queue = "slow")]`, and on no others: for machines that are there for them. Default: all tasks of the API.
    /// Flows that begin with a group begin in the API's own queue, so some process has to work on that as well.
    pub fn queues<Q: Into<String>>(mut self, queues: impl IntoIterator<Item = Q>) -> Self {
        self.choice = Choice::Only(queues.into_iter().map(Into::into).collect());
        self
    }

    /// Works on all tasks but those of these queues, which other processes see to.
    pub fn queues_except<Q: Into<String>>(mut self, queues: impl IntoIterator<Item = Q>) -> Self {
        self.choice = Choice::Except(queues.into_iter().map(Into::into).collect());
        self
    }

    /// Answers calls, and leaves the tasks to other processes. Default: both.
    pub fn calls_only(mut self) -> Self {
        self.part = Part::Calls;
        self
    }

    /// Works on tasks, and leaves the calls to other processes. Default: both.
    pub fn tasks_only(mut self) -> Self {
        self.part = Part::Tasks;
        self
    }

    async fn start(self) -> Result<Serving, Error> {
        let stop = self.bus.core().life.stop.child_token();
        // Dropped before it is done, it does not begin to serve later.
        let guard = stop.clone().drop_guard();
        let mut ended = Vec::new();
        let lanes = self.lanes()?;
        let served = self.served(&lanes, &stop);
        if !lanes.is_empty() && self.part != Part::Calls {
            let tasks = Tasks {
                api: self.api,
                dispatch: Arc::clone(&self.dispatch),
                lanes,
            };
            ended.extend(task::work(self.bus.core(), tasks, &stop).await?);
        }
        if !self.methods.is_empty() && self.part != Part::Tasks {
            let calls = Calls {
                api: self.api,
                methods: self.methods,
                cancels: self.cancels,
                dispatch: self.dispatch,
                concurrency: self.concurrency,
            };
            ended.push(rpc::serve(self.bus.core(), calls, &stop).await?);
        }
        guard.disarm();
        self.bus.core().known.serves(served);
        Ok(Serving {
            api: self.api,
            stop,
            ended,
        })
    }

    /// What is to be known of it.
    fn served(&self, lanes: &BTreeMap<Lane<'static>, u16>, stop: &CancellationToken) -> Served {
        let works = self.part != Part::Calls;
        let is_worked_on = |spec: &&&TaskSpec| works && lanes.contains_key(&task::lane(spec));
        let tasks = self.specs.iter().filter(is_worked_on);
        Served {
            outline: self.outline,
            calls: self.part != Part::Tasks,
            tasks: tasks.map(|spec| spec.task).collect(),
            stop: stop.clone(),
        }
    }

    /// The task queues, and how much is done of each at a time.
    fn lanes(&self) -> Result<BTreeMap<Lane<'static>, u16>, Error> {
        let of = |spec: &TaskSpec| match spec.queue {
            _ if spec.is_limited() => spec.concurrency.unwrap_or(self.task_concurrency),
            Some(queue) => self
                .queues
                .get(queue)
                .copied()
                .unwrap_or(self.task_concurrency),
            None => self.task_concurrency,
        };
        let lanes = self.specs.iter().map(|spec| (task::lane(spec), of(spec)));
        for queue in self.queues.keys().chain(self.choice.names()) {
            let is_known = self.specs.iter().any(|spec| spec.queue == Some(queue));
            if !is_known {
                return Err(self.unknown_queue(queue));
            }
        }
        let mut lanes: BTreeMap<_, _> = lanes.collect();
        if !lanes.is_empty() {
            // Flows begin there, whatever queues their tasks have.
            lanes.entry(Lane::Api).or_insert(self.task_concurrency);
        }
        lanes.retain(|lane, _| self.choice.has(*lane));
        Ok(lanes)
    }

    fn unknown_queue(&self, queue: &str) -> Error {
        let mut known: Vec<_> = self.specs.iter().filter_map(|spec| spec.queue).collect();
        known.dedup();
        Error::Config(format!(
            "the API `{}` has no task with `#[task(queue = \"{queue}\")]`, so there is nothing to limit or to choose; its queues: {known:?}",
            self.api
        ))
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
            .field("part", &self.part)
            .field("concurrency", &self.concurrency)
            .field("task_concurrency", &self.task_concurrency)
            .finish_non_exhaustive()
    }
}

/// An API being served. Dropping this does not end it: that is for [`stop`](Self::stop), or the end of the bus.
#[derive(Debug)]
pub struct Serving {
    api: &'static str,
    stop: CancellationToken,
    ended: Vec<JoinHandle<()>>,
}

impl Serving {
    /// The API's name.
    pub fn api(&self) -> &'static str {
        self.api
    }

    /// Takes no more calls and tasks, and returns when those in progress have finished (within the bus's grace period). Calls that were
    /// delivered here and have not begun are given back to their callers, who send them again; tasks go back to their queue.
    pub async fn stop(self) {
        self.stop.cancel();
        for ended in self.ended {
            // An abort at the end of the runtime is an end as well.
            let _ = ended.await;
        }
    }
}
