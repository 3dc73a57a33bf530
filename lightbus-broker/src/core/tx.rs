//! Transactions: what a channel publishes and settles waits until it commits, or never happened.

use super::{
    Core,
    channel::{Channel, Unacked},
    errors::{Outcome, command_invalid, precondition_failed},
    ids::At,
    publish::Routed,
    settle::{Verdict, lent},
};
use amq_protocol::protocol::{AMQPClass, tx};

/// What a channel did since it last committed.
#[derive(Debug, Default)]
pub(crate) struct Tx {
    pub(crate) published: Vec<Routed>,
    pub(crate) settled: Vec<(Vec<Unacked>, Verdict)>,
}

impl Tx {
    /// The messages whose settlement did not come to pass.
    pub(crate) fn unsettled(self) -> impl Iterator<Item = Unacked> {
        self.settled.into_iter().flat_map(|(taken, _)| taken)
    }
}

impl Core {
    pub(super) fn tx(&mut self, at: At, method: &tx::AMQPMethod) -> Outcome {
        let answer = match method {
            tx::AMQPMethod::Select(_) => {
                self.tx_select(at)?;
                tx::AMQPMethod::SelectOk(tx::SelectOk {})
            }
            tx::AMQPMethod::Commit(_) => {
                self.tx_commit(at)?;
                tx::AMQPMethod::CommitOk(tx::CommitOk {})
            }
            tx::AMQPMethod::Rollback(_) => {
                self.tx_rollback(at)?;
                tx::AMQPMethod::RollbackOk(tx::RollbackOk {})
            }
            _ => return Err(command_invalid("a method that only the broker sends")),
        };
        self.send(at, AMQPClass::Tx(answer));
        Ok(())
    }

    fn tx_select(&mut self, at: At) -> Outcome {
        let Some(channel) = self.channel_mut(at) else {
            return Ok(());
        };
        if channel.confirms.is_some() {
            return Err(precondition_failed("cannot switch from confirm to tx mode"));
        }
        channel.tx.get_or_insert_default();
        Ok(())
    }

    fn tx_commit(&mut self, at: At) -> Outcome {
        let Some(done) = self.channel_mut(at).map(take).transpose()? else {
            return Ok(());
        };
        let mut complete = true;
        for routed in done.published {
            // A queue may be gone since the message was published.
            complete &= routed
                .queues()
                .iter()
                .all(|id| self.queues.contains_key(id));
            complete &= self.send_routed(at, &routed);
        }
        for (taken, verdict) in done.settled {
            if let Some(channel) = self.channel_mut(at) {
                channel.credit(lent(&taken));
            }
            self.settle_all(at, taken, verdict);
        }
        if !complete {
            return Err(precondition_failed("partial tx completion"));
        }
        self.wake_sharers(at, None);
        if let Some(channel) = self.channel_mut(at) {
            channel.tx = Some(Tx::default());
        }
        Ok(())
    }

    fn tx_rollback(&mut self, at: At) -> Outcome {
        let Some(channel) = self.channel_mut(at) else {
            return Ok(());
        };
        let undone = take(channel)?;
        channel.unacked.extend(undone.unsettled());
        channel
            .unacked
            .make_contiguous()
            .sort_unstable_by_key(|unacked| unacked.tag);
        channel.tx = Some(Tx::default());
        Ok(())
    }
}

fn take(channel: &mut Channel) -> Outcome<Tx> {
    channel
        .tx
        .take()
        .ok_or_else(|| precondition_failed("channel is not transactional"))
}
