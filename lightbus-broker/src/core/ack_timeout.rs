//! Deliveries that nobody settles: a channel whose oldest one has waited for too long is closed.
//!
//! One alarm is set for all channels together, and none for a single delivery: an alarm that finds nothing overdue sets the
//! next, for the first moment at which something could be.

use super::{
    Core,
    channel::Channel,
    errors::precondition_failed,
    ids::{At, QueueId},
    timers::Alarm,
};
use std::time::{Duration, Instant};

/// The least by which a delivery is late.
const LATE: Duration = Duration::from_millis(1);

/// How soon to look again where nothing is under way: a limit of nothing must not keep the clock ringing.
const SOONEST: Duration = Duration::from_millis(100);

/// When to look for deliveries that are overdue.
#[derive(Debug, Default)]
pub(crate) struct AckWatch {
    /// The least that any queue with consumers allows, or allowed when the alarm rang last.
    least: Option<Duration>,
    alarm: Option<Instant>,
}

/// How a channel stands.
enum Standing {
    /// Nothing is under way, and nothing will be.
    Idle,
    /// Something may come, or has all the time in the world.
    Quiet,
    Due(Instant),
    /// Its queue allows this much.
    Overdue(Duration),
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

    /// Somebody starts to take messages from a queue.
    pub(super) fn watch_acks(&mut self, queue: QueueId) {
        let patience = self.patience(queue);
        let least = &mut self.ack_watch.least;
        *least = Some(least.map_or(patience, |least| least.min(patience)));
        self.set_ack_alarm(self.now.instant.checked_add(patience.max(SOONEST)));
    }

    /// Sets the alarm, unless it rings before that anyway.
    fn set_ack_alarm(&mut self, at: Option<Instant>) {
        let alarm = &mut self.ack_watch.alarm;
        if let Some(at) = at
            && alarm.is_none_or(|set| at < set)
        {
            *alarm = Some(at);
            self.timers.set(at, Alarm::Unsettled);
        }
    }

    /// Closes the channels whose oldest delivery is overdue.
    pub(super) fn ack_alarm(&mut self) {
        let now = self.now.instant;
        // An alarm that was replaced by an earlier one rings all the same.
        if self.ack_watch.alarm.is_none_or(|alarm| alarm > now) {
            return;
        }
        self.ack_watch = AckWatch {
            least: self.least_patience(),
            alarm: None,
        };
        let mut overdue = Vec::new();
        let mut next = Vec::new();
        for (conn, connection) in &self.conns {
            for (number, channel) in &connection.channels {
                let (conn, channel_number) = (*conn, *number);
                match self.standing(channel) {
                    Standing::Idle => {}
                    Standing::Quiet => {
                        next.push(self.ack_watch.least.map(|least| least.max(SOONEST)));
                    }
                    Standing::Due(at) => next.push(Some(at.saturating_duration_since(now))),
                    Standing::Overdue(limit) => overdue.push((
                        At {
                            conn,
                            channel: channel_number,
                        },
                        limit,
                    )),
                }
            }
        }
        let soonest = next.into_iter().flatten().min();
        self.set_ack_alarm(soonest.and_then(|wait| now.checked_add(wait)));
        for (at, limit) in overdue {
            self.give_up(at, limit);
        }
    }

    fn least_patience(&self) -> Option<Duration> {
        let channels = self.conns.values().flat_map(|conn| conn.channels.values());
        let consumers = channels.flat_map(|channel| channel.consumers.values());
        consumers.map(|(queue, _)| self.patience(*queue)).min()
    }

    fn standing(&self, channel: &Channel) -> Standing {
        let Some(oldest) = channel.unacked.front() else {
            return match channel.consumers.is_empty() {
                true => Standing::Idle,
                false => Standing::Quiet,
            };
        };
        let limit = self.patience(oldest.queue);
        match oldest.since.checked_add(limit) {
            None => Standing::Quiet,
            Some(deadline) if deadline < self.now.instant => Standing::Overdue(limit),
            Some(deadline) => Standing::Due(deadline + LATE),
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
