//! One pass over a queue of dead letters, each in hand until its verdict, on a channel that carries nothing else.

use std::sync::Arc;
use std::time::Duration;

use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicGetOptions, BasicNackOptions, BasicPublishOptions, ConfirmSelectOptions,
};
use lapin::{Channel, Confirmation};
use tracing::warn;

use super::letter::origin;
use crate::boxed::{Boxed, BoxedFor};
use crate::bus::Core;
use crate::connection::{Session, declare};
use crate::error::Error;
use crate::task::note_replayed;
use crate::topology;
use crate::wire::{self, again, short};

/// How long the listener's queue may take to store a letter.
const LONGEST: Duration = Duration::from_secs(30);

/// What becomes of a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Keep,
    Replay,
    Discard,
    /// It stays, and the rest is not looked at.
    Stop,
}

pub(super) struct Scan {
    core: Arc<Core>,
    session: Arc<Session>,
    channel: Channel,
    queue: String,
    /// What died since then is left for the next time: it failed again while this ran.
    began_ms: i64,
    /// Is there anything to look at? Not asked how much: a quorum queue's count runs behind.
    exists: bool,
    settled: u64,
    /// The listener's queue is bound to where replays go.
    bound: bool,
}

impl Scan {
    pub(super) async fn open(
        core: &Arc<Core>,
        session: Arc<Session>,
        queue: &str,
    ) -> Result<Self, Error> {
        let dead = topology::dead_queue(queue);
        let exists = declare::messages(&session, &dead).await?.is_some();
        let explain = |error| declare::explain(format!("dead letters in `{dead}`"), &error);
        let channel = session.channel().await.map_err(explain)?;
        let confirm = channel.confirm_select(ConfirmSelectOptions::default());
        session.step(confirm).await.map_err(explain)?;
        Ok(Self {
            core: Arc::clone(core),
            session,
            channel,
            queue: queue.to_owned(),
            began_ms: core.clock.now_ms(),
            exists,
            settled: 0,
            bound: false,
        })
    }

    fn explain(&self, error: &lapin::Error) -> Error {
        let dead = topology::dead_queue(&self.queue);
        declare::explain(format!("dead letters in `{dead}`"), error)
    }

    /// The next letter; `None` after the last one.
    pub(super) fn next(&mut self) -> BoxedFor<'_, Result<Option<Delivery>, Error>> {
        Box::pin(async {
            if !self.exists {
                return Ok(None);
            }
            loop {
                let dead = topology::dead_queue(&self.queue);
                let got = self
                    .channel
                    .basic_get(short(&dead), BasicGetOptions::default());
                let got = self.session.step(got).await;
                match got.map_err(|error| self.explain(&error))? {
                    // It stays in hand, so that it is not got again.
                    Some(got) if self.is_new(&got.delivery) => {}
                    got => return Ok(got.map(|got| got.delivery)),
                }
            }
        })
    }

    fn is_new(&self, letter: &Delivery) -> bool {
        let died = wire::header_number(&letter.properties, again::DEAD_AT);
        died.is_some_and(|died| died > self.began_ms)
    }

    /// False when the rest is not to be looked at.
    pub(super) fn settle(
        &mut self,
        letter: Delivery,
        verdict: Verdict,
    ) -> BoxedFor<'_, Result<bool, Error>> {
        Box::pin(async move {
            match verdict {
                Verdict::Keep => return Ok(true),
                Verdict::Stop => return Ok(false),
                Verdict::Replay if !may_travel(&letter) => return Ok(true),
                Verdict::Replay => self.replay(&letter).await?,
                Verdict::Discard => {}
            }
            let ack = self
                .channel
                .basic_ack(letter.delivery_tag, BasicAckOptions::default());
            self.session
                .step(ack)
                .await
                .map_err(|error| self.explain(&error))?;
            self.settled += 1;
            Ok(true)
        })
    }

    /// Into the listener's queue alone: other listeners of the event have had it.
    async fn replay(&mut self, letter: &Delivery) -> Result<(), Error> {
        if !self.bound {
            declare::declare(&self.session, &topology::out_plan(&self.queue)).await?;
            self.bound = true;
        }
        let to = topology::undelayed(&self.queue);
        let properties = again::for_replay(&letter.properties, origin(letter));
        let replayed = properties.clone();
        let options = BasicPublishOptions {
            mandatory: true,
            immediate: false,
        };
        let publish = async {
            let sent = self.channel.basic_publish(
                short(&to.exchange),
                short(&to.key),
                options,
                &letter.data,
                properties,
            );
            sent.await?.await
        };
        let confirmed = tokio::time::timeout(LONGEST, publish).await;
        // The only message under way on this channel: what comes back is this one.
        match confirmed.unwrap_or_else(|elapsed| Err(std::io::Error::from(elapsed).into())) {
            Ok(Confirmation::Ack(None)) => {
                note_replayed(&self.core, &self.queue, &replayed).await;
                Ok(())
            }
            Ok(Confirmation::Ack(Some(_)) | Confirmation::NotRequested) => {
                Err(self.unstored("does not exist any more"))
            }
            Ok(Confirmation::Nack(_)) => Err(self.unstored("is full")),
            Err(error) => Err(self.explain(&error)),
        }
    }

    fn unstored(&self, why: &str) -> Error {
        Error::Broker {
            object: format!("replaying into queue `{}`", self.queue),
            detail: format!("it {why}; the letter stays among the dead"),
        }
    }

    /// Gives back what is still in hand, and tells how many letters were replayed or dropped.
    pub(super) fn close(self) -> Boxed<u64> {
        Box::pin(async move {
            // By name, and not by the channel's end, of which a quorum queue hears later: the next look is to find them all.
            let rest = BasicNackOptions {
                multiple: true,
                requeue: true,
            };
            let _ = self.session.step(self.channel.basic_nack(0, rest)).await;
            self.session.close_channel(self.channel).await;
            self.settled
        })
    }
}

/// A message whose headers hardly fit a frame would end the connection with one more.
fn may_travel(letter: &Delivery) -> bool {
    let size = wire::headers_size(&letter.properties);
    let may = size <= 2 * wire::HEADERS_LIMIT;
    if !may {
        warn!(
            id = wire::message_id(&letter.properties),
            size, "a dead letter cannot be replayed: its headers are too large"
        );
    }
    may
}
