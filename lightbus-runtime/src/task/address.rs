//! Where a task is published, and what has to exist there.

use std::time::{Duration, SystemTime};

use super::message::Due;
use crate::topology::{self, Lane, Plan, Priority};

/// A queue of an API's tasks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Address<'a> {
    pub(super) api: &'a str,
    pub(super) lane: Lane<'a>,
    pub(super) priority: Priority,
}

/// A way to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) exchange: String,
    pub(super) key: String,
    pub(super) needs: String,
    pub(super) on_ladder: bool,
}

impl Address<'_> {
    pub(super) fn queue(&self) -> String {
        topology::task_queue(self.api, self.lane, self.priority)
    }

    /// What the queue needs to exist.
    pub(super) fn plan(&self) -> Plan {
        topology::task_plan(self.api, self.lane, self.priority)
    }

    /// To the queue itself, or over the ladder of delays. That counts in seconds, and never sends one early.
    pub(super) fn route(&self, due: Due, now: SystemTime) -> Route {
        let (queue, delay) = (self.queue(), due.delay(now));
        if delay.is_zero() {
            return Route {
                exchange: topology::task_exchange(self.api),
                // Not its name alone, which may be the exchange's as well.
                needs: [&queue, " at once"].concat(),
                key: queue,
                on_ladder: false,
            };
        }
        let to = topology::delayed(&queue, whole_seconds(delay));
        Route {
            exchange: to.exchange,
            key: to.key,
            needs: format!("{queue} after a delay"),
            on_ladder: true,
        }
    }

    /// What the route needs to exist.
    pub(super) fn plan_of(&self, route: &Route) -> Plan {
        let mut plan = self.plan();
        if route.on_ladder {
            plan.merge(topology::ladder_plan());
        }
        plan
    }
}

fn whole_seconds(delay: Duration) -> Duration {
    let up = u64::from(delay.subsec_nanos() > 0);
    Duration::from_secs(delay.as_secs().saturating_add(up))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(due: Due) -> Route {
        let address = Address {
            api: "auth",
            lane: Lane::Named("slow"),
            priority: Priority::Normal,
        };
        address.route(due, SystemTime::now())
    }

    #[test]
    fn what_is_due_goes_straight_to_its_queue() {
        let past = Due::At(SystemTime::now() - Duration::from_secs(1));
        for due in [Due::Now, Due::After(Duration::ZERO), past] {
            let route = route(due);
            assert_eq!(route.exchange, "lb.task.auth");
            assert_eq!(route.key, "lb.task.auth:slow");
        }
    }

    #[test]
    fn a_delay_is_never_rounded_down() {
        for (ms, seconds) in [(1, 1), (1000, 1), (1001, 2), (7900, 8)] {
            let due = Due::After(Duration::from_millis(ms));
            let expected = topology::delayed("lb.task.auth:slow", Duration::from_secs(seconds));
            assert_eq!(route(due).key, expected.key, "{ms} ms");
        }
    }
}
