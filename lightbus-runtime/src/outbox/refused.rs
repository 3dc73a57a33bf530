//! Events of an outbox that cannot be published: looked at, tried again, dropped.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Outbox, rows};
use crate::idempotence::StoreError;
use crate::sql::SqlDatabase;

/// An event that the broker, or a limit, refused for good. It stays in the outbox and holds up no other.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refused {
    /// The message's id.
    pub message_id: String,
    /// API and event.
    pub event: String,
    /// The routing key.
    pub routing_key: String,
    /// Why it was refused.
    pub error: String,
    /// When it was put into the outbox.
    pub created: SystemTime,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "event {} (message {}): {}",
            self.event, self.message_id, self.error
        )
    }
}

pub(super) fn time_of(ms: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(ms).unwrap_or_default())
}

impl<DB: SqlDatabase> Outbox<DB> {
    /// Events that were refused for good, the oldest first, at most `most`.
    ///
    /// # Errors
    /// [`StoreError::Failed`], with the database's words.
    pub async fn refused(&self, most: usize) -> Result<Vec<Refused>, StoreError> {
        let (mut all, mut after) = (Vec::new(), i64::MIN);
        while all.len() < most {
            let page = rows::refused(self.store(), after).await?;
            let Some((last, _)) = page.last() else {
                break;
            };
            after = *last;
            all.extend(page.into_iter().map(|(_, refused)| refused));
        }
        all.truncate(most);
        Ok(all)
    }

    /// Has those refused events that `which` chooses published again, under their ids, and returns how many. All: `retry(|_| true)`.
    ///
    /// # Errors
    /// As [`refused`](Self::refused).
    pub async fn retry(&self, which: impl FnMut(&Refused) -> bool) -> Result<u64, StoreError> {
        let retried = self.settle(DB::OUTBOX.retry, which).await;
        self.wake();
        retried
    }

    /// Drops those refused events that `which` chooses, for good, and returns how many.
    ///
    /// # Errors
    /// As [`refused`](Self::refused).
    pub async fn discard(&self, which: impl FnMut(&Refused) -> bool) -> Result<u64, StoreError> {
        self.settle(DB::OUTBOX.discard, which).await
    }

    async fn settle(
        &self,
        statement: &'static str,
        mut which: impl FnMut(&Refused) -> bool,
    ) -> Result<u64, StoreError> {
        let (mut settled, mut after) = (0, i64::MIN);
        loop {
            let page = rows::refused(self.store(), after).await?;
            let Some((last, _)) = page.last() else {
                return Ok(settled);
            };
            after = *last;
            for (id, refused) in &page {
                if which(refused) {
                    settled += rows::settle_refused(self.store(), statement, *id).await?;
                }
            }
        }
    }
}
