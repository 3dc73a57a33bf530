//! Acknowledging, rejecting, requeueing.

use super::{
    Core,
    channel::Unacked,
    deaths::Reason,
    errors::{Outcome, not_implemented, precondition_failed},
    ids::{At, ConsumerId, QueueId},
    jobs::Job,
    methods::undecodable,
};
use crate::queue_type::QueueType;
use amq_protocol::protocol::{AMQPClass, basic};

/// What becomes of settled messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Done,
    Rejected,
    Requeued,
}

impl Core {
    /// `basic.ack`, read by hand because there is one for each message.
    pub(super) fn basic_ack(&mut self, at: At, arguments: &[u8]) -> Outcome {
        match arguments.split_first_chunk::<8>() {
            Some((tag, [flags, ..])) => {
                self.settle(at, u64::from_be_bytes(*tag), flags & 1 != 0, Verdict::Done)
            }
            _ => Err(undecodable(arguments)),
        }
    }

    pub(super) fn basic_nack(
        &mut self,
        at: At,
        tag: u64,
        multiple: bool,
        requeue: bool,
    ) -> Outcome {
        self.settle(
            at,
            tag,
            multiple,
            if requeue {
                Verdict::Requeued
            } else {
                Verdict::Rejected
            },
        )
    }

    /// `basic.recover`: everything unacknowledged goes back.
    pub(super) fn recover(&mut self, at: At, requeue: bool, answer: bool) -> Outcome {
        if !requeue {
            return Err(not_implemented("requeue=false"));
        }
        if answer {
            // Clients ignore deliveries until this came.
            self.send(
                at,
                AMQPClass::Basic(basic::AMQPMethod::RecoverOk(basic::RecoverOk {})),
            );
        }
        // Not a part of transactions.
        let all = self
            .channel_mut(at)
            .and_then(|channel| channel.take(0, true));
        self.give_back(at, all.unwrap_or_default());
        Ok(())
    }

    fn settle(&mut self, at: At, tag: u64, multiple: bool, verdict: Verdict) -> Outcome {
        let Some(channel) = self.channel_mut(at) else {
            return Ok(());
        };
        let Some(taken) = channel.take(tag, multiple) else {
            return Err(precondition_failed(format!("unknown delivery tag {tag}")));
        };
        if let Some(tx) = &mut channel.tx {
            tx.settled.push((taken, verdict));
        } else if verdict == Verdict::Requeued {
            self.give_back(at, taken);
        } else {
            channel.credit(lent(&taken));
            self.wake_sharers(at, last_queue(&taken));
            self.settle_all(at, taken, verdict);
        }
        Ok(())
    }

    /// Puts messages back. Where the channel was passed over for its limit, others are asked before it has credit again.
    fn give_back(&mut self, at: At, taken: Vec<Unacked>) {
        let (lent, last) = (lent(&taken), last_queue(&taken));
        if self.was_passed_over(at) {
            self.settle_all(at, taken, Verdict::Requeued);
            self.jobs.push_back(Job::Credit { at, lent, last });
        } else {
            self.restore_credit(at, lent, last);
            self.settle_all(at, taken, Verdict::Requeued);
        }
    }

    fn was_passed_over(&self, at: At) -> bool {
        let connection = self.conns.get(&at.conn);
        let Some(channel) = connection.and_then(|connection| connection.channels.get(&at.channel))
        else {
            return false;
        };
        let was = |(queue, consumer): &(QueueId, ConsumerId)| {
            let queue = self.queues.get(queue);
            queue.is_some_and(|queue| queue.consumers.was_passed_over(*consumer))
        };
        channel.limit != 0 && channel.consumers.values().any(was)
    }

    /// A channel has credit again for messages that it gave back.
    pub(super) fn restore_credit(&mut self, at: At, lent: u32, last: Option<QueueId>) {
        if let Some(channel) = self.channel_mut(at) {
            channel.credit(lent);
            self.wake_sharers(at, last);
        }
    }

    /// Where the consumers of a channel share a limit, one's credit is every other's; the turn after `last` comes first.
    pub(super) fn wake_sharers(&mut self, at: At, last: Option<QueueId>) {
        let Some(channel) = self.channel_mut(at).filter(|channel| channel.limit != 0) else {
            return;
        };
        let turns = channel.turns(last);
        turns.into_iter().for_each(|queue| self.wake(queue));
    }

    /// Puts back what a client had and will not settle any more.
    pub(super) fn requeue_all(&mut self, at: At, taken: Vec<Unacked>) {
        self.settle_all(at, taken, Verdict::Requeued);
    }

    pub(super) fn settle_all(&mut self, at: At, taken: Vec<Unacked>, verdict: Verdict) {
        let mut woken: Option<QueueId> = None;
        let mut refilled = Vec::new();
        for unacked in taken {
            let id = unacked.queue;
            self.settle_one(at, unacked, verdict);
            if woken != Some(id) {
                self.wake(id);
                woken = Some(id);
                if verdict == Verdict::Requeued {
                    refilled.push(id);
                }
            }
        }
        refilled.into_iter().for_each(|queue| self.trim(queue));
    }

    fn settle_one(&mut self, at: At, unacked: Unacked, mut verdict: Verdict) {
        // Nothing can go back to a queue that is gone.
        let is_done = verdict == Verdict::Done;
        if unacked.loses_ack && is_done && self.queues.contains_key(&unacked.queue) {
            self.note_ack_lost(at, &unacked);
            verdict = Verdict::Requeued;
        }
        self.note_settled(at, &unacked, verdict);
        let Some(queue) = self.queues.get_mut(&unacked.queue) else {
            return;
        };
        let mut entry = unacked.entry;
        queue.reclaim(&entry);
        if let Some(consumer) = unacked.consumer.and_then(|id| queue.consumers.get_mut(id)) {
            consumer.unacked = consumer.unacked.saturating_sub(1);
        }
        match verdict {
            // A stream keeps its messages whatever becomes of a delivery.
            _ if queue.stream.is_some() => queue.counters.acked += 1,
            Verdict::Done => queue.counters.acked += 1,
            Verdict::Rejected => {
                queue.counters.rejected += 1;
                self.bury(unacked.queue, &entry, Reason::Rejected);
            }
            Verdict::Requeued => {
                queue.counters.requeued += 1;
                entry.redelivered = true;
                entry.returns += u32::from(queue.arguments.kind == QueueType::Quorum);
                if queue
                    .arguments
                    .delivery_limit
                    .is_some_and(|limit| entry.returns > limit)
                {
                    self.bury(unacked.queue, &entry, Reason::DeliveryLimit);
                } else {
                    queue.ready.restore(entry);
                }
            }
        }
    }
}

/// For how many of these messages a channel's credit was taken.
pub(super) fn lent(taken: &[Unacked]) -> u32 {
    taken.iter().filter(|unacked| unacked.limited).count() as u32
}

fn last_queue(taken: &[Unacked]) -> Option<QueueId> {
    taken.last().map(|unacked| unacked.queue)
}
