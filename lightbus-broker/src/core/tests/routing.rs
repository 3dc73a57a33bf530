use super::bench::{Bench, int, table, text};
use amq_protocol::{
    protocol::{
        AMQPClass,
        basic::AMQPProperties,
        exchange::{self, AMQPMethod},
        queue,
    },
    types::{AMQPValue, FieldArray},
};

#[test]
fn exchanges_of_every_type_route() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    for queue in ["a", "b"] {
        bench.declare(&mut client, queue, &[]);
        bench.bind(&mut client, queue, "amq.direct", queue, &[]);
        bench.bind(&mut client, queue, "amq.fanout", "ignored", &[]);
        bench.bind(
            &mut client,
            queue,
            "amq.topic",
            &format!("*.{queue}.#"),
            &[],
        );
        bench.bind(
            &mut client,
            queue,
            "amq.headers",
            "",
            &[("to", text(queue))],
        );
    }
    let headers =
        AMQPProperties::default().with_headers(table(&[("to", text("b")), ("n", int(1))]));
    bench.publish(&mut client, "amq.direct", "a", "direct");
    bench.publish(&mut client, "amq.direct", "c", "lost");
    bench.publish(&mut client, "amq.fanout", "x", "fanout");
    bench.publish(&mut client, "amq.topic", "x.b.y.z", "topic");
    bench.publish_with(&mut client, "amq.headers", "", "headers", headers);
    assert_eq!(bench.drain(&mut client, "a"), ["direct", "fanout"]);
    assert_eq!(
        bench.drain(&mut client, "b"),
        ["fanout", "topic", "headers"]
    );
}

#[test]
fn a_queue_bound_twice_gets_one_copy() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.declare(&mut client, "q", &[]);
    bench.bind(&mut client, "q", "amq.topic", "a.#", &[]);
    bench.bind(&mut client, "q", "amq.topic", "#.b", &[]);
    bench.bind(&mut client, "q", "amq.topic", "#.b", &[]);
    bench.publish(&mut client, "amq.topic", "a.b", "one");
    assert_eq!(bench.drain(&mut client, "q"), ["one"]);
}

#[test]
fn exchanges_bound_to_each_other_do_not_loop() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    for (name, kind) in [("first", "topic"), ("second", "fanout")] {
        bench.declare_exchange(&mut client, name, kind, &[]);
    }
    for (source, destination, key) in [("first", "second", "a.*"), ("second", "first", "")] {
        let bind = exchange::Bind {
            source: source.into(),
            destination: destination.into(),
            routing_key: key.into(),
            nowait: true,
            ..exchange::Bind::default()
        };
        bench.exchange(&mut client, AMQPMethod::Bind(bind));
    }
    bench.declare(&mut client, "q", &[]);
    bench.bind(&mut client, "q", "second", "", &[]);
    bench.publish(&mut client, "first", "a.b", "through");
    bench.publish(&mut client, "first", "b", "lost");
    assert_eq!(bench.drain(&mut client, "q"), ["through"]);

    let delete = exchange::Delete {
        exchange: "second".into(),
        nowait: true,
        ..exchange::Delete::default()
    };
    bench.exchange(&mut client, AMQPMethod::Delete(delete));
    assert!(bench.snapshot().bindings.is_empty());
}

#[test]
fn the_alternate_gets_what_an_exchange_cannot_route() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.declare_exchange(&mut client, "rest", "fanout", &[]);
    bench.declare_exchange(
        &mut client,
        "main",
        "direct",
        &[("alternate-exchange", text("rest"))],
    );
    for (queue, exchange) in [("known", "main"), ("unknown", "rest")] {
        bench.declare(&mut client, queue, &[]);
        bench.bind(&mut client, queue, exchange, "known", &[]);
    }
    bench.publish(&mut client, "main", "known", "1");
    bench.publish(&mut client, "main", "other", "2");
    assert_eq!(bench.drain(&mut client, "known"), ["1"]);
    assert_eq!(bench.drain(&mut client, "unknown"), ["2"]);
}

#[test]
fn copies_go_where_headers_say_and_hidden_ones_stay_hidden() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    for queue in ["to", "cc", "bcc"] {
        bench.declare(&mut client, queue, &[]);
    }
    let list = |name: &str| AMQPValue::FieldArray(FieldArray::from(vec![text(name)]));
    let headers = table(&[("CC", list("cc")), ("BCC", list("bcc"))]);
    bench.publish_with(
        &mut client,
        "",
        "to",
        "m",
        AMQPProperties::default().with_headers(headers),
    );
    for queue in ["to", "cc", "bcc"] {
        let got = bench.get(&mut client, queue).unwrap();
        let headers = got.properties.headers().clone().unwrap();
        assert!(
            headers.contains_key("CC") && !headers.contains_key("BCC"),
            "{queue}"
        );
    }
}

#[test]
fn copies_go_on_through_bound_exchanges() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    let bind = exchange::Bind {
        source: "amq.direct".into(),
        destination: "amq.topic".into(),
        routing_key: "first".into(),
        nowait: true,
        ..exchange::Bind::default()
    };
    bench.exchange(&mut client, AMQPMethod::Bind(bind));
    bench.declare(&mut client, "q", &[]);
    bench.bind(&mut client, "q", "amq.topic", "second", &[]);
    let list = |name: &str| AMQPValue::FieldArray(FieldArray::from(vec![text(name)]));
    let headers = table(&[("CC", list("first")), ("BCC", list("second"))]);
    let properties = AMQPProperties::default().with_headers(headers);
    bench.publish_with(&mut client, "amq.direct", "", "m", properties);
    assert_eq!(bench.drain(&mut client, "q"), ["m"]);
}

#[test]
fn unbinding_what_is_not_there_is_no_error() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.declare(&mut client, "q", &[]);
    for (queue, exchange) in [("none", "amq.direct"), ("q", "none"), ("q", "amq.direct")] {
        let unbind = queue::Unbind {
            queue: queue.into(),
            exchange: exchange.into(),
            ..queue::Unbind::default()
        };
        bench.queue(&mut client, queue::AMQPMethod::Unbind(unbind));
        assert!(matches!(
            bench.next(&mut client),
            Some(AMQPClass::Queue(queue::AMQPMethod::UnbindOk(_)))
        ));
    }
    for (source, destination) in [("none", "amq.direct"), ("amq.direct", "none")] {
        let unbind = exchange::Unbind {
            source: source.into(),
            destination: destination.into(),
            ..exchange::Unbind::default()
        };
        bench.exchange(&mut client, AMQPMethod::Unbind(unbind));
        assert!(matches!(
            bench.next(&mut client),
            Some(AMQPClass::Exchange(AMQPMethod::UnbindOk(_)))
        ));
    }
}

#[test]
fn auto_delete_exchanges_go_with_their_last_binding() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    let declare = exchange::Declare {
        exchange: "x".into(),
        kind: "direct".into(),
        auto_delete: true,
        nowait: true,
        ..exchange::Declare::default()
    };
    bench.exchange(&mut client, AMQPMethod::Declare(declare));
    bench.declare(&mut client, "q", &[]);
    bench.bind(&mut client, "q", "x", "k", &[]);
    assert!(bench.snapshot().exchange("x").is_some());
    let delete = queue::Delete {
        queue: "q".into(),
        nowait: true,
        ..queue::Delete::default()
    };
    bench.queue(&mut client, queue::AMQPMethod::Delete(delete));
    assert!(bench.snapshot().exchange("x").is_none());
    assert!(bench.next(&mut client).is_none());
}

#[test]
fn unbinding_ends_routing() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.declare(&mut client, "q", &[]);
    bench.bind(&mut client, "q", "amq.topic", "a.#", &[]);
    let unbind = queue::Unbind {
        queue: "q".into(),
        exchange: "amq.topic".into(),
        routing_key: "a.#".into(),
        ..queue::Unbind::default()
    };
    bench.queue(&mut client, queue::AMQPMethod::Unbind(unbind));
    assert!(matches!(
        bench.next(&mut client),
        Some(AMQPClass::Queue(queue::AMQPMethod::UnbindOk(_)))
    ));
    bench.publish(&mut client, "amq.topic", "a.b", "lost");
    assert_eq!(bench.ready("q"), 0);
    assert!(bench.snapshot().bindings.is_empty());
}
