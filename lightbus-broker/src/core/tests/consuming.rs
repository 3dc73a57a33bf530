use super::bench::{Bench, int, text};
use amq_protocol::protocol::{
    AMQPClass,
    basic::{self, AMQPMethod},
    channel, queue,
};

fn publish_all(bench: &mut Bench, client: &mut super::bench::Client, bodies: &[&str]) {
    for body in bodies {
        bench.publish(client, "", "q", body);
    }
}

#[test]
fn prefetch_holds_back_and_acks_release() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.declare(&mut client, "q", &[]);
    bench.consume(&mut client, "q", "c", 2);
    publish_all(&mut bench, &mut client, &["a", "b", "c", "d", "e"]);
    assert_eq!(bench.bodies(&mut client), ["a", "b"]);
    bench.ack(&mut client, 1, false);
    assert_eq!(bench.bodies(&mut client), ["c"]);
    bench.ack(&mut client, 3, true);
    assert_eq!(bench.bodies(&mut client), ["d", "e"]);
    let queue = bench.snapshot().queue("q").cloned().unwrap();
    assert_eq!((queue.ready, queue.unacked, queue.bytes), (0, 2, 2));
}

#[test]
fn a_global_prefetch_is_shared() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.declare(&mut client, "q", &[]);
    bench.declare(&mut client, "other", &[]);
    bench.basic(
        &mut client,
        AMQPMethod::Qos(basic::Qos {
            prefetch_count: 2,
            global: true,
        }),
    );
    bench.next(&mut client);
    bench.consume(&mut client, "q", "c1", 0);
    bench.consume(&mut client, "other", "c2", 0);
    publish_all(&mut bench, &mut client, &["a", "b", "c"]);
    bench.publish(&mut client, "", "other", "o");
    assert_eq!(bench.bodies(&mut client), ["a", "b"]);
    bench.ack(&mut client, 2, true);
    let mut rest = bench.bodies(&mut client);
    rest.sort();
    assert_eq!(rest, ["c", "o"]);
}

/// One message at a time, for the whole channel.
fn one_at_a_time(bench: &mut Bench, client: &mut super::bench::Client) {
    let qos = basic::Qos {
        prefetch_count: 1,
        global: true,
    };
    bench.basic(client, AMQPMethod::Qos(qos));
    bench.next(client);
}

#[test]
fn queues_take_turns_in_a_shared_prefetch() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    one_at_a_time(&mut bench, &mut client);
    for queue in ["a", "b", "c"] {
        bench.declare(&mut client, queue, &[]);
        for _ in 0..3 {
            bench.publish(&mut client, "", queue, queue);
        }
    }
    for queue in ["a", "b", "c"] {
        let consume = basic::Consume {
            queue: queue.into(),
            nowait: true,
            ..basic::Consume::default()
        };
        bench.basic(&mut client, AMQPMethod::Consume(consume));
    }
    let served: Vec<_> = (1..=9)
        .flat_map(|tag| {
            let bodies = bench.bodies(&mut client);
            bench.ack(&mut client, tag, false);
            bodies
        })
        .collect();
    assert_eq!(served.concat(), "abcabcabc");
}

#[test]
fn a_shared_prefetch_holds_back_who_does_not_acknowledge_too() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    one_at_a_time(&mut bench, &mut client);
    bench.declare(&mut client, "acked", &[]);
    bench.declare(&mut client, "free", &[]);
    bench.consume(&mut client, "acked", "c1", 0);
    let consume = basic::Consume {
        queue: "free".into(),
        no_ack: true,
        nowait: true,
        ..basic::Consume::default()
    };
    bench.basic(&mut client, AMQPMethod::Consume(consume));
    bench.publish(&mut client, "", "acked", "1");
    bench.publish(&mut client, "", "free", "2");
    bench.publish(&mut client, "", "free", "3");
    assert_eq!(bench.bodies(&mut client), ["1"]);
    bench.ack(&mut client, 1, false);
    assert_eq!(bench.bodies(&mut client), ["2", "3"]);
}

#[test]
fn what_is_requeued_goes_back_to_its_place() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.declare(&mut client, "q", &[]);
    bench.consume(&mut client, "q", "c", 3);
    publish_all(&mut bench, &mut client, &["a", "b", "c", "d"]);
    assert_eq!(bench.bodies(&mut client), ["a", "b", "c"]);
    bench.basic(
        &mut client,
        AMQPMethod::Cancel(basic::Cancel {
            consumer_tag: "c".into(),
            nowait: true,
        }),
    );
    bench.nack(&mut client, 3, false, true);
    bench.nack(&mut client, 1, false, true);
    bench.ack(&mut client, 2, false);
    let first = bench.get(&mut client, "q").unwrap();
    assert!(first.redelivered);
    assert_eq!(first.body, "a");
    assert_eq!(bench.drain(&mut client, "q"), ["c", "d"]);
}

#[test]
fn a_lost_connection_gives_everything_back_in_order() {
    let mut bench = Bench::new();
    let (mut lost, mut next) = (bench.client(), bench.client());
    bench.declare(&mut lost, "q", &[]);
    bench.consume(&mut lost, "q", "c", 0);
    publish_all(&mut bench, &mut next, &["a", "b", "c"]);
    assert_eq!(bench.bodies(&mut lost).len(), 3);
    bench.ack(&mut lost, 2, false);
    bench.consume(&mut next, "q", "c", 0);
    bench.disconnect(&lost);
    let got = bench.deliveries(&mut next);
    assert_eq!(
        got.iter().map(|got| got.body.as_str()).collect::<Vec<_>>(),
        ["a", "c"]
    );
    assert!(got.iter().all(|got| got.redelivered));
}

#[test]
fn recover_answers_before_it_redelivers() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.declare(&mut client, "q", &[]);
    bench.consume(&mut client, "q", "c", 0);
    publish_all(&mut bench, &mut client, &["a", "b"]);
    assert_eq!(bench.bodies(&mut client), ["a", "b"]);
    bench.basic(
        &mut client,
        AMQPMethod::Recover(basic::Recover { requeue: true }),
    );
    assert!(matches!(
        bench.next(&mut client),
        Some(AMQPClass::Basic(AMQPMethod::RecoverOk(_)))
    ));
    assert_eq!(bench.bodies(&mut client), ["a", "b"]);
}

#[test]
fn unknown_tags_close_the_channel() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.declare(&mut client, "q", &[]);
    bench.consume(&mut client, "q", "c", 0);
    publish_all(&mut bench, &mut client, &["a"]);
    bench.bodies(&mut client);
    for (tag, multiple) in [(2, false), (7, true)] {
        bench.ack(&mut client, tag, multiple);
        assert_eq!(
            bench.closed(&mut client),
            (
                406,
                format!("PRECONDITION_FAILED - unknown delivery tag {tag}")
            )
        );
        bench.reopen(&mut client);
    }
    assert_eq!(bench.ready("q"), 1);
    bench.ack(&mut client, 0, true);
    assert!(bench.next(&mut client).is_none(), "all of nothing is fine");
}

#[test]
fn consumers_hear_that_their_queue_is_gone_after_the_deleter_does() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.declare(&mut client, "q", &[]);
    bench.consume(&mut client, "q", "c", 0);
    let delete = queue::Delete {
        queue: "q".into(),
        ..queue::Delete::default()
    };
    bench.queue(&mut client, queue::AMQPMethod::Delete(delete));
    assert!(matches!(
        bench.next(&mut client),
        Some(AMQPClass::Queue(queue::AMQPMethod::DeleteOk(_)))
    ));
    let cancel = basic::Cancel {
        consumer_tag: "c".into(),
        nowait: true,
    };
    assert_eq!(
        bench.next(&mut client),
        Some(AMQPClass::Basic(AMQPMethod::Cancel(cancel)))
    );
}

#[test]
fn auto_delete_queues_go_with_their_last_consumer() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    let declare = queue::Declare {
        auto_delete: true,
        nowait: true,
        ..super::bench::declare("q", &[])
    };
    bench.queue(&mut client, queue::AMQPMethod::Declare(declare));
    bench.consume(&mut client, "q", "c1", 0);
    bench.consume(&mut client, "q", "c2", 0);
    for (tag, left) in [("c1", true), ("c2", false)] {
        bench.basic(
            &mut client,
            AMQPMethod::Cancel(basic::Cancel {
                consumer_tag: tag.into(),
                nowait: false,
            }),
        );
        assert!(matches!(
            bench.next(&mut client),
            Some(AMQPClass::Basic(AMQPMethod::CancelOk(_)))
        ));
        assert_eq!(bench.snapshot().queue("q").is_some(), left);
    }
}

#[test]
fn exclusive_consumers_are_alone() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.declare(&mut client, "q", &[]);
    let consume = |tag: &str, exclusive| {
        AMQPMethod::Consume(basic::Consume {
            queue: "q".into(),
            consumer_tag: tag.into(),
            exclusive,
            nowait: true,
            ..basic::Consume::default()
        })
    };
    bench.basic(&mut client, consume("c1", true));
    bench.basic(&mut client, consume("c2", false));
    assert_eq!(
        bench.closed(&mut client),
        (
            403,
            "ACCESS_REFUSED - queue 'q' in vhost '/' in exclusive use".to_owned()
        )
    );
}

#[test]
fn only_one_of_many_is_active_where_the_queue_says_so() {
    let mut bench = Bench::new();
    let (mut first, mut second) = (bench.client(), bench.client());
    bench.declare(
        &mut first,
        "q",
        &[(
            "x-single-active-consumer",
            amq_protocol::types::AMQPValue::Boolean(true),
        )],
    );
    bench.consume(&mut first, "q", "c", 1);
    bench.consume(&mut second, "q", "c", 1);
    publish_all(&mut bench, &mut first, &["a", "b"]);
    assert_eq!(bench.bodies(&mut first), ["a"]);
    assert!(bench.bodies(&mut second).is_empty());
    bench.disconnect(&first);
    assert_eq!(bench.bodies(&mut second), ["a"]);
}

#[test]
fn consumers_of_higher_priority_come_first() {
    let mut bench = Bench::new();
    let (mut low, mut high) = (bench.client(), bench.client());
    bench.declare(&mut low, "q", &[]);
    bench.consume(&mut low, "q", "c", 1);
    bench.basic(
        &mut high,
        AMQPMethod::Qos(basic::Qos {
            prefetch_count: 2,
            global: false,
        }),
    );
    bench.next(&mut high);
    let arguments = super::bench::table(&[("x-priority", int(5))]);
    let consume = basic::Consume {
        queue: "q".into(),
        nowait: true,
        arguments,
        ..basic::Consume::default()
    };
    bench.basic(&mut high, AMQPMethod::Consume(consume));
    publish_all(&mut bench, &mut low, &["a", "b", "c"]);
    assert_eq!(bench.bodies(&mut high), ["a", "b"]);
    assert_eq!(bench.bodies(&mut low), ["c"]);
}

#[test]
fn messages_of_higher_priority_come_first() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.declare(&mut client, "q", &[("x-max-priority", int(5))]);
    for (body, priority) in [
        ("low", 1),
        ("high", 9),
        ("none", 0),
        ("mid", 3),
        ("high2", 5),
    ] {
        let properties = basic::AMQPProperties::default().with_priority(priority);
        bench.publish_with(&mut client, "", "q", body, properties);
    }
    assert_eq!(
        bench.drain(&mut client, "q"),
        ["high", "high2", "mid", "low", "none"]
    );
}

#[test]
fn a_congested_connection_waits_and_others_do_not() {
    let mut bench = Bench::new();
    let (mut slow, mut fast) = (bench.client(), bench.client());
    bench.declare(&mut slow, "q", &[]);
    bench.consume(&mut slow, "q", "c", 0);
    slow.meter.add(5 << 20);
    publish_all(&mut bench, &mut fast, &["a"]);
    assert!(bench.bodies(&mut slow).is_empty());
    bench.consume(&mut fast, "q", "c", 1);
    assert_eq!(bench.bodies(&mut fast), ["a"]);
    publish_all(&mut bench, &mut fast, &["b"]);
    assert!(!slow.meter.relieves(), "there is no room yet");
    slow.meter.sub(5 << 20);
    assert!(slow.meter.relieves());
    let now = bench.core.now;
    bench.core.drained(slow.id, now);
    assert_eq!(bench.bodies(&mut slow), ["b"]);
}

#[test]
fn deliveries_cannot_be_stopped_by_flow() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    let flow = |active| AMQPClass::Channel(channel::AMQPMethod::Flow(channel::Flow { active }));
    bench.method(&mut client, 1, flow(true));
    assert!(matches!(
        bench.next(&mut client),
        Some(AMQPClass::Channel(channel::AMQPMethod::FlowOk(ok))) if ok.active
    ));
    bench.method(&mut client, 1, flow(false));
    let (code, text) = bench.closed(&mut client);
    assert_eq!(
        (code, text.as_str()),
        (540, "NOT_IMPLEMENTED - active=false")
    );
}

#[test]
fn tags_are_made_up_and_not_used_twice() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.declare(&mut client, "q", &[]);
    let consume = |tag: &str| {
        AMQPMethod::Consume(basic::Consume {
            queue: "q".into(),
            consumer_tag: tag.into(),
            ..basic::Consume::default()
        })
    };
    bench.basic(&mut client, consume(""));
    let Some(AMQPClass::Basic(AMQPMethod::ConsumeOk(ok))) = bench.next(&mut client) else {
        panic!("not consuming")
    };
    assert!(ok.consumer_tag.as_str().starts_with("amq.ctag-"));
    assert_eq!(ok.consumer_tag.as_str().len(), 31, "{}", ok.consumer_tag);
    bench.basic(&mut client, consume(ok.consumer_tag.as_str()));
    assert_eq!(bench.closed(&mut client).0, 530);
    assert!(bench.snapshot().connections.is_empty());
    assert_eq!(bench.snapshot().queue("q").unwrap().consumers, 0);
}

#[test]
fn quorum_queues_deliver_like_others() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.declare(&mut client, "q", &[("x-queue-type", text("quorum"))]);
    bench.consume(&mut client, "q", "c", 0);
    publish_all(&mut bench, &mut client, &["a"]);
    assert_eq!(bench.bodies(&mut client), ["a"]);
    assert_eq!(bench.snapshot().queue("q").unwrap().kind, "quorum");
}

#[test]
fn a_queue_that_chooses_the_active_one_has_no_exclusive_consumer() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    let single = (
        "x-single-active-consumer",
        amq_protocol::types::AMQPValue::Boolean(true),
    );
    bench.declare(&mut client, "q", &[single]);
    let consume = basic::Consume {
        queue: "q".into(),
        exclusive: true,
        ..basic::Consume::default()
    };
    bench.basic(&mut client, AMQPMethod::Consume(consume));
    assert_eq!(bench.closed(&mut client).0, 403);
}
