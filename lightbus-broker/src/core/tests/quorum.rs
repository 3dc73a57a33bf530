use super::bench::{Bench, Client, declare, int, text};
use amq_protocol::{
    protocol::{
        AMQPClass,
        basic::{self, AMQPMethod as Basic, AMQPProperties},
        queue::AMQPMethod as Queue,
    },
    types::AMQPValue,
};

/// A quorum queue, and what it is declared with besides its type.
fn quorum(more: &[(&str, AMQPValue)]) -> (Bench, Client) {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.declare(&mut client, "q", &arguments(more));
    (bench, client)
}

fn arguments<'a>(more: &[(&'a str, AMQPValue)]) -> Vec<(&'a str, AMQPValue)> {
    let mut arguments = vec![("x-queue-type", text("quorum"))];
    arguments.extend_from_slice(more);
    arguments
}

/// Dead letters go to the queue `dead`, and stay until it has them.
fn careful() -> [(&'static str, AMQPValue); 4] {
    [
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text("dead")),
        ("x-dead-letter-strategy", text("at-least-once")),
        ("x-overflow", text("reject-publish")),
    ]
}

fn held(bench: &Bench) -> (usize, usize) {
    let snapshot = bench.snapshot();
    let queue = snapshot.queue("q").unwrap();
    (queue.held, queue.bytes)
}

/// Publishes a message and rejects it.
fn kill(bench: &mut Bench, client: &mut Client, body: &str) {
    bench.publish(client, "", "q", body);
    for got in bench.deliveries(client) {
        bench.nack(client, got.tag, false, false);
    }
}

#[test]
fn of_three_messages_two_are_high() {
    let (mut bench, mut client) = quorum(&[]);
    let priorities = [
        None,
        Some(0),
        Some(4),
        Some(5),
        Some(9),
        Some(255),
        Some(1),
        Some(6),
        Some(7),
        Some(8),
        None,
    ];
    for (number, priority) in priorities.into_iter().enumerate() {
        let properties = AMQPProperties::default();
        let properties = match priority {
            Some(priority) => properties.with_priority(priority),
            None => properties,
        };
        bench.publish_with(&mut client, "", "q", &number.to_string(), properties);
    }
    let wanted = ["3", "4", "0", "5", "7", "1", "8", "9", "2", "6", "10"];
    assert_eq!(bench.drain(&mut client, "q"), wanted);
}

#[test]
fn what_comes_back_comes_first_in_the_order_in_which_it_came() {
    let (mut bench, mut client) = quorum(&[]);
    bench.consume(&mut client, "q", "c", 3);
    for body in ["a", "b", "c", "d"] {
        bench.publish(&mut client, "", "q", body);
    }
    assert_eq!(bench.bodies(&mut client).len(), 3);
    let cancel = basic::Cancel {
        consumer_tag: "c".into(),
        nowait: true,
    };
    bench.basic(&mut client, Basic::Cancel(cancel));
    for tag in [3, 1, 2] {
        bench.nack(&mut client, tag, false, true);
    }
    let high = AMQPProperties::default().with_priority(9);
    bench.publish_with(&mut client, "", "q", "high", high);
    assert_eq!(bench.drain(&mut client, "q"), ["c", "a", "b", "high", "d"]);
}

#[test]
fn the_limit_of_deliveries_is_twenty_unless_it_is_none() {
    for (limit, deliveries) in [(None, 21), (Some(0), 1), (Some(-1), 50)] {
        let limit = limit.map(|limit| ("x-delivery-limit", int(limit)));
        let (mut bench, mut client) = quorum(limit.as_slice());
        bench.consume(&mut client, "q", "c", 1);
        bench.publish(&mut client, "", "q", "m");
        let mut seen = 0;
        while seen < 50
            && let [got] = &bench.deliveries(&mut client)[..]
        {
            seen += 1;
            bench.nack(&mut client, got.tag, false, true);
        }
        assert_eq!(seen, deliveries, "{limit:?}");
    }
}

#[test]
fn a_full_one_takes_one_more_and_then_none_until_it_is_empty_enough() {
    let (mut bench, mut client) = quorum(&[
        ("x-max-length", int(2)),
        ("x-overflow", text("reject-publish")),
    ]);
    bench.confirms(&mut client);
    for body in ["a", "b", "c", "d"] {
        bench.publish(&mut client, "", "q", body);
    }
    let mut answers = Vec::new();
    while let Some(AMQPClass::Basic(answer)) = bench.next(&mut client) {
        answers.push(matches!(answer, Basic::Ack(_)));
    }
    assert_eq!(answers, [true, true, true, false]);
    for taken in [true, false] {
        bench.get(&mut client, "q").unwrap();
        bench.publish(&mut client, "", "q", "e");
        let refused = matches!(
            bench.next(&mut client),
            Some(AMQPClass::Basic(Basic::Nack(_)))
        );
        assert_eq!(refused, taken);
    }
    assert_eq!(bench.drain(&mut client, "q"), ["c", "e"]);
}

#[test]
fn what_only_classic_queues_do_is_refused() {
    let (mut bench, mut client) = quorum(&[("x-single-active-consumer", AMQPValue::Boolean(true))]);
    let get = basic::Get {
        queue: "q".into(),
        no_ack: true,
    };
    bench.basic(&mut client, Basic::Get(get));
    let locked = "RESOURCE_LOCKED - cannot obtain access to locked queue 'q' in vhost '/'. basic.get operations are not supported by quorum queues with single active consumer";
    assert_eq!(bench.closed(&mut client), (405, locked.to_owned()));
    bench.reopen(&mut client);
    let qos = basic::Qos {
        prefetch_count: 5,
        global: true,
    };
    bench.basic(&mut client, Basic::Qos(qos));
    bench.next(&mut client);
    let consume = basic::Consume {
        queue: "q".into(),
        ..basic::Consume::default()
    };
    bench.basic(&mut client, Basic::Consume(consume));
    let global = "NOT_IMPLEMENTED - queue 'q' in vhost '/' does not support global qos";
    assert_eq!(bench.closed(&mut client), (540, global.to_owned()));
}

#[test]
fn dead_letters_wait_for_a_queue_that_takes_them() {
    let (mut bench, mut client) = quorum(&careful());
    bench.consume(&mut client, "q", "c", 0);
    kill(&mut bench, &mut client, "one");
    kill(&mut bench, &mut client, "three");
    assert_eq!(held(&bench), (2, 8));
    bench.pass(1000);
    assert_eq!(held(&bench), (2, 8), "there is still no queue");
    bench.declare(
        &mut client,
        "dead",
        &[
            ("x-max-length", int(1)),
            ("x-overflow", text("reject-publish")),
        ],
    );
    bench.pass(1000);
    assert_eq!(held(&bench), (1, 5), "there is room for one");
    assert_eq!(bench.drain(&mut client, "dead"), ["one"]);
    assert_eq!(bench.wakes_in(), Some(1000));
    bench.pass(1000);
    let got = bench.get(&mut client, "dead").unwrap();
    assert_eq!((got.body.as_str(), held(&bench)), ("three", (0, 0)));
    let headers = got.properties.headers().clone().unwrap();
    assert_eq!(
        headers.inner().get("x-first-death-reason"),
        Some(&text("rejected"))
    );
    assert_eq!(bench.snapshot().message_bytes, 0);
}

#[test]
fn a_dead_letter_goes_to_each_queue_once() {
    let (mut bench, mut client) = quorum(&[
        ("x-dead-letter-exchange", text("amq.fanout")),
        ("x-dead-letter-strategy", text("at-least-once")),
        ("x-overflow", text("reject-publish")),
        ("x-message-ttl", int(100)),
    ]);
    let full = [
        ("x-max-length", int(0)),
        ("x-overflow", text("reject-publish")),
    ];
    bench.declare(&mut client, "open", &[]);
    bench.declare(&mut client, "full", &full);
    bench.bind(&mut client, "open", "amq.fanout", "", &[]);
    bench.bind(&mut client, "full", "amq.fanout", "", &[]);
    bench.publish(&mut client, "", "q", "m");
    bench.pass(5100);
    assert_eq!((bench.ready("open"), held(&bench).0), (1, 1));
    let unbind = amq_protocol::protocol::queue::Unbind {
        queue: "full".into(),
        exchange: "amq.fanout".into(),
        ..Default::default()
    };
    bench.queue(&mut client, Queue::Unbind(unbind));
    bench.next(&mut client);
    bench.pass(1000);
    assert_eq!((bench.ready("open"), held(&bench).0), (1, 0));
}

#[test]
fn held_letters_count_towards_the_limit() {
    let mut more = careful().to_vec();
    more.push(("x-max-length", int(1)));
    let (mut bench, mut client) = quorum(&more);
    bench.confirms(&mut client);
    bench.consume(&mut client, "q", "c", 0);
    let mut answers = Vec::new();
    for _ in 0..4 {
        bench.publish(&mut client, "", "q", "m");
        while let Some(AMQPClass::Basic(method)) = bench.next(&mut client) {
            match method {
                Basic::Deliver(deliver) => {
                    bench.next_content(&mut client);
                    bench.nack(&mut client, deliver.delivery_tag, false, false);
                }
                answer => answers.push(matches!(answer, Basic::Ack(_))),
            }
        }
    }
    assert_eq!(answers, [true, true, false, false]);
}

#[test]
fn without_a_queue_that_refuses_letters_may_be_lost() {
    let lossy: Vec<_> = careful()
        .into_iter()
        .filter(|(name, _)| *name != "x-overflow")
        .collect();
    let (mut bench, mut client) = quorum(&lossy);
    bench.consume(&mut client, "q", "c", 0);
    kill(&mut bench, &mut client, "m");
    assert_eq!(held(&bench), (0, 0));
    assert_eq!(bench.snapshot().message_bytes, 0);
}

#[test]
fn held_letters_go_with_their_queue() {
    let (mut bench, mut client) = quorum(&careful());
    bench.consume(&mut client, "q", "c", 0);
    kill(&mut bench, &mut client, "m");
    let delete = amq_protocol::protocol::queue::Delete {
        queue: "q".into(),
        nowait: true,
        ..Default::default()
    };
    bench.queue(&mut client, Queue::Delete(delete));
    assert_eq!(bench.snapshot().message_bytes, 0);
    bench.queue(&mut client, Queue::Declare(declare("dead", &[])));
    bench.pass(2000);
    assert_eq!(bench.ready("dead"), 0);
}

#[test]
fn a_better_consumer_becomes_the_active_one_when_nothing_is_under_way() {
    let (mut bench, mut first) = quorum(&[("x-single-active-consumer", AMQPValue::Boolean(true))]);
    bench.consume(&mut first, "q", "c", 10);
    bench.publish(&mut first, "", "q", "a");
    assert_eq!(bench.bodies(&mut first), ["a"]);
    let mut better = bench.client();
    let consume = basic::Consume {
        queue: "q".into(),
        nowait: true,
        arguments: super::bench::table(&[("x-priority", int(5))]),
        ..basic::Consume::default()
    };
    bench.basic(&mut better, Basic::Consume(consume));
    bench.publish(&mut first, "", "q", "b");
    assert!(bench.bodies(&mut first).is_empty() && bench.bodies(&mut better).is_empty());
    bench.ack(&mut first, 1, false);
    assert_eq!(bench.bodies(&mut better), ["b"]);
    assert!(bench.bodies(&mut first).is_empty());
}

#[test]
fn consumers_cannot_be_alone() {
    let (mut bench, mut client) = quorum(&[]);
    for tag in ["a", "b"] {
        let consume = basic::Consume {
            queue: "q".into(),
            consumer_tag: tag.into(),
            exclusive: true,
            nowait: true,
            ..basic::Consume::default()
        };
        bench.basic(&mut client, Basic::Consume(consume));
    }
    assert_eq!(bench.snapshot().queue("q").unwrap().consumers, 2);
}
