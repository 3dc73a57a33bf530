//! A task in a worker's hands: what its handler says of it, and what is written down.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tracing::{debug, error};

use super::cancel::Cancels;
use super::flow;
use super::id::TaskKey;
use super::journal::write;
use super::record::{Failed, Progress, Record, Says};
use crate::bus::Core;
use crate::context::Context;
use crate::publishing::Refusal;
use crate::topology::Log;
use crate::wire::again::REPLAYED;
use crate::wire::{self, RESULT_TTL, THEN};

/// Between two records of progress.
const PROGRESS_PACE: Duration = Duration::from_millis(250);

/// What the workers of an API know of its tasks, and where they write.
pub(crate) struct Desk {
    pub(crate) core: Arc<Core>,
    pub(crate) api: &'static str,
    pub(crate) cancels: Cancels,
}

/// One task, in all attempts made here.
pub(crate) struct Running {
    pub(super) desk: Arc<Desk>,
    key: TaskKey,
    /// Of the flow that it is part of.
    flow: Option<TaskKey>,
    /// Something follows it.
    is_followed: bool,
    kept: Option<Kept>,
    said: Mutex<Said>,
}

/// Of a task whose result is kept.
struct Kept {
    ttl: Duration,
    progress: watch::Sender<Option<Progress>>,
}

/// What the handler said that the next attempt, or the end, has to know.
#[derive(Default)]
struct Said {
    checkpoint: Option<Vec<u8>>,
    error: Option<Vec<u8>>,
}

impl Running {
    pub(super) fn new(desk: &Arc<Desk>, properties: &lapin::BasicProperties) -> Arc<Self> {
        let id = wire::message_id(properties);
        let ttl = wire::header_number(properties, RESULT_TTL);
        // Without an id, it could not be found again.
        let ttl = ttl.filter(|_| !id.is_empty());
        let ttl = ttl.and_then(|ms| u64::try_from(ms).ok());
        let kept = ttl.map(|ms| Kept {
            ttl: Duration::from_millis(ms),
            progress: watch::Sender::new(None),
        });
        Arc::new(Self {
            desk: Arc::clone(desk),
            key: TaskKey::of(id),
            flow: flow::is_part_of(properties, desk.api).map(TaskKey::of),
            is_followed: wire::header(properties, THEN).is_some(),
            kept,
            said: Mutex::default(),
        })
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.kept.is_some()
    }

    /// Does anybody ask for what it returns?
    pub(super) fn is_awaited(&self) -> bool {
        self.is_kept() || self.is_followed
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        let cancels = &self.desk.cancels;
        cancels.contains(self.key) || self.flow.is_some_and(|flow| cancels.contains(flow))
    }

    pub(crate) async fn cancelled(&self) {
        let cancels = &self.desk.cancels;
        tokio::select! {
            () = cancels.until(self.key) => {}
            () = cancels.until(self.flow.unwrap_or(self.key)) => {}
        }
    }

    /// Noted here, and written down in a while.
    pub(crate) fn progress(&self, part: f64, text: &str) {
        if let Some(kept) = &self.kept {
            kept.progress.send_replace(Some(Progress::new(part, text)));
        }
    }

    pub(crate) fn checkpoint(&self) -> Option<Vec<u8>> {
        self.said().checkpoint.clone()
    }

    pub(super) fn set_checkpoint(&self, state: Vec<u8>) {
        self.said().checkpoint = Some(state);
    }

    /// The method's own error, for when no attempt is left.
    pub(super) fn failed_with(&self, error: &[u8]) {
        self.said().error = Some(error.to_vec());
    }

    /// The same, if that is what it is dead of.
    pub(super) fn domain_error(&self, reason: &str) -> Option<Vec<u8>> {
        (reason == "failed").then(|| self.said().error.clone())?
    }

    fn record(&self, context: &Context, says: Says) -> Record {
        let replayed = wire::header_number(context.properties(), REPLAYED);
        Record {
            attempt: context.attempt(),
            replayed: replayed
                .and_then(|n| u32::try_from(n).ok())
                .unwrap_or_default(),
            ttl: self.kept.as_ref().map(|kept| kept.ttl),
            ..Record::new(&self.desk.core.clock, context.message_id(), says)
        }
    }

    pub(super) async fn write(
        &self,
        context: &Context,
        log: Log,
        says: Says,
    ) -> Result<(), Refusal> {
        let desk = &self.desk;
        write(&desk.core, desk.api, log, &self.record(context, says)).await
    }

    /// What is lost of it costs those who watch no more than one word less.
    async fn mention(&self, context: &Context, says: Says) {
        if let Err(refusal) = self.write(context, Log::Journal, says).await {
            debug!(?context, ?refusal, "cannot write down how a task goes on");
        }
    }

    /// The handler of a task that is kept: while it works, its begin and its progress are written down.
    pub(super) async fn told<T>(&self, context: &Context, handler: impl Future<Output = T>) -> T {
        let Some(kept) = &self.kept else {
            return handler.await;
        };
        let mut news = kept.progress.subscribe();
        let mut unwritten = false;
        let told = async {
            self.mention(context, Says::Started).await;
            loop {
                // The sender is at hand.
                let _ = news.changed().await;
                unwritten = true;
                self.tell(context, &mut news).await;
                unwritten = false;
                tokio::time::sleep(PROGRESS_PACE).await;
            }
        };
        let ended = tokio::select! {
            // First: one that ends at once is not told to have begun.
            biased;
            ended = handler => ended,
            () = told => std::future::pending().await,
        };
        if unwritten || news.has_changed().unwrap_or_default() {
            self.tell(context, &mut news).await;
        }
        ended
    }

    async fn tell(&self, context: &Context, news: &mut watch::Receiver<Option<Progress>>) {
        let progress = news.borrow_and_update().clone();
        if let Some(progress) = progress {
            self.mention(context, Says::Progress(progress)).await;
        }
    }

    pub(super) async fn retrying(&self, context: &Context, error: &str) {
        self.mention(context, Says::Retrying(error.to_owned()))
            .await;
    }

    /// False: the bus is closed, and the task is left for another process to do again.
    pub(super) async fn done(&self, context: &Context, value: Vec<u8>) -> bool {
        let limit = self.desk.core.config.payload_limit;
        let says = match value.len() {
            size if size > limit => {
                self.desk.core.counters.results_lost.add();
                error!(
                    ?context,
                    size, limit, "a task's value is too large to be kept"
                );
                Says::DoneUnkept(format!(
                    "its value takes {size} bytes, the limit is {limit}"
                ))
            }
            _ => Says::Done(value),
        };
        self.end(context, says).await
    }

    /// No attempt is left, or it could not be read.
    pub(super) async fn died(&self, context: &Context, reason: &str, errors: &[String]) {
        let says = match reason {
            "expired" => Says::Expired,
            _ => Says::Failed(Failed {
                reason: reason.to_owned(),
                error: told_error(reason, errors).to_owned(),
                domain: self.domain_error(reason),
            }),
        };
        self.end(context, says).await;
    }

    /// It is not run any more. Counted, whether anybody wants to know or not.
    pub(super) async fn given_up(&self, context: &Context) {
        self.desk.core.counters.tasks_cancelled.add();
        debug!(?context, "a task is cancelled");
        if self.is_kept() {
            self.end(context, Says::Cancelled).await;
        }
    }

    async fn end(&self, context: &Context, says: Says) -> bool {
        let core = &self.desk.core;
        match self.write(context, Log::Journal, says).await {
            Ok(()) => true,
            Err(Refusal::Failed(_)) if core.life.stop.is_cancelled() => false,
            Err(refusal) => {
                core.counters.results_lost.add();
                error!(?context, ?refusal, "cannot write down how a task ended");
                true
            }
        }
    }
}

/// What those who wait for a task hear of why it is dead.
pub(super) fn told_error<'a>(reason: &str, errors: &'a [String]) -> &'a str {
    match (reason, errors) {
        // As for a call: what it said is for those who can read the log.
        ("panicked", _) => "it panicked; the worker's log and the dead letter have the text",
        (_, [error, ..]) => error,
        (_, []) => "",
    }
}
