//! The handle that everything is reached by.

use std::fmt;
use std::sync::{Arc, OnceLock, PoisonError};

use serde::de::DeserializeOwned;
use tokio::runtime::Handle;
use tokio::sync::{OnceCell, Semaphore, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::attempts::Hold;
use crate::boxed::Boxed;
use crate::budget::Budget;
use crate::clock::Clock;
use crate::config::{BusBuilder, Config};
use crate::connection::alone::{AT_ONCE, Alone};
use crate::connection::publisher::{Mode, Publisher};
use crate::connection::{IoThread, Life, Link, declare};
use crate::counters::{Counters, Counts};
use crate::dead_letters::DeadLetters;
use crate::delivery::{AtStop, Gate, Worker};
use crate::error::Error;
use crate::grammar::{check_name, check_task_queue};
use crate::health::{Health, HealthChanges};
use crate::manifest::Known;
use crate::remains::Unwritten;
use crate::rpc::RunningCalls;
use crate::rpc::cancel::Cancels;
use crate::rpc::failure::Failure;
use crate::rpc::pending::Pending;
use crate::schedule::{Schedule, Schedules, Table};
use crate::serve::Serve;
use crate::service::Service;
use crate::task::{Followed, TaskHandle, TaskId};
use crate::upkeep::Upkeep;
use crate::{signal, topology, wire};

/// A connection to the bus, under an app's name. Cheap to clone; the bus is closed when the last clone is dropped, clients included.
/// A handler or a served type that holds a clone or a client keeps the bus open, and so itself: end such a bus with
/// [`close`](Self::close), [`shutdown`](Self::shutdown) or [`run_until_shutdown`](Self::run_until_shutdown).
///
/// ```no_run
/// # async fn example() -> Result<(), lightbus_runtime::Error> {
/// let bus = lightbus_runtime::Bus::connect("auth-app").await?;
/// // serve, call, publish, listen …
/// bus.run_until_shutdown().await
/// # }
/// ```
#[derive(Clone)]
pub struct Bus {
    core: Arc<Core>,
    // Tasks of the bus hold the core, never this.
    _open: Arc<Open>,
}

struct Open {
    stop: CancellationToken,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// What all handles and tasks of a bus share.
pub(crate) struct Core {
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    /// This process on the bus: 128 random bits.
    pub(crate) instance: String,
    /// This machine, for people.
    pub(crate) host: String,
    pub(crate) sender: wire::Sender,
    pub(crate) io: IoThread,
    /// Calls and replies: nothing is confirmed, a call that nobody serves comes back.
    pub(crate) direct: Publisher,
    /// Events.
    pub(crate) confirmed: Publisher,
    /// Events that must not share a channel with others.
    pub(crate) alone: Alone,
    /// The turns of tasks that are enqueued with a delay.
    pub(crate) delaying: Semaphore,
    pub(crate) pending: Arc<Pending>,
    pub(crate) replies: OnceCell<()>,
    pub(crate) control: OnceCell<()>,
    pub(crate) cancels: Arc<Cancels>,
    pub(crate) running_calls: RunningCalls,
    /// Events that wait for their confirmation.
    pub(crate) budget: Budget,
    /// Calls that wait for their answer.
    pub(crate) calls_budget: Budget,
    /// Messages of handlers that take long.
    pub(crate) hold: OnceLock<Arc<Hold>>,
    pub(crate) unwritten: Arc<Unwritten>,
    pub(crate) upkeep: Upkeep,
    pub(crate) life: Life,
    pub(crate) counters: Arc<Counters>,
    pub(crate) schedules: Table,
    /// What is known of tasks that somebody waits for.
    pub(crate) followed: Followed,
    /// The runtime that handlers run on: the one that `connect` was called in.
    pub(crate) handle: Handle,
    pub(crate) known: Known,
}

impl Bus {
    /// Connects as `app`, with the environment's `LIGHTBUS_URL`, else `amqp://127.0.0.1:5672`.
    ///
    /// The name is `[a-z][a-z0-9-]{0,39}`, and the same for all replicas of the app.
    ///
    /// # Errors
    /// [`Error::Config`] for an illegal name or URL, [`Error::Connect`] when there is no broker, or it refuses.
    pub async fn connect(app: &str) -> Result<Self, Error> {
        Self::builder(app).connect().await
    }

    /// Connects with other settings than the defaults.
    pub fn builder(app: &str) -> BusBuilder {
        BusBuilder::new(app)
    }

    pub(crate) fn start(config: Config) -> Boxed<Result<Self, Error>> {
        Box::pin(Self::open(config))
    }

    async fn open(config: Config) -> Result<Self, Error> {
        let life = Life::default();
        let io = IoThread::start(&config, &life).await?;
        let instance = uuid::Uuid::new_v4().simple().to_string();
        let open = Arc::new(Open {
            stop: life.stop.clone(),
        });
        info!(app = config.app, instance, broker = %config.broker(), "connected to the bus");
        let core = Core {
            sender: wire::Sender::new(&config.clock, &config.app, &instance),
            direct: Publisher::new(io.publish.clone(), Mode::Direct, &life.counters),
            confirmed: Publisher::new(io.publish.clone(), Mode::Confirmed, &life.counters),
            alone: Alone::new(io.publish.clone()),
            delaying: Semaphore::new(AT_ONCE),
            pending: Arc::default(),
            replies: OnceCell::new(),
            control: OnceCell::new(),
            cancels: Arc::default(),
            running_calls: RunningCalls::default(),
            budget: Budget::default(),
            calls_budget: Budget::default(),
            hold: OnceLock::new(),
            unwritten: Arc::default(),
            upkeep: Upkeep::default(),
            counters: Arc::clone(&life.counters),
            schedules: Table::default(),
            followed: Followed::default(),
            handle: Handle::current(),
            host: gethostname::gethostname().to_string_lossy().into_owned(),
            clock: config.clock.clone(),
            known: Known::default(),
            config,
            instance,
            io,
            life,
        };
        let bus = Self {
            core: Arc::new(core),
            _open: open,
        };
        let observed = &bus.core.config.observed;
        observed.tell(|observer| observer.connected(bus.aside()));
        Ok(bus)
    }

    /// A handle that does not keep the bus open.
    fn aside(&self) -> Self {
        Self {
            core: Arc::clone(&self.core),
            _open: Arc::new(Open {
                stop: CancellationToken::new(),
            }),
        }
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// The app's name.
    pub fn app(&self) -> &str {
        &self.core.config.app
    }

    /// This process on the bus: 128 random bits in hexadecimal, new for each connected bus.
    pub fn instance(&self) -> &str {
        &self.core.instance
    }

    /// How the bus is at the moment: its connections, and what it consumes.
    pub fn health(&self) -> Health {
        Health {
            parts: self.core.life.monitor.parts(),
            counts: self.counts(),
        }
    }

    /// Every change of a connection's or a consumer's state from now on.
    pub fn health_changes(&self) -> HealthChanges {
        self.core.life.monitor.changes()
    }

    /// Waits until everything works: both connections, and every consumer that was begun. For a bus that [started lazily](BusBuilder::lazy), and after a loss.
    ///
    /// # Errors
    /// [`Error::Closed`] when the bus is closed.
    pub async fn ready(&self) -> Result<(), Error> {
        let mut changes = self.health_changes();
        while !self.health().is_ready() {
            changes.next().await.ok_or(Error::Closed)?;
        }
        Ok(())
    }

    /// What did not go as meant on this bus, in numbers.
    pub fn counts(&self) -> Counts {
        self.core.counters.read()
    }

    /// Serves an API, its calls and its tasks: `bus.serve(AuthApiServer::new(auth)).await?`. Replicas of the app share them.
    ///
    /// # Errors
    /// When awaited: [`Error::TopologyMismatch`], [`Error::Denied`] or [`Error::Broker`] if the API's queues cannot be set up.
    pub fn serve<S: Service>(&self, service: S) -> Serve {
        Serve::new(self, service)
    }

    /// The dead letters of a listener of this app, by the listener's name, whether it listens at the moment or not.
    ///
    /// # Errors
    /// [`Error::Config`] for a name that no listener can have.
    pub fn dead_letters(&self, listener: &str) -> Result<DeadLetters, Error> {
        check_name("listener", listener)?;
        let queue = topology::listener_queue(&self.core.config.app, listener);
        Ok(DeadLetters::new(self, queue))
    }

    /// The dead letters of an API's tasks: `auth` for the tasks that name no queue, `auth:slow` for those of one queue, `auth~sync` for a task with a limit of its own;
    /// all priorities together. What is replayed gets the normal one.
    ///
    /// # Errors
    /// [`Error::Config`] for a name that no task queue can have.
    pub fn dead_tasks(&self, queue: &str) -> Result<DeadLetters, Error> {
        check_task_queue(queue)?;
        Ok(DeadLetters::new(self, topology::named_lane(queue)))
    }

    /// A schedule of this app: `bus.schedule("nightly-cleanup").cron("0 3 * * *").run(auth.clean_up()).await?`. All replicas say the same, and each
    /// occurrence is fired by one of them.
    pub fn schedule(&self, name: &str) -> Schedule {
        Schedule::new(self, name)
    }

    /// The app's schedules, whichever process has them in its code.
    pub fn schedules(&self) -> Schedules {
        Schedules::new(self)
    }

    /// A task that was enqueued, here or in any other process, by its id: to ask for its status or result, or to cancel it. `T` and `E` are what the task's method returns; of one that
    /// returns no `Result`, any `E` will do. Sends nothing.
    ///
    /// ```no_run
    /// # async fn example(bus: lightbus_runtime::Bus, from_the_url: &str) -> Result<(), Box<dyn std::error::Error>> {
    /// let task = bus.task::<u32, String>(from_the_url.parse()?);
    /// println!("{}", task.status().await?);
    /// # Ok(()) }
    /// ```
    pub fn task<T: DeserializeOwned, E: DeserializeOwned>(&self, id: TaskId) -> TaskHandle<T, E> {
        TaskHandle::new(self, id, |payload| payload.decode())
    }

    /// Waits for SIGINT, SIGTERM or [`shutdown`](Self::shutdown), then closes the bus: no new calls and events are taken, those in
    /// progress finish, within the grace period. A second signal ends the wait at once.
    ///
    /// # Errors
    /// [`Error::Broker`] when the process cannot listen for signals.
    pub async fn run_until_shutdown(&self) -> Result<(), Error> {
        signal::until_shutdown(self.clone()).await
    }

    pub(crate) async fn stopping(&self) {
        self.core.life.stop.cancelled().await;
    }

    /// Begins to close the bus and returns at once; may be called from a handler.
    pub fn shutdown(&self) {
        self.core.life.stop.cancel();
    }

    /// Closes the bus: takes no new calls and events, gives back calls that it has not begun, lets what is in progress finish
    /// within the grace period, gives up its own calls, deletes this instance's queues, and closes the connections: in the grace
    /// period and a few seconds, also while the broker hangs or is gone. Not from within a handler, which it would wait for: there, use
    /// [`shutdown`](Self::shutdown).
    pub async fn close(&self) {
        self.shutdown();
        self.core.io.ended().await;
    }
}

impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bus")
            .field("app", &self.core.config.app)
            .field("instance", &self.core.instance)
            .field("broker", &self.core.config.broker())
            .finish_non_exhaustive()
    }
}

impl Core {
    /// Runs a task that the closing bus waits for.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        self.life.tasks.spawn_on(task, &self.handle)
    }

    pub(crate) fn worker(&self, concurrency: u16, at_stop: AtStop) -> Worker {
        Worker {
            slots: Arc::new(Semaphore::new(concurrency.into())),
            grace: self.config.grace,
            at_stop,
            gate: Gate::Open,
            tasks: self.life.tasks.clone(),
        }
    }

    /// A queue that is deleted when this process leaves the bus.
    pub(crate) fn own_queue(&self, name: &str) {
        let queues = self.life.queues.lock();
        let mut queues = queues.unwrap_or_else(PoisonError::into_inner);
        if !queues.iter().any(|queue| queue == name) {
            queues.push(name.to_owned());
        }
    }

    /// Deletes such a queue now.
    pub(crate) async fn disown_queue(&self, name: &str) {
        let Some(session) = self.io.publish.now() else {
            return;
        };
        if declare::delete_queue(&session, name).await.is_ok() {
            self.life
                .queues
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .retain(|queue| queue != name);
        }
    }

    /// Waits for the outcome of the first attempt to consume; a bus that started without its broker does not.
    pub(crate) async fn first_start(
        &self,
        link: &Link,
        started: oneshot::Receiver<Result<(), Error>>,
    ) -> Result<(), Error> {
        if self.config.lazy && link.now().is_none() {
            return Ok(());
        }
        started.await.unwrap_or(Err(Error::Closed))
    }

    /// Tells the calls that came back that nobody serves them. Matched by id: lapin's own attribution can be wrong.
    pub(crate) fn sort_returned(&self) {
        for returned in self.direct.returned() {
            if let Some(call) = self.pending.take(&returned.delivery.properties) {
                drop(call.send(Err(Failure::Returned)));
            }
        }
    }
}
