//! Which of several faults is reported, and how: in this RabbitMQ is the standard, not the specification.

use super::bench::{Bench, Client, int, table, text};
use amq_protocol::{
    protocol::{
        AMQPClass, access,
        basic::AMQPProperties,
        exchange::{self, AMQPMethod as Exchange},
        queue::{self, AMQPMethod as Queue},
        tx,
    },
    types::AMQPValue,
};

/// What a channel is closed with; it is open again afterwards.
fn refused(bench: &mut Bench, client: &mut Client, class: AMQPClass) -> (u16, String) {
    bench.method(client, 1, class);
    let closed = bench.closed(client);
    bench.reopen(client);
    closed
}

fn bind(queue: &str, exchange: &str, arguments: &[(&str, AMQPValue)]) -> AMQPClass {
    AMQPClass::Queue(Queue::Bind(queue::Bind {
        queue: queue.into(),
        exchange: exchange.into(),
        arguments: table(arguments),
        ..queue::Bind::default()
    }))
}

#[test]
fn a_binding_misses_its_exchange_before_its_queue() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    for (exchange, wanted) in [
        (
            "",
            "ACCESS_REFUSED - operation not permitted on the default exchange",
        ),
        ("none", "NOT_FOUND - no exchange 'none' in vhost '/'"),
        ("amq.direct", "NOT_FOUND - no queue 'q' in vhost '/'"),
    ] {
        let (_, text) = refused(&mut bench, &mut client, bind("q", exchange, &[]));
        assert_eq!(text, wanted);
    }
}

#[test]
fn what_is_not_bound_can_be_unbound() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.declare(&mut client, "there", &[]);
    for (queue, exchange) in [
        ("none", "amq.topic"),
        ("there", "none"),
        ("there", "amq.topic"),
    ] {
        let unbind = queue::Unbind {
            queue: queue.into(),
            exchange: exchange.into(),
            ..queue::Unbind::default()
        };
        bench.queue(&mut client, Queue::Unbind(unbind));
        let answer = bench.next(&mut client);
        assert!(
            matches!(answer, Some(AMQPClass::Queue(Queue::UnbindOk(_)))),
            "{answer:?}"
        );
    }
    let unbind = exchange::Unbind {
        source: "none".into(),
        destination: "amq.topic".into(),
        ..exchange::Unbind::default()
    };
    bench.exchange(&mut client, Exchange::Unbind(unbind));
    let answer = bench.next(&mut client);
    assert!(
        matches!(answer, Some(AMQPClass::Exchange(Exchange::UnbindOk(_)))),
        "{answer:?}"
    );
}

#[test]
fn a_wrong_match_is_named() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.declare(&mut client, "q", &[]);
    for (value, wanted) in [
        (
            text("some"),
            "Invalid x-match field value <<\"some\">>; expected all, any, all-with-x, or any-with-x",
        ),
        (
            int(1),
            "Invalid x-match field type signedint (value 1); expected longstr",
        ),
    ] {
        let class = bind("q", "amq.headers", &[("x-match", value)]);
        let (code, text) = refused(&mut bench, &mut client, class);
        assert_eq!(
            (code, text),
            (406, format!("PRECONDITION_FAILED - {wanted}"))
        );
    }
}

#[test]
fn a_passive_declaration_takes_the_empty_name_for_a_name() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.declare(&mut client, "q", &[]);
    let declare = queue::Declare {
        passive: true,
        ..queue::Declare::default()
    };
    let class = AMQPClass::Queue(Queue::Declare(declare));
    let (_, text) = refused(&mut bench, &mut client, class);
    assert_eq!(text, "NOT_FOUND - no queue '' in vhost '/'");
}

#[test]
fn realms_are_granted() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    let request = access::AMQPMethod::Request(access::Request::default());
    bench.method(&mut client, 1, AMQPClass::Access(request));
    assert!(matches!(
        bench.next(&mut client),
        Some(AMQPClass::Access(access::AMQPMethod::RequestOk(_)))
    ));
}

#[test]
fn copies_must_be_a_list() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    for (name, value, kind) in [
        ("CC", text("a"), "longstr"),
        ("BCC", AMQPValue::Void, "void"),
    ] {
        let properties = AMQPProperties::default().with_headers(table(&[(name, value)]));
        bench.publish_with(&mut client, "", "q", "m", properties);
        let wanted = format!(
            "PRECONDITION_FAILED - invalid message: {{unacceptable_type_in_header,\"{name}\",{kind}}}"
        );
        assert_eq!(bench.closed(&mut client), (406, wanted));
        bench.reopen(&mut client);
    }
}

#[test]
fn a_missing_exchange_is_reported_before_a_missing_reply_consumer() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    let properties = AMQPProperties::default().with_reply_to("amq.rabbitmq.reply-to".into());
    bench.publish_with(&mut client, "none", "q", "m", properties.clone());
    assert_eq!(bench.closed(&mut client).0, 404);
    bench.reopen(&mut client);
    bench.publish_with(&mut client, "", "q", "m", properties);
    assert_eq!(bench.closed(&mut client).0, 406);
}

#[test]
fn a_transaction_routes_and_checks_when_it_is_published_to() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    let call = |method| AMQPClass::Tx(method);
    bench.declare(&mut client, "q", &[]);
    bench.method(&mut client, 1, call(tx::AMQPMethod::Select(tx::Select {})));
    bench.next(&mut client);
    bench.publish(&mut client, "amq.fanout", "", "before the binding");
    bench.bind(&mut client, "q", "amq.fanout", "", &[]);
    bench.publish(&mut client, "amq.fanout", "", "after the binding");
    bench.method(&mut client, 1, call(tx::AMQPMethod::Commit(tx::Commit {})));
    bench.next(&mut client);
    assert_eq!(bench.drain(&mut client, "q"), ["after the binding"]);
    let never = AMQPProperties::default().with_expiration("never".into());
    bench.publish_with(&mut client, "", "q", "m", never);
    assert_eq!(bench.closed(&mut client).0, 406);
}
