//! Names read back, for those who watch a bus.

use super::{
    CRON, UNROUTED, broadcast_queue, cron_exchange, dead_queue, event_exchange, hold_exchange,
    hold_queue, listener_queue, rpc_name, task,
};

pub(crate) use super::delay::on_ladder;

/// What all names of this make begin with.
fn prefix(made_of_nothing: &str) -> String {
    format!("{}.", made_of_nothing.trim_end_matches('.'))
}

/// API and event, by the exchange and a routing or binding key.
pub(crate) fn event_of<'a>(exchange: &'a str, key: &'a str) -> Option<(&'a str, &'a str)> {
    let api = exchange.strip_prefix(&event_exchange(""))?;
    let name = key.strip_prefix(api)?.strip_prefix('.')?;
    Some((api, name.split('.').next()?))
}

/// The API whose calls go there.
pub(crate) fn api_of_calls(exchange: &str) -> Option<&str> {
    exchange.strip_prefix(&rpc_name(""))
}

/// The schedule that fired a task, by where it was published to.
pub(crate) fn schedule_of<'a>(exchange: &str, key: &'a str) -> Option<&'a str> {
    exchange
        .starts_with(&prefix(&cron_exchange("")))
        .then_some(key)
}

/// The queue that a held message came from, by where it was published to.
pub(crate) fn held_from<'a>(exchange: &str, key: &'a str) -> Option<&'a str> {
    let is_held = exchange.starts_with(&prefix(&hold_exchange("")));
    key.split_once('.')
        .filter(|_| is_held)
        .map(|(_, queue)| queue)
}

pub(crate) fn is_dead_queue(name: &str) -> bool {
    name.ends_with(&dead_queue(""))
}

pub(crate) fn is_unrouted(name: &str) -> bool {
    [UNROUTED, task::UNROUTED].contains(&name)
}

/// Does it hold messages that are to be handled? Others hold what is known, and keep it unacknowledged.
pub(crate) fn is_work(name: &str) -> bool {
    let listeners = prefix(&listener_queue("", ""));
    let of_work = [
        rpc_name(""),
        broadcast_queue("", "", ""),
        task::task_exchange(""),
        hold_queue("", ""),
    ];
    let is_state = name.starts_with(&listeners) && name.ends_with(&format!(".{CRON}"));
    let is_kind =
        name.starts_with(&listeners) || of_work.iter().any(|made| name.starts_with(&prefix(made)));
    is_kind && !is_state && !is_dead_queue(name)
}

/// Whose queue it is: the app, and its listener. Broadcast listeners have others.
pub(crate) fn listener_of(queue: &str) -> Option<(&str, &str)> {
    let made = listener_queue("", "");
    queue.strip_prefix(&prefix(&made))?.split_once('.')
}

#[cfg(test)]
mod tests {
    use super::super::{Lane, Priority, cron_queue, delayed, hold_key, task_queue, undelayed};
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_was_made_is_read_back() {
        let exchange = event_exchange("my.shop");
        assert_eq!(
            event_of(&exchange, "my.shop.sold.a.b"),
            Some(("my.shop", "sold"))
        );
        assert_eq!(
            event_of(&exchange, "my.shop.sold.#"),
            Some(("my.shop", "sold"))
        );
        assert_eq!(event_of(&exchange, "other.sold"), None);
        assert_eq!(api_of_calls(&rpc_name("shop")), Some("shop"));
        let held =
            held_from(&hold_exchange("shop"), &hold_key("1f", "lb.q.shop.log")).map(str::to_owned);
        assert_eq!(held.as_deref(), Some("lb.q.shop.log"));
        assert_eq!(held_from(&exchange, "my.shop.sold"), None);
    }

    #[test]
    fn a_way_over_the_ladder_tells_its_delay_and_its_end() {
        let hour = Duration::from_secs(3600);
        let to = delayed("lb.task.shop+low", hour);
        assert_eq!(
            on_ladder(&to.exchange, &to.key),
            Some((hour, "lb.task.shop+low"))
        );
        let to = undelayed("lb.q.shop.log");
        assert_eq!(
            on_ladder(&to.exchange, &to.key),
            Some((Duration::ZERO, "lb.q.shop.log"))
        );
        assert_eq!(on_ladder("lb.ev.shop", "shop.sold"), None);
    }

    #[test]
    fn work_is_told_from_what_is_known() {
        let slow = task_queue("shop", Lane::Named("slow"), Priority::High);
        let log = listener_queue("shop", "log");
        for work in [
            &rpc_name("shop"),
            &slow,
            &log,
            &hold_queue("shop", "1f"),
            &broadcast_queue("shop", "log", "1f"),
        ] {
            assert!(is_work(work), "{work}");
        }
        for other in [
            &cron_queue("shop"),
            &dead_queue(&log),
            "lb.sys.unrouted",
            "lb.delay.01",
            "lb.r.shop.1f",
            "jobs",
        ] {
            assert!(!is_work(other), "{other}");
        }
        assert!(is_dead_queue(&dead_queue(&log)) && is_unrouted(UNROUTED));
    }
}
