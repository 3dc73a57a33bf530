//! What a listener wants to hear, and how: a builder.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use super::hearing;
use super::listen::{self, HandlerResult, Listener, Reach};
use super::stream::{self, EventStream};
use super::{Event, EventSet, KeyFilter};
use crate::bus::Bus;
use crate::error::Error;
use crate::idempotence::DedupStore;
use crate::retry::Retry;
use crate::topology::{Interest, Order};

/// Measured: with 256 a quick listener gets through a fifth less.
const LEAST_PREFETCH: u16 = 1000;

/// An event, or all events of an API, not yet listened to: `auth.user_registered()`, `auth.events()`.
///
/// Nothing happens before [`listen`](Self::listen), [`broadcast`](Self::broadcast) or [`stream`](Self::stream).
#[must_use = "nothing is heard before `listen`, `broadcast` or `stream`"]
pub struct Subscription<S> {
    bus: Bus,
    concurrency: u16,
    prefetch: Option<u16>,
    retry: Option<Retry>,
    order: Order,
    deduplicate: Option<Arc<dyn DedupStore>>,
    keys: Vec<Vec<String>>,
    events: PhantomData<fn() -> S>,
}

impl<S: EventSet> Subscription<S> {
    pub(crate) fn new(bus: &Bus) -> Self {
        let concurrency = bus.core().config.concurrency;
        Self {
            bus: bus.clone(),
            concurrency,
            prefetch: None,
            retry: None,
            order: Order::Free,
            deduplicate: None,
            keys: Vec::new(),
            events: PhantomData,
        }
    }

    /// How many events this listener handles at a time. Default: the bus's, 64. With 1, one after the other.
    pub fn concurrency(mut self, concurrency: u16) -> Self {
        self.concurrency = concurrency.max(1);
        self
    }

    /// How many events the broker sends ahead. Default: 4 times the concurrency, at least 1000, which is what quick handlers need. Lower it
    /// where handlers are slow: what one replica was sent ahead, the others cannot work on.
    pub fn prefetch(mut self, prefetch: u16) -> Self {
        self.prefetch = Some(prefetch.max(1));
        self
    }

    /// What becomes of an event whose handler fails. Default: [the bus's policy](crate::BusBuilder::retry) for a named listener; a
    /// [broadcast](Self::broadcast) event is not tried again.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = Some(retry);
        self
    }

    /// Hands the events to the handler one by one, in the order in which the broker stored them, and to one replica at a time. An event that fails is tried
    /// again in its place, while those behind it wait; when no attempt is left it goes to the dead letters, and the next one is handled.
    ///
    /// A replica that was lost may still be busy with an event when the next replica gets the same one: order is kept, mutual exclusion is not promised.
    /// A listener's queue is ordered or not from its first declaration on; to change that, finish it and delete it.
    pub fn ordered(mut self) -> Self {
        self.order = Order::Kept;
        self
    }

    /// Handles each message once, as far as `store` remembers: [`MemoryStore`](crate::MemoryStore) for this process alone, `SqlStore` (features `sqlite`,
    /// `postgres`) for all replicas and over restarts. The bus delivers at least once: after a lost connection, a crash or a publisher's second try the same
    /// message may come again, under the same id.
    ///
    /// - Handled before: acknowledged without the handler, and counted as [`events_duplicate`](crate::Counts::events_duplicate).
    /// - Being handled elsewhere: waited for. After half a second it is put off over the broker for as long as the other's lease has left, at most 5 s at a time; where
    ///   [order](Self::ordered) counts, or for a broadcast, in its place. That uses up no attempt.
    /// - The handler fails: given back, so that the next attempt, or a [replay](crate::DeadLetters::replay) of its dead letter, runs. A replay of a message that
    ///   was handled after all, as another copy, is a duplicate like any other.
    /// - The process dies in the middle: the message is held back until the store's [lease](crate::DedupStore::lease_time) ends, a minute by default, and is then handled again. What
    ///   the handler had done by then stays done; `SqlStore::done_in` closes that gap for handlers that write to the same database.
    /// - The store fails: so does the attempt, without the handler.
    /// - A message without an id, from a publisher that is not lightbus: handled each time, with one warning.
    ///
    /// Another listener of the same app handles the same message for itself.
    ///
    /// ```
    /// # use lightbus_runtime::{Event, MemoryStore, Subscription};
    /// # async fn example<E: Event>(user_registered: Subscription<E>) -> Result<(), lightbus_runtime::Error> {
    /// user_registered
    ///     .deduplicate(MemoryStore::new())
    ///     .listen("send-welcome-email", |user: E| async move { println!("welcome, {user:?}") })
    ///     .await?;
    /// # Ok(()) }
    /// ```
    pub fn deduplicate(mut self, store: impl DedupStore) -> Self {
        self.deduplicate = Some(Arc::new(store));
        self
    }

    /// Listens under a name. All replicas of the app share one copy of each event, which waits while none of them runs.
    ///
    /// `handler` returns `()` or a `Result`. An event that is handled with success is acknowledged. One that fails, or whose handler panics, is tried again as
    /// its [policy](Self::retry) says, unless the error is a [`HandlerError`](crate::HandlerError) that says otherwise; when no attempt is left it goes to the
    /// dead letters, `lb.q.<app>.<name>.dead`. One that cannot be read goes there at once.
    ///
    /// The listener goes on when the returned handle is dropped; it ends with [`Listener::stop`] or with the bus.
    ///
    /// # Errors
    /// [`Error::Config`] for a name that is illegal or in use, else what keeps the queue from being set up.
    pub async fn listen<H, F>(self, name: &str, handler: H) -> Result<Listener, Error>
    where
        H: Fn(S) -> F + Send + Sync + 'static,
        F: Future + Send + 'static,
        F::Output: HandlerResult,
    {
        self.start(name, Reach::App, handler).await
    }

    /// Like [`listen`](Self::listen), but every replica of the app gets each event, for as long as it runs. One that fails is logged and dropped,
    /// unless a [policy](Self::retry) is given; then the next attempt is waited for in place.
    ///
    /// # Errors
    /// As [`listen`](Self::listen).
    pub async fn broadcast<H, F>(self, name: &str, handler: H) -> Result<Listener, Error>
    where
        H: Fn(S) -> F + Send + Sync + 'static,
        F: Future + Send + 'static,
        F::Output: HandlerResult,
    {
        self.start(name, Reach::Instance, handler).await
    }

    /// Listens under a name as [`listen`](Self::listen) does, and yields the events instead of calling a handler.
    ///
    /// # Errors
    /// As [`listen`](Self::listen).
    pub async fn stream(self, name: &str) -> Result<EventStream<S>, Error> {
        let (options, room) = (self.options(Reach::App), self.room());
        let (handler, events) = stream::channel(room);
        // Each event that the user holds is a handler in progress.
        let options = listen::Options {
            concurrency: room,
            ..options
        };
        let listener = listen::start(self.bus, name, options, handler).await?;
        Ok(EventStream::new(listener, events))
    }

    async fn start<H, F>(self, name: &str, reach: Reach, handler: H) -> Result<Listener, Error>
    where
        H: Fn(S) -> F + Send + Sync + 'static,
        F: Future + Send + 'static,
        F::Output: HandlerResult,
    {
        let handler = Arc::new(handler);
        let handle: hearing::Handle = Arc::new(move |event, payload, _| {
            let event = S::decode(event, payload)?;
            let handler = Arc::clone(&handler);
            // Called within the future: there, a panic is a failure of this event.
            Ok(Box::pin(async move { handler(event).await.into_result() }))
        });
        listen::start(self.bus.clone(), name, self.options(reach), handle).await
    }

    fn options(&self, reach: Reach) -> listen::Options {
        listen::Options {
            reach,
            interest: Interest {
                api: S::API,
                events: S::EVENTS,
                keys: self.keys.clone(),
            },
            concurrency: self.at_a_time(),
            prefetch: self.room(),
            retry: self.policy(reach),
            order: self.order,
            deduplicate: self.deduplicate.clone(),
        }
    }

    fn policy(&self, reach: Reach) -> Retry {
        let own = self.retry.clone();
        own.unwrap_or_else(|| match reach {
            Reach::App => self.bus.core().config.retry_of(S::API),
            Reach::Instance => Retry::never(),
        })
    }

    fn at_a_time(&self) -> u16 {
        match self.order {
            Order::Free => self.concurrency,
            Order::Kept => 1,
        }
    }

    fn room(&self) -> u16 {
        if self.order == Order::Kept {
            // What was sent ahead would come back out of order.
            return 1;
        }
        self.prefetch
            .unwrap_or_else(|| self.concurrency.saturating_mul(4).max(LEAST_PREFETCH))
    }
}

impl<E: Event> Subscription<E> {
    /// Hears only events whose `#[key]` argument has a certain value; the broker filters: `.only(StockChanged::part_is("bolt"))`.
    ///
    /// Several values of one key mean any of them; values of several keys must all match.
    pub fn only(mut self, filter: KeyFilter<E>) -> Self {
        if self.keys.len() <= filter.index {
            self.keys.resize(filter.index + 1, Vec::new());
        }
        self.keys[filter.index].push(filter.word);
        self
    }
}

impl<S: EventSet> fmt::Debug for Subscription<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("api", &S::API)
            .field("events", &S::EVENTS)
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}
