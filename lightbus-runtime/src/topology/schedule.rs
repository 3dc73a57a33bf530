//! Schedules: an app's exchange for what they fire, and the queue that remembers what was fired.
//!
//! The exchange routes an occurrence to the task's queue and to the state queue: "fired" and "noted" are one publish.

use super::{
    Binding, DELIVERY_LIMIT_ARGUMENT, Kind, NO_DELIVERY_LIMIT, Plan, Queue, SINGLE_ACTIVE_ARGUMENT,
    Value, exchange, listener_queue, queue_type,
};

/// The state queue's name among an app's listeners: none of them may have it.
pub(crate) const CRON: &str = "cron";
/// No schedule's name begins so.
pub(crate) const CRON_MARK: &str = "_.mark";
pub(crate) const CRON_ASK: &str = "_.ask";

pub(crate) fn cron_exchange(app: &str) -> String {
    format!("lb.cron.{app}")
}

pub(crate) fn cron_queue(app: &str) -> String {
    listener_queue(app, CRON)
}

/// With what key something is said of a schedule. Its occurrences have its name alone.
pub(crate) fn cron_key(schedule: &str, what: &str) -> String {
    format!("{schedule}.{what}")
}

/// What firing an app's schedules needs, but for their tasks' queues.
pub(crate) fn cron_plan(app: &str) -> Plan {
    let queue = Queue {
        name: cron_queue(app),
        arguments: vec![
            queue_type("quorum"),
            (SINGLE_ACTIVE_ARGUMENT, Value::Flag(true)),
            // What it holds is delivered to each one who takes over.
            (DELIVERY_LIMIT_ARGUMENT, Value::Number(NO_DELIVERY_LIMIT)),
        ],
    };
    let binding = Binding {
        queue: queue.name.clone(),
        exchange: cron_exchange(app),
        key: "#".to_owned(),
    };
    Plan {
        queues: vec![queue],
        bindings: vec![binding],
        ..cron_exchange_plan(app)
    }
}

/// What telling of a run's end needs: the state queue is the app's own business.
pub(crate) fn cron_exchange_plan(app: &str) -> Plan {
    Plan {
        exchanges: vec![exchange(cron_exchange(app), Kind::Topic)],
        ..Plan::default()
    }
}

/// How a schedule's occurrences come to its task's queue.
pub(crate) fn cron_binding(app: &str, schedule: &str, queue: &str) -> Binding {
    Binding {
        queue: queue.to_owned(),
        exchange: cron_exchange(app),
        key: schedule.to_owned(),
    }
}

/// The end of such a binding.
pub(crate) fn cron_unbinding(app: &str, schedule: &str, queue: &str) -> Plan {
    Plan {
        stale: vec![cron_binding(app, schedule, queue)],
        ..Plan::default()
    }
}
