//! Channels that carry one confirmed message at a time: what the broker says there, it says of that message.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lapin::options::ConfirmSelectOptions;
use lapin::{Channel, Confirmation};
use tokio::sync::Semaphore;

use super::publisher::{Outgoing, Unconfirmed, publish};
use super::{Link, LinkClosed, Session};

/// So many of them at a time: as many are under way as delayed tasks and retries, each for as long as a broker takes to write to its disk.
const MOST: usize = 32;
/// How long a confirmation may take before the message is tried on another channel: a queue without a majority never confirms.
const LONGEST: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(crate) struct Alone {
    link: Link,
    permits: Semaphore,
    /// At most as many as there are permits.
    idle: Mutex<Vec<Channel>>,
}

impl Alone {
    pub(crate) fn new(link: Link) -> Self {
        Self {
            link,
            permits: Semaphore::new(MOST),
            idle: Mutex::default(),
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Channel>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes and waits for the confirmation; `sent` tells whether the message has been handed to lapin.
    pub(crate) async fn publish(
        &self,
        message: Outgoing<'_>,
        sent: &mut bool,
    ) -> Result<Confirmation, Unconfirmed> {
        // The semaphore is never closed.
        let _one_of_few = self.permits.acquire().await;
        let channel = self.channel().await.ok_or(Unconfirmed::NotSent)?;
        *sent = true;
        let confirmed = async { publish(&channel, message).await?.await };
        let confirmation = match tokio::time::timeout(LONGEST, confirmed).await {
            Ok(confirmation) => confirmation.map_err(Unconfirmed::Lost)?,
            Err(elapsed) => return Err(Unconfirmed::Lost(std::io::Error::from(elapsed).into())),
        };
        self.idle().push(channel);
        Ok(confirmation)
    }

    async fn channel(&self) -> Option<Channel> {
        while let Some(channel) = { self.idle().pop() } {
            if channel.status().connected() {
                return Some(channel);
            }
        }
        let session = self.link.up().await.map_err(|LinkClosed| ()).ok()?;
        open(&session).await.ok()
    }
}

async fn open(session: &Session) -> Result<Channel, lapin::Error> {
    let channel = session.channel().await?;
    session
        .step(channel.confirm_select(ConfirmSelectOptions::default()))
        .await?;
    Ok(channel)
}
