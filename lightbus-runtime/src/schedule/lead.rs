//! What the active replica does: it fires what is due, and forgets schedules that are in nobody's code any more.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use super::kept::Kept;
use super::message::{self, Letter};
use super::state::{Occurrence, Since};
use super::table::Entry;
use super::timing::Overlap;
use super::turn::{Lost, REST, Turn, Wake};
use crate::connection::declare;
use crate::error::Error;
use crate::topology;

/// So many occurrences of one schedule are fired before another one has its turn.
const AT_ONCE: usize = 100;
/// A queue that was there is looked at again after so long: somebody may have deleted it.
const READY: Duration = Duration::from_secs(30);
/// What came of firing.
#[derive(PartialEq, Eq)]
pub(super) enum Fired {
    Yes,
    /// To be tried again.
    NotYet,
}

impl Turn {
    /// Fires what is due, and says how long nothing more is.
    pub(super) async fn lead(&mut self) -> Result<Wake, Lost> {
        self.resolve_doubts().await?;
        self.run_errands().await?;
        self.forget().await?;
        let mut wake = Wake::NEVER;
        for entry in Arc::clone(&self.entries).values() {
            wake = wake.or(self.attend(entry).await?);
        }
        Ok(wake)
    }

    /// Fires once more what its task's queue may not have got, under the same id.
    async fn resolve_doubts(&mut self) -> Result<(), Lost> {
        for entry in Arc::clone(&self.entries).values() {
            let Some(kept) = self.kept.get_mut(&entry.name) else {
                continue;
            };
            for run in kept.doubts.take() {
                info!(
                    schedule = entry.name,
                    at = run.at,
                    "an occurrence may not have been stored: it is fired again, under its id"
                );
                if self.fire(entry, run).await? == Fired::NotYet
                    && let Some(kept) = self.kept.get_mut(&entry.name)
                {
                    kept.doubts.fired(run);
                }
            }
        }
        Ok(())
    }

    /// Fires what is due of one schedule, and says how long nothing more of it is.
    async fn attend(&mut self, entry: &Arc<Entry>) -> Result<Wake, Lost> {
        let name = &entry.name;
        // Nobody has said that there is such a schedule: this process is about to.
        let Some(kept) = self.kept.get_mut(name) else {
            return Ok(Wake::NEVER);
        };
        let (true, false, Some(after)) =
            (!kept.state.paused.value, kept.rests(), kept.state.after())
        else {
            return Ok(match kept.rests() {
                true => Wake::look(REST),
                false => Wake::NEVER,
            });
        };
        let due = entry.timing.due(name, after, self.core.clock.now_ms());
        if due.left_out > 0 {
            self.core.counters.schedules_missed.add_many(due.left_out);
            warn!(
                schedule = name,
                missed = due.left_out,
                "occurrences were missed, and are left out"
            );
        }
        // What is left out is older than what is fired.
        if let Some(until) = due.fire.first().map(|first| first - 1).or(due.until) {
            kept.state.settle(until);
        }
        let is_all = due.fire.len() <= AT_ONCE;
        for at in due.fire.into_iter().take(AT_ONCE) {
            let run = Occurrence { at, manual: false };
            if !self.overlaps(entry, at) && self.fire(entry, run).await? == Fired::NotYet {
                return Ok(Wake::look(REST));
            }
        }
        let Some(kept) = self.kept.get_mut(name).filter(|_| is_all) else {
            return Ok(Wake::due(Duration::ZERO));
        };
        let next = entry.timing.next(name, kept.state.after().unwrap_or(after));
        Ok(next.map_or(Wake::NEVER, |next| {
            let ms = next.saturating_sub(self.core.clock.now_ms());
            Wake::due(Duration::from_millis(u64::try_from(ms).unwrap_or_default()))
        }))
    }

    /// Is an occurrence left out because of an earlier one?
    fn overlaps(&mut self, entry: &Entry, at: i64) -> bool {
        let Some(kept) = self.kept.get_mut(&entry.name) else {
            return false;
        };
        let overlaps = entry.overlap == Overlap::Skip
            && kept
                .state
                .is_running(self.core.clock.now_ms(), entry.lost_after);
        if overlaps {
            kept.state.settle(at);
            self.core.counters.schedules_overlapped.add();
            info!(
                schedule = entry.name,
                at, "an occurrence is left out: an earlier one's task still waits or runs"
            );
        }
        overlaps
    }

    /// One publish, to the task's queue and to the state queue.
    pub(super) async fn fire(&mut self, entry: &Entry, run: Occurrence) -> Result<Fired, Lost> {
        let rests = self.kept.get(&entry.name).is_some_and(Kept::rests);
        if rests || !self.is_ready(entry).await? {
            return Ok(Fired::NotYet);
        }
        let (core, now) = (&self.core, self.core.clock.now_ms());
        let app = &core.config.app;
        let letter = Letter {
            exchange: topology::cron_exchange(app),
            key: entry.name.clone(),
            properties: message::fire(&core.sender, app, entry, run, now),
            payload: entry.task.payload.clone(),
        };
        let stored = self.publish(&letter).await?;
        let Some(kept) = self.kept.get_mut(&entry.name) else {
            return Ok(Fired::Yes);
        };
        if !stored {
            kept.was_refused(run);
            kept.rests_until = Some(Instant::now() + REST);
            self.core.counters.schedules_refused.add();
            warn!(
                schedule = entry.name,
                queue = entry.task.queue(),
                "the queue is full and refuses a scheduled task; trying again"
            );
            return Ok(Fired::NotYet);
        }
        kept.refused.remove(&run);
        kept.state.fired(run, now);
        // It was confirmed, by all queues: the next one who leads need not doubt it.
        kept.unwritten = true;
        self.core.counters.schedules_fired.add();
        Ok(Fired::Yes)
    }

    /// Is the task's queue there, and bound? Told once for a while: the exchange would not miss it.
    async fn is_ready(&mut self, entry: &Entry) -> Result<bool, Lost> {
        let Some(kept) = self.kept.get(&entry.name).filter(|kept| !kept.is_ready()) else {
            return Ok(true);
        };
        let (app, queue) = (&self.core.config.app, entry.task.queue());
        let session = self.core.io.publish.now().ok_or(Lost)?;
        let before = kept.state.queue.value.clone();
        let app = app.clone();
        if !before.is_empty() && before != queue {
            // Else each occurrence would go to both.
            self.unbind(&entry.name, &before).await;
        }
        let mut plan = entry.task.plan();
        plan.bindings
            .push(topology::cron_binding(&app, &entry.name, &queue));
        let declared = declare::declare(&session, &plan).await;
        let Some(kept) = self.kept.get_mut(&entry.name) else {
            return Ok(false);
        };
        if let Err(error) = declared {
            self.core.counters.schedules_refused.add();
            warn!(schedule = entry.name, %error, "cannot set up the queue of a scheduled task; trying again");
            kept.rests_until = Some(Instant::now() + REST);
            return Ok(false);
        }
        kept.ready_until = Some(Instant::now() + READY);
        if kept.state.queue.value != queue {
            let at = self
                .core
                .clock
                .now_ms()
                .max(kept.state.queue.at.saturating_add(1));
            kept.state.queue = Since { at, value: queue };
            kept.unwritten = true;
        }
        Ok(true)
    }

    async fn unbind(&mut self, schedule: &str, queue: &str) {
        let Some(session) = self.core.io.publish.now() else {
            return;
        };
        let plan = topology::cron_unbinding(&self.core.config.app, schedule, queue);
        // The queue may be gone, and its bindings with it.
        match declare::declare(&session, &plan).await {
            Ok(()) => info!(
                schedule,
                queue, "the queue gets no more of the schedule's tasks"
            ),
            Err(error) => {
                warn!(schedule, queue, %error, "cannot unbind the queue from the schedule")
            }
        }
    }

    /// Lets go of what no process has told to have for the time of grace, nor has since this one reads the queue.
    async fn forget(&mut self) -> Result<(), Lost> {
        let grace = self.core.config.schedule_grace;
        if self.leads_from.is_none_or(|from| from.elapsed() < grace) {
            return Ok(());
        }
        let oldest = i64::try_from(grace.as_millis())
            .map_or(i64::MIN, |grace| self.core.clock.now_ms() - grace);
        let is_gone = |name: &String, kept: &Kept| {
            kept.state.seen < oldest && !self.entries.contains_key(name)
        };
        let gone = self.kept.iter().filter(|(name, kept)| is_gone(name, kept));
        let gone: Vec<String> = gone.map(|(name, _)| name.clone()).collect();
        for name in gone {
            let Some(mut kept) = self.kept.remove(&name) else {
                continue;
            };
            if !kept.state.queue.value.is_empty() {
                self.unbind(&name, &kept.state.queue.value).await;
            }
            for tag in kept.compacted() {
                self.consumer.ack(tag, false);
            }
            info!(
                schedule = name,
                "no process has this schedule any more: it is gone"
            );
        }
        Ok(())
    }
}

/// Why a schedule was not set up, in the words of what was being done.
pub(super) fn failed(schedule: &str, detail: impl Into<String>) -> Error {
    Error::Broker {
        object: format!("schedule `{schedule}`"),
        detail: detail.into(),
    }
}
