//! Deliveries that nobody settles: a channel whose oldest one has waited for too long is closed.
//!
//! Each channel that takes messages has at most a few alarms set, none of them for a delivery: one that rings too early
//! sets the next.

use super::{
    Core,
    errors::precondition_failed,
    ids::{At, QueueId},
    timers::Alarm,
};
use std::time::{Duration, Instant};

/// How long a channel may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// The least that any of its queues allows.
    least: Duration,
    /// The alarm that is set.
    alarm: Instant,
}

impl Core {
    /// How long a delivery from a queue may stay unacknowledged.
    fn patience(&self, queue: QueueId) -> Duration {
        let own = self
            .queues
            .get(&queue)
            .and_then(|queue| queue.arguments.consumer_timeout);
        own.unwrap_or(self.settings.consumer_timeout)
    }

    /// A channel starts to take messages from a queue.
    pub(super) fn watch_acks(&mut self, at: At, queue: QueueId) {
        let (now, patience) = (self.now.instant, self.patience(queue));
        let Some(alarm) = now.checked_add(patience) else {
            return;
        };
        let Some(channel) = self.channel_mut(at) else {
            return;
        };
        let before = channel.patience;
        channel.patience = Some(Patience {
            least: before.map_or(patience, |before| before.least.min(patience)),
            alarm: before.map_or(alarm, |before| before.alarm.min(alarm)),
        });
        if before.is_none_or(|before| alarm < before.alarm) {
            self.timers.set(alarm, Alarm::Unsettled(at));
        }
    }

    /// The oldest delivery of a channel may have waited for too long.
    pub(super) fn ack_alarm(&mut self, at: At) {
        let now = self.now.instant;
        let Some(channel) = self.channel_mut(at) else {
            return;
        };
        let Some(patience) = channel.patience.filter(|patience| patience.alarm <= now) else {
            return;
        };
        let oldest = channel
            .unacked
            .front()
            .map(|front| (front.queue, front.since));
        if oldest.is_none() && channel.consumers.is_empty() {
            channel.patience = None;
            return;
        }
        let mut alarm = now.checked_add(patience.least);
        if let Some((queue, since)) = oldest {
            let limit = self.patience(queue);
            match since.checked_add(limit) {
                Some(deadline) if deadline < now => return self.give_up(at, limit),
                // The deadline itself is still in time.
                deadline => {
                    let after = deadline.map(|deadline| deadline + Duration::from_millis(1));
                    alarm = alarm.into_iter().chain(after).min();
                }
            }
        }
        if let (Some(alarm), Some(channel)) = (alarm, self.channel_mut(at)) {
            channel.patience = Some(Patience { alarm, ..patience });
            self.timers.set(alarm, Alarm::Unsettled(at));
        }
    }

    fn give_up(&mut self, at: At, limit: Duration) {
        let fault = precondition_failed(format!(
            "delivery acknowledgement on channel {} timed out. Timeout value used: {} ms. This timeout value can be configured, see consumers doc guide to learn more",
            at.channel,
            limit.as_millis()
        ));
        self.fail(at, &fault, (0, 0));
    }
}
