//! What a handler can know about the message it is working on.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lapin::BasicProperties;
use lapin::types::{AMQPValue, ShortString};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::clock::Clock;
use crate::config::LONGEST_WAIT;
use crate::idempotence::Claim;
use crate::retry::Wish;
use crate::schedule::ScheduledOccurrence;
use crate::task::{CheckpointError, Running, checkpoint};
use crate::topology::LONGEST_DELAY;
use crate::wire;

tokio::task_local! {
    static CURRENT: Context;
}

/// The message that the current handler is working on. Cheap to clone.
///
/// ```
/// # use lightbus_runtime::Context;
/// // In a handler:
/// if let Some(message) = Context::current() {
///     println!("{} from {:?}, {:?} left", message.message_id(), message.caller(), message.time_left());
/// }
/// // Outside of one:
/// assert!(Context::current().is_none());
/// ```
#[derive(Clone)]
pub struct Context {
    inner: Arc<Inner>,
}

struct Inner {
    clock: Clock,
    properties: BasicProperties,
    subject: Subject,
    redelivered: bool,
    deadline: Option<Instant>,
    /// How long each attempt may take.
    limit: Option<Duration>,
    attempt: u32,
    claim: Option<Claim>,
    /// Of a task: what outlives the attempt.
    running: Option<Arc<Running>>,
    wish: Mutex<Wish>,
}

/// What the message is addressed to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject {
    pub(crate) api: &'static str,
    pub(crate) name: &'static str,
}

impl Context {
    /// The context of the handler that runs in this task, or `None` outside of a handler.
    ///
    /// A task that the handler spawns does not inherit it: pass a clone.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Self::clone).ok()
    }

    pub(crate) fn new(
        clock: &Clock,
        properties: BasicProperties,
        subject: Subject,
        redelivered: bool,
    ) -> Self {
        Self::of_call(clock, properties, subject, redelivered, None)
    }

    /// Of a call whose caller waits for so long from now on.
    pub(crate) fn of_call(
        clock: &Clock,
        properties: BasicProperties,
        subject: Subject,
        redelivered: bool,
        left: Option<Duration>,
    ) -> Self {
        let attempt = wire::header_number(&properties, wire::ATTEMPT);
        let attempt = attempt.and_then(|n| u32::try_from(n).ok());
        Self {
            inner: Arc::new(Inner {
                clock: clock.clone(),
                properties,
                subject,
                redelivered,
                deadline: left.map(|left| clock.now().into_std() + left.min(LONGEST_WAIT)),
                attempt: attempt.unwrap_or_default(),
                limit: None,
                claim: None,
                running: None,
                wish: Mutex::new(Wish::Policy),
            }),
        }
    }

    /// Of a task that may take so long at each attempt.
    pub(crate) fn of_task(
        clock: &Clock,
        properties: BasicProperties,
        subject: Subject,
        redelivered: bool,
        limit: Option<Duration>,
        running: Arc<Running>,
    ) -> Self {
        let mut context = Self::of_call(clock, properties, subject, redelivered, limit);
        if let Some(inner) = Arc::get_mut(&mut context.inner) {
            inner.limit = limit;
            inner.running = Some(running);
        }
        context
    }

    /// For a task.
    pub(crate) fn running(&self) -> Option<&Running> {
        self.inner.running.as_deref()
    }

    /// The same message, to be handled once.
    pub(crate) fn with_claim(self, claim: Option<Claim>) -> Self {
        let mut inner = self.inner;
        if let Some(inner) = Arc::get_mut(&mut inner) {
            inner.claim = claim;
        }
        Self { inner }
    }

    /// For a message that is handled once.
    pub(crate) fn claim(&self) -> Option<&Claim> {
        self.inner.claim.as_ref()
    }

    /// The same message, one attempt later.
    pub(crate) fn next_attempt(&self) -> Self {
        let old = &*self.inner;
        Self {
            inner: Arc::new(Inner {
                clock: old.clock.clone(),
                properties: old.properties.clone(),
                subject: old.subject,
                redelivered: old.redelivered,
                deadline: match old.limit {
                    Some(limit) => Some(old.clock.now().into_std() + limit),
                    None => old.deadline,
                },
                limit: old.limit,
                running: old.running.clone(),
                attempt: old.attempt.saturating_add(1),
                claim: old.claim.clone(),
                wish: Mutex::new(Wish::Policy),
            }),
        }
    }

    pub(crate) fn scope<F: Future>(self, future: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, future)
    }

    /// Time left of the current handler's deadline, for what it calls itself.
    pub(crate) fn inherited_time() -> Option<Duration> {
        CURRENT.try_with(Self::time_left).ok().flatten()
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    pub(crate) fn properties(&self) -> &BasicProperties {
        &self.inner.properties
    }

    /// The message's id; the same when the message is delivered again.
    pub fn message_id(&self) -> &str {
        wire::call_id(&self.inner.properties).map_or("", ShortString::as_str)
    }

    /// The name of the app that sent the message, if it said so.
    pub fn caller(&self) -> Option<&str> {
        let properties = &self.inner.properties;
        let named = properties.app_id().as_ref().map(ShortString::as_str);
        named.or_else(|| wire::reply_to(properties).map(|(app, _)| app))
    }

    /// The API of the call or event, `auth`.
    pub fn api(&self) -> &'static str {
        self.inner.subject.api
    }

    /// The wire name of the method or event, `check_password`.
    pub fn name(&self) -> &'static str {
        self.inner.subject.name
    }

    /// When the caller stops waiting. `None` for events.
    ///
    /// Machines' clocks need not agree: a caller's clock is known by its calls, of which the fastest tell by how much it differs. So no
    /// call loses time to a wrong clock; one may seem to have a little more than it has, by what the fastest took on its way.
    /// A caller's clock that is set while its program runs is believed again within four minutes, if it was set by more than its calls' timeout.
    pub fn deadline(&self) -> Option<Instant> {
        let inner = &*self.inner;
        let deadline = inner.deadline?;
        Some(inner.clock.on_the_systems(deadline.into()))
    }

    /// The deadline by the bus's clock.
    pub(crate) fn ends_at(&self) -> Option<tokio::time::Instant> {
        self.inner.deadline.map(Into::into)
    }

    /// Time until the [`deadline`](Self::deadline), zero when it has passed. Calls made in this handler get no more than this.
    pub fn time_left(&self) -> Option<Duration> {
        let inner = &*self.inner;
        inner.deadline.map(|at| inner.clock.left(at.into()))
    }

    /// How often the message was tried before: 0 for the first time.
    pub fn attempt(&self) -> u32 {
        self.inner.attempt
    }

    /// Marks an error as one that would come again: the message that the current handler works on is not tried any more, and goes to the dead letters. For
    /// a task, whose error is its API's own; a listener's handler may as well return [`HandlerError::permanent`](crate::HandlerError::permanent).
    ///
    /// ```
    /// # use lightbus_runtime::Context;
    /// # #[derive(Debug)] enum AuthError { NoSuchUser }
    /// async fn resize_avatar(user_id: u64) -> Result<(), AuthError> {
    ///     match user_id {
    ///         0 => Err(Context::permanent(AuthError::NoSuchUser)),
    ///         _ => Ok(()),
    ///     }
    /// }
    /// ```
    pub fn permanent<E>(error: E) -> E {
        Self::set_wish(Wish::Permanent);
        error
    }

    /// Marks an error as one that may be gone after so long: the next attempt is made then, if the policy has one left.
    pub fn retry_after<E>(delay: Duration, error: E) -> E {
        Self::set_wish(Wish::After(delay.min(LONGEST_DELAY)));
        error
    }

    fn set_wish(wish: Wish) {
        if let Some(current) = Self::current() {
            let mut said = current
                .inner
                .wish
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            *said = wish;
        }
    }

    /// What the handler said about the next attempt.
    pub(crate) fn wish(&self) -> Wish {
        *self
            .inner
            .wish
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Is this a task that somebody has [cancelled](crate::TaskHandle::cancel)? One that then returns an error is not tried again; one that returns Ok is done.
    ///
    /// ```
    /// # use lightbus_runtime::Context;
    /// async fn import(rows: Vec<u64>) -> Result<u64, String> {
    ///     let task = Context::current().ok_or("no task")?;
    ///     let mut imported = 0;
    ///     for row in &rows {
    ///         if task.is_cancelled() {
    ///             return Err("cancelled".to_owned());
    ///         }
    ///         imported += row;
    ///         task.progress(imported as f64 / rows.len() as f64, "importing");
    ///     }
    ///     Ok(imported)
    /// }
    /// ```
    pub fn is_cancelled(&self) -> bool {
        self.running().is_some_and(Running::is_cancelled)
    }

    /// Waits until this task is cancelled: for ever, if nobody does it, and in what is no task. For `tokio::select!`.
    pub async fn cancelled(&self) {
        match self.running() {
            Some(running) => running.cancelled().await,
            None => std::future::pending().await,
        }
    }

    /// Tells how much of this task is done, from 0 to 1, and what it is at, to those who [look on](crate::TaskHandle::progress). It costs next to nothing, may be called from any thread
    /// and as often as one likes: at most four times a second it is written down, and the last word always. Of a task whose result is kept; else nobody could ask.
    pub fn progress(&self, part: f64, text: &str) {
        if let Some(running) = self.running() {
            running.progress(part, text);
        }
    }

    /// Stores how far this task has come, for the case that it has to be tried again: after an error, or because its process was lost. [`resume`](Self::resume) gives it to the
    /// next attempt. At most 16 KiB, and what the message's own headers leave of 28 KiB; for a week. Whether the task's result is kept does not matter.
    ///
    /// ```
    /// # use lightbus_runtime::Context;
    /// # async fn import(page: u64) -> Result<(), String> { Ok(()) }
    /// async fn import_all(pages: u64) -> Result<(), String> {
    ///     let task = Context::current().ok_or("no task")?;
    ///     let begin = task.resume::<u64>().await.unwrap_or(0);
    ///     for page in begin..pages {
    ///         import(page).await?;
    ///         task.checkpoint(&(page + 1)).await.map_err(|error| error.to_string())?;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`CheckpointError`]; the one before still counts.
    pub async fn checkpoint<S: Serialize>(&self, state: &S) -> Result<(), CheckpointError> {
        // Encoded now: what is awaited holds no reference to it.
        match checkpoint::encode_state(state) {
            Ok(state) => checkpoint::checkpoint(self.clone(), state).await,
            Err(error) => Err(error),
        }
    }

    /// What the last attempt stored by [`checkpoint`](Self::checkpoint), if there was one, it did, and what it stored can be read as an `S`. After the loss of a process it is
    /// looked for on the broker, from the time on at which the task was enqueued. A task that comes out of the dead letters goes on from it as well.
    pub async fn resume<S: DeserializeOwned>(&self) -> Option<S> {
        let state = checkpoint::resume(self.clone()).await?;
        checkpoint::decode_state(self, &state)
    }

    /// The occurrence of a schedule that this task is: which schedule, and for what time. `None` for a task that somebody enqueued, and for what is no task.
    ///
    /// ```
    /// # use lightbus_runtime::Context;
    /// # use std::time::SystemTime;
    /// # async fn report_of_the_day_before(day: SystemTime) -> Result<(), String> { Ok(()) }
    /// async fn report() -> Result<(), String> {
    ///     let task = Context::current().ok_or("no task")?;
    ///     // Run late, or again, it is still the report of the same day.
    ///     let day = task.scheduled().map_or_else(SystemTime::now, |occurrence| occurrence.time);
    ///     report_of_the_day_before(day).await
    /// }
    /// ```
    pub fn scheduled(&self) -> Option<ScheduledOccurrence> {
        self.running()?;
        ScheduledOccurrence::of(self.properties())
    }

    /// True when the message was delivered before, to a process that was lost with it, or with its connection, before it had settled it.
    pub fn is_redelivered(&self) -> bool {
        self.inner.redelivered || wire::again::losses(&self.inner.properties) > 0
    }

    /// A header that the sender added with `.header(name, value)`.
    pub fn header(&self, name: &str) -> Option<&str> {
        match wire::header(&self.inner.properties, wire::META)? {
            AMQPValue::FieldTable(own) => own.inner().get(name).and_then(wire::as_text),
            _ => None,
        }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("api", &self.api())
            .field("name", &self.name())
            .field("message_id", &self.message_id())
            .field("caller", &self.caller())
            .finish_non_exhaustive()
    }
}
