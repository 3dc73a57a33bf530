//! A queue being consumed, and consumed again after every loss.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::Fuse;
use futures_util::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, BasicRejectOptions,
    ConfirmSelectOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Confirmation};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::caution::Caution;
use super::publisher::{Outgoing, publish};
use super::{Link, Session, declare};
use crate::Error;
use crate::health::{Monitor, Owner, Part, State};
use crate::topology::Plan;
use crate::wire::{STREAM_OFFSET, short};

const RETRY_FIRST: Duration = Duration::from_millis(250);
const RETRY_LONGEST: Duration = Duration::from_secs(10);

/// What to consume, and what has to exist first.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) queue: String,
    pub(crate) plan: Plan,
    pub(crate) prefetch: u16,
}

/// An open consumer on a channel of its own.
pub(crate) struct Consumer {
    channel: Channel,
    /// Fused: its end may be seen by one who looks for what is ready, and is the end for all.
    stream: Fuse<lapin::Consumer>,
    caution: Caution,
    /// The delivery that ended caution.
    held: Option<Delivery>,
    /// What ended it.
    error: Option<String>,
    health: Health,
}

/// Where a consumer says how it is.
#[derive(Clone, Debug)]
struct Health {
    monitor: Arc<Monitor>,
    owner: Owner,
    part: Part,
}

impl Health {
    fn tell(&self, state: State, reason: Option<String>) {
        self.monitor.set(self.owner, &self.part, state, reason);
    }
}

impl Consumer {
    async fn open(
        session: &Session,
        source: &Source,
        arguments: FieldTable,
        health: &Health,
    ) -> Result<Self, Error> {
        declare::declare(session, &source.plan).await?;
        let explain = |error| declare::explain(format!("queue `{}`", source.queue), &error);
        let channel = session.channel().await.map_err(explain)?;
        let caution = Caution::of(source);
        let qos = channel.basic_qos(caution.prefetch(source), BasicQosOptions::default());
        session.step(qos).await.map_err(explain)?;
        let consuming = channel.basic_consume(
            short(&source.queue),
            short(caution.tag()),
            BasicConsumeOptions::default(),
            arguments,
        );
        let stream = session.step(consuming).await.map_err(explain)?.fuse();
        Ok(Self {
            channel,
            stream,
            caution,
            held: None,
            error: None,
            health: health.clone(),
        })
    }

    /// The next delivery. `None` means that the consumer is lost: to an error, a deleted queue, or a cancel.
    pub(crate) async fn next(&mut self) -> Option<Delivery> {
        let next = self.take().await;
        if next.is_none() {
            self.health.tell(State::Lost, Some(self.reason()));
        }
        next
    }

    /// The next delivery if one has arrived already.
    pub(crate) fn ready(&mut self) -> Option<Delivery> {
        self.take().now_or_never().flatten()
    }

    async fn take(&mut self) -> Option<Delivery> {
        loop {
            self.take_over().await?;
            if let Some(held) = self.held.take() {
                return Some(held);
            }
            let next = self.stream.next().await?;
            let next = self.note(next)?;
            if let Some(delivery) = self.caution.look(&self.channel, next) {
                return Some(delivery);
            }
        }
    }

    /// The end of caution is another consumer.
    async fn take_over(&mut self) -> Option<()> {
        if let Some(ended) = self.caution.ended().await {
            let (usual, held) = self.note(ended)?;
            self.stream = usual.fuse();
            self.held = Some(held);
        }
        Some(())
    }

    fn note<T>(&mut self, result: Result<T, impl ToString>) -> Option<T> {
        result
            .map_err(|error| self.error = Some(error.to_string()))
            .ok()
    }

    /// Why there are no more deliveries.
    fn reason(&self) -> String {
        let cancelled = || "the broker cancelled it: was the queue deleted?".to_owned();
        self.error.clone().unwrap_or_else(cancelled)
    }

    /// Acknowledges `tag`, and with `multiple` all before it. Handed to lapin, not waited for: on a lost connection the broker
    /// delivers again.
    pub(crate) fn ack(&self, tag: u64, multiple: bool) {
        let _ = self
            .channel
            .basic_ack(tag, BasicAckOptions { multiple })
            .now_or_never();
    }

    /// Has the broker confirm what is published on this consumer's channel.
    pub(crate) async fn confirming(&mut self) -> Result<(), lapin::Error> {
        let select = self.channel.confirm_select(ConfirmSelectOptions::default());
        within_a_step(select).await
    }

    /// Publishes on this consumer's channel: it gets through only as long as the consumer has not been replaced. One at a time.
    pub(crate) async fn publish(
        &mut self,
        message: Outgoing<'_>,
    ) -> Result<Confirmation, lapin::Error> {
        publish(&self.channel, message).await?.await
    }

    /// Gives the message to the queue's dead letters.
    pub(crate) fn reject(&self, tag: u64) {
        let _ = self
            .channel
            .basic_reject(tag, BasicRejectOptions { requeue: false })
            .now_or_never();
    }

    /// Asks the broker for no more; what has arrived already can still be taken with `next` or `ready`.
    pub(crate) async fn cancel(&mut self) {
        // What keeps it from taking over ends this consumer anyway.
        let _ = self.take_over().await;
        let tag = std::mem::replace(&mut self.caution, Caution::Over).tag();
        let cancelling = self
            .channel
            .basic_cancel(short(tag), BasicCancelOptions::default());
        let _ = tokio::time::timeout(super::STEP, cancelling).await;
    }

    /// Closes the channel: what is not acknowledged goes back to its queue.
    pub(crate) async fn close(self) {
        if self.channel.status().connected() {
            let _ = tokio::time::timeout(super::STEP, self.channel.close(200, "done".into())).await;
        }
    }
}

async fn within_a_step<T>(
    doing: impl Future<Output = Result<T, lapin::Error>>,
) -> Result<T, lapin::Error> {
    let done = tokio::time::timeout(super::STEP, doing).await;
    done.unwrap_or_else(|elapsed| Err(std::io::Error::from(elapsed).into()))
}

/// Consumers of one source, one after the other: the next one is opened when the last one was lost.
pub(crate) struct Consumers {
    link: Link,
    source: Source,
    arguments: FieldTable,
    stop: CancellationToken,
    health: Health,
    retry: Duration,
    first: Option<oneshot::Sender<Result<(), Error>>>,
}

impl Consumers {
    /// The outcome of the first attempt is what the receiver hears: after it succeeded, or when nobody waits for it, failures are retried for ever.
    pub(crate) fn new(
        link: &Link,
        source: Source,
        stop: CancellationToken,
    ) -> (Self, oneshot::Receiver<Result<(), Error>>) {
        let (first, started) = oneshot::channel();
        let health = Health {
            monitor: Arc::clone(link.monitor()),
            owner: link.monitor().owner(),
            part: Part::Consumer(source.queue.clone()),
        };
        health.tell(State::Starting, None);
        (
            Self {
                link: link.clone(),
                source,
                arguments: FieldTable::default(),
                stop,
                health,
                retry: RETRY_FIRST,
                first: Some(first),
            },
            started,
        )
    }

    /// Where in a stream the next one begins.
    pub(crate) fn start_at(&mut self, offset: AMQPValue) {
        self.arguments.insert(short(STREAM_OFFSET), offset);
    }

    /// An open consumer; `None` after the stop, or when the first attempt failed.
    pub(crate) async fn next(&mut self) -> Option<Consumer> {
        loop {
            let session = self.stop.run_until_cancelled(self.link.up()).await?.ok()?;
            let arguments = self.arguments.clone();
            match Consumer::open(&session, &self.source, arguments, &self.health).await {
                Ok(consumer) => {
                    self.opened();
                    return Some(consumer);
                }
                Err(error)
                    if session.connection().status().connected()
                        && self.is_awaited()
                        && !(declare::may_pass(&error) && self.retry < RETRY_LONGEST) =>
                {
                    drop(self.first.take()?.send(Err(error)));
                    return None;
                }
                Err(error) => self.failed(&error).await?,
            }
        }
    }

    fn opened(&mut self) {
        self.retry = RETRY_FIRST;
        self.health.tell(State::Ready, None);
        match self.first.take() {
            // The one who asked may have given up; the stop follows.
            Some(first) => drop(first.send(Ok(()))),
            None => info!(queue = self.source.queue, "consuming again"),
        }
    }

    /// Does somebody wait for the outcome of the first attempt?
    fn is_awaited(&self) -> bool {
        self.first.as_ref().is_some_and(|first| !first.is_closed())
    }

    /// Waits for the next attempt. The stop ends the wait.
    async fn failed(&mut self, error: &Error) -> Option<()> {
        warn!(queue = self.source.queue, %error, "cannot consume; trying again");
        self.health.tell(State::Lost, Some(error.to_string()));
        let wait = tokio::time::sleep(self.retry);
        self.retry = (self.retry * 2).min(RETRY_LONGEST);
        self.stop.run_until_cancelled(wait).await
    }

    /// Notes that the app does not want deliveries for a while.
    pub(crate) fn paused(&self) {
        self.health.tell(State::Paused, None);
    }
}

impl Drop for Consumers {
    fn drop(&mut self) {
        self.health.tell(State::Ended, None);
    }
}
