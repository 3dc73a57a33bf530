//! Which of several faults is reported, and how: in this RabbitMQ is the standard, not the specification.

use super::bench::{Bench, Client, int, table, text};
use amq_protocol::{
    protocol::{
        AMQPClass, access,
        basic::{self, AMQPMethod as Basic, AMQPProperties},
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

fn get_ok(bench: &mut Bench, client: &mut Client, queue: &str) -> Option<basic::GetOk> {
    let get = basic::Get {
        queue: queue.into(),
        no_ack: true,
    };
    bench.basic(client, Basic::Get(get));
    match bench.next(client) {
        Some(AMQPClass::Basic(Basic::GetOk(ok))) => Some(ok),
        _ => None,
    }
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
fn a_wrong_expiration_is_reported_before_a_wrong_user() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    let properties = AMQPProperties::default()
        .with_user_id("other".into())
        .with_expiration("never".into());
    bench.publish_with(&mut client, "", "q", "m", properties);
    let (_, text) = bench.closed(&mut client);
    assert!(text.contains("expiration"), "{text}");
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

#[test]
fn what_expired_behind_a_fetched_message_is_not_counted() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.declare(&mut client, "q", &[]);
    bench.publish(&mut client, "", "q", "first");
    let soon = AMQPProperties::default().with_expiration("10".into());
    bench.publish_with(&mut client, "", "q", "behind it", soon);
    bench.pass(20);
    let got = get_ok(&mut bench, &mut client, "q");
    assert_eq!(got.map(|got| got.message_count), Some(0));
}

#[test]
fn system_exchanges_are_not_deleted() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    let delete = exchange::Delete {
        exchange: "amq.direct".into(),
        ..exchange::Delete::default()
    };
    let class = AMQPClass::Exchange(Exchange::Delete(delete));
    let (_, text) = refused(&mut bench, &mut client, class);
    assert_eq!(
        text,
        "ACCESS_REFUSED - deletion of system exchange 'amq.direct' in vhost '/' not allowed"
    );
}

#[test]
fn what_the_empty_name_means_is_asked_before_the_consumer_tag() {
    let mut bench = Bench::new();
    let (mut client, mut other) = (bench.client(), bench.client());
    bench.declare(&mut other, "q", &[]);
    bench.consume(&mut client, "q", "c", 0);
    let consume = basic::Consume {
        consumer_tag: "c".into(),
        ..basic::Consume::default()
    };
    let class = AMQPClass::Basic(Basic::Consume(consume));
    let (code, _) = refused(&mut bench, &mut client, class);
    assert_eq!(code, 404);
}

#[test]
fn a_message_that_comes_back_may_be_one_too_many() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.declare(&mut client, "q", &[("x-max-length-bytes", int(4))]);
    bench.consume(&mut client, "q", "c", 0);
    bench.publish(&mut client, "", "q", "delivered at once");
    assert_eq!(bench.bodies(&mut client), ["delivered at once"]);
    bench.nack(&mut client, 1, false, true);
    assert!(bench.bodies(&mut client).is_empty());
    assert_eq!(bench.ready("q"), 0);
}

#[test]
fn an_expiration_is_spelled_as_a_number() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.declare(&mut client, "q", &[]);
    for (given, seen) in [("+7000", "7000"), ("007", "7"), ("60000", "60000")] {
        let properties = AMQPProperties::default().with_expiration(given.into());
        bench.publish_with(&mut client, "", "q", "m", properties);
        let got = bench.get(&mut client, "q").expect("a message");
        assert_eq!(*got.properties.expiration(), Some(seen.into()));
    }
}

#[test]
fn a_commit_that_a_queue_refuses_is_partial() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    let full = [
        ("x-max-length", int(0)),
        ("x-overflow", text("reject-publish")),
    ];
    for gone in [true, false] {
        bench.declare(&mut client, "q", if gone { &[] } else { &full });
        let select = tx::AMQPMethod::Select(tx::Select {});
        bench.method(&mut client, 1, AMQPClass::Tx(select));
        bench.next(&mut client);
        bench.publish(&mut client, "", "q", "m");
        if gone {
            let delete = queue::Delete {
                queue: "q".into(),
                ..queue::Delete::default()
            };
            bench.queue(&mut client, Queue::Delete(delete));
            bench.next(&mut client);
        }
        let commit = tx::AMQPMethod::Commit(tx::Commit {});
        let closed = refused(&mut bench, &mut client, AMQPClass::Tx(commit));
        let wanted = "PRECONDITION_FAILED - partial tx completion";
        assert_eq!(closed, (406, wanted.to_owned()));
    }
}

#[test]
fn a_hidden_key_hides_the_first_that_is_the_same() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    let to_grave = [
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text("grave")),
        ("x-message-ttl", int(0)),
    ];
    bench.declare(&mut client, "q", &to_grave);
    bench.declare(&mut client, "grave", &[]);
    let list = |keys: &[&str]| {
        let keys: Vec<_> = keys.iter().map(|key| text(key)).collect();
        AMQPValue::FieldArray(keys.into())
    };
    let headers = table(&[("CC", list(&["q", "a"])), ("BCC", list(&["q"]))]);
    let properties = AMQPProperties::default().with_headers(headers);
    bench.publish_with(&mut client, "", "q", "m", properties);
    let got = bench.get(&mut client, "grave").expect("a dead letter");
    let headers = got.properties.headers().clone().expect("headers");
    let Some(AMQPValue::FieldArray(deaths)) = headers.inner().get("x-death") else {
        panic!("no deaths in {headers:?}")
    };
    let AMQPValue::FieldTable(death) = &deaths.as_slice()[0] else {
        panic!("no death in {deaths:?}")
    };
    assert_eq!(
        death.inner().get("routing-keys"),
        Some(&list(&["q", "a", "q"]))
    );
}

#[test]
fn what_comes_back_to_a_queue_that_ends_is_no_dead_letter() {
    let mut bench = Bench::new();
    let (mut client, mut other) = (bench.client(), bench.client());
    bench.declare(&mut client, "grave", &[]);
    let declare = queue::Declare {
        queue: "q".into(),
        auto_delete: true,
        arguments: table(&[
            ("x-dead-letter-exchange", text("")),
            ("x-dead-letter-routing-key", text("grave")),
            ("x-max-length", int(1)),
        ]),
        ..queue::Declare::default()
    };
    bench.queue(&mut client, Queue::Declare(declare));
    bench.next(&mut client);
    bench.consume(&mut other, "q", "c", 0);
    for body in ["first", "second"] {
        bench.publish(&mut client, "", "q", body);
    }
    assert_eq!(bench.bodies(&mut other), ["first", "second"]);
    bench.disconnect(&other);
    assert!(bench.snapshot().queue("q").is_none());
    assert_eq!(bench.ready("grave"), 0);
}
