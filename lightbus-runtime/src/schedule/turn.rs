//! One consumer of the state queue, from its beginning to its loss.
//!
//! The queue has one active consumer, which alone fires. What the queue holds is the state: the active one reads all of it, and keeps it
//! unacknowledged, so that the next one gets it when this one is lost. It fires on the channel that it consumes from: once it has been replaced,
//! nothing of it gets through.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use lapin::Confirmation;
use lapin::message::Delivery;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::errands::{Errand, RunNow};
use super::kept::Kept;
use super::message::{Heard, Letter, Word};
use super::state::{Occurrence, State};
use super::table::{Entries, MOST};
use crate::bus::Core;
use crate::clock::system;
use crate::connection::consumer::Consumer;

/// How long the state queue may take to store something: without a majority of its replicas it never does.
const LONGEST: Duration = Duration::from_secs(30);
/// What the one before has published last may still be on its way into the queue.
const SETTLE: Duration = Duration::from_millis(100);
/// So often the clock is looked at, whatever it said before.
const LOOK: Duration = Duration::from_secs(10);
/// Before what was refused is tried again.
pub(super) const REST: Duration = Duration::from_secs(1);
/// So often it is asked whether an alarm is over.
const BLOCKED: Duration = Duration::from_millis(50);

/// The consumer is lost.
pub(super) struct Lost;

/// When there is something to do again.
#[derive(Clone, Copy)]
pub(super) struct Wake {
    /// By the system's time: to look whether something has changed.
    pub(super) look: Duration,
    /// By the time that schedules go by.
    pub(super) due: Duration,
}

impl Wake {
    pub(super) const NEVER: Self = Self {
        look: Duration::MAX,
        due: Duration::MAX,
    };

    pub(super) fn look(look: Duration) -> Self {
        Self {
            look,
            ..Self::NEVER
        }
    }

    pub(super) fn due(due: Duration) -> Self {
        Self { due, ..Self::NEVER }
    }

    /// At the earlier of the two.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            look: self.look.min(other.look),
            due: self.due.min(other.due),
        }
    }
}

pub(super) struct Turn {
    pub(super) core: Arc<Core>,
    pub(super) consumer: Consumer,
    pub(super) entries: Arc<Entries>,
    pub(super) kept: BTreeMap<String, Kept>,
    /// With the delivery that each of them came in.
    pub(super) errands: Vec<(Errand, u64)>,
    announced: HashSet<String>,
    announce_again: Instant,
    /// A delivery came, which only the active consumer gets.
    is_active: bool,
    /// The id of what was then published last of all: when it comes back, the state is complete.
    mark: Option<String>,
    /// Before that, nothing that was refused is written again.
    rests_until: Instant,
    /// From when on this one fires.
    pub(super) leads_from: Option<Instant>,
}

impl Turn {
    pub(super) fn new(core: &Arc<Core>, consumer: Consumer) -> Self {
        Self {
            core: Arc::clone(core),
            consumer,
            entries: core.schedules.entries(),
            kept: BTreeMap::new(),
            errands: Vec::new(),
            announced: HashSet::new(),
            announce_again: Instant::now(),
            is_active: false,
            mark: None,
            rests_until: Instant::now(),
            leads_from: None,
        }
    }

    /// Ends when the consumer is lost, no schedule is left, or the bus stops. Then another replica takes over.
    pub(super) async fn run(mut self, stop: &CancellationToken, changes: &mut watch::Receiver<()>) {
        if self.consumer.confirming().await.is_ok() {
            // Not an error of its own: the consumers' task tells, and opens the next one.
            let _: Result<(), Lost> = self.take_part(stop, changes).await;
            self.core.schedules.rests(false);
        }
        self.consumer.close().await;
    }

    async fn take_part(
        &mut self,
        stop: &CancellationToken,
        changes: &mut watch::Receiver<()>,
    ) -> Result<(), Lost> {
        loop {
            let wake = self.work().await?;
            let leads = self.leads_from.is_some_and(|from| from <= Instant::now());
            self.core.schedules.rests(leads && self.errands.is_empty());
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                delivery = self.consumer.next() => self.read(&delivery.ok_or(Lost)?),
                changed = changes.changed() => {
                    changed.map_err(|_| Lost)?;
                    self.entries = self.core.schedules.entries();
                    if self.entries.is_empty() {
                        return Ok(());
                    }
                }
                () = tokio::time::sleep(wake.look) => {}
                () = self.core.clock.sleep(wake.due) => {}
            }
            self.core.schedules.rests(false);
        }
    }

    /// Does what is to be done, and says how long there is nothing more.
    async fn work(&mut self) -> Result<Wake, Lost> {
        if self.core.io.publish.is_blocked() {
            return Ok(Wake::look(BLOCKED));
        }
        self.announce().await?;
        let now = Instant::now();
        let mut wake = Wake::look(LOOK.min(self.core.config.schedule_grace / 3));
        if self.is_active && self.mark.is_none() && self.rests_until <= now {
            self.set_mark().await?;
        }
        wake = wake.or(match self.leads_from {
            Some(from) if from <= now => self.lead().await?,
            Some(from) => Wake::look(from - now),
            None => Wake::NEVER,
        });
        if self.is_active && self.rests_until <= now {
            self.compact().await?;
        }
        Ok(match self.rests_until.checked_duration_since(now) {
            Some(rest) => wake.or(Wake::look(rest.max(BLOCKED))),
            None => wake,
        })
    }

    /// Tells the state queue which schedules this process has, so that they are fired from now on, and not forgotten.
    async fn announce(&mut self) -> Result<(), Lost> {
        if self.announce_again <= Instant::now() {
            self.announced.clear();
            self.announce_again = Instant::now() + self.core.config.schedule_grace / 3;
        }
        let entries = Arc::clone(&self.entries);
        for name in entries.keys() {
            if self.announced.insert(name.clone()) {
                let at = self.core.schedules.stamp(&self.core.clock);
                self.say(name, &Word::Here { at }).await?;
            }
        }
        Ok(())
    }

    fn read(&mut self, delivery: &Delivery) {
        self.hear(delivery);
        while let Some(delivery) = self.consumer.ready() {
            self.hear(&delivery);
        }
        self.is_active = true;
    }

    /// Sets the mark, behind everything that the queue has.
    async fn set_mark(&mut self) -> Result<(), Lost> {
        let id = system::new_id().to_string();
        let letter = Letter::mark(&self.core.sender, &self.core.config.app, &id);
        self.mark = Some(id);
        if !self.publish(&letter).await? {
            self.mark = None;
            self.rests_until = Instant::now() + REST;
        }
        Ok(())
    }

    fn hear(&mut self, delivery: &Delivery) {
        let (tag, size) = (delivery.delivery_tag, delivery.data.len());
        match Heard::of(delivery) {
            Heard::Fired {
                schedule,
                occurrence,
                at,
            } => self.note(schedule, occurrence, at, tag, size),
            Heard::Said { schedule, word } => self.heed(schedule, word, tag, size),
            Heard::Mark(id) => {
                if self.mark.as_deref() == Some(&id) {
                    info!(
                        app = self.core.config.app,
                        "this replica fires the schedules"
                    );
                    self.leads_from = Some(Instant::now() + SETTLE);
                }
                self.consumer.ack(tag, false);
            }
            Heard::Asked(caller) => self.errands.push((Errand::Tell(caller), tag)),
            Heard::Noise => self.ignore(tag, delivery.routing_key.as_str()),
        }
    }

    /// An occurrence was fired, by this replica or by one before.
    fn note(&mut self, schedule: String, run: Occurrence, at: i64, tag: u64, size: usize) {
        let is_news = self.leads_from.is_none();
        let Some(kept) = self.kept(schedule, tag) else {
            return;
        };
        if kept.refused.contains(&run) {
            // Its task's queue did not take it: it is still to be fired.
            return self.consumer.ack(tag, false);
        }
        if is_news {
            kept.doubts.fired(run);
        }
        let mut state = State {
            seen: at,
            ..State::default()
        };
        state.fired(run, at);
        kept.add(state, tag, size);
    }

    fn heed(&mut self, schedule: String, word: Word, tag: u64, size: usize) {
        if let Word::Run { at } = word {
            let came = Instant::now();
            let asked = RunNow { schedule, at, came };
            return self.errands.push((Errand::Run(asked), tag));
        }
        let is_news = self.leads_from.is_none();
        let Some(kept) = self.kept(schedule, tag) else {
            return;
        };
        match &word {
            Word::Done { run, .. } if is_news => kept.doubts.ended(*run),
            Word::State { state } if is_news => kept.doubts.written(state),
            _ => {}
        }
        kept.add(word.into_state(), tag, size);
    }

    /// Where what is said of a schedule is kept. Anybody who may publish to the exchange can invent names: there is a bound.
    fn kept(&mut self, schedule: String, tag: u64) -> Option<&mut Kept> {
        let known = self.entries.contains_key(&schedule) || self.kept.contains_key(&schedule);
        if !known && self.kept.len() >= 2 * MOST {
            self.ignore(tag, &schedule);
            return None;
        }
        Some(self.kept.entry(schedule).or_default())
    }

    pub(super) fn ignore(&self, tag: u64, what: &str) {
        self.core.counters.control_ignored.add();
        warn!(
            what,
            "a message in the schedules' queue says nothing that this replica can act on"
        );
        self.consumer.ack(tag, false);
    }

    /// Writes down what has become of many messages, or of old ones, as one.
    async fn compact(&mut self) -> Result<(), Lost> {
        let now = Instant::now();
        let due: Vec<String> = self
            .kept
            .iter()
            .filter(|(_, kept)| kept.is_compactable(now))
            .map(|(name, _)| name.clone())
            .collect();
        for name in due {
            let Some(kept) = self.kept.get(&name) else {
                continue;
            };
            let state = Box::new(kept.state.clone());
            if !self.say(&name, &Word::State { state }).await? {
                warn!(
                    schedule = name,
                    "the schedules' queue refuses to store what was fired; trying again"
                );
                self.rests_until = Instant::now() + REST;
                return Ok(());
            }
            if let Some(kept) = self.kept.get_mut(&name) {
                for tag in kept.compacted() {
                    self.consumer.ack(tag, false);
                }
            }
        }
        Ok(())
    }

    pub(super) async fn say(&mut self, schedule: &str, word: &Word) -> Result<bool, Lost> {
        let (sender, app) = (&self.core.sender, &self.core.config.app);
        let letter = Letter::word(sender, app, schedule, word);
        self.publish(&letter).await
    }

    /// Publishes on the consumer's channel, and waits for the confirmation. False: a queue refused it.
    pub(super) async fn publish(&mut self, letter: &Letter) -> Result<bool, Lost> {
        let published = self.consumer.publish(letter.outgoing());
        match tokio::time::timeout(LONGEST, published).await {
            Ok(Ok(Confirmation::Nack(_))) => Ok(false),
            Ok(Ok(_)) => Ok(true),
            Ok(Err(error)) => {
                debug!(%error, "the schedules' channel is lost");
                Err(Lost)
            }
            Err(_) => {
                warn!("the schedules' queue does not confirm what is fired");
                Err(Lost)
            }
        }
    }
}
