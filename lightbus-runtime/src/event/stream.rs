//! Events as a stream: a listener whose handler hands each event over and waits until it is acknowledged.

use std::fmt;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use futures_util::Stream;
use tokio::sync::{mpsc, oneshot};
use tracing::warn;

use super::EventSet;
use super::hearing::Handle;
use super::listen::Listener;
use crate::attempts::Handled;
use crate::context::Context;
use crate::retry::HandlerError;

/// Events of a named listener, one after the other; made by [`Subscription::stream`](crate::Subscription::stream).
///
/// Dropping it ends the listener; events that are not acknowledged go back to the queue.
///
/// ```no_run
/// # use lightbus_runtime::{Event, Subscription};
/// # async fn example<E: Event>(user_registered: Subscription<E>) -> Result<(), lightbus_runtime::Error> {
/// let mut events = user_registered.stream("audit").await?;
/// while let Some(event) = events.next().await {
///     println!("{:?}", *event);
///     event.ack();
/// }
/// # Ok(()) }
/// ```
pub struct EventStream<S> {
    listener: Listener,
    events: mpsc::Receiver<Received<S>>,
}

impl<S> EventStream<S> {
    pub(crate) fn new(listener: Listener, events: mpsc::Receiver<Received<S>>) -> Self {
        Self { listener, events }
    }

    /// The next event; `None` when the bus is closed.
    pub async fn next(&mut self) -> Option<Received<S>> {
        self.events.recv().await
    }

    /// The listener's queue on the broker.
    pub fn queue(&self) -> &str {
        self.listener.queue()
    }
}

impl<S> Stream for EventStream<S> {
    type Item = Received<S>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        self.events.poll_recv(cx)
    }
}

impl<S> Drop for EventStream<S> {
    fn drop(&mut self) {
        self.listener.begin_stop();
    }
}

impl<S> fmt::Debug for EventStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream")
            .field("queue", &self.queue())
            .finish_non_exhaustive()
    }
}

/// An event from an [`EventStream`]; read it like the event itself.
///
/// Dropped without [`ack`](Self::ack) or [`reject`](Self::reject) it is kept, and delivered again when the stream is opened anew. Until then it
/// takes up a place among those that the broker sends ahead; when all places are taken, nothing more comes.
#[must_use = "call `ack` when the event is handled; else it is delivered again"]
pub struct Received<S> {
    event: S,
    context: Context,
    settle: oneshot::Sender<bool>,
}

impl<S> Received<S> {
    /// The message that carried the event.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The event is handled: the broker may forget it.
    pub fn ack(self) -> S {
        // The receiver is gone only when the stream has ended: then the event comes again.
        let _ = self.settle.send(true);
        self.event
    }

    /// The event cannot be handled: it goes to the queue's dead letters.
    pub fn reject(self) -> S {
        let _ = self.settle.send(false);
        self.event
    }
}

impl<S> Deref for Received<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.event
    }
}

impl<S: fmt::Debug> fmt::Debug for Received<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received")
            .field("event", &self.event)
            .field("context", &self.context)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("rejected by the stream's reader")]
struct Rejected;

/// The handler's end and the reader's end of a stream.
pub(crate) fn channel<S: EventSet>(room: u16) -> (Handle, mpsc::Receiver<Received<S>>) {
    let (sender, receiver) = mpsc::channel(usize::from(room.max(1)));
    let handle: Handle = Arc::new(move |name, payload, context| {
        let (settle, settled) = oneshot::channel();
        let received = Received {
            event: S::decode(name, payload)?,
            context: context.clone(),
            settle,
        };
        let sender = sender.clone();
        Ok(Box::pin(async move {
            if sender.send(received).await.is_err() {
                return Ok(Handled::Kept);
            }
            match settled.await {
                Ok(true) => Ok(Handled::Done),
                Ok(false) => Err(HandlerError::permanent(Rejected)),
                Err(_) => {
                    if !sender.is_closed() {
                        warn!(event = ?Context::current(), "an event was dropped without `ack`; it is kept until the stream is opened anew");
                    }
                    Ok(Handled::Kept)
                }
            }
        }))
    });
    (handle, receiver)
}
