use super::bench::{Bench, int, text};
use amq_protocol::{
    protocol::{AMQPClass, basic, basic::AMQPProperties, queue},
    types::AMQPValue,
};

#[test]
fn messages_expire_by_the_queue_and_by_themselves() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.declare(&mut client, "q", &[("x-message-ttl", int(1000))]);
    let soon = AMQPProperties::default().with_expiration("300".into());
    let late = AMQPProperties::default().with_expiration("9000".into());
    bench.publish_with(&mut client, "", "q", "soon", soon);
    bench.publish_with(&mut client, "", "q", "late", late);
    bench.publish(&mut client, "", "q", "plain");
    assert_eq!(bench.wakes_in(), Some(300));
    bench.pass(299);
    assert_eq!(bench.ready("q"), 3);
    bench.pass(1);
    assert_eq!(bench.ready("q"), 2);
    bench.pass(699);
    assert_eq!(bench.ready("q"), 2);
    bench.pass(1);
    assert_eq!(bench.ready("q"), 0);
    assert_eq!(bench.wakes_in(), None);
}

#[test]
fn only_the_head_expires() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.declare(&mut client, "q", &[]);
    bench.publish(&mut client, "", "q", "stays");
    bench.publish_with(
        &mut client,
        "",
        "q",
        "goes",
        AMQPProperties::default().with_expiration("10".into()),
    );
    bench.pass(50);
    assert_eq!(bench.ready("q"), 2);
    assert_eq!(bench.drain(&mut client, "q"), ["stays"]);
}

#[test]
fn a_ttl_of_zero_means_now_or_never() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.declare(&mut client, "q", &[("x-message-ttl", int(0))]);
    bench.publish(&mut client, "", "q", "never");
    assert_eq!(bench.ready("q"), 0);
    bench.consume(&mut client, "q", "c", 0);
    bench.publish(&mut client, "", "q", "now");
    assert_eq!(bench.bodies(&mut client), ["now"]);
}

#[test]
fn what_comes_back_too_late_is_gone() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.declare(&mut client, "q", &[("x-message-ttl", int(100))]);
    bench.consume(&mut client, "q", "c", 1);
    bench.publish(&mut client, "", "q", "m");
    assert_eq!(bench.bodies(&mut client), ["m"]);
    bench.pass(200);
    bench.nack(&mut client, 1, false, true);
    assert_eq!(bench.bodies(&mut client), Vec::<String>::new());
    assert_eq!(bench.ready("q"), 0);
}

#[test]
fn a_queue_goes_when_it_was_unused_for_long_enough() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.declare(&mut client, "q", &[("x-expires", int(1000))]);
    bench.pass(900);
    bench.declare(&mut client, "q", &[("x-expires", int(1000))]);
    bench.pass(900);
    assert!(bench.snapshot().queue("q").is_some());
    bench.basic(
        &mut client,
        basic::AMQPMethod::Get(basic::Get {
            queue: "q".into(),
            no_ack: true,
        }),
    );
    bench.pass(999);
    assert!(bench.snapshot().queue("q").is_some());
    bench.pass(1);
    assert!(bench.snapshot().queue("q").is_none());
}

#[test]
fn a_consumer_keeps_a_queue_alive() {
    let mut bench = Bench::new();
    let (mut client, mut other) = (bench.client(), bench.client());
    bench.declare(&mut client, "q", &[("x-expires", int(1000))]);
    bench.consume(&mut other, "q", "c", 0);
    bench.pass(5000);
    assert!(bench.snapshot().queue("q").is_some());
    bench.disconnect(&other);
    bench.pass(999);
    assert!(bench.snapshot().queue("q").is_some());
    bench.pass(1);
    assert!(bench.snapshot().queue("q").is_none());
}

#[test]
fn expired_messages_are_dead_lettered_without_their_expiration() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.declare(&mut client, "dead", &[]);
    bench.declare(
        &mut client,
        "q",
        &[
            ("x-dead-letter-exchange", text("")),
            ("x-dead-letter-routing-key", text("dead")),
        ],
    );
    bench.publish_with(
        &mut client,
        "",
        "q",
        "m",
        AMQPProperties::default().with_expiration("10".into()),
    );
    bench.pass(10);
    let got = bench.get(&mut client, "dead").unwrap();
    assert_eq!(*got.properties.expiration(), None);
    let headers = got.properties.headers().clone().unwrap();
    assert_eq!(
        headers.inner().get("x-first-death-reason"),
        Some(&text("expired"))
    );
    let Some(AMQPValue::FieldArray(deaths)) = headers.inner().get("x-death") else {
        panic!("no x-death")
    };
    let [AMQPValue::FieldTable(death)] = deaths.as_slice() else {
        panic!("not one death")
    };
    let field = |name: &str| death.inner().get(name).cloned();
    assert_eq!(field("original-expiration"), Some(text("10")));
    assert_eq!(field("queue"), Some(text("q")));
    assert_eq!(field("count"), Some(AMQPValue::LongLongInt(1)));
    assert_eq!(field("time"), Some(AMQPValue::Timestamp(1_000_000)));
}

#[test]
fn unused_exclusive_or_deleted_queues_leave_no_alarm_that_hurts() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.declare(
        &mut client,
        "q",
        &[("x-expires", int(10)), ("x-message-ttl", int(5))],
    );
    bench.publish(&mut client, "", "q", "m");
    let delete = queue::Delete {
        queue: "q".into(),
        nowait: true,
        ..queue::Delete::default()
    };
    bench.method(
        &mut client,
        1,
        AMQPClass::Queue(queue::AMQPMethod::Delete(delete)),
    );
    bench.declare(&mut client, "q", &[]);
    bench.publish(&mut client, "", "q", "again");
    bench.pass(100);
    assert_eq!(bench.ready("q"), 1);
}

#[test]
fn the_head_behind_a_fetched_one_expires_too() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.declare(&mut client, "q", &[]);
    for (body, expiration) in [("long", "60000"), ("short", "100"), ("plus", "+200")] {
        let properties = AMQPProperties::default().with_expiration(expiration.into());
        bench.publish_with(&mut client, "", "q", body, properties);
    }
    bench.pass(50);
    assert_eq!(bench.get(&mut client, "q").unwrap().body, "long");
    bench.pass(60);
    assert_eq!(bench.ready("q"), 1);
    bench.pass(100);
    assert_eq!(bench.ready("q"), 0);
}

#[test]
fn a_message_of_lower_priority_expires_once_it_is_the_head() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.declare(&mut client, "q", &[("x-max-priority", int(9))]);
    let high = AMQPProperties::default().with_priority(9);
    bench.publish_with(&mut client, "", "q", "high", high);
    let low = AMQPProperties::default().with_expiration("100".into());
    bench.publish_with(&mut client, "", "q", "low", low);
    bench.pass(200);
    assert_eq!(bench.ready("q"), 2);
    assert_eq!(bench.get(&mut client, "q").unwrap().body, "high");
    assert_eq!(bench.ready("q"), 0);
}

#[test]
fn queues_that_come_and_go_leave_no_alarms_behind() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    let hour = [
        ("x-expires", int(3_600_000)),
        ("x-message-ttl", int(3_600_000)),
    ];
    bench.declare(&mut client, "stays", &hour);
    for _ in 0..5000 {
        bench.declare(&mut client, "goes", &hour);
        bench.publish(&mut client, "", "goes", "m");
        let delete = queue::Delete {
            queue: "goes".into(),
            nowait: true,
            ..queue::Delete::default()
        };
        bench.queue(&mut client, queue::AMQPMethod::Delete(delete));
    }
    assert!(
        bench.core.timers.len() < 2100,
        "{} alarms",
        bench.core.timers.len()
    );
    bench.pass(3_600_000);
    assert!(bench.snapshot().queues.is_empty());
}

#[test]
fn messages_that_come_and_go_leave_no_alarms_behind() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.declare(&mut client, "q", &[]);
    // Each is to expire before the one that was fetched.
    for ttl in (0..5000).rev() {
        let ttl = (3_600_000 + ttl).to_string();
        let brief = AMQPProperties::default().with_expiration(ttl.into());
        bench.publish_with(&mut client, "", "q", "m", brief);
        bench.get(&mut client, "q").unwrap();
    }
    let alarms = bench.core.timers.len();
    assert!(alarms < 2100, "{alarms} alarms");
    // What is left of them comes to nothing.
    bench.declare(&mut client, "q", &[]);
    let long = AMQPProperties::default().with_expiration("7200000".into());
    bench.publish_with(&mut client, "", "q", "m", long);
    bench.pass(3_700_000);
    assert_eq!(bench.core.timers.len(), 1);
    bench.pass(3_500_000);
    assert_eq!((bench.ready("q"), bench.wakes_in()), (0, None));
}

#[test]
fn a_great_many_deadlines_wake_nobody_before_they_are_due() {
    const QUEUES: usize = 100;
    // A million where that takes no time.
    let each = if cfg!(debug_assertions) { 300 } else { 10_000 };
    let mut bench = Bench::new();
    let mut client = bench.client();
    for queue in 0..QUEUES {
        bench.declare(
            &mut client,
            &format!("q{queue}"),
            &[("x-expires", int(60_000)), ("x-message-ttl", int(50_000))],
        );
    }
    for queue in 0..QUEUES {
        let one = super::bench::publication(
            "",
            &format!("q{queue}"),
            "m",
            &AMQPProperties::default(),
            false,
        );
        bench.raw(&mut client, &one.repeat(each));
        bench.pass(1);
    }
    assert!(
        bench.core.timers.len() <= 2 * QUEUES,
        "one for each head, one for each queue"
    );
    assert_eq!(bench.wakes_in(), Some(50_000 - QUEUES as u128));
    bench.pass(50_000);
    assert_eq!(bench.snapshot().message_bytes, 0);
    bench.pass(10_000);
    assert!(bench.snapshot().queues.is_empty());
    assert_eq!(bench.wakes_in(), None);
}
