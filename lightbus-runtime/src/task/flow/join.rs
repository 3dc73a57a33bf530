//! Putting the values of a group together: one of an API's workers does it for all, the one that is the active consumer of the queue they report to.
//!
//! What is known of a group lies in that queue, in messages that this one keeps unacknowledged: when it is lost, the next one gets them all. Whatever is done twice because
//! of that is done under the same ids.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use lapin::message::Delivery;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};
use uuid::Uuid;

use super::advance::{End, gathered};
use super::failed::{Cause, fail, note};
use super::group::{Group, Key, Todo};
use super::groups::Groups;
use super::next::MOST_MEMBERS;
use super::word::{Part, Word};
use super::{Place, Stuck};
use crate::boxed::Boxed;
use crate::bus::Core;
use crate::clock::system;
use crate::connection::consumer::{Consumer, Consumers, Source};
use crate::error::Error;
use crate::publishing::{Message, Progress, Refusal};
use crate::topology;

/// What is kept unacknowledged has to fit in.
const PREFETCH: u16 = 4000;
/// So many messages are kept before they are written down as few.
const MESSAGES: usize = 2000;
/// A broker closes a channel on which something is unacknowledged for too long: by default for 30 minutes.
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// About how much such a one holds.
const BYTES: usize = 256 * 1024;
/// Groups that are over are written down together.
const FLUSH: Duration = Duration::from_millis(50);
const FLUSH_AT: usize = 256;
/// So many groups are attended to at a time.
const AT_ONCE: usize = 64;
/// So often it is looked at what has grown old.
const LOOK: Duration = Duration::from_secs(10);
/// Before what was refused is tried again.
const REST: Duration = Duration::from_secs(1);

/// Tells the one who puts an API's groups together.
pub(super) async fn tell(core: &Core, api: &str, word: &Word) -> Result<(), Refusal> {
    let queue = topology::join_queue(api);
    let payload = word.write().map_err(Refusal::Denied)?;
    let properties = core.sender.task_join(system::new_id());
    let message = Message {
        exchange: &topology::task_exchange(api),
        key: &queue,
        needs: &queue,
        plan: &|| topology::join_plan(api),
        properties: &|| properties.clone(),
        payload: &payload,
        must_route: false,
    };
    core.store(&message, &mut Progress::new(&core.clock)).await
}

/// Puts the groups of an API together, whenever this process is the one to do it.
pub(in crate::task) async fn gather(
    core: &Arc<Core>,
    api: &'static str,
    stop: &CancellationToken,
) -> Result<JoinHandle<()>, Error> {
    let source = Source {
        queue: topology::join_queue(api),
        plan: topology::join_plan(api),
        prefetch: PREFETCH,
    };
    let (mut consumers, started) = Consumers::new(&core.io.consume, source, stop.clone());
    let (joins, until) = (Arc::clone(core), stop.clone());
    let ended = core.spawn(async move {
        while let Some(consumer) = consumers.next().await {
            Turn::new(&joins, api, consumer).run(&until).await;
        }
    });
    core.first_start(&core.io.consume, started).await?;
    Ok(ended)
}

/// What was done about a group.
struct Done {
    key: Key,
    what: What,
}

enum What {
    /// It is over.
    Over,
    /// What follows knows that a member failed.
    Told,
    /// It cannot go on.
    Hopeless(String),
    /// To be tried again.
    Refused,
}

/// One consumer of the queue, from its beginning to its loss.
struct Turn {
    core: Arc<Core>,
    api: &'static str,
    consumer: Consumer,
    groups: Groups,
    /// When it comes back, everything is known that was told before.
    mark: Option<u128>,
    leads: bool,
    /// Groups of which there may be something to be done.
    waiting: VecDeque<Key>,
    /// Tasks of their own: what this one waits for may be in their hands.
    doing: JoinSet<Done>,
    /// Groups that are over, which the queue does not know yet.
    over: Vec<u128>,
    flush_at: Option<Instant>,
    rests_until: Option<Instant>,
}

/// The bus is closed.
struct Closed;

impl Turn {
    fn new(core: &Arc<Core>, api: &'static str, consumer: Consumer) -> Self {
        Self {
            core: Arc::clone(core),
            api,
            consumer,
            groups: Groups::new(core.config.payload_limit),
            mark: None,
            leads: false,
            waiting: VecDeque::new(),
            doing: JoinSet::new(),
            over: Vec::new(),
            flush_at: None,
            rests_until: None,
        }
    }

    async fn run(mut self, stop: &CancellationToken) {
        if self.take_part(stop).await.is_ok() {
            // What has begun ends, and is told; nothing else begins.
            self.leads = false;
            let grace = self.core.config.grace;
            let _ = tokio::time::timeout(grace, self.end()).await;
        }
        self.consumer.close().await;
    }

    async fn end(&mut self) {
        while let Some(done) = self.doing.join_next().await {
            done.into_iter().for_each(|done| self.note(done));
        }
        let _ = self.flush().await;
    }

    async fn take_part(&mut self, stop: &CancellationToken) -> Result<(), Closed> {
        let mut look = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                Some(done) = self.doing.join_next() => {
                    // An abort at the end of the runtime is an end as well.
                    done.into_iter().for_each(|done| self.note(done));
                }
                () = until(self.flush_at) => self.flush().await?,
                delivery = self.consumer.next() => match delivery {
                    Some(delivery) => self.read(&delivery).await?,
                    None => return Ok(()),
                },
                _ = look.tick() => self.attend_all(),
                () = until(self.rests_until) => {
                    self.rests_until = None;
                    self.attend_all();
                }
            }
            if self.over.len() >= FLUSH_AT {
                self.flush().await?;
            }
            if self.groups.held() > MESSAGES || self.groups.oldest() > LONGEST {
                self.write_down().await?;
            }
        }
    }

    async fn read(&mut self, delivery: &Delivery) -> Result<(), Closed> {
        if self.mark.is_none() {
            let mark = system::new_id().as_u128();
            self.mark = Some(mark);
            let word = Word {
                mark: Some(mark),
                ..Word::default()
            };
            keep_telling(&self.core, self.api, &word).await?;
        }
        self.hear(delivery);
        while self.groups.held() <= MESSAGES
            && let Some(delivery) = self.consumer.ready()
        {
            self.hear(&delivery);
        }
        Ok(())
    }

    fn hear(&mut self, delivery: &Delivery) {
        let tag = delivery.delivery_tag;
        // What was written down holds many groups' values, one of them at least, with what is said of each member.
        let limit = 2 * self.core.config.payload_limit + 16 * MOST_MEMBERS as usize + 2 * BYTES;
        match Word::read(&delivery.properties, &delivery.data, limit) {
            Ok(word) => {
                let leads = word.mark.is_some() && word.mark == self.mark;
                let (touched, spent) = self.groups.hear(tag, word);
                self.ack(spent);
                if leads || self.groups.is_full() && !self.leads {
                    self.leads = true;
                    self.attend_all();
                }
                self.attend(touched);
            }
            Err(why) => {
                self.core.counters.control_ignored.add();
                warn!(
                    api = self.api,
                    why,
                    "a message in the queue of groups says nothing that this worker understands"
                );
                self.consumer.ack(tag, false);
            }
        }
    }

    fn attend_all(&mut self) {
        let spent = self.groups.spent();
        self.ack(spent);
        self.waiting.clear();
        self.attend(self.groups.keys());
    }

    /// Begins what there is to do about these groups.
    fn attend(&mut self, groups: Vec<Key>) {
        if !self.leads {
            return;
        }
        self.waiting.extend(groups);
        while self.rests_until.is_none() && self.doing.len() < AT_ONCE {
            let Some(key) = self.waiting.pop_front() else {
                return;
            };
            if let Some((part, todo)) = self.groups.todo(key) {
                let doing: Boxed<Done> = Box::pin(act(Arc::clone(&self.core), part, todo));
                self.doing.spawn_on(doing, &self.core.handle);
            }
        }
    }

    fn ack(&self, tags: Vec<u64>) {
        for tag in tags {
            self.consumer.ack(tag, false);
        }
    }

    fn note(&mut self, done: Done) {
        let Done { key, what } = done;
        match what {
            // It stays busy until the queue knows.
            What::Over => {
                self.over.push(key.0);
                self.flush_at.get_or_insert_with(|| Instant::now() + FLUSH);
                return self.attend(Vec::new());
            }
            What::Told => drop(self.groups.change(key, Group::told)),
            What::Hopeless(why) => drop(self.groups.change(key, |group| group.lose_hope(why))),
            What::Refused => self.rests_until = Some(Instant::now() + REST),
        }
        self.groups.change(key, |group| group.is_busy = false);
        self.attend(vec![key]);
    }

    /// Has the queue know which groups are over; then what they were known from can go.
    async fn flush(&mut self) -> Result<(), Closed> {
        let over = std::mem::take(&mut self.over);
        self.flush_at = None;
        if over.is_empty() {
            return Ok(());
        }
        let now = system::now_ms();
        let word = Word {
            over: over.iter().map(|id| (*id, now)).collect(),
            ..Word::default()
        };
        keep_telling(&self.core, self.api, &word).await?;
        for id in over {
            let spent = self.groups.end(id);
            self.ack(spent);
        }
        Ok(())
    }

    /// Writes all that is known down in a few messages.
    async fn write_down(&mut self) -> Result<(), Closed> {
        for word in self.groups.words(BYTES) {
            keep_telling(&self.core, self.api, &word).await?;
        }
        let spent = self.groups.written();
        self.ack(spent);
        Ok(())
    }
}

/// Tells it until it is stored.
async fn keep_telling(core: &Core, api: &str, word: &Word) -> Result<(), Closed> {
    loop {
        match tell(core, api, word).await {
            Ok(()) => return Ok(()),
            Err(Refusal::Failed(_)) if core.life.stop.is_cancelled() => return Err(Closed),
            Err(refusal) => {
                warn!(
                    api,
                    ?refusal,
                    "the queue of groups does not store what becomes of them; trying again"
                );
                let rested = core.life.stop.run_until_cancelled(tokio::time::sleep(REST));
                rested.await.ok_or(Closed)?;
            }
        }
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(until) => tokio::time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}

async fn act(core: Arc<Core>, part: Part, todo: Todo) -> Done {
    let key = part.key();
    let place = Place {
        id: Uuid::from_u128(part.id),
        flow: &part.flow,
        length: part.length,
        replayed: part.replayed,
    };
    let (acted, what) = match &todo {
        Todo::GoOn(values) => {
            let acted = gathered(&core, place, &part.to, &part.then, values).await;
            (acted, What::Over)
        }
        Todo::Tell(cause) => {
            let acted = fail_group(&core, &part, place, cause).await;
            (acted, What::Told)
        }
        Todo::Forget => {
            forget(&core, &part);
            (Ok(()), What::Over)
        }
    };
    let what = match acted {
        Ok(()) => what,
        Err(Stuck::Cannot(why)) if matches!(todo, Todo::GoOn(_)) => What::Hopeless(why),
        Err(Stuck::Cannot(why)) => {
            error!(api = part.to.api, id = %place.id, why, "what should run when a flow fails cannot be enqueued");
            What::Told
        }
        Err(Stuck::Refused(refusal)) => {
            debug!(api = part.to.api, id = %place.id, ?refusal, "what follows a group is not stored yet");
            What::Refused
        }
    };
    Done { key, what }
}

/// Tells what follows a group that one of its members failed; then the queue, so that it is told once.
async fn fail_group(
    core: &Core,
    part: &Part,
    place: Place<'_>,
    cause: &Cause,
) -> Result<(), Stuck> {
    let end = End {
        id: place.id,
        api: &part.to.api,
        task: &part.to.task,
        ttl_ms: part.to.ttl_ms,
    };
    note(core, &end, place.replayed, cause, cause.domain.clone()).await?;
    fail(core, place, &part.then, cause).await?;
    let told = Part {
        told: true,
        values: Vec::new(),
        ..part.clone()
    };
    let word = Word::of(told);
    tell(core, &part.to.api, &word)
        .await
        .map_err(Stuck::Refused)
}

fn forget(core: &Core, part: &Part) {
    if part.hopeless || part.cause.as_ref().is_some_and(Cause::is_cancelled) {
        return;
    }
    core.counters.groups_given_up.add();
    error!(
        api = part.to.api,
        id = %Uuid::from_u128(part.id),
        flow = part.flow,
        members = part.of,
        failed = ?part.failed,
        "a group was not complete within a week; it is given up"
    );
}
