use super::bench::{Bench, declare, int, text};
use crate::{config::Settings, queue_type::QueueType};
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
            "inequivalent arg 'x-message-ttl' for queue 'q' in vhost '/': received '1' but current is '2'",
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
            "inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': received 'quorum' but current is 'classic'",
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
fn an_exclusive_queue_and_another_of_its_name_are_not_the_same() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    for (name, exclusive) in [("mine", true), ("everybodys", false)] {
        for exclusive in [exclusive, !exclusive] {
            let declaration = queue::Declare {
                exclusive,
                nowait: true,
                ..declare(name, &[])
            };
            bench.queue(&mut client, Queue::Declare(declaration));
        }
        assert_eq!(bench.closed(&mut client).0, 405, "{name}");
        bench.reopen(&mut client);
    }
}

#[test]
fn names_lose_their_line_breaks() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.declare(&mut client, "two\r\nlines\n", &[]);
    bench.declare_exchange(&mut client, "\nx\r", "fanout", &[]);
    bench.bind(&mut client, "two\nlines", "x\n", "", &[]);
    bench.publish(&mut client, "x", "", "m");
    assert_eq!(bench.drain(&mut client, "twolines"), ["m"]);
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
    assert_eq!(ok.queue.as_str().len(), 30, "{}", ok.queue);
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
fn only_classic_queues_are_temporary_or_named_by_the_broker() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    for kind in ["quorum", "stream"] {
        let of_kind = || declare("q", &[("x-queue-type", text(kind))]);
        let cases = [
            (
                queue::Declare {
                    durable: false,
                    ..of_kind()
                },
                "invalid property 'non-durable' for queue 'q' in vhost '/'".to_owned(),
            ),
            (
                queue::Declare {
                    exclusive: true,
                    ..of_kind()
                },
                "invalid property 'exclusive-owner' for queue 'q' in vhost '/'".to_owned(),
            ),
            (
                queue::Declare {
                    auto_delete: true,
                    ..of_kind()
                },
                "invalid property 'auto-delete' for queue 'q' in vhost '/'".to_owned(),
            ),
            (
                queue::Declare {
                    queue: "".into(),
                    ..of_kind()
                },
                format!("Cannot declare a server-named queue for type rabbit_{kind}_queue"),
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
}

#[test]
fn an_exclusive_declaration_of_what_is_not_exclusive_is_locked_out() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.declare(&mut client, "q", &[]);
    let mine = queue::Declare {
        exclusive: true,
        ..declare("q", &[])
    };
    bench.queue(&mut client, Queue::Declare(mine));
    assert_eq!(bench.closed(&mut client).0, 405);
}

#[test]
fn an_exclusive_queue_is_not_durable_whatever_its_declaration_says() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    for durable in [true, false] {
        let mine = queue::Declare {
            exclusive: true,
            durable,
            ..declare("mine", &[])
        };
        bench.queue(&mut client, Queue::Declare(mine));
        assert!(matches!(
            bench.next(&mut client),
            Some(AMQPClass::Queue(Queue::DeclareOk(_)))
        ));
    }
    assert!(!bench.snapshot().queue("mine").unwrap().durable);
}

#[test]
fn the_default_type_is_for_queues_that_can_be_of_it() {
    let settings = Settings {
        default_queue_type: QueueType::Quorum,
        ..Settings::default()
    };
    let mut bench = Bench::with(settings);
    let mut client = bench.client();
    bench.declare(&mut client, "plain", &[]);
    bench.declare(&mut client, "plain", &[("x-queue-type", text("quorum"))]);
    bench.declare(&mut client, "said", &[("x-queue-type", text("classic"))]);
    for temporary in [
        queue::Declare {
            durable: false,
            ..declare("transient", &[])
        },
        queue::Declare {
            exclusive: true,
            ..declare("mine", &[])
        },
        queue::Declare {
            auto_delete: true,
            ..declare("passing", &[])
        },
    ] {
        bench.queue(&mut client, Queue::Declare(temporary));
        assert!(matches!(
            bench.next(&mut client),
            Some(AMQPClass::Queue(Queue::DeclareOk(_)))
        ));
    }
    let snapshot = bench.snapshot();
    let kinds: Vec<_> = snapshot
        .queues
        .iter()
        .map(|queue| (queue.name.as_str(), queue.kind.as_str()))
        .collect();
    assert_eq!(
        kinds,
        [
            ("mine", "classic"),
            ("passing", "classic"),
            ("plain", "quorum"),
            ("said", "classic"),
            ("transient", "classic")
        ]
    );
}

#[test]
fn only_classic_queues_are_deleted_on_conditions() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.declare(&mut client, "q", &[("x-queue-type", text("quorum"))]);
    bench.declare(&mut client, "s", &[("x-queue-type", text("stream"))]);
    bench.publish(&mut client, "", "s", "m");
    let delete = |name: &str| queue::Delete {
        queue: name.into(),
        if_empty: true,
        ..queue::Delete::default()
    };
    bench.queue(&mut client, Queue::Delete(delete("s")));
    assert!(
        matches!(bench.next(&mut client), Some(AMQPClass::Queue(Queue::DeleteOk(ok))) if ok.message_count == 0)
    );
    bench.queue(&mut client, Queue::Delete(delete("q")));
    let text = "NOT_IMPLEMENTED - cannot delete queue 'q' in vhost '/'. queue.delete operations with if-empty flag set are not supported by quorum queues";
    assert_eq!(bench.closed(&mut client), (540, text.to_owned()));
}
