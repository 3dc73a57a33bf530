//! A task on its way to its queue: what it carries, and where it is published.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lapin::BasicProperties;
use uuid::Uuid;

use super::id::TaskId;
use super::results::LONGEST_KEPT;
use super::spec::TaskSpec;
use super::unique;
use crate::topology::{self, Lane, Plan, Priority};
use crate::wire::{self, Sender, TaskHeaders};

/// It becomes part of a queue's name, beside the names of API and task.
const KEY_LIMIT: usize = 100;

/// A task whose arguments are encoded and whose options have been checked.
#[derive(Clone, Debug)]
pub(crate) struct TaskMessage {
    pub(crate) spec: &'static TaskSpec,
    pub(crate) payload: Vec<u8>,
    pub(crate) options: Options,
}

/// What was said about one task where it was enqueued.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) due: Due,
    pub(crate) priority: Priority,
    pub(crate) expires: Option<Duration>,
    /// Its key, and whether to join the one who has it.
    pub(crate) unique: Option<(String, bool)>,
    pub(crate) result_ttl: Option<Duration>,
    pub(crate) headers: Vec<(String, String)>,
}

/// When a task is to begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Due {
    #[default]
    Now,
    After(Duration),
    At(SystemTime),
}

impl Due {
    /// Counted from `now` on.
    pub(crate) fn delay(self, now: SystemTime) -> Duration {
        match self {
            Self::Now => Duration::ZERO,
            Self::After(delay) => delay,
            Self::At(at) => at.duration_since(now).unwrap_or_default(),
        }
    }
}

/// Where a message goes, and what has to exist there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) exchange: String,
    pub(crate) key: String,
    pub(crate) needs: String,
    pub(crate) on_ladder: bool,
}

impl TaskMessage {
    pub(crate) fn lane(&self) -> Lane {
        lane(self.spec)
    }

    pub(crate) fn queue(&self) -> String {
        topology::task_queue(self.spec.api, self.lane(), self.options.priority)
    }

    /// What the queue needs to exist.
    pub(crate) fn plan(&self) -> Plan {
        topology::task_plan(self.spec.api, self.lane(), self.options.priority)
    }

    /// To the queue itself, or over the ladder of delays. That counts in seconds, and never sends one early.
    pub(crate) fn route(&self, now: SystemTime) -> Route {
        let (queue, delay) = (self.queue(), self.options.due.delay(now));
        if delay.is_zero() {
            return Route {
                exchange: topology::task_exchange(self.spec.api),
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
    pub(crate) fn plan_of(&self, route: &Route) -> Plan {
        let mut plan = self.plan();
        if route.on_ladder {
            plan.merge(topology::ladder_plan());
        }
        plan
    }

    /// The message's properties. It is enqueued `now`, for the first time.
    pub(crate) fn properties(&self, sender: &Sender, id: &str, now: SystemTime) -> BasicProperties {
        let options = &self.options;
        let expires = options.expires.or(self.spec.expires);
        let until = expires.map(|expires| {
            let due = now + options.due.delay(now);
            ms(due).saturating_add(i64::try_from(expires.as_millis()).unwrap_or(i64::MAX))
        });
        let unique = self.unique_header(now);
        let says = TaskHeaders {
            name: self.spec.task,
            begins_until: until,
            unique: unique.as_deref(),
            result_ttl: self.result_ttl(),
            own: &options.headers,
        };
        sender.task(id, &says)
    }

    /// With `#[task(unique)]`, the arguments are the key.
    pub(crate) fn make_unique(&mut self) {
        if !self.spec.unique {
            return;
        }
        let (key, _) = self.options.unique.get_or_insert_default();
        if key.is_empty() {
            let hash = Uuid::new_v5(&Uuid::NAMESPACE_OID, &self.payload);
            *key = hash.simple().to_string();
        }
    }

    /// What it says of its key.
    pub(crate) fn unique_header(&self, now: SystemTime) -> Option<String> {
        let (key, _) = self.options.unique.as_ref()?;
        Some(unique::header(key, self.options.due.delay(now)))
    }

    fn result_ttl(&self) -> Option<Duration> {
        self.options.result_ttl.or(self.spec.result_ttl)
    }

    /// By what it is found again, enqueued `now` under this message's id.
    pub(crate) fn id(&self, message: &str, now: SystemTime) -> TaskId {
        let id = TaskId::new(self.spec.api, self.spec.task, message);
        let delay = self.options.due.delay(now);
        let id = match delay.is_zero() {
            true => id,
            false => id.due_at(now + delay),
        };
        match self.result_ttl() {
            Some(_) => id,
            None => id.unkept(),
        }
    }

    /// May it be sent? Else the reason.
    pub(crate) fn check(&self, payload_limit: usize) -> Result<(), String> {
        if self.payload.len() > payload_limit {
            return Err(format!(
                "its arguments take {} bytes, the limit is {payload_limit}. Send a reference instead, or raise `payload_limit` on both sides",
                self.payload.len()
            ));
        }
        if self.spec.is_limited() && self.options.priority != Priority::Normal {
            return Err(
                "a task with `rate` or `concurrency` has one queue of its own, and no priorities"
                    .to_owned(),
            );
        }
        if let Some((key, _)) = &self.options.unique
            && (key.is_empty() || key.len() > KEY_LIMIT)
        {
            let length = key.len();
            return Err(format!(
                "its unique key takes {length} bytes, and may take 1 to {KEY_LIMIT}: use a hash of it"
            ));
        }
        if self.result_ttl() > Some(LONGEST_KEPT) {
            return Err(format!(
                "its result is to be kept for {:?}, the limit is {} days. Have the task store it elsewhere",
                self.result_ttl().unwrap_or_default(),
                LONGEST_KEPT.as_secs() / 86_400
            ));
        }
        let delay = self.options.due.delay(SystemTime::now());
        if delay > topology::LONGEST_DELAY {
            return Err(format!(
                "it is due in {} days, the limit is {}",
                delay.as_secs() / 86_400,
                topology::LONGEST_DELAY.as_secs() / 86_400
            ));
        }
        wire::check_headers(&self.options.headers)
    }
}

/// Which of an API's queues a task goes to.
pub(crate) fn lane(spec: &TaskSpec) -> Lane {
    match spec.queue {
        _ if spec.is_limited() => Lane::Limited(spec.task),
        Some(queue) => Lane::Named(queue),
        None => Lane::Api,
    }
}

fn whole_seconds(delay: Duration) -> Duration {
    let up = u64::from(delay.subsec_nanos() > 0);
    Duration::from_secs(delay.as_secs().saturating_add(up))
}

fn ms(at: SystemTime) -> i64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    static RESIZE: TaskSpec = TaskSpec {
        api: "auth",
        task: "resize",
        queue: Some("slow"),
        retries: None,
        backoff: None,
        timeout: None,
        expires: None,
        result_ttl: None,
        unique: false,
        rate: None,
        concurrency: None,
    };

    fn message(due: Due) -> TaskMessage {
        TaskMessage {
            spec: &RESIZE,
            payload: Vec::new(),
            options: Options {
                due,
                ..Options::default()
            },
        }
    }

    #[test]
    fn what_is_due_goes_straight_to_its_queue() {
        let now = SystemTime::now();
        let past = Due::At(now - Duration::from_secs(1));
        for due in [Due::Now, Due::After(Duration::ZERO), past] {
            let route = message(due).route(now);
            assert_eq!(route.exchange, "lb.task.auth");
            assert_eq!(route.key, "lb.task.auth:slow");
        }
    }

    #[test]
    fn a_delay_is_never_rounded_down() {
        let now = SystemTime::now();
        for (ms, seconds) in [(1, 1), (1000, 1), (1001, 2), (7900, 8)] {
            let due = Due::After(Duration::from_millis(ms));
            let expected = topology::delayed("lb.task.auth:slow", Duration::from_secs(seconds));
            assert_eq!(message(due).route(now).key, expected.key, "{ms} ms");
        }
    }

    #[test]
    fn what_expires_does_so_counted_from_when_it_is_due() {
        let sender = Sender::new("shop", "0123456789abcdef0123456789abcdef");
        let mut message = message(Due::After(Duration::from_secs(60)));
        message.options.expires = Some(Duration::from_secs(5));
        let now = SystemTime::now();
        let properties = message.properties(&sender, "id", now);
        let until = wire::header_number(&properties, wire::DEADLINE);
        assert_eq!(until, Some(ms(now) + 65_000));
    }
}
