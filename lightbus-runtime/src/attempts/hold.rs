//! Messages in the hands of handlers that take long.
//!
//! A message that is not acknowledged belongs to its channel: it goes to somebody else when the connection is lost for a moment, and after half an
//! hour RabbitMQ takes it away and closes the channel. So what runs for longer than a few seconds moves to a queue of this process, and there
//! again, as a fresh delivery, every twenty seconds. Should the process be lost, its messages go back to where they came from, after a while in
//! which it may come back itself.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use lapin::Acker;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicRejectOptions};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::bus::Core;
use crate::connection::STEP;
use crate::connection::consumer::{Consumer, Consumers, Source};
use crate::delivery::Outcome;
use crate::topology;
use crate::wire;

/// When messages move.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HoldTimes {
    /// How long a handler runs before its message is held.
    pub(crate) after: Duration,
    /// How long one delivery of it is held.
    pub(crate) renew: Duration,
    /// How long it waits for its process, when that is lost, before it goes back to its queue.
    pub(crate) back: Duration,
}

impl Default for HoldTimes {
    fn default() -> Self {
        Self {
            after: Duration::from_secs(15),
            // RabbitMQ's limit is half an hour, and an operator may have set a shorter one.
            renew: Duration::from_secs(20),
            back: Duration::from_secs(60),
        }
    }
}

impl HoldTimes {
    /// A message that comes back with a lost connection has no more time than it had left: most of it must be left at any moment.
    pub(crate) fn until_next(&self) -> Duration {
        self.renew.min(self.back / 3)
    }
}

/// This process's queue of held messages. Opened when the first one takes long.
#[derive(Debug)]
pub(crate) struct Hold {
    slots: Mutex<HashMap<String, watch::Sender<Option<Acker>>>>,
    /// Tells the one who waits for the last to leave.
    left: watch::Sender<()>,
}

impl Hold {
    pub(crate) fn start(core: &Arc<Core>) -> Arc<Self> {
        let hold = Arc::new(Self {
            slots: Mutex::default(),
            left: watch::Sender::new(()),
        });
        let (app, instance) = (&core.config.app, &core.instance);
        let source = Source {
            queue: topology::hold_queue(app, instance),
            plan: topology::hold_plan(app, instance, core.config.hold.back),
            prefetch: u16::MAX,
        };
        let ended = CancellationToken::new();
        let (consumers, _) = Consumers::new(&core.io.consume, source, ended.clone());
        core.spawn(receive(
            Arc::downgrade(&hold),
            consumers,
            core.life.stop.clone(),
            ended,
        ));
        hold
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<String, watch::Sender<Option<Acker>>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to hold the message of this id, of which copies are about to be published.
    pub(super) fn hold(self: &Arc<Self>, id: &str) -> Held {
        let (sender, acker) = watch::channel(None);
        self.slots().insert(id.to_owned(), sender);
        Held {
            hold: Arc::clone(self),
            id: id.to_owned(),
            acker,
            moved: false,
        }
    }

    /// The newest delivery is the one that counts. The one that does not any more is returned.
    fn received(&self, delivery: Delivery) -> Option<Acker> {
        match self.slots().get(wire::message_id(&delivery.properties)) {
            Some(slot) => slot.send_replace(Some(delivery.acker)),
            // Its handler has ended meanwhile.
            None => Some(delivery.acker),
        }
    }

    /// Waits until nothing is held.
    async fn emptied(&self) {
        let mut left = self.left.subscribe();
        while !self.slots().is_empty() {
            // The sender is alive: it is `self`'s.
            let _ = left.changed().await;
        }
    }
}

async fn receive(
    hold: Weak<Hold>,
    mut consumers: Consumers,
    stop: CancellationToken,
    ended: CancellationToken,
) {
    let closing = async {
        stop.cancelled().await;
        if let Some(hold) = hold.upgrade() {
            hold.emptied().await;
        }
        ended.cancel();
    };
    let receiving = async {
        while let Some(consumer) = consumers.next().await {
            take(&hold, consumer, &ended).await;
        }
    };
    tokio::join!(closing, receiving);
}

async fn take(hold: &Weak<Hold>, mut consumer: Consumer, ended: &CancellationToken) {
    // Beside what comes: one that is lost with its connection would hold up the next consumer, and with it what is held.
    let mut acks = FuturesUnordered::new();
    loop {
        let delivery = tokio::select! {
            Some(()) = acks.next() => continue,
            delivery = ended.run_until_cancelled(consumer.next()) => delivery,
        };
        let hold = hold.upgrade();
        match (delivery, hold) {
            (Some(Some(delivery)), Some(hold)) => {
                let before = hold.received(delivery);
                acks.extend(before.map(|before| async move { ack(&before).await }));
            }
            (Some(None), _) => break,
            _ => {
                while acks.next().await.is_some() {}
                break;
            }
        }
    }
    consumer.close().await;
}

/// One message that is held. Dropped before its end was told, it goes back to its queue at once.
pub(super) struct Held {
    hold: Arc<Hold>,
    id: String,
    acker: watch::Receiver<Option<Acker>>,
    /// The message itself is acknowledged: the copy stands for it.
    moved: bool,
}

impl Held {
    /// Waits until a copy has arrived that was published just now. The first one takes the message's place.
    pub(super) async fn arrived(&mut self, message: &Acker) {
        // The sender lives in the slot, which goes with this.
        let _ = self.acker.changed().await;
        if !self.moved {
            self.moved = true;
            ack(message).await;
        }
    }

    pub(super) fn is_moved(&self) -> bool {
        self.moved
    }

    /// Is the delivery in hand lost? It comes again.
    pub(super) fn is_lost(&self) -> bool {
        self.acker.borrow().as_ref().is_some_and(Acker::poisoned)
    }

    /// Settles the copy, if it stands for the message. What is left to be done with that is returned.
    pub(super) async fn settle(mut self, outcome: Outcome) -> Outcome {
        let acker = self.acker.borrow().clone();
        // The channel is closed when nothing is held any more, and no sooner.
        match (acker, outcome) {
            (Some(acker), Outcome::Failed | Outcome::Kept) if self.moved => give_back(&acker).await,
            (Some(acker), _) => ack(&acker).await,
            (None, _) => {}
        }
        match std::mem::take(&mut self.moved) {
            true => Outcome::Settled,
            false => outcome,
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let slot = self.hold.slots().remove(&self.id);
        // Settled, unless the handler was dropped.
        if let Some(acker) = slot.and_then(|slot| slot.send_replace(None)) {
            let _ = match self.moved {
                true => give_back(&acker).now_or_never(),
                false => ack(&acker).now_or_never(),
            };
        }
        self.hold.left.send_replace(());
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("id", &self.id).finish()
    }
}

/// lapin hands it on to a task of its own, so that a close could overtake it: it is waited for. On a lost connection the broker delivers again.
async fn ack(acker: &Acker) {
    let _ = tokio::time::timeout(STEP, acker.ack(BasicAckOptions::default())).await;
}

/// The queue of held messages gives its dead letters back to where they came from.
async fn give_back(acker: &Acker) {
    let options = BasicRejectOptions { requeue: false };
    let _ = tokio::time::timeout(STEP, acker.reject(options)).await;
}
