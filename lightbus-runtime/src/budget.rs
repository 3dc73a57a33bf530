//! A bound on what is in flight: messages given to lapin and not yet confirmed or answered.
//!
//! lapin's own queue has no limit, and while the broker blocks publishers nothing leaves it.

use tokio::sync::{Semaphore, SemaphorePermit};

/// All of it together.
const BYTES: usize = 32 * 1024 * 1024;
/// What the smallest message counts for: at most 8192 are in flight.
const UNIT: usize = 4 * 1024;

#[derive(Debug)]
pub(crate) struct Budget(Semaphore);

impl Default for Budget {
    fn default() -> Self {
        Self(Semaphore::new(BYTES / UNIT))
    }
}

impl Budget {
    /// Room for a payload, if there is any now.
    pub(crate) fn try_reserve(&self, payload: usize) -> Option<SemaphorePermit<'_>> {
        self.0.try_acquire_many(units(payload)).ok()
    }

    /// Waits until there is room for a payload. Dropping the permit gives the room back.
    pub(crate) async fn reserve(&self, payload: usize) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed.
        self.0.acquire_many(units(payload)).await.ok()
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
    fn a_payload_of_any_size_gets_through_alone() {
        assert!(
            Budget::default()
                .reserve(usize::MAX)
                .now_or_never()
                .is_some()
        );
    }
}
