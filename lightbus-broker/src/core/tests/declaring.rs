use super::bench::{Bench, declare, int, text};
use amq_protocol::{
    protocol::{
        AMQPClass,
        exchange::{self, AMQPMethod as Exchange},
        queue::{self, AMQPMethod as Queue},
    },
    types::AMQPValue,
};

#[test]
fn the_same_declaration_twice_is_fine_whatever_the_integer_type() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.declare(
        &mut client,
        "q",
        &[
            ("x-message-ttl", int(1000)),
            ("x-queue-type", text("classic")),
        ],
    );
    bench.declare(
        &mut client,
        "q",
        &[
            ("x-message-ttl", AMQPValue::LongLongInt(1000)),
            ("x-unknown", int(1)),
        ],
    );
}

#[test]
fn another_declaration_is_refused_and_says_why() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.declare(&mut client, "q", &[("x-message-ttl", int(2))]);
    let cases = [
        (
            declare("q", &[("x-message-ttl", int(1))]),
            "inequivalent arg 'x-message-ttl' for queue 'q' in vhost '/': received the value '1' of type 'signedint' but current is the value '2' of type 'signedint'",
        ),
        (
            declare("q", &[]),
            "inequivalent arg 'x-message-ttl' for queue 'q' in vhost '/': received none but current is the value '2' of type 'signedint'",
        ),
        (
            queue::Declare {
                durable: false,
                ..declare("q", &[("x-message-ttl", int(2))])
            },
            "inequivalent arg 'durable' for queue 'q' in vhost '/': received 'false' but current is 'true'",
        ),
        (
            declare(
                "q",
                &[("x-message-ttl", int(2)), ("x-queue-type", text("quorum"))],
            ),
            "inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': received the value 'quorum' of type 'longstr' but current is the value 'classic' of type 'longstr'",
        ),
    ];
    for (declaration, wanted) in cases {
        bench.queue(&mut client, Queue::Declare(declaration));
        assert_eq!(
            bench.closed(&mut client),
            (406, format!("PRECONDITION_FAILED - {wanted}"))
        );
        bench.reopen(&mut client);
    }
}

#[test]
fn exchanges_are_compared_too() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.declare_exchange(&mut client, "x", "direct", &[]);
    let again = exchange::Declare {
        exchange: "x".into(),
        kind: "topic".into(),
        ..exchange::Declare::default()
    };
    bench.exchange(&mut client, Exchange::Declare(again));
    let text = "PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'x' in vhost '/': received 'topic' but current is 'direct'";
    assert_eq!(bench.closed(&mut client), (406, text.to_owned()));
}

#[test]
fn reserved_names_are_refused() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.queue(&mut client, Queue::Declare(declare("amq.mine", &[])));
    assert_eq!(bench.closed(&mut client).0, 403);
    bench.reopen(&mut client);
    let mine = exchange::Declare {
        exchange: "amq.mine".into(),
        kind: "direct".into(),
        ..exchange::Declare::default()
    };
    bench.exchange(&mut client, Exchange::Declare(mine));
    assert_eq!(bench.closed(&mut client).0, 403);
    bench.reopen(&mut client);
    let theirs = exchange::Declare {
        exchange: "amq.direct".into(),
        kind: "direct".into(),
        durable: true,
        ..exchange::Declare::default()
    };
    bench.exchange(&mut client, Exchange::Declare(theirs));
    assert!(matches!(
        bench.next(&mut client),
        Some(AMQPClass::Exchange(Exchange::DeclareOk(_)))
    ));
}

#[test]
fn the_broker_names_queues_and_the_channel_remembers() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.queue(&mut client, Queue::Declare(declare("", &[])));
    let Some(AMQPClass::Queue(Queue::DeclareOk(ok))) = bench.next(&mut client) else {
        panic!("not declared")
    };
    assert!(ok.queue.as_str().starts_with("amq.gen-"));
    bench.bind(&mut client, "", "amq.direct", "", &[]);
    bench.publish(&mut client, "amq.direct", ok.queue.as_str(), "m");
    assert_eq!(bench.drain(&mut client, ""), ["m"]);
}

#[test]
fn passive_declares_only_look() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    let look = |name: &str| queue::Declare {
        passive: true,
        ..declare(name, &[])
    };
    bench.queue(&mut client, Queue::Declare(look("q")));
    assert_eq!(
        bench.closed(&mut client),
        (404, "NOT_FOUND - no queue 'q' in vhost '/'".to_owned())
    );
    bench.reopen(&mut client);
    bench.declare(&mut client, "q", &[]);
    bench.publish(&mut client, "", "q", "m");
    bench.queue(&mut client, Queue::Declare(look("q")));
    assert!(
        matches!(bench.next(&mut client), Some(AMQPClass::Queue(Queue::DeclareOk(ok))) if ok.message_count == 1)
    );
}

#[test]
fn exclusive_queues_are_locked_and_go_with_their_connection() {
    let mut bench = Bench::new();
    let (mut owner, mut other) = (bench.client(), bench.client());
    let exclusive = queue::Declare {
        exclusive: true,
        ..declare("mine", &[])
    };
    bench.queue(&mut owner, Queue::Declare(exclusive.clone()));
    assert!(matches!(
        bench.next(&mut owner),
        Some(AMQPClass::Queue(Queue::DeclareOk(_)))
    ));
    bench.queue(&mut other, Queue::Declare(exclusive));
    assert_eq!(bench.closed(&mut other).0, 405);
    bench.disconnect(&owner);
    assert!(bench.snapshot().queues.is_empty());
}

#[test]
fn deleting_asks_first_where_it_is_told_to() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.declare(&mut client, "q", &[]);
    bench.publish(&mut client, "", "q", "m");
    let delete = queue::Delete {
        queue: "q".into(),
        if_empty: true,
        ..queue::Delete::default()
    };
    bench.queue(&mut client, Queue::Delete(delete.clone()));
    assert_eq!(
        bench.closed(&mut client),
        (
            406,
            "PRECONDITION_FAILED - queue 'q' in vhost '/' not empty".to_owned()
        )
    );
    bench.reopen(&mut client);
    bench.queue(
        &mut client,
        Queue::Delete(queue::Delete {
            if_empty: false,
            ..delete.clone()
        }),
    );
    assert!(
        matches!(bench.next(&mut client), Some(AMQPClass::Queue(Queue::DeleteOk(ok))) if ok.message_count == 1)
    );
    bench.queue(&mut client, Queue::Delete(delete));
    assert!(
        matches!(bench.next(&mut client), Some(AMQPClass::Queue(Queue::DeleteOk(ok))) if ok.message_count == 0)
    );
}

#[test]
fn quorum_queues_are_durable_and_streams_are_refused() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    let quorum = queue::Declare {
        durable: false,
        ..declare("q", &[("x-queue-type", text("quorum"))])
    };
    bench.queue(&mut client, Queue::Declare(quorum));
    assert_eq!(
        bench.closed(&mut client).1,
        "PRECONDITION_FAILED - invalid property 'non-durable' for queue 'q' in vhost '/'"
    );
    bench.reopen(&mut client);
    bench.queue(
        &mut client,
        Queue::Declare(declare("s", &[("x-queue-type", text("stream"))])),
    );
    assert_eq!(bench.closed(&mut client).0, 406);
}
