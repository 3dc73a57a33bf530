use super::bench::{Bench, Client, int, text};
use crate::config::Settings;
use amq_protocol::{
    protocol::basic::{self, AMQPMethod as Basic},
    types::AMQPValue,
};
use std::time::Duration;

const MINUTE: u64 = 60_000;
const TIMED_OUT: &str = "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out. Timeout value used: 1800000 ms. This timeout value can be configured, see consumers doc guide to learn more";

/// A queue and its only consumer.
fn consuming(arguments: &[(&str, AMQPValue)]) -> (Bench, Client) {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.declare(&mut client, "q", arguments);
    bench.consume(&mut client, "q", "c", 0);
    (bench, client)
}

#[test]
fn a_channel_that_settles_nothing_for_half_an_hour_is_closed() {
    let (mut bench, mut client) = consuming(&[]);
    bench.pass(7 * MINUTE);
    bench.publish(&mut client, "", "q", "m");
    assert_eq!(bench.bodies(&mut client), ["m"]);
    bench.pass(30 * MINUTE);
    assert!(bench.next(&mut client).is_none(), "just in time");
    assert_eq!(bench.wakes_in(), Some(1));
    bench.pass(1);
    assert_eq!(bench.closed(&mut client), (406, TIMED_OUT.to_owned()));
    assert_eq!(bench.ready("q"), 1);
}

#[test]
fn settling_in_time_is_enough() {
    let (mut bench, mut client) = consuming(&[]);
    for tag in 1..10 {
        bench.publish(&mut client, "", "q", "m");
        bench.pass(20 * MINUTE);
        bench.ack(&mut client, tag, false);
    }
    bench.pass(100 * MINUTE);
    assert_eq!(bench.bodies(&mut client).len(), 9);
    assert!(bench.next(&mut client).is_none());
}

#[test]
fn a_queue_has_a_limit_of_its_own() {
    let (mut bench, mut client) = consuming(&[("x-consumer-timeout", int(1000))]);
    bench.publish(&mut client, "", "q", "m");
    bench.bodies(&mut client);
    bench.pass(1001);
    assert!(
        bench
            .closed(&mut client)
            .1
            .contains("Timeout value used: 1000 ms")
    );

    let (mut bench, mut client) = consuming(&[("x-consumer-timeout", text("never"))]);
    bench.publish(&mut client, "", "q", "m");
    bench.bodies(&mut client);
    bench.pass(1000 * MINUTE);
    assert!(bench.next(&mut client).is_none());
}

#[test]
fn what_was_fetched_is_watched_too() {
    let mut bench = Bench::with(Settings {
        consumer_timeout: Duration::from_millis(500),
        ..Settings::default()
    });
    let mut client = bench.client();
    bench.declare(&mut client, "q", &[]);
    bench.publish(&mut client, "", "q", "m");
    let get = basic::Get {
        queue: "q".into(),
        no_ack: false,
    };
    bench.basic(&mut client, Basic::Get(get));
    bench.next(&mut client);
    bench.next_content(&mut client);
    bench.pass(501);
    assert_eq!(bench.closed(&mut client).0, 406);
}

#[test]
fn a_channel_that_is_done_is_not_watched_any_more() {
    let (mut bench, mut client) = consuming(&[]);
    bench.publish(&mut client, "", "q", "m");
    bench.bodies(&mut client);
    bench.ack(&mut client, 1, false);
    let cancel = basic::Cancel {
        consumer_tag: "c".into(),
        nowait: true,
    };
    bench.basic(&mut client, Basic::Cancel(cancel));
    bench.pass(30 * MINUTE);
    assert_eq!(bench.wakes_in(), None);
}

#[test]
fn one_alarm_is_enough_for_all_channels() {
    let (mut bench, mut first) = consuming(&[]);
    bench.pass(MINUTE);
    let mut second = bench.client();
    bench.consume(&mut second, "q", "c", 1);
    for body in ["a", "b", "c"] {
        bench.publish(&mut first, "", "q", body);
    }
    assert_eq!(
        (
            bench.bodies(&mut first).len(),
            bench.bodies(&mut second).len()
        ),
        (2, 1)
    );
    bench.pass(20 * MINUTE);
    bench.ack(&mut second, 1, false);
    bench.publish(&mut first, "", "q", "d");
    // Whoever's turn it is, the first one's oldest delivery is the one that is late.
    let more = bench.bodies(&mut first).len() + bench.bodies(&mut second).len();
    assert_eq!(more, 1);
    bench.pass(10 * MINUTE + 1);
    assert_eq!(bench.closed(&mut first).0, 406);
    bench.bodies(&mut second);
    bench.pass(31 * MINUTE);
    assert_eq!(bench.closed(&mut second).0, 406);
    assert_eq!(bench.ready("q"), 3);
    assert_eq!(bench.wakes_in(), None);
}

#[test]
fn a_limit_of_next_to_nothing_does_not_keep_the_clock_ringing() {
    for limit in [0, 1] {
        let (mut bench, mut client) = consuming(&[("x-consumer-timeout", int(limit))]);
        assert_eq!(bench.wakes_in(), Some(100));
        bench.pass(100);
        assert_eq!(bench.wakes_in(), Some(100), "one alarm has become the next");
        bench.publish(&mut client, "", "q", "m");
        bench.bodies(&mut client);
        bench.pass(100);
        assert_eq!(bench.closed(&mut client).0, 406);
    }
}

#[test]
fn a_strict_queue_that_is_gone_makes_nobody_look_more_often() {
    let (mut bench, client) = consuming(&[("x-consumer-timeout", int(1000))]);
    let mut other = bench.client();
    bench.declare(&mut other, "patient", &[]);
    bench.consume(&mut other, "patient", "c", 0);
    bench.disconnect(&client);
    bench.queue(
        &mut other,
        amq_protocol::protocol::queue::AMQPMethod::Delete(amq_protocol::protocol::queue::Delete {
            queue: "q".into(),
            if_unused: false,
            if_empty: false,
            nowait: false,
        }),
    );
    bench.pass(1000);
    assert_eq!(bench.wakes_in(), Some(u128::from(30 * MINUTE)));
}
