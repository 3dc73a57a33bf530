//! A bound on what is in flight: messages given to lapin and not yet confirmed or answered.
//!
//! lapin's own queue has no limit, and while the broker blocks publishers nothing leaves it.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// All of it together.
const BYTES: usize = 32 * 1024 * 1024;
/// What the smallest message counts for: at most 8192 are in flight.
const UNIT: usize = 4 * 1024;

#[derive(Debug)]
pub(crate) struct Budget(Arc<Semaphore>);

/// A message's share, given back when this is dropped. What lapin still has of a message keeps it longer than its sender waits.
pub(crate) type Room = OwnedSemaphorePermit;

impl Default for Budget {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(BYTES / UNIT)))
    }
}

impl Budget {
    /// Room for a payload, if there is any now.
    pub(crate) fn try_reserve(&self, payload: usize) -> Option<Room> {
        Arc::clone(&self.0)
            .try_acquire_many_owned(units(payload))
            .ok()
    }

    /// Waits until there is room for a payload.
    pub(crate) async fn reserve(&self, payload: usize) -> Option<Room> {
        self.acquire(units(payload)).await
    }

    /// Waits until there is room for all of these, and gives each its own.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) async fn reserve_each(&self, payloads: impl Iterator<Item = usize>) -> Vec<Room> {
        let units: Vec<u32> = payloads.map(units).collect();
        let Some(mut all) = self.acquire(units.iter().sum()).await else {
            return Vec::new();
        };
        let shares = units.iter().map(|units| all.split(*units as usize));
        shares.flatten().collect()
    }

    /// The shares of everything in flight.
    pub(crate) fn in_use(&self) -> usize {
        (BYTES / UNIT).saturating_sub(self.0.available_permits())
    }

    async fn acquire(&self, units: u32) -> Option<Room> {
        // The semaphore is never closed.
        Arc::clone(&self.0).acquire_many_owned(units).await.ok()
    }
}

fn units(payload: usize) -> u32 {
    let units = payload.div_ceil(UNIT).clamp(1, BYTES / UNIT);
    u32::try_from(units).unwrap_or(u32::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn small_messages_count_and_large_ones_weigh() {
        let budget = Budget::default();
        let large = budget.reserve(BYTES - UNIT).now_or_never();
        let small = budget.reserve(10).now_or_never();
        assert!(large.is_some() && small.is_some());
        assert!(
            budget.reserve(0).now_or_never().is_none(),
            "no room is left"
        );
        drop(small);
        assert!(budget.reserve(0).now_or_never().is_some());
    }

    #[test]
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    fn what_is_reserved_together_is_given_back_one_by_one() {
        let budget = Budget::default();
        let left = || budget.0.available_permits();
        let before = left();
        let mut rooms = budget
            .reserve_each([0, UNIT, UNIT + 1].into_iter())
            .now_or_never()
            .unwrap();
        assert_eq!((rooms.len(), before - left()), (3, 4));
        rooms.pop();
        assert_eq!(before - left(), 2);
        drop(rooms);
        assert_eq!(before, left());
    }

    #[test]
    fn a_payload_of_any_size_gets_through_alone() {
        assert!(
            Budget::default()
                .reserve(usize::MAX)
                .now_or_never()
                .is_some()
        );
    }
}
