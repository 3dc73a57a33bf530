//! What a broker counted, and how fast that went.

use std::{
    ops::{AddAssign, Sub},
    time::Duration,
};

/// Declares a struct of counters, all of which can be subtracted and added at once.
macro_rules! counters {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $field:ident,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct $name {
            $($(#[$doc])* pub $field: u64,)*
        }

        impl Sub for $name {
            type Output = Self;

            /// What was counted since `earlier`. What was counted anew from zero since then counts in full.
            fn sub(self, earlier: Self) -> Self {
                Self {
                    $($field: self.$field.checked_sub(earlier.$field).unwrap_or(self.$field),)*
                }
            }
        }

        impl AddAssign for $name {
            fn add_assign(&mut self, more: Self) {
                $(self.$field += more.$field;)*
            }
        }
    };
}

counters! {
    /// What a queue counted since it was declared, in messages.
    ///
    /// ```
    /// let (earlier, later) = (lightbus_broker::QueueCounters::default(), lightbus_broker::QueueCounters::default());
    /// assert_eq!((later - earlier).delivered, 0);
    /// ```
    QueueCounters {
        /// Messages it took in.
        enqueued,
        /// Messages it would not take because it was full.
        refused,
        /// Messages it gave to consumers and to `basic.get`, each time it did.
        delivered,
        /// Those among the delivered that had been delivered before.
        redelivered,
        /// Messages that clients acknowledged.
        acked,
        /// Messages that clients rejected for good.
        rejected,
        /// Messages that came back: rejected to be requeued, or held by a channel that closed.
        requeued,
        /// Messages that became too old.
        expired,
        /// Messages that went on to its dead letter exchange, for whatever reason.
        dead_lettered,
        /// Messages that it gave up for good: there was no dead letter exchange, or it was purged or deleted.
        dropped,
    }
}

counters! {
    /// What an exchange counted since it was declared.
    ExchangeCounters {
        /// Messages that were published or dead-lettered to it.
        received,
        /// The copies of them that were put into queues, whether through it, through exchanges bound to it, or through its alternate.
        routed,
        /// Messages among those received that reached no queue.
        unroutable,
    }
}

counters! {
    /// What a broker counted since it started.
    PublishCounters {
        /// Messages that clients published.
        published,
        /// Those among them that reached no queue and no requester.
        unroutable,
        /// Those among the unroutable that went back to their publishers.
        returned,
        /// Messages that the broker would not take: at least one queue was full, or a fault was armed.
        refused,
    }
}

/// All that a broker counted since it started.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let broker = lightbus_broker::Broker::start().await?;
/// assert_eq!(broker.snapshot().totals.publishing.published, 0);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// What came from publishers.
    pub publishing: PublishCounters,
    /// What all queues counted together, those that are gone among them.
    pub queues: QueueCounters,
}

/// What was counted between two snapshots. See [`Snapshot::rates_since`](crate::Snapshot::rates_since).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rates {
    /// The time between the two, by the broker's clock.
    pub over: Duration,
    /// What the whole broker counted in it.
    pub totals: Totals,
    /// What each queue that still was there counted in it: its virtual host, its name, its counters.
    pub queues: Vec<(String, String, QueueCounters)>,
}

impl Rates {
    /// The rate of a count, in events a second; zero if no time passed.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = lightbus_broker::Broker::builder().manual_clock().start().await?;
    /// let earlier = broker.snapshot();
    /// broker.advance(std::time::Duration::from_secs(2))?;
    /// let rates = broker.snapshot().rates_since(&earlier);
    /// assert_eq!(rates.per_second(10), 5.0);
    /// assert_eq!(rates.per_second(rates.totals.publishing.published), 0.0);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn per_second(&self, count: u64) -> f64 {
        let seconds = self.over.as_secs_f64();
        if seconds > 0.0 {
            count as f64 / seconds
        } else {
            0.0
        }
    }

    /// What the first queue of this name counted.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = lightbus_broker::Broker::start().await?;
    /// let rates = broker.snapshot().rates_since(&broker.snapshot());
    /// assert_eq!(rates.queue("jobs"), None);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn queue(&self, name: &str) -> Option<&QueueCounters> {
        self.queues
            .iter()
            .find(|(_, queue, _)| queue == name)
            .map(|(_, _, counters)| counters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_subtract_and_a_fresh_start_counts_in_full() {
        let of = |enqueued, acked| QueueCounters {
            enqueued,
            acked,
            ..QueueCounters::default()
        };
        assert_eq!(of(7, 2) - of(3, 2), of(4, 0));
        assert_eq!(of(2, 1) - of(3, 0), of(2, 1));
        let mut sum = of(1, 1);
        sum += of(2, 3);
        assert_eq!(sum, of(3, 4));
    }
}
