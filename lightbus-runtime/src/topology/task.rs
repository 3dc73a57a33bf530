//! Tasks: an exchange for each API, and a queue for each kind of work that is to be done apart from the others.
//!
//! Whoever enqueues declares the queue as well as whoever works on it: a task waits for its worker, also for the first one.

use std::time::Duration;

use uuid::Uuid;

use crate::grammar::is_word;

use super::{
    Binding, DELIVERY_LIMIT, DELIVERY_LIMIT_ARGUMENT, Exchange, Kind, Order, Plan, Queue,
    SINGLE_ACTIVE_ARGUMENT, Value, dead_exchange, dead_plan, delay, exchange, queue_type, text,
};

/// Tasks whose queue somebody deleted: kept.
pub(super) const UNROUTED: &str = "lb.sys.unrouted-task";

/// What a task's queue is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Lane<'a> {
    /// All of the API's tasks that name no queue.
    Api,
    /// All of its tasks that name this one.
    Named(&'a str),
    /// One task alone, with limits across all processes.
    Limited(&'a str),
}

impl<'a> Lane<'a> {
    /// What follows the API's name in the queue's. That has dots of its own, so other signs part the two.
    pub(crate) fn suffix(self) -> String {
        match self {
            Self::Api => String::new(),
            Self::Named(queue) => format!(":{queue}"),
            Self::Limited(task) => format!("~{task}"),
        }
    }

    /// The lane of such a suffix, if it is one.
    pub(crate) fn parse(suffix: &'a str) -> Option<Self> {
        if suffix.is_empty() {
            return Some(Self::Api);
        }
        let (sign, name) = suffix.split_at_checked(1)?;
        let lane = match sign {
            ":" => Self::Named(name),
            "~" => Self::Limited(name),
            _ => return None,
        };
        is_word(name).then_some(lane)
    }
}

/// Which of a lane's queues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Priority {
    /// Begun when little else waits; never starved.
    Low,
    /// The usual one.
    #[default]
    Normal,
    /// Begun before others, mostly.
    High,
}

impl Priority {
    pub(crate) const ALL: [Self; 3] = [Self::High, Self::Normal, Self::Low];

    /// How many of it are begun while all of them wait, in proportion.
    pub(crate) const fn weight(self) -> u64 {
        match self {
            Self::Low => 1,
            Self::Normal => 3,
            Self::High => 6,
        }
    }

    fn suffix(self) -> &'static str {
        match self {
            Self::Low => "+low",
            Self::Normal => "",
            Self::High => "+high",
        }
    }
}

pub(crate) fn task_exchange(api: &str) -> String {
    ["lb.task.", api].concat()
}

pub(crate) fn task_queue(api: &str, lane: Lane<'_>, priority: Priority) -> String {
    let priority = priority.suffix();
    match lane {
        // Made for each task that is enqueued: `format!` takes five times as long.
        Lane::Api => ["lb.task.", api, priority].concat(),
        Lane::Named(_) => format!("lb.task.{api}{}{priority}", lane.suffix()),
        Lane::Limited(_) => format!("lb.task.{api}{}", lane.suffix()),
    }
}

/// Whose tasks a queue holds.
pub(crate) fn api_of_task_queue(queue: &str) -> Option<String> {
    let name = queue.strip_prefix("lb.task.")?;
    let api = name.split([':', '~', '+']).next()?;
    Some(api.to_owned())
}

/// The queue that a lane's dead letters are named by: those of all its priorities lie together.
pub(crate) fn task_lane(api: &str, lane: Lane<'_>) -> String {
    task_queue(api, lane, Priority::Normal)
}

/// The same, by what follows `lb.task.` in its name: `auth`, `auth:slow`.
pub(crate) fn named_lane(name: &str) -> String {
    task_exchange(name)
}

/// How long an empty queue of held messages outlives its process.
const HOLD_EXPIRES: i64 = 24 * 60 * 60 * 1000;

pub(crate) fn hold_exchange(app: &str) -> String {
    format!("lb.hold.{app}")
}

/// Messages in the hands of one process's handlers.
pub(crate) fn hold_queue(app: &str, instance: &str) -> String {
    format!("lb.hold.{app}.{instance}")
}

/// To such a queue; and, should it give the message back, to the one it came from.
pub(crate) fn hold_key(instance: &str, queue: &str) -> String {
    format!("{instance}.{queue}")
}

/// Messages that nobody takes for a while, because the process is lost, go back through the foot of the ladder.
pub(crate) fn hold_plan(app: &str, instance: &str, back: Duration) -> Plan {
    let back = i64::try_from(back.as_millis()).unwrap_or(i64::MAX);
    let held = Queue {
        name: hold_queue(app, instance),
        arguments: vec![
            queue_type("quorum"),
            ("x-expires", Value::Number(HOLD_EXPIRES)),
            ("x-message-ttl", Value::Number(back)),
            (
                DELIVERY_LIMIT_ARGUMENT,
                Value::Number(super::NO_DELIVERY_LIMIT),
            ),
            ("x-dead-letter-exchange", text(delay::out().name)),
            ("x-dead-letter-strategy", text("at-least-once")),
            ("x-overflow", text("reject-publish")),
        ],
    };
    Plan {
        exchanges: vec![delay::out(), exchange(hold_exchange(app), Kind::Topic)],
        bindings: vec![Binding {
            queue: held.name.clone(),
            exchange: hold_exchange(app),
            key: format!("{instance}.#"),
        }],
        queues: vec![held],
        ..Plan::default()
    }
}

pub(crate) const UNIQUE_HOLDER_ARGUMENT: &str = "x-dead-letter-routing-key";
pub(crate) const UNIQUE_LEASE_ARGUMENT: &str = "x-expires";

/// A queue that stands for a key of a task while somebody holds it. A name that takes more than `room` is told by a hash.
pub(crate) fn unique_queue(api: &str, task: &str, key: &str, room: usize) -> String {
    let name = format!("lb.unique.{api}.{task}.{key}");
    match name.len() <= room {
        true => name,
        false => {
            let hash = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes());
            format!("lb.unique.{}", hash.simple())
        }
    }
}

/// It is never published to: the arguments say who holds it, and until when if nobody asks after it.
pub(crate) fn unique_plan(queue: &str, lease: Duration, holder: &str) -> Plan {
    let lease = i64::try_from(lease.as_millis()).unwrap_or(i64::MAX);
    Plan {
        queues: vec![Queue {
            name: queue.to_owned(),
            arguments: vec![
                queue_type("classic"),
                (UNIQUE_LEASE_ARGUMENT, Value::Number(lease)),
                ("x-dead-letter-exchange", text(UNROUTED)),
                (UNIQUE_HOLDER_ARGUMENT, text(holder.to_owned())),
            ],
        }],
        ..Plan::default()
    }
}

/// A task queue, its dead letters, and the ways to it.
pub(crate) fn task_plan(api: &str, lane: Lane<'_>, priority: Priority) -> Plan {
    let (name, dead) = (task_queue(api, lane, priority), task_lane(api, lane));
    let order = match lane {
        Lane::Limited(_) => Order::Kept,
        Lane::Api | Lane::Named(_) => Order::Free,
    };
    let mut plan = exchange_plan(api);
    plan.exchanges.push(delay::out());
    // The dead letters' queue comes first: a queue that dead-letters to nowhere loses messages.
    plan.merge(dead_plan(api, &dead));
    plan.queues.push(durable(api, &name, &dead, order));
    plan.bindings.push(delay::out_binding(&name));
    plan.bindings.push(Binding {
        exchange: task_exchange(api),
        key: name.clone(),
        queue: name,
    });
    plan
}

/// A quorum queue of `owner`, whose dead letters are kept under the name `dead`.
pub(super) fn durable(owner: &str, name: &str, dead: &str, order: Order) -> Queue {
    let mut arguments = vec![
        queue_type("quorum"),
        (DELIVERY_LIMIT_ARGUMENT, Value::Number(DELIVERY_LIMIT)),
        ("x-dead-letter-exchange", text(dead_exchange(owner))),
        ("x-dead-letter-routing-key", text(dead.to_owned())),
        ("x-dead-letter-strategy", text("at-least-once")),
        // At-least-once dead-lettering needs it.
        ("x-overflow", text("reject-publish")),
    ];
    if order == Order::Kept {
        arguments.push((SINGLE_ACTIVE_ARGUMENT, Value::Flag(true)));
    }
    Queue {
        name: name.to_owned(),
        arguments,
    }
}

/// The exchange of an API's tasks, and what becomes of those that it can bring nowhere.
pub(super) fn exchange_plan(api: &str) -> Plan {
    let tasks = Exchange {
        arguments: vec![("alternate-exchange", text(UNROUTED))],
        ..exchange(task_exchange(api), Kind::Direct)
    };
    Plan {
        exchanges: vec![exchange(UNROUTED.to_owned(), Kind::Fanout), tasks],
        queues: vec![Queue {
            name: UNROUTED.to_owned(),
            arguments: vec![queue_type("quorum")],
        }],
        bindings: vec![Binding {
            queue: UNROUTED.to_owned(),
            exchange: UNROUTED.to_owned(),
            key: String::new(),
        }],
        ..Plan::default()
    }
}

/// Where a task went, as the key says that it was published with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskPlace {
    /// The queue that it names.
    pub queue: Option<String>,
    /// Has it a queue of its own, because of its limits?
    pub limited: bool,
    /// Its priority.
    pub priority: Priority,
    /// After how many seconds.
    pub delay: u64,
}

/// The place of a task of this API; `None` if the key is not one of its.
pub fn task_place(routing_key: &str, api: &str) -> Option<TaskPlace> {
    let (levels, queue) = routing_key.split_once("lb.task.")?;
    let bits = levels.split('.').filter(|bit| !bit.is_empty());
    let delay = bits.fold(0, |seconds, bit| seconds << 1 | u64::from(bit == "1"));
    let (queue, priority) = without_priority(queue.strip_prefix(api)?);
    let (queue, limited) = match Lane::parse(queue)? {
        Lane::Api => (None, false),
        Lane::Named(queue) => (Some(queue.to_owned()), false),
        Lane::Limited(_) => (None, true),
    };
    Some(TaskPlace {
        queue,
        limited,
        priority,
        delay,
    })
}

fn without_priority(queue: &str) -> (&str, Priority) {
    let others = [Priority::High, Priority::Low];
    let named = others.iter().find_map(|priority| {
        let queue = queue.strip_suffix(priority.suffix())?;
        Some((queue, *priority))
    });
    named.unwrap_or((queue, Priority::Normal))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_lanes_share_a_queue() {
        let lanes = [Lane::Api, Lane::Named("slow"), Lane::Limited("slow")];
        let mut names: Vec<String> = lanes
            .iter()
            .flat_map(|lane| Priority::ALL.map(|priority| task_queue("my.auth", *lane, priority)))
            .collect();
        names.dedup();
        assert_eq!(
            names,
            [
                "lb.task.my.auth+high",
                "lb.task.my.auth",
                "lb.task.my.auth+low",
                "lb.task.my.auth:slow+high",
                "lb.task.my.auth:slow",
                "lb.task.my.auth:slow+low",
                "lb.task.my.auth~slow",
            ]
        );
    }

    #[test]
    fn a_lane_is_told_by_its_suffix() {
        for lane in [Lane::Api, Lane::Named("slow"), Lane::Limited("sync")] {
            assert_eq!(Lane::parse(&lane.suffix()), Some(lane));
        }
        for foreign in [":", "~", "slow", ":Slow", ":a.b", "é", ":slow+high"] {
            assert_eq!(Lane::parse(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn a_queue_tells_whose_tasks_it_holds() {
        for lane in [Lane::Api, Lane::Named("slow"), Lane::Limited("sync")] {
            let queue = task_queue("my.auth", lane, Priority::High);
            assert_eq!(api_of_task_queue(&queue).as_deref(), Some("my.auth"));
        }
        assert_eq!(api_of_task_queue("lb.q.shop.greet"), None);
    }

    #[test]
    fn the_longest_key_on_the_ladder_is_within_the_limit_of_amqp() {
        let lane = Lane::Named("queue_queue_queue_queue_queue_queue_queue_queue_queue_queue_queue");
        let queue = task_queue(&"a".repeat(60), lane, Priority::High);
        assert!(super::super::delayed(&queue, delay::LONGEST).key.len() <= 255);
    }

    #[test]
    fn dead_letters_exist_before_the_queue_that_needs_them() {
        let plan = task_plan("auth", Lane::Api, Priority::Normal);
        let names: Vec<_> = plan
            .queues
            .iter()
            .map(|queue| queue.name.as_str())
            .collect();
        assert_eq!(names, [UNROUTED, "lb.task.auth.dead", "lb.task.auth"]);
        let high = task_plan("auth", Lane::Api, Priority::High);
        assert_eq!(high.queues[1].name, "lb.task.auth.dead");
    }

    #[test]
    fn the_place_of_a_task_is_read_from_its_key() {
        for (lane, queue, limited) in [
            (Lane::Api, None, false),
            (Lane::Named("slow"), Some("slow"), false),
            (Lane::Limited("sync"), None, true),
        ] {
            for priority in Priority::ALL {
                let name = task_queue("my.auth", lane, priority);
                let mut place = TaskPlace {
                    queue: queue.map(str::to_owned),
                    limited,
                    priority: if limited { Priority::Normal } else { priority },
                    delay: 0,
                };
                assert_eq!(task_place(&name, "my.auth").as_ref(), Some(&place));
                place.delay = 86_401;
                let later = super::super::delayed(&name, Duration::from_secs(86_401));
                assert_eq!(task_place(&later.key, "my.auth"), Some(place));
            }
        }
        assert_eq!(task_place("lb.task.sales", "auth"), None);
        assert_eq!(task_place("nightly", "auth"), None);
    }
}
