//! What is left of a message whose sender has given up. lapin may still have it, and its memory has no limit: so the message keeps its place in the
//! budget until it is confirmed, or has been written, or its channel is lost.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::budget::Room;
use crate::bus::Core;
use crate::connection::publisher::Held;
use crate::connection::{Link, pause};

/// The place of a message under way.
#[derive(Default)]
pub(crate) struct Place<'a> {
    owner: Option<(&'a Core, Room)>,
    /// An exchange that this app may publish to; the nameless one for events, whose own may have an alternate.
    pub(crate) exchange: &'a str,
    pub(crate) held: Held,
}

impl<'a> Place<'a> {
    pub(crate) fn of_event(core: &'a Core, room: Room) -> Self {
        Self::of_call(core, room, "")
    }

    pub(crate) fn of_call(core: &'a Core, room: Room, exchange: &'a str) -> Self {
        Self {
            owner: Some((core, room)),
            exchange,
            held: Held::default(),
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let Some((core, room)) = self.owner.take() else {
            return;
        };
        if let Some(confirm) = self.held.confirm.take() {
            let unconfirmed = Unconfirmed::new(&core.unwritten, &room);
            core.linger(async move {
                // An error is the end of its channel.
                let _ = confirm.await;
                drop((unconfirmed, room));
            });
        } else if self.held.frames && core.unwritten.add(room, self.exchange) {
            core.confirmed.cross_out_dropped();
            let waiting = until_written(core.io.publish.clone(), Arc::clone(&core.unwritten));
            core.linger(waiting);
        }
    }
}

impl Core {
    /// Runs what waits for the remains of a message. The closing bus ends it at once.
    fn linger(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.life.stop.clone();
        if !stop.is_cancelled() {
            self.spawn(async move {
                stop.run_until_cancelled(task).await;
            });
        }
    }
}

/// The places of messages that lapin may not have written yet, in their order. While there are any, one task waits for them.
#[derive(Debug, Default)]
pub(crate) struct Unwritten {
    places: Mutex<Vec<(Room, String)>>,
    /// The shares of those that wait for their confirmation instead.
    unconfirmed: AtomicUsize,
}

impl Unwritten {
    fn places(&self) -> MutexGuard<'_, Vec<(Room, String)>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The shares of all that is given up, and may still be on its way.
    pub(crate) fn in_use(&self) -> usize {
        let written: usize = self
            .places()
            .iter()
            .map(|(room, _)| room.num_permits())
            .sum();
        written + self.unconfirmed.load(Ordering::Relaxed)
    }

    /// Is this the first one?
    fn add(&self, room: Room, exchange: &str) -> bool {
        let mut places = self.places();
        places.push((room, exchange.to_owned()));
        places.len() == 1
    }

    /// How many there are, and the exchange of the last one.
    fn so_far(&self) -> Option<(usize, String)> {
        let places = self.places();
        let (_, exchange) = places.last()?;
        Some((places.len(), exchange.clone()))
    }
}

/// A message that was given up, and may still be confirmed.
struct Unconfirmed {
    all: Arc<Unwritten>,
    units: usize,
}

impl Unconfirmed {
    fn new(all: &Arc<Unwritten>, room: &Room) -> Self {
        let (all, units) = (Arc::clone(all), room.num_permits());
        all.unconfirmed.fetch_add(units, Ordering::Relaxed);
        Self { all, units }
    }
}

impl Drop for Unconfirmed {
    fn drop(&mut self) {
        self.all
            .unconfirmed
            .fetch_sub(self.units, Ordering::Relaxed);
    }
}

/// Gives places back as soon as everything up to them has been written: what lapin is given later leaves later.
async fn until_written(link: Link, unwritten: Arc<Unwritten>) {
    while let Some((count, exchange)) = unwritten.so_far() {
        while link.is_blocked() {
            pause().await;
        }
        // Without a connection nothing is left of them.
        if let Some(session) = link.now() {
            let _ = session.read_so_far(&exchange).await;
        }
        unwritten.places().drain(..count);
    }
}
