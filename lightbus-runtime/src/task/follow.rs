//! Who waits for tasks, and what is known of them: one reader of an API's journal for all who wait in this process.
//!
//! The reader follows the journal from shortly before the first one asked. It keeps what it has read of late, up to a limit, so that who asks then need not read it again. What
//! is older than that is read once more from where it may be found, by a second reader, up to its end, or else up to the first one's place.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::id::{TaskId, TaskKey, made_at};
use super::journal::{Found, Reading, Since, write};
use super::record::{Record, Says};
use super::story::Story;
use crate::boxed::Boxed;
use crate::bus::Core;
use crate::clock::system;
use crate::error::Error;
use crate::publishing::Refusal;
use crate::topology::Log;

/// By how much the clock of who enqueued may be ahead of the broker's.
const CLOCKS: Duration = Duration::from_secs(30);
/// The first reader begins no earlier than so long ago.
const RECENT: Duration = Duration::from_secs(60);
/// A reader that nobody needs ends after this.
const IDLE: Duration = Duration::from_secs(30);
const IDLE_CHECK: Duration = Duration::from_secs(5);
/// What is kept of tasks that nobody waits for, in bytes.
const MEMORY: usize = 8 << 20;

/// The journals that are being followed, by API.
#[derive(Default)]
pub(crate) struct Followed(Mutex<HashMap<String, Arc<Journal>>>);

impl Followed {
    fn journals(&self) -> MutexGuard<'_, HashMap<String, Arc<Journal>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is and will be known of a task.
    pub(super) fn watch(core: &Arc<Core>, id: &TaskId) -> Watched {
        let now = core.clock.date();
        let mut journals = core.followed.journals();
        if let Some(watched) = journals.get(id.api()).and_then(|it| it.watch(id, now)) {
            return watched;
        }
        let journal = Arc::new(Journal::new(id, now));
        journals.insert(id.api().to_owned(), Arc::clone(&journal));
        drop(journals);
        let watched = journal.watch(id, now);
        let follow = follow(Arc::clone(core), Arc::clone(&journal));
        core.life.late_tasks.spawn_on(follow, &core.handle);
        watched.unwrap_or_else(|| Watched::ended(journal))
    }
}

/// A task that somebody waits for.
pub(super) struct Watched {
    journal: Arc<Journal>,
    pub(super) story: watch::Receiver<Story>,
}

impl Watched {
    fn ended(journal: Arc<Journal>) -> Self {
        journal.known().watchers += 1;
        let story = watch::Sender::<Story>::default().subscribe();
        Self { journal, story }
    }

    /// Why nothing more will be known.
    pub(super) fn reason(&self) -> String {
        let ended = self.journal.known().ended.clone();
        ended.unwrap_or_else(|| Error::Closed.to_string())
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let mut known = self.journal.known();
        known.watchers -= 1;
        known.idle_since = Instant::now();
    }
}

/// An API's journal, as far as it is known here.
struct Journal {
    api: String,
    known: Mutex<Known>,
    /// Something is to be read once more.
    wanted: Notify,
}

struct Known {
    tasks: HashMap<TaskKey, Task>,
    /// The same, in the order in which they were first heard of.
    order: VecDeque<TaskKey>,
    bytes: usize,
    watchers: usize,
    idle_since: Instant,
    /// Everything written since then passes here, or has.
    covers: SystemTime,
    /// The youngest task that was forgotten: of those made later, none was.
    forgotten: SystemTime,
    /// The next place in the stream.
    next: u64,
    /// Everything was read that had been written when the reader began.
    is_caught_up: bool,
    /// To be read once more, each from when on.
    wanted: Vec<(TaskKey, SystemTime)>,
    ended: Option<String>,
}

struct Task {
    story: watch::Sender<Story>,
    /// Records before this place are in the story.
    next: u64,
    /// The story is not told from its beginning yet.
    is_partial: bool,
    made: SystemTime,
    bytes: usize,
}

impl Task {
    fn new(made: Option<SystemTime>, is_partial: bool, story: Story) -> Self {
        Self {
            made: made.unwrap_or(SystemTime::UNIX_EPOCH),
            bytes: story.size(),
            story: watch::Sender::new(story),
            next: 0,
            is_partial,
        }
    }
}

impl Journal {
    fn new(id: &TaskId, now: SystemTime) -> Self {
        let recent = now.checked_sub(RECENT).unwrap_or(now);
        let covers = before(id.earliest(now)).clamp(recent, now);
        Self {
            api: id.api().to_owned(),
            known: Mutex::new(Known::new(covers)),
            wanted: Notify::new(),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None`: it is not followed any more.
    fn watch(self: &Arc<Self>, id: &TaskId, now: SystemTime) -> Option<Watched> {
        let mut known = self.known();
        if known.ended.is_some() {
            return None;
        }
        let since = before(id.earliest(now).min(now));
        let story = known.watch(id.key(), made_at(id.message_id()), since);
        known.watchers += 1;
        let is_wanted = !known.wanted.is_empty();
        drop(known);
        if is_wanted {
            self.wanted.notify_one();
        }
        Some(Watched {
            journal: Arc::clone(self),
            story,
        })
    }

    fn end(&self, core: &Core, reason: String) {
        let mut journals = core.followed.journals();
        let mut known = self.known();
        known.ended = Some(reason);
        // Those who wait hear it by this.
        known.tasks.clear();
        if let Some(journal) = journals.get(&self.api)
            && std::ptr::eq(&raw const **journal, self)
        {
            journals.remove(&self.api);
        }
    }

    /// Nobody has needed it for a while; from now on, nobody can.
    fn is_idle(&self) -> bool {
        let mut known = self.known();
        let is_idle = known.watchers == 0 && known.idle_since.elapsed() > IDLE;
        if is_idle {
            known.ended = Some("nobody waited".to_owned());
        }
        is_idle
    }
}

/// Where to look for what cannot have been written before `at`.
fn before(at: SystemTime) -> SystemTime {
    at.checked_sub(CLOCKS).unwrap_or(SystemTime::UNIX_EPOCH)
}

impl Known {
    fn new(covers: SystemTime) -> Self {
        Self {
            tasks: HashMap::new(),
            order: VecDeque::new(),
            bytes: 0,
            watchers: 0,
            idle_since: Instant::now(),
            covers,
            forgotten: SystemTime::UNIX_EPOCH,
            next: 0,
            is_caught_up: false,
            wanted: Vec::new(),
            ended: None,
        }
    }

    fn watch(
        &mut self,
        key: TaskKey,
        made: Option<SystemTime>,
        since: SystemTime,
    ) -> watch::Receiver<Story> {
        if let Some(task) = self.tasks.get(&key) {
            return task.story.subscribe();
        }
        let is_partial = !self.has_all_of(made);
        if is_partial {
            self.wanted.push((key, since));
        }
        let story = Story::new(self.is_caught_up && !is_partial);
        let task = Task::new(made, is_partial, story);
        let watched = task.story.subscribe();
        self.insert(key, task);
        watched
    }

    /// Would everything be known of a task that was made then?
    fn has_all_of(&self, made: Option<SystemTime>) -> bool {
        made.is_some_and(|made| before(made) >= self.covers && made > self.forgotten)
    }

    fn insert(&mut self, key: TaskKey, task: Task) {
        self.bytes += task.bytes;
        self.order.push_back(key);
        self.tasks.insert(key, task);
        self.make_room();
    }

    /// Forgets the oldest that nobody waits for. Whoever asks for one as old as that has it read once more.
    fn make_room(&mut self) {
        for _ in 0..self.order.len() {
            if self.bytes <= MEMORY {
                return;
            }
            let Some(key) = self.order.pop_front() else {
                return;
            };
            let is_watched = |task: &Task| task.story.receiver_count() > 0;
            if self.tasks.get(&key).is_some_and(is_watched) {
                self.order.push_back(key);
            } else if let Some(task) = self.tasks.remove(&key) {
                self.bytes -= task.bytes;
                self.forgotten = self.forgotten.max(task.made);
            }
        }
    }

    /// The next record of the journal, at the place before `next`.
    fn follow(&mut self, found: Found, marker: &str, now: SystemTime) {
        self.next = found.next;
        let Some(record) = found.record else {
            return;
        };
        if record.says == Says::Marker {
            if record.task == marker {
                self.caught_up();
            }
            return;
        }
        let key = record.key();
        if !self.tasks.contains_key(&key) {
            // Of one that began before this reader did, or was forgotten, it would be half a story.
            let made = made_at(&record.task);
            if !self.has_all_of(made) || made > now.checked_add(CLOCKS) {
                return;
            }
            let story = Story::new(self.is_caught_up);
            self.insert(key, Task::new(made, false, story));
        }
        self.tell(key, record, found.next);
    }

    fn tell(&mut self, key: TaskKey, record: Record, next: u64) {
        let Some(task) = self.tasks.get_mut(&key) else {
            return;
        };
        if task.is_partial || next <= task.next {
            return;
        }
        task.next = next;
        task.story.send_modify(|story| story.add(record));
        self.weigh(key);
    }

    fn weigh(&mut self, key: TaskKey) {
        if let Some(task) = self.tasks.get_mut(&key) {
            let size = task.story.borrow().size();
            self.bytes = self.bytes - task.bytes + size;
            task.bytes = size;
        }
        self.make_room();
    }

    fn caught_up(&mut self) {
        self.is_caught_up = true;
        for task in self.tasks.values().filter(|task| !task.is_partial) {
            task.story.send_modify(|story| story.is_told = true);
        }
    }

    /// Takes over stories that were read once more, if they were read as far as everything else.
    fn take_over(&mut self, stories: &mut HashMap<TaskKey, Story>, next: u64) -> bool {
        if !self.is_caught_up || next < self.next {
            return false;
        }
        for (key, story) in stories.drain() {
            self.complete(key, story, next);
        }
        true
    }

    /// A story, told from its beginning up to the place before `next`.
    fn complete(&mut self, key: TaskKey, story: Story, next: u64) {
        let Some(task) = self.tasks.get_mut(&key) else {
            return;
        };
        task.next = next;
        task.is_partial = false;
        task.story.send_replace(Story {
            is_told: true,
            ..story
        });
        self.weigh(key);
    }
}

/// What is read once more.
struct Again {
    reading: Reading,
    stories: HashMap<TaskKey, Story>,
    next: u64,
}

impl Again {
    fn begin(core: &Arc<Core>, journal: &Journal, stop: &CancellationToken) -> Option<Self> {
        let wanted = std::mem::take(&mut journal.known().wanted);
        let since = wanted.iter().map(|(_, since)| *since).min()?;
        let keys = wanted.into_iter().map(|(key, _)| (key, Story::default()));
        let (reading, _) = Reading::new(
            core,
            &journal.api,
            Log::Journal,
            Since::Time(since),
            stop.clone(),
        );
        Some(Self {
            reading,
            stories: keys.collect(),
            next: 0,
        })
    }

    async fn next(again: &mut Option<Self>) -> Option<Found> {
        match again {
            Some(again) => again.reading.next().await,
            None => std::future::pending().await,
        }
    }

    fn add(&mut self, journal: &Journal, found: Found) {
        self.next = found.next;
        let Some(record) = found.record else {
            return;
        };
        let key = record.key();
        let Some(story) = self.stories.get_mut(&key) else {
            return;
        };
        story.add(record);
        // Nothing that comes later changes it.
        if story.is_final()
            && let Some(story) = self.stories.remove(&key)
        {
            journal.known().complete(key, story, found.next);
        }
    }

    /// Ends it when it has come as far as the other reader, and begins with what is wanted since.
    async fn go_on(
        again: &mut Option<Self>,
        core: &Arc<Core>,
        journal: &Journal,
        stop: &CancellationToken,
    ) {
        let is_over = |it: &mut Self| {
            it.stories.is_empty() || journal.known().take_over(&mut it.stories, it.next)
        };
        if let Some(over) = again.take_if(|it| is_over(it)) {
            over.reading.close().await;
        }
        if again.is_none() {
            *again = Self::begin(core, journal, stop);
        }
    }
}

type Started = oneshot::Receiver<Result<(), Error>>;

async fn follow(core: Arc<Core>, journal: Arc<Journal>) {
    let stop = core.life.drained.child_token();
    let since = Since::Time(journal.known().covers);
    let (reading, started) = Reading::new(&core, &journal.api, Log::Journal, since, stop.clone());
    let reason = read(&core, &journal, reading, started, &stop).await;
    journal.end(&core, reason);
}

/// Reads until nobody needs it, or there is nothing to be read: why.
async fn read(
    core: &Arc<Core>,
    journal: &Journal,
    mut reading: Reading,
    mut started: Started,
    stop: &CancellationToken,
) -> String {
    let marker = system::new_id().to_string();
    let mut marking = mark(Arc::clone(core), journal.api.clone(), &marker);
    let mut is_marked = false;
    let mut again: Option<Again> = None;
    let mut check = tokio::time::interval(IDLE_CHECK);
    check.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let reason = loop {
        Again::go_on(&mut again, core, journal, stop).await;
        tokio::select! {
            found = reading.next() => match found {
                Some(found) => journal.known().follow(found, &marker, core.clock.date()),
                None => break match started.try_recv() {
                    Ok(Err(error)) => error.to_string(),
                    _ => Error::Closed.to_string(),
                },
            },
            marked = &mut marking, if !is_marked => match marked {
                Ok(()) => is_marked = true,
                Err(Refusal::Failed(error)) => break error.to_string(),
                Err(refusal) => break format!("the broker refuses to store a record in `{}`: {refusal:?}", Log::Journal.stream(&journal.api)),
            },
            Some(found) = Again::next(&mut again) => {
                if let Some(again) = &mut again {
                    again.add(journal, found);
                }
            }
            () = journal.wanted.notified() => {}
            _ = check.tick() => if journal.is_idle() {
                break "nobody waited".to_owned();
            },
        }
    };
    reading.close().await;
    if let Some(again) = again {
        again.reading.close().await;
    }
    reason
}

/// Everything that was there at the start has been read when this comes.
fn mark(core: Arc<Core>, api: String, marker: &str) -> Boxed<Result<(), Refusal>> {
    let record = Record::new(&core.clock, marker, Says::Marker);
    Box::pin(async move { write(&core, &api, Log::Journal, &record).await })
}
