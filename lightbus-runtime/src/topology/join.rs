//! Where the members of groups report: one queue for each API, with a single active consumer that puts them together.

use super::{
    Binding, DELIVERY_LIMIT_ARGUMENT, NO_DELIVERY_LIMIT, Plan, Queue, SINGLE_ACTIVE_ARGUMENT,
    Value, queue_type, task,
};

/// The queue, and the key by which the exchange of the API's tasks brings reports to it.
pub(crate) fn join_queue(api: &str) -> String {
    format!("lb.join.{api}")
}

pub(crate) fn join_plan(api: &str) -> Plan {
    let queue = Queue {
        name: join_queue(api),
        arguments: vec![
            queue_type("quorum"),
            (SINGLE_ACTIVE_ARGUMENT, Value::Flag(true)),
            // What it holds is delivered to each one who takes over.
            (DELIVERY_LIMIT_ARGUMENT, Value::Number(NO_DELIVERY_LIMIT)),
        ],
    };
    let mut plan = task::exchange_plan(api);
    plan.bindings.push(Binding {
        queue: queue.name.clone(),
        exchange: task::task_exchange(api),
        key: queue.name.clone(),
    });
    plan.queues.push(queue);
    plan
}
