//! The ladder of delays: 28 levels, of which level n holds each message for 2ⁿ seconds. A message passes the levels whose bits are set in its delay.
//!
//! Each queue has one time to live for all its messages, so none waits behind another one. No plug-in is needed.

use std::time::Duration;

use super::{Binding, Exchange, Kind, Plan, Queue, Value, exchange, queue_type, text};

const LEVELS: usize = 28;
/// What leaves the ladder goes here, and to the queue that its routing key ends in.
const OUT: &str = "lb.delay.out";

/// The longest delay, eight and a half years.
pub(crate) const LONGEST: Duration = Duration::from_secs((1 << LEVELS) - 1);

/// A place on the ladder: where a message is published to be in its queue after a delay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Delayed {
    pub(crate) exchange: String,
    pub(crate) key: String,
}

/// How to reach `queue` after whole seconds, at least one.
pub(crate) fn delayed(queue: &str, delay: Duration) -> Delayed {
    let seconds = delay.clamp(Duration::from_secs(1), LONGEST).as_secs();
    let highest = seconds.ilog2() as usize;
    let mut key = String::with_capacity(2 * LEVELS + queue.len());
    for level in (0..LEVELS).rev() {
        key.push(if seconds >> level & 1 == 1 { '1' } else { '0' });
        key.push('.');
    }
    key.push_str(queue);
    Delayed {
        exchange: level_name(highest),
        key,
    }
}

/// How to reach `queue` at once, past its ordinary exchange.
pub(crate) fn undelayed(queue: &str) -> Delayed {
    Delayed {
        exchange: OUT.to_owned(),
        key: queue.to_owned(),
    }
}

/// The delay of such a place, and the queue that it leads to. No delay: from the ladder's foot.
pub(crate) fn on_ladder<'a>(exchange: &str, key: &'a str) -> Option<(Duration, &'a str)> {
    if exchange == OUT {
        return Some((Duration::ZERO, key));
    }
    let level = (0..LEVELS).find(|level| level_name(*level) == exchange);
    let (bits, queue) = level.and_then(|_| key.split_at_checked(2 * LEVELS))?;
    let bits = bits.split_terminator('.');
    let seconds = bits.fold(0, |number, bit| number << 1 | u64::from(bit == "1"));
    Some((Duration::from_secs(seconds), queue))
}

fn level_name(level: usize) -> String {
    format!("lb.delay.{level:02}")
}

fn below(level: usize) -> String {
    match level {
        0 => OUT.to_owned(),
        level => level_name(level - 1),
    }
}

/// The exchange at the ladder's foot.
pub(super) fn out() -> Exchange {
    exchange(OUT.to_owned(), Kind::Topic)
}

/// What brings delayed messages into a queue.
pub(super) fn out_binding(queue: &str) -> Binding {
    Binding {
        queue: queue.to_owned(),
        exchange: OUT.to_owned(),
        key: format!("#.{queue}"),
    }
}

/// A queue, to be reached from the ladder.
pub(crate) fn out_plan(queue: &str) -> Plan {
    Plan {
        exchanges: vec![out()],
        bindings: vec![out_binding(queue)],
        ..Plan::default()
    }
}

/// The whole ladder.
pub(crate) fn ladder_plan() -> Plan {
    let mut plan = Plan {
        exchanges: vec![out()],
        ..Plan::default()
    };
    for level in 0..LEVELS {
        let (name, below) = (level_name(level), below(level));
        let higher_bits = "*.".repeat(LEVELS - 1 - level);
        plan.exchanges.push(exchange(name.clone(), Kind::Topic));
        plan.queues.push(level_queue(level, &below));
        plan.bindings.push(Binding {
            queue: name.clone(),
            exchange: name.clone(),
            key: format!("{higher_bits}1.#"),
        });
        // A message that this level does not hold falls through.
        plan.links.push(super::Link {
            to: below,
            from: name,
            key: format!("{higher_bits}0.#"),
        });
    }
    plan
}

fn level_queue(level: usize, below: &str) -> Queue {
    Queue {
        name: level_name(level),
        arguments: vec![
            queue_type("quorum"),
            ("x-message-ttl", Value::Number(1000 << level)),
            ("x-dead-letter-exchange", text(below.to_owned())),
            // A crash of the broker between two levels would lose messages otherwise.
            ("x-dead-letter-strategy", text("at-least-once")),
            ("x-overflow", text("reject-publish")),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(key: &str) -> u64 {
        let bits = key.split('.').take(LEVELS);
        bits.fold(0, |number, bit| number << 1 | u64::from(bit == "1"))
    }

    #[test]
    fn a_delay_is_written_in_bits_and_starts_at_its_highest() {
        for (seconds, exchange) in [
            (0, "lb.delay.00"),
            (1, "lb.delay.00"),
            (2, "lb.delay.01"),
            (3, "lb.delay.01"),
            (900, "lb.delay.09"),
            (u64::MAX, "lb.delay.27"),
        ] {
            let delayed = delayed("lb.q.shop.log", Duration::from_secs(seconds));
            assert_eq!(delayed.exchange, exchange);
            assert_eq!(bits(&delayed.key), seconds.clamp(1, LONGEST.as_secs()));
            assert!(delayed.key.ends_with(".lb.q.shop.log"));
        }
    }

    #[test]
    fn the_longest_key_is_within_the_limit_of_amqp() {
        let queue = super::super::listener_queue(&"a".repeat(40), &"l".repeat(40));
        assert!(delayed(&queue, LONGEST).key.len() <= 255);
    }

    #[test]
    fn each_level_leads_to_the_one_below_and_the_last_one_out() {
        let plan = ladder_plan();
        assert_eq!(
            (plan.exchanges.len(), plan.queues.len(), plan.links.len()),
            (29, 28, 28)
        );
        assert_eq!(plan.links[0].to, OUT);
        assert_eq!(plan.links[27].key, "0.#");
        assert_eq!(plan.bindings[0].key, format!("{}1.#", "*.".repeat(27)));
        assert_eq!(
            plan.queues[27].arguments[1],
            ("x-message-ttl", Value::Number(134_217_728_000))
        );
    }
}
