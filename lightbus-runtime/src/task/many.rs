//! Enqueueing many tasks, without waiting for each.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use futures_util::{Stream, StreamExt, stream};

use super::enqueue::{EnqueueError, Enqueued, enqueue};
use super::handle::TaskHandle;
use super::results::DecodeDomain;
use super::task::{Draft, Task};
use crate::boxed::Boxed;

/// How many of a batch wait for their confirmation together.
const TOGETHER: usize = 1024;

/// Enqueues many tasks, a thousand at a time on their way to the broker: much faster than one after the other. What became of each is told in their order; a
/// batch is no transaction.
///
/// Awaited, it gives all of them as a list. Of very many, [`next`](EnqueueMany::next) gives one after the other, and none is kept.
///
/// ```no_run
/// # use lightbus_runtime::{EnqueueError, Task, enqueue_many};
/// # async fn example(resize: impl Fn(u64) -> Task<(), String> + Clone + Send + 'static) -> Result<(), EnqueueError> {
/// for enqueued in enqueue_many((1..=5000).map(resize.clone())).await {
///     enqueued?;
/// }
/// let mut million = enqueue_many((1..=1_000_000).map(resize));
/// while let Some(enqueued) = million.next().await {
///     enqueued?;
/// }
/// # Ok(()) }
/// ```
pub fn enqueue_many<T, E, I>(tasks: I) -> EnqueueMany<T, E>
where
    I: IntoIterator<Item = Task<T, E>>,
    I::IntoIter: Send + 'static,
    E: 'static,
{
    // The same for all: it comes of the type.
    let decode_domain = Arc::<OnceLock<DecodeDomain<E>>>::default();
    let noted = Arc::clone(&decode_domain);
    let drafts = tasks.into_iter().map(move |task| {
        noted.get_or_init(|| task.decode_domain);
        task.draft
    });
    EnqueueMany {
        sent: send(Box::new(drafts)),
        decode_domain,
        returns: std::marker::PhantomData,
    }
}

type Sent = Pin<Box<dyn Stream<Item = Result<Enqueued, EnqueueError>> + Send>>;

/// Without types: compiled once.
fn send(drafts: Box<dyn Iterator<Item = Draft> + Send>) -> Sent {
    let sent = stream::iter(drafts).map(|draft| enqueue(draft, None));
    Box::pin(sent.buffered(TOGETHER))
}

/// Tasks that are enqueued as long as somebody awaits this, or its [`next`](Self::next); made by [`enqueue_many`]. It is a [`Stream`] as well.
#[must_use = "nothing is sent until this is awaited"]
pub struct EnqueueMany<T, E> {
    sent: Sent,
    decode_domain: Arc<OnceLock<DecodeDomain<E>>>,
    returns: std::marker::PhantomData<fn() -> T>,
}

impl<T, E> EnqueueMany<T, E> {
    /// What became of the next one; `None` after the last.
    pub async fn next(&mut self) -> Option<Result<TaskHandle<T, E>, EnqueueError>> {
        StreamExt::next(self).await
    }
}

impl<T, E> Stream for EnqueueMany<T, E> {
    type Item = Result<TaskHandle<T, E>, EnqueueError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let sent = std::task::ready!(self.sent.as_mut().poll_next(cx));
        let Some((sent, decode_domain)) = sent.zip(self.decode_domain.get()) else {
            return Poll::Ready(None);
        };
        Poll::Ready(Some(
            sent.map(|(bus, id)| TaskHandle::new(&bus, id, *decode_domain)),
        ))
    }
}

impl<T: 'static, E: 'static> IntoFuture for EnqueueMany<T, E> {
    type Output = Vec<Result<TaskHandle<T, E>, EnqueueError>>;
    type IntoFuture = Boxed<Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.collect())
    }
}

impl<T, E> fmt::Debug for EnqueueMany<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnqueueMany").finish_non_exhaustive()
    }
}
