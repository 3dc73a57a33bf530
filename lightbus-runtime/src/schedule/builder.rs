//! A schedule as it is written: when, and what.

use std::fmt;
use std::time::Duration;

use super::cron::Calendar;
use super::lead::failed;
use super::message::{Letter, Word};
use super::report::send;
use super::runner;
use super::scheduled::Scheduled;
use super::table::Entry;
use super::timing::{Missed, Overlap, Rhythm, Timing};
use crate::boxed::Boxed;
use crate::bus::Bus;
use crate::config::LONGEST_WAIT;
use crate::error::Error;
use crate::grammar::check_name;
use crate::publishing::{Refusal, Unsent};
use crate::task::{Due, Task, TaskMessage};
use crate::topology;

/// After so long without word from its worker, a run is taken for lost.
const LOST_AFTER: Duration = Duration::from_secs(86_400);

/// Between taking a key and firing, one replica may be lost or replaced; and the broker's refusal has no room for an occurrence's id.
const UNIQUE: &str = "the task is unique, and an occurrence of a schedule cannot claim a key. For one run of the schedule at a time, use `.overlap(Overlap::Skip)` with a task \
     that is not unique; to share the key with others who enqueue the task, schedule a task that enqueues it";

/// A schedule that is not set up yet; made by [`Bus::schedule`]. It says when a task is put into its queue: by [`cron`](Self::cron) or [`every`](Self::every).
///
/// All replicas of an app write the same, and each occurrence is fired by one of them, whichever of them are running: at least once, and normally once; a
/// double has the same message id. While replicas of two versions run side by side, the schedules of the one that fires are fired; what the other one
/// alone has follows, as it says by [`missed`](Self::missed), when that one takes over.
///
/// ```no_run
/// # use lightbus_runtime::{Bus, Error, Missed, Overlap, Task};
/// # use std::time::Duration;
/// # async fn example(bus: Bus, clean_up: impl Fn() -> Task<(), String>) -> Result<(), Error> {
/// // `auth.clean_up()` is such a task:
/// bus.schedule("nightly-cleanup").cron("0 3 * * *").time_zone("Europe/Berlin").run(clean_up()).await?;
/// bus.schedule("poll")
///     .every(Duration::from_secs(30))
///     .jitter(Duration::from_secs(2))
///     .missed(Missed::Skip)
///     .overlap(Overlap::Skip)
///     .run(clean_up())
///     .await?;
/// # Ok(()) }
/// ```
#[must_use = "a schedule begins with `.run(task).await`"]
pub struct Schedule {
    bus: Bus,
    name: String,
    every: Option<Duration>,
    cron: Option<String>,
    time_zone: Option<String>,
    jitter: Duration,
    missed: Missed,
    overlap: Overlap,
    lost_after: Duration,
}

impl Schedule {
    pub(crate) fn new(bus: &Bus, name: &str) -> Self {
        Self {
            bus: bus.clone(),
            name: name.to_owned(),
            every: None,
            cron: None,
            time_zone: None,
            jitter: Duration::ZERO,
            missed: Missed::default(),
            overlap: Overlap::default(),
            lost_after: LOST_AFTER,
        }
    }

    /// At the times of a cron expression: minute, hour, day of the month, month, day of the week, like `"30 3 * * MON-FRI"`; with a sixth field in front, the second. Or
    /// `"@hourly"`, `"@daily"`, `"@weekly"`, `"@monthly"`, `"@yearly"`. If day of the month and day of the week are both given, either will do.
    ///
    /// When clocks are put forward, a fixed time that is left out is fired at the end of the gap; when they are put back, one that comes twice is fired the
    /// first time. What has a `*` or a step among second, minute and hour follows the hours as they pass.
    pub fn cron(mut self, expression: impl Into<String>) -> Self {
        self.cron = Some(expression.into());
        self
    }

    /// Whose clocks [`cron`](Self::cron) means: a name of the IANA database, `"Europe/Berlin"`. Default: `"UTC"`.
    pub fn time_zone(mut self, name: impl Into<String>) -> Self {
        self.time_zone = Some(name.into());
        self
    }

    /// Every so often, in whole milliseconds, at least 10 ms: at the multiples of the interval since 1970, so that all replicas agree, and restarts change nothing.
    pub fn every(mut self, interval: Duration) -> Self {
        self.every = Some(interval);
        self
    }

    /// Delays each occurrence by up to so long: so that not all of the world's nightly jobs begin at once. Which occurrence by how much is always the same.
    /// Default: not at all.
    pub fn jitter(mut self, longest: Duration) -> Self {
        self.jitter = longest.min(LONGEST_WAIT);
        self
    }

    /// What becomes of occurrences that no process was there to fire. Default: [`Missed::Once`].
    pub fn missed(mut self, missed: Missed) -> Self {
        self.missed = missed;
        self
    }

    /// What becomes of an occurrence while an earlier one's task waits or runs. Default: [`Overlap::Allow`].
    pub fn overlap(mut self, overlap: Overlap) -> Self {
        self.overlap = overlap;
        self
    }

    /// After how long an occurrence of which no worker has told the end no longer counts as running for [`Overlap::Skip`]: its queue was deleted, say. Default: 24 h.
    pub fn lost_after(mut self, time: Duration) -> Self {
        self.lost_after = time.min(LONGEST_WAIT);
        self
    }

    /// Runs this task: with the arguments that it has now, each time. It keeps its priority, headers and expiry. It cannot have a delay, nor be unique: there
    /// is [`overlap`](Self::overlap), and a scheduled task may enqueue a unique one. Awaited, the schedule is
    /// known to the broker: what is missed from now on is missed as [`missed`](Self::missed) says. (Not so on a bus that [started lazily](crate::BusBuilder::lazy) and
    /// has no broker yet.)
    ///
    /// The schedule lives as long as any process of the app that has it, and for the [time of grace](crate::BusBuilder::schedule_grace) after the last.
    ///
    /// # Errors
    /// When awaited: [`Error::Config`] for an illegal or taken name, cron expression, time zone or interval, or a task that cannot be sent, has a delay, or is unique;
    /// [`Error::TopologyMismatch`], [`Error::Denied`] or [`Error::Broker`] if the queues cannot be set up.
    pub fn run<T, E>(self, task: Task<T, E>) -> SetUp {
        let task = task.into_message();
        SetUp(Box::pin(async move {
            let entry = self.entry(task)?;
            set_up(self.bus, entry).await
        }))
    }

    fn entry(&self, task: Result<TaskMessage, String>) -> Result<Entry, Error> {
        check_name("schedule", &self.name)?;
        let name = &self.name;
        let illegal =
            |reason| Error::Config(format!("schedule `{name}` cannot run its task: {reason}"));
        let task = task.map_err(illegal)?;
        if task.options.due != Due::Now {
            return Err(illegal(
                "the schedule says when it begins; leave out `after` and `at`".to_owned(),
            ));
        }
        if task.options.unique.is_some() {
            return Err(illegal(UNIQUE.to_owned()));
        }
        Ok(Entry {
            name: name.clone(),
            timing: Timing {
                rhythm: self.rhythm()?,
                jitter: self.jitter,
                missed: self.missed,
            },
            overlap: self.overlap,
            lost_after: self.lost_after,
            task,
        })
    }

    fn rhythm(&self) -> Result<Rhythm, Error> {
        let zone = self.time_zone.as_deref();
        match (&self.cron, self.every) {
            (Some(cron), None) => {
                let calendar = Calendar::new(cron, zone.unwrap_or("UTC"))?;
                Ok(Rhythm::Cron(Box::new(calendar)))
            }
            (None, Some(interval)) if zone.is_none() => Rhythm::every(interval),
            (None, Some(_)) => Err(self.unclear("a time zone is for `cron` alone")),
            (Some(_), Some(_)) => Err(self.unclear("it has `cron` and `every`")),
            (None, None) => Err(self.unclear("it does not say when")),
        }
    }

    fn unclear(&self, what: &str) -> Error {
        Error::Config(format!(
            "schedule `{}` is not clear: {what}. Give it either `.cron(\"0 3 * * *\")`, with or without a time zone, or `.every(Duration::from_secs(30))`",
            self.name
        ))
    }
}

async fn set_up(bus: Bus, entry: Entry) -> Result<Scheduled, Error> {
    let core = bus.core();
    let name = entry.name.clone();
    let task = entry.task.clone();
    core.schedules.add(entry)?;
    // Dropped or failed before it is done, it is not fired later.
    let mut taken = Taken {
        bus: bus.clone(),
        name: Some(name.clone()),
    };
    let started = core
        .schedules
        .started
        .get_or_try_init(|| runner::start(core));
    started.await?;
    if !(core.config.lazy && core.io.publish.now().is_none()) {
        announce(&bus, &name, &task).await?;
    }
    taken.name = None;
    Ok(Scheduled::new(&bus, name))
}

/// Sets up the task's queue, so that whoever writes the schedule hears if it cannot be, and tells the state queue that there is such a schedule.
async fn announce(bus: &Bus, name: &str, task: &TaskMessage) -> Result<(), Error> {
    let core = bus.core();
    let app = &core.config.app;
    let word = Word::Here {
        at: core.schedules.stamp(&core.clock),
    };
    let letter = Letter::word(&core.sender, app, name, &word);
    let needs = format!("schedule {name}");
    let plan = || {
        let mut plan = topology::cron_plan(app);
        plan.merge(task.plan());
        plan
    };
    let sent = send(core, &letter, &needs, &plan).await;
    sent.map_err(|unsent| explain(name, unsent))
}

pub(super) fn explain(name: &str, unsent: Unsent) -> Error {
    match unsent {
        Unsent::Blocked => failed(
            name,
            "the broker blocks publishers because of a memory or disk alarm",
        ),
        Unsent::NotSent(reason) | Unsent::Unconfirmed { reason, .. } => failed(name, reason),
        Unsent::Refused(Refusal::Full) => failed(
            name,
            "the state queue is full and refuses more. A policy must not limit `lb.q.<app>.cron`",
        ),
        Unsent::Refused(Refusal::Denied(detail)) => Error::Denied {
            object: format!("schedule `{name}`"),
            detail,
        },
        Unsent::Refused(Refusal::Failed(error)) => error,
    }
}

/// A name that is given back, unless the schedule was set up.
struct Taken {
    bus: Bus,
    name: Option<String>,
}

impl Drop for Taken {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            self.bus.core().schedules.remove(name);
        }
    }
}

/// A schedule that is set up when this is awaited.
#[must_use = "a schedule is set up when this is awaited"]
pub struct SetUp(Boxed<Result<Scheduled, Error>>);

impl IntoFuture for SetUp {
    type Output = Result<Scheduled, Error>;
    type IntoFuture = Boxed<Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        self.0
    }
}

impl fmt::Debug for SetUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetUp").finish_non_exhaustive()
    }
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schedule")
            .field("name", &self.name)
            .field("every", &self.every)
            .field("cron", &self.cron)
            .finish_non_exhaustive()
    }
}
