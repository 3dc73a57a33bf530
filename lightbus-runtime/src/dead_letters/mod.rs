//! Dead letters: looked at, replayed, or dropped.

mod as_test;
mod letter;
mod scan;

use std::fmt;
use std::sync::Arc;

pub use letter::{DeadLetter, DeadReason};

use crate::boxed::Boxed;
use crate::bus::Bus;
use crate::connection::declare;
use crate::error::Error;
use crate::topology;
use scan::{Scan, Verdict};

/// The dead letters of one listener of this app; made by [`Bus::dead_letters`].
///
/// Letters are looked at one by one where they lie: what is not replayed or dropped stays, in its place. While one program looks at them, another one does not
/// see those that the first has in hand.
///
/// ```no_run
/// # async fn example(bus: &lightbus_runtime::Bus) -> Result<(), lightbus_runtime::Error> {
/// let dead = bus.dead_letters("send-welcome-email")?;
/// for letter in dead.list(20).await? {
///     println!("{letter}");
/// }
/// // The mail server is back: whatever failed for its sake is handled again.
/// let replayed = dead.replay(|letter| letter.error.as_deref() == Some("connection refused")).await?;
/// // The others will never work.
/// let dropped = dead.discard(|_| true).await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct DeadLetters {
    bus: Bus,
    queue: String,
}

impl DeadLetters {
    pub(crate) fn new(bus: &Bus, queue: String) -> Self {
        Self {
            bus: bus.clone(),
            queue,
        }
    }

    /// The queue that they lie in: `lb.q.<app>.<listener>.dead`.
    pub fn queue(&self) -> String {
        topology::dead_queue(&self.queue)
    }

    /// How many there are, without those that another program has in hand. None, if the listener never listened.
    ///
    /// # Errors
    /// [`Error::Broker`] when the connection is lost, [`Error::Closed`] when the bus is closed.
    pub async fn count(&self) -> Result<u32, Error> {
        self.boxed_count().await
    }

    fn boxed_count(&self) -> Boxed<Result<u32, Error>> {
        let (link, queue) = (self.bus.core().io.publish.clone(), self.queue());
        Box::pin(async move {
            let session = link.up().await.map_err(|_| Error::Closed)?;
            Ok(declare::messages(&session, &queue)
                .await?
                .unwrap_or_default())
        })
    }

    /// The oldest ones, at most `most`. They stay where they are.
    ///
    /// # Errors
    /// As [`count`](Self::count).
    pub async fn list(&self, most: usize) -> Result<Vec<DeadLetter>, Error> {
        let mut letters = Vec::new();
        self.scan(|letter| {
            if letters.len() == most {
                return Verdict::Stop;
            }
            letters.push(letter.clone());
            Verdict::Keep
        })
        .await?;
        Ok(letters)
    }

    /// The one with this message id, if it is here. It stays where it is.
    ///
    /// # Errors
    /// As [`count`](Self::count).
    pub async fn find(&self, id: &str) -> Result<Option<DeadLetter>, Error> {
        let mut found = None;
        self.scan(|letter| {
            if found.is_some() {
                return Verdict::Stop;
            }
            if letter.id == id {
                found = Some(letter.clone());
            }
            Verdict::Keep
        })
        .await?;
        Ok(found)
    }

    /// Sends those that `which` chooses back to the listener's queue, to be handled as if for the first time, and returns how many. One by id:
    /// `replay(|letter| letter.id == id)`. All: `replay(|_| true)`.
    ///
    /// A letter is taken out when the broker has confirmed that it is stored in the listener's queue: a crash in the middle may leave one in both, with the
    /// same message id, and never loses one. What fails again while this runs is left for the next time.
    ///
    /// # Errors
    /// As [`count`](Self::count); and when the listener's queue does not exist: start the app that listens, then replay.
    pub async fn replay(&self, mut which: impl FnMut(&DeadLetter) -> bool) -> Result<u64, Error> {
        self.scan(|letter| match which(letter) {
            true => Verdict::Replay,
            false => Verdict::Keep,
        })
        .await
    }

    /// Drops those that `which` chooses, for good, and returns how many.
    ///
    /// # Errors
    /// As [`count`](Self::count).
    pub async fn discard(&self, mut which: impl FnMut(&DeadLetter) -> bool) -> Result<u64, Error> {
        self.scan(|letter| match which(letter) {
            true => Verdict::Discard,
            false => Verdict::Keep,
        })
        .await
    }

    async fn scan(&self, mut judge: impl FnMut(&DeadLetter) -> Verdict) -> Result<u64, Error> {
        let mut scan = self.open().await?;
        let ended = loop {
            let taken = match scan.next().await {
                Ok(Some(delivery)) => delivery,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            };
            let verdict = judge(&DeadLetter::read(&taken, &self.queue));
            match scan.settle(taken, verdict).await {
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        let settled = scan.close().await;
        ended.map(|()| settled)
    }

    fn open(&self) -> Boxed<Result<Scan, Error>> {
        let (core, queue) = (Arc::clone(self.bus.core()), self.queue.clone());
        Box::pin(async move {
            let session = core.io.publish.up().await.map_err(|_| Error::Closed)?;
            Scan::open(&core, session, &queue).await
        })
    }
}

impl fmt::Debug for DeadLetters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetters")
            .field("queue", &self.queue())
            .finish_non_exhaustive()
    }
}
