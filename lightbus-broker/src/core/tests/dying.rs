use super::bench::{Bench, int, text};
use amq_protocol::{
    protocol::basic::AMQPProperties,
    types::{AMQPValue, FieldArray, FieldTable},
};

const DEAD: [(&str, &str); 2] = [
    ("x-dead-letter-exchange", ""),
    ("x-dead-letter-routing-key", "dead"),
];

/// A queue whose dead letters go to the queue `dead`.
fn mortal(bench: &mut Bench, client: &mut super::bench::Client, more: &[(&str, AMQPValue)]) {
    bench.declare(client, "dead", &[]);
    let mut arguments: Vec<_> = DEAD
        .iter()
        .map(|(name, value)| (*name, text(value)))
        .collect();
    arguments.extend_from_slice(more);
    bench.declare(client, "q", &arguments);
}

fn reason(headers: &FieldTable) -> Option<&AMQPValue> {
    headers.inner().get("x-first-death-reason")
}

#[test]
fn rejected_messages_are_dead_lettered() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    mortal(&mut bench, &mut client, &[]);
    bench.consume(&mut client, "q", "c", 0);
    for body in ["a", "b", "c"] {
        bench.publish(&mut client, "", "q", body);
    }
    assert_eq!(bench.bodies(&mut client), ["a", "b", "c"]);
    bench.nack(&mut client, 2, true, false);
    let got = bench.get(&mut client, "dead").unwrap();
    assert_eq!((got.body.as_str(), got.key.as_str()), ("a", "dead"));
    assert_eq!(
        reason(&got.properties.headers().clone().unwrap()),
        Some(&text("rejected"))
    );
    assert_eq!(bench.drain(&mut client, "dead"), ["b"]);
}

#[test]
fn without_its_own_key_a_dead_letter_keeps_the_messages() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.declare_exchange(&mut client, "dlx", "topic", &[]);
    bench.declare(&mut client, "dead", &[]);
    bench.bind(&mut client, "dead", "dlx", "q", &[]);
    bench.declare(
        &mut client,
        "q",
        &[
            ("x-dead-letter-exchange", text("dlx")),
            ("x-max-length", int(0)),
        ],
    );
    bench.publish(&mut client, "", "q", "m");
    let got = bench.get(&mut client, "dead").unwrap();
    assert_eq!((got.exchange.as_str(), got.key.as_str()), ("dlx", "q"));
    assert_eq!(
        reason(&got.properties.headers().clone().unwrap()),
        Some(&text("maxlen"))
    );
}

#[test]
fn a_full_queue_drops_its_head() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    mortal(&mut bench, &mut client, &[("x-max-length", int(2))]);
    for body in ["a", "b", "c", "d"] {
        bench.publish(&mut client, "", "q", body);
    }
    assert_eq!(bench.drain(&mut client, "q"), ["c", "d"]);
    assert_eq!(bench.drain(&mut client, "dead"), ["a", "b"]);
}

#[test]
fn bytes_count_too() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.declare(&mut client, "q", &[("x-max-length-bytes", int(5))]);
    for body in ["123", "45", "6"] {
        bench.publish(&mut client, "", "q", body);
    }
    assert_eq!(bench.drain(&mut client, "q"), ["45", "6"]);
}

#[test]
fn a_message_that_only_goes_round_in_circles_is_dropped() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    for (queue, next) in [("a", "b"), ("b", "a")] {
        let arguments = [
            ("x-message-ttl", int(10)),
            ("x-dead-letter-exchange", text("")),
            ("x-dead-letter-routing-key", text(next)),
        ];
        bench.declare(&mut client, queue, &arguments);
    }
    bench.publish(&mut client, "", "a", "m");
    bench.pass(10);
    assert_eq!((bench.ready("a"), bench.ready("b")), (0, 1));
    bench.pass(10);
    assert_eq!((bench.ready("a"), bench.ready("b")), (0, 0));
    assert_eq!(bench.snapshot().message_bytes, 0);
}

#[test]
fn what_a_client_says_about_deaths_is_not_believed() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    mortal(&mut bench, &mut client, &[("x-max-length", int(0))]);
    let forged = super::bench::table(&[("x-death", text("forged")), ("mine", int(1))]);
    bench.publish_with(
        &mut client,
        "",
        "q",
        "m",
        AMQPProperties::default().with_headers(forged),
    );
    let headers = bench
        .get(&mut client, "dead")
        .unwrap()
        .properties
        .headers()
        .clone()
        .unwrap();
    assert!(matches!(
        headers.inner().get("x-death"),
        Some(AMQPValue::FieldArray(_))
    ));
    assert_eq!(headers.inner().get("mine"), Some(&int(1)));
}

#[test]
fn quorum_queues_count_deliveries_and_give_up() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    mortal(
        &mut bench,
        &mut client,
        &[
            ("x-queue-type", text("quorum")),
            ("x-delivery-limit", int(2)),
        ],
    );
    bench.consume(&mut client, "q", "c", 1);
    bench.publish(&mut client, "", "q", "m");
    for attempt in 0..3 {
        let got = bench.deliveries(&mut client);
        let count = got[0]
            .properties
            .headers()
            .as_ref()
            .and_then(|headers| headers.inner().get("x-delivery-count").cloned());
        assert_eq!(
            count,
            (attempt > 0).then_some(AMQPValue::LongLongInt(attempt))
        );
        assert_eq!(got[0].redelivered, attempt > 0);
        bench.nack(&mut client, got[0].tag, false, true);
    }
    assert!(bench.deliveries(&mut client).is_empty());
    let headers = bench
        .get(&mut client, "dead")
        .unwrap()
        .properties
        .headers()
        .clone()
        .unwrap();
    assert_eq!(reason(&headers), Some(&text("delivery_limit")));
}

#[test]
fn refused_messages_are_dead_lettered_where_the_queue_says_so() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    mortal(
        &mut bench,
        &mut client,
        &[
            ("x-max-length", int(1)),
            ("x-overflow", text("reject-publish-dlx")),
        ],
    );
    bench.publish(&mut client, "", "q", "kept");
    bench.publish(&mut client, "", "q", "refused");
    assert_eq!(bench.drain(&mut client, "q"), ["kept"]);
    assert_eq!(bench.drain(&mut client, "dead"), ["refused"]);
}

#[test]
fn hidden_copies_follow_a_dead_letter_and_stay_hidden() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.declare_exchange(&mut client, "dlx", "direct", &[]);
    for queue in ["q", "shown", "hidden"] {
        let dead = format!("{queue}.dead");
        bench.declare(&mut client, &dead, &[]);
        bench.bind(&mut client, &dead, "dlx", queue, &[]);
    }
    let limits = [
        ("x-dead-letter-exchange", text("dlx")),
        ("x-max-length", int(0)),
    ];
    bench.declare(&mut client, "q", &limits);
    let keys = |key: &str| AMQPValue::FieldArray(FieldArray::from(vec![text(key)]));
    let headers = super::bench::table(&[("CC", keys("shown")), ("BCC", keys("hidden"))]);
    let properties = AMQPProperties::default().with_headers(headers);
    bench.publish_with(&mut client, "", "q", "m", properties);
    for queue in ["q.dead", "shown.dead", "hidden.dead"] {
        let got = bench.get(&mut client, queue).unwrap();
        let headers = got.properties.headers().clone().unwrap();
        assert_eq!(headers.inner().get("BCC"), None);
        let Some(AMQPValue::FieldArray(deaths)) = headers.inner().get("x-death") else {
            panic!("no deaths")
        };
        let AMQPValue::FieldTable(death) = &deaths.as_slice()[0] else {
            panic!("no death")
        };
        let shown = FieldArray::from(vec![text("q"), text("shown")]);
        assert_eq!(
            death.inner().get("routing-keys"),
            Some(&AMQPValue::FieldArray(shown))
        );
    }
}

#[test]
fn a_repeated_death_keeps_its_first_exchange_in_the_list_only() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    mortal(&mut bench, &mut client, &[]);
    let back = [
        ("x-message-ttl", int(5)),
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text("q")),
    ];
    let redeclared = amq_protocol::protocol::queue::Delete {
        queue: "dead".into(),
        nowait: true,
        ..Default::default()
    };
    bench.queue(
        &mut client,
        amq_protocol::protocol::queue::AMQPMethod::Delete(redeclared),
    );
    bench.declare(&mut client, "dead", &back);
    bench.bind(&mut client, "q", "amq.direct", "start", &[]);
    bench.consume(&mut client, "q", "c", 0);
    bench.publish(&mut client, "amq.direct", "start", "m");
    for tag in 1..=2 {
        assert_eq!(bench.bodies(&mut client), ["m"]);
        bench.nack(&mut client, tag, false, false);
        if tag == 1 {
            bench.pass(5);
        }
    }
    let headers = bench
        .get(&mut client, "dead")
        .unwrap()
        .properties
        .headers()
        .clone()
        .unwrap();
    let header = |name: &str| headers.inner().get(name).cloned();
    assert_eq!(header("x-first-death-exchange"), Some(text("amq.direct")));
    assert_eq!(header("x-last-death-exchange"), Some(text("")));
    let Some(AMQPValue::FieldArray(deaths)) = header("x-death") else {
        panic!("no deaths")
    };
    let AMQPValue::FieldTable(latest) = &deaths.as_slice()[0] else {
        panic!("no death")
    };
    assert_eq!(latest.inner().get("exchange"), Some(&text("amq.direct")));
    assert_eq!(
        latest.inner().get("count"),
        Some(&AMQPValue::LongLongInt(2))
    );
    assert_eq!(
        latest.inner().get("time"),
        Some(&AMQPValue::Timestamp(1_000_000))
    );
}

#[test]
fn what_expires_at_one_moment_makes_room_for_what_died_elsewhere() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.declare_exchange(&mut client, "x", "fanout", &[]);
    let to = [
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text("full")),
    ];
    bench.declare(&mut client, "first", &to);
    let full = [
        ("x-max-length", int(1)),
        ("x-overflow", text("reject-publish")),
    ];
    bench.declare(&mut client, "full", &full);
    for queue in ["first", "full"] {
        bench.bind(&mut client, queue, "x", "", &[]);
    }
    let soon = AMQPProperties::default().with_expiration("100".into());
    bench.publish_with(&mut client, "x", "", "m", soon);
    bench.pass(100);
    assert_eq!((bench.ready("first"), bench.ready("full")), (0, 1));
}
