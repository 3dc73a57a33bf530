//! A schedule of the app, as any of its processes may treat it.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use super::ask;
use super::builder::explain;
use super::message::{Letter, Word};
use super::report::send;
use super::state::ScheduledRun;
use super::status::ScheduleStatus;
use crate::boxed::Boxed;
use crate::bus::{Bus, Core};
use crate::error::Error;
use crate::grammar::check_name;
use crate::topology;

/// A schedule of this app. What is done with it holds for all replicas. Dropping this ends nothing.
///
/// It says what it has to say to the replica that fires: by a message that is stored, so that nothing of it is lost if that one is.
#[derive(Clone)]
pub struct Scheduled {
    core: Arc<Core>,
    name: String,
}

impl Scheduled {
    pub(super) fn new(bus: &Bus, name: String) -> Self {
        Self {
            core: Arc::clone(bus.core()),
            name,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Fires no more, on any replica, until it is resumed: also after all of them were restarted. Tasks in their queue are run all the same. Awaited, the word is stored;
    /// what is due in the next milliseconds may still be fired.
    ///
    /// # Errors
    /// [`Error::Denied`] or [`Error::Broker`] if the word was not stored, or nobody knows.
    pub fn pause(&self) -> Boxed<Result<(), Error>> {
        self.say(|at| Word::Pause { at })
    }

    /// Fires again, from the next occurrence on: what was left out in the pause is not made up for.
    ///
    /// # Errors
    /// As for [`pause`](Self::pause).
    pub fn resume(&self) -> Boxed<Result<(), Error>> {
        self.say(|at| Word::Resume { at })
    }

    /// Fires once, now: also while it is paused, and whatever its [`Overlap`](crate::Overlap) is. Awaited, the word is stored, and the replica that fires heeds it
    /// soon.
    ///
    /// # Errors
    /// As for [`pause`](Self::pause).
    pub fn run_now(&self) -> Boxed<Result<(), Error>> {
        self.say(|at| Word::Run { at })
    }

    /// How it is, as the replica that fires sees it.
    ///
    /// # Errors
    /// [`Error::Config`] if the app has no such schedule, [`Error::Broker`] if no replica answers within the bus's call timeout.
    pub fn status(&self) -> Boxed<Result<ScheduleStatus, Error>> {
        let this = self.clone();
        Box::pin(async move {
            let mut all = ask::statuses(&this.core).await?;
            let found = all.iter().position(|status| status.name == this.name);
            let found = found.map(|at| all.swap_remove(at));
            found.map(Into::into).ok_or_else(|| this.unknown())
        })
    }

    /// When it fires next; `None` while it is paused.
    ///
    /// # Errors
    /// As for [`status`](Self::status).
    pub fn next(&self) -> Boxed<Result<Option<SystemTime>, Error>> {
        let status = self.status();
        Box::pin(async move { Ok(status.await?.next) })
    }

    /// Its last 20 runs, the oldest first. They outlast restarts and losses of every replica, and go with the schedule. Of runs that no worker has told the
    /// end of, `ended` is `None`.
    ///
    /// # Errors
    /// As for [`status`](Self::status).
    pub fn history(&self) -> Boxed<Result<Vec<ScheduledRun>, Error>> {
        let status = self.status();
        Box::pin(async move { Ok(status.await?.history) })
    }

    /// This process does not have the schedule any more. Others that have it fire it; when none has for the [time of grace](crate::BusBuilder::schedule_grace),
    /// it is gone, with its history. Returns at once.
    pub fn stop(self) {
        self.core.schedules.remove(&self.name);
    }

    fn say(&self, word: impl FnOnce(i64) -> Word) -> Boxed<Result<(), Error>> {
        let this = self.clone();
        let word = word(self.core.schedules.stamp(&self.core.clock));
        Box::pin(async move {
            let core = &this.core;
            let app = &core.config.app;
            let letter = Letter::word(&core.sender, app, &this.name, &word);
            // The queue as well: an exchange without it would take the word and lose it.
            let (queue, plan) = (topology::cron_queue(app), || topology::cron_plan(app));
            let sent = send(core, &letter, &queue, &plan);
            sent.await.map_err(|unsent| explain(&this.name, unsent))
        })
    }

    fn unknown(&self) -> Error {
        Error::Config(format!(
            "app `{}` has no schedule `{}`: no process that runs has it in its code, or none has told so yet",
            self.core.config.app, self.name
        ))
    }
}

impl fmt::Debug for Scheduled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scheduled")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// All schedules of an app; made by [`Bus::schedules`].
///
/// ```no_run
/// # async fn example(bus: lightbus_runtime::Bus) -> Result<(), lightbus_runtime::Error> {
/// for schedule in bus.schedules().list().await? {
///     println!("{} fires next at {:?}", schedule.name, schedule.next);
/// }
/// bus.schedules().get("nightly-cleanup")?.pause().await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Schedules {
    bus: Bus,
}

impl Schedules {
    pub(crate) fn new(bus: &Bus) -> Self {
        Self { bus: bus.clone() }
    }

    /// All of them, in the order of their names, as the replica that fires sees them.
    ///
    /// # Errors
    /// [`Error::Broker`] if no replica answers within the bus's call timeout: if no running process has schedules, say.
    pub fn list(&self) -> Boxed<Result<Vec<ScheduleStatus>, Error>> {
        let statuses = ask::statuses(self.bus.core());
        Box::pin(async move { Ok(statuses.await?.into_iter().map(Into::into).collect()) })
    }

    /// The one of this name. Whether there is such a one is asked later.
    ///
    /// # Errors
    /// [`Error::Config`] for a name that no schedule can have.
    pub fn get(&self, name: &str) -> Result<Scheduled, Error> {
        check_name("schedule", name)?;
        Ok(Scheduled::new(&self.bus, name.to_owned()))
    }
}

impl fmt::Debug for Schedules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schedules").finish_non_exhaustive()
    }
}
