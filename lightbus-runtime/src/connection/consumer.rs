//! A queue being consumed, and consumed again after every loss.

use futures_util::{FutureExt, StreamExt};
use lapin::Channel;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, BasicRejectOptions,
};
use lapin::types::FieldTable;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Link, Session, declare};
use crate::Error;
use crate::topology::Plan;
use crate::wire::short;

const RETRY: std::time::Duration = std::time::Duration::from_millis(250);

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
    stream: lapin::Consumer,
    tag: String,
}

impl Consumer {
    async fn open(session: &Session, source: &Source) -> Result<Self, Error> {
        declare::declare(session, &source.plan).await?;
        let explain = |error| declare::explain(format!("queue `{}`", source.queue), &error);
        let channel = session.channel().await.map_err(explain)?;
        let qos = channel.basic_qos(source.prefetch, BasicQosOptions::default());
        session.step(qos).await.map_err(explain)?;
        // Tags are a channel's own: a fixed one reads well on the broker's screens.
        let tag = "lightbus".to_owned();
        let consuming = channel.basic_consume(
            short(&source.queue),
            short(&tag),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        let stream = session.step(consuming).await.map_err(explain)?;
        Ok(Self {
            channel,
            stream,
            tag,
        })
    }

    /// The next delivery. `None` means that the consumer is lost: to an error, a deleted queue, or a cancel.
    pub(crate) async fn next(&mut self) -> Option<Delivery> {
        self.stream.next().await.and_then(Result::ok)
    }

    /// The next delivery if one has arrived already.
    pub(crate) fn ready(&mut self) -> Option<Delivery> {
        self.stream
            .next()
            .now_or_never()
            .flatten()
            .and_then(Result::ok)
    }

    /// Acknowledges `tag`, and with `multiple` all before it. Handed to lapin, not waited for: on a lost connection the broker
    /// delivers again.
    pub(crate) fn ack(&self, tag: u64, multiple: bool) {
        let _ = self
            .channel
            .basic_ack(tag, BasicAckOptions { multiple })
            .now_or_never();
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
        let cancelling = self
            .channel
            .basic_cancel(short(&self.tag), BasicCancelOptions::default());
        let _ = tokio::time::timeout(super::STEP, cancelling).await;
    }

    /// Closes the channel: what is not acknowledged goes back to its queue.
    pub(crate) async fn close(self) {
        if self.channel.status().connected() {
            let _ = tokio::time::timeout(super::STEP, self.channel.close(200, "done".into())).await;
        }
    }
}

/// Consumers of one source, one after the other: the next one is opened when the last one was lost.
pub(crate) struct Consumers {
    link: Link,
    source: Source,
    stop: CancellationToken,
    first: Option<oneshot::Sender<Result<(), Error>>>,
}

impl Consumers {
    /// The outcome of the first attempt is what the receiver hears: after it succeeded, failures are retried for ever.
    pub(crate) fn new(
        link: &Link,
        source: Source,
        stop: CancellationToken,
    ) -> (Self, oneshot::Receiver<Result<(), Error>>) {
        let (first, started) = oneshot::channel();
        (
            Self {
                link: link.clone(),
                source,
                stop,
                first: Some(first),
            },
            started,
        )
    }

    /// An open consumer; `None` after the stop, or when the first attempt failed.
    pub(crate) async fn next(&mut self) -> Option<Consumer> {
        loop {
            let session = self.stop.run_until_cancelled(self.link.up()).await?.ok()?;
            match Consumer::open(&session, &self.source).await {
                Ok(consumer) => {
                    match self.first.take() {
                        // The one who asked may have given up; the stop follows.
                        Some(first) => drop(first.send(Ok(()))),
                        None => info!(
                            queue = self.source.queue,
                            "lost the consumer, and consuming again"
                        ),
                    }
                    return Some(consumer);
                }
                Err(error) if session.connection().status().connected() && self.first.is_some() => {
                    let first = self.first.take()?;
                    drop(first.send(Err(error)));
                    return None;
                }
                Err(error) => {
                    warn!(queue = self.source.queue, %error, "cannot consume; trying again");
                    self.stop
                        .run_until_cancelled(tokio::time::sleep(RETRY))
                        .await?;
                }
            }
        }
    }
}
