use super::bench::{Bench, Client, Got, declare, int, table, text};
use amq_protocol::{
    protocol::{
        AMQPClass,
        basic::{self, AMQPMethod as Basic, AMQPProperties},
        queue::{self, AMQPMethod as Queue},
    },
    types::AMQPValue,
};

/// A stream with some messages, its client, and what it is declared with besides its type.
fn stream(count: usize, more: &[(&str, AMQPValue)]) -> (Bench, Client) {
    let mut bench = Bench::new();
    let mut client = bench.client();
    let mut arguments = vec![("x-queue-type", text("stream"))];
    arguments.extend_from_slice(more);
    bench.declare(&mut client, "s", &arguments);
    publish(&mut bench, &mut client, 0..count);
    (bench, client)
}

fn publish(bench: &mut Bench, client: &mut Client, numbers: std::ops::Range<usize>) {
    for number in numbers {
        bench.publish(client, "", "s", &format!("{number}"));
    }
}

fn qos(bench: &mut Bench, client: &mut Client, prefetch_count: u16, global: bool) {
    bench.basic(
        client,
        Basic::Qos(basic::Qos {
            prefetch_count,
            global,
        }),
    );
    bench.next(client);
}

/// Consumes with these arguments, and a prefetch of 10 unless another was set.
fn consume(bench: &mut Bench, client: &mut Client, arguments: &[(&str, AMQPValue)]) {
    let consume = basic::Consume {
        queue: "s".into(),
        nowait: true,
        arguments: table(arguments),
        ..basic::Consume::default()
    };
    bench.basic(client, Basic::Consume(consume));
}

fn from(offset: AMQPValue) -> [(&'static str, AMQPValue); 1] {
    [("x-stream-offset", offset)]
}

fn offset(got: &Got) -> Option<AMQPValue> {
    got.properties
        .headers()
        .as_ref()?
        .inner()
        .get("x-stream-offset")
        .cloned()
}

#[test]
fn every_consumer_reads_everything_at_its_own_pace() {
    let (mut bench, mut slow) = stream(3, &[]);
    let mut fast = bench.client();
    qos(&mut bench, &mut slow, 1, false);
    qos(&mut bench, &mut fast, 10, false);
    consume(&mut bench, &mut slow, &from(text("first")));
    consume(&mut bench, &mut fast, &from(text("first")));
    assert_eq!(bench.bodies(&mut fast), ["0", "1", "2"]);
    assert_eq!(bench.bodies(&mut slow), ["0"]);
    publish(&mut bench, &mut fast, 3..4);
    assert_eq!(bench.bodies(&mut fast), ["3"]);
    for tag in 1..=3 {
        bench.ack(&mut slow, tag, false);
        assert_eq!(bench.bodies(&mut slow), [tag.to_string()]);
    }
    let snapshot = bench.snapshot();
    let info = snapshot.queue("s").unwrap();
    assert_eq!(
        (info.kind.as_str(), info.ready, info.unacked, info.bytes),
        ("stream", 4, 5, 4)
    );
}

#[test]
fn a_consumer_starts_where_it_says() {
    let (mut bench, client) = stream(2, &[]);
    let mut publisher = client;
    bench.pass(60_000);
    publish(&mut bench, &mut publisher, 2..4);
    let minute = 1_000_060;
    for (start, first) in [
        (text("first"), 0),
        (text("last"), 3),
        (text("next"), 4),
        (AMQPValue::LongLongInt(1), 1),
        (int(-1), 0),
        (int(9), 9),
        (AMQPValue::Timestamp(minute), 2),
        (AMQPValue::Timestamp(minute + 1), 4),
        (AMQPValue::Timestamp(5), 0),
        (text("30s"), 2),
        (text("1h"), 0),
    ] {
        let mut client = bench.client();
        qos(&mut bench, &mut client, 100, false);
        consume(&mut bench, &mut client, &from(start.clone()));
        let wanted: Vec<_> = (first..4)
            .map(|n| AMQPValue::LongLongInt(n as i64))
            .collect();
        let got: Vec<_> = bench
            .deliveries(&mut client)
            .iter()
            .filter_map(offset)
            .collect();
        assert_eq!(got, wanted, "{start:?}");
        bench.disconnect(&client);
    }
}

#[test]
fn an_offset_that_is_yet_to_come_is_waited_for() {
    let (mut bench, mut client) = stream(1, &[]);
    qos(&mut bench, &mut client, 100, false);
    consume(&mut bench, &mut client, &from(int(3)));
    publish(&mut bench, &mut client, 1..5);
    assert_eq!(bench.bodies(&mut client), ["3", "4"]);
}

#[test]
fn whatever_becomes_of_a_delivery_only_credit_comes_back() {
    let (mut bench, mut client) = stream(6, &[]);
    qos(&mut bench, &mut client, 2, false);
    consume(&mut bench, &mut client, &from(text("first")));
    assert_eq!(bench.bodies(&mut client), ["0", "1"]);
    bench.nack(&mut client, 1, false, true);
    bench.nack(&mut client, 2, false, false);
    let got = bench.deliveries(&mut client);
    assert_eq!(
        got.iter().map(|got| got.body.as_str()).collect::<Vec<_>>(),
        ["2", "3"]
    );
    assert!(got.iter().all(|got| !got.redelivered));
    bench.disconnect(&client);
    let info = bench.snapshot().queue("s").unwrap().clone();
    assert_eq!((info.ready, info.unacked, info.consumers), (6, 0, 0));
}

#[test]
fn what_streams_cannot_do_is_refused() {
    let (mut bench, mut client) = stream(1, &[]);
    consume(&mut bench, &mut client, &[]);
    let no_prefetch = "PRECONDITION_FAILED - consumer prefetch count is not set for stream queue 's' in vhost '/'";
    assert_eq!(bench.closed(&mut client), (406, no_prefetch.to_owned()));
    let no_ack = Basic::Consume(basic::Consume {
        queue: "s".into(),
        no_ack: true,
        ..basic::Consume::default()
    });
    let get = Basic::Get(basic::Get {
        queue: "s".into(),
        no_ack: false,
    });
    let plain = Basic::Consume(basic::Consume {
        queue: "s".into(),
        ..basic::Consume::default()
    });
    for (method, global, wanted) in [
        (
            no_ack,
            0,
            "automatic acknowledgement not supported by stream queue 's' in vhost '/'",
        ),
        (
            get,
            0,
            "basic.get not supported by stream queues queue 's' in vhost '/'",
        ),
        (
            plain,
            5,
            "queue 's' in vhost '/' does not support global qos",
        ),
    ] {
        let mut client = bench.client();
        qos(&mut bench, &mut client, 5, false);
        qos(&mut bench, &mut client, global, true);
        bench.basic(&mut client, method);
        assert_eq!(
            bench.closed(&mut client),
            (540, format!("NOT_IMPLEMENTED - {wanted}"))
        );
    }
    let mut client = bench.client();
    bench.queue(
        &mut client,
        Queue::Purge(queue::Purge {
            queue: "s".into(),
            nowait: false,
        }),
    );
    let purge =
        "NOT_IMPLEMENTED - queue.purge not supported by stream queues queue 's' in vhost '/'";
    assert_eq!(bench.closed(&mut client), (540, purge.to_owned()));
}

#[test]
fn arguments_of_other_consumers_are_refused() {
    let (mut bench, mut client) = stream(1, &[]);
    bench.declare(&mut client, "c", &[]);
    let of = |queue: &str, name: &str, value: AMQPValue| {
        Basic::Consume(basic::Consume {
            queue: queue.into(),
            arguments: table(&[(name, value)]),
            ..basic::Consume::default()
        })
    };
    for (method, wanted) in [
        (
            of("s", "x-priority", int(1)),
            "invalid arg 'x-priority' for queue 's' in vhost '/' of queue type rabbit_stream_queue",
        ),
        (
            of("c", "x-stream-offset", int(1)),
            "invalid arg 'x-stream-offset' for queue 'c' in vhost '/' of queue type rabbit_classic_queue",
        ),
        (
            of("c", "x-priority", text("1")),
            "invalid arg 'x-priority' for queue 'c' in vhost '/': \"expected integer, got longstr\"",
        ),
        (
            of("s", "x-stream-offset", text("5x")),
            "invalid arg 'x-stream-offset' for queue 's' in vhost '/': {invalid_stream_offset_arg,{longstr,<<\"5x\">>}}",
        ),
    ] {
        bench.basic(&mut client, method);
        assert_eq!(
            bench.closed(&mut client),
            (406, format!("PRECONDITION_FAILED - {wanted}"))
        );
        bench.reopen(&mut client);
    }
}

#[test]
fn old_segments_go_when_there_is_too_much() {
    let limits = [
        ("x-max-length-bytes", int(8)),
        ("x-stream-max-segment-size-bytes", int(4)),
    ];
    let (mut bench, mut client) = stream(0, &limits);
    for number in 0..20 {
        bench.publish(&mut client, "", "s", &format!("{number:02}"));
    }
    // Whole segments of two messages go, and the newest is there in any case.
    assert_eq!(bench.snapshot().queue("s").unwrap().bytes, 8);
    qos(&mut bench, &mut client, 100, false);
    consume(&mut bench, &mut client, &from(text("first")));
    let got = bench.deliveries(&mut client);
    assert_eq!(offset(&got[0]), Some(AMQPValue::LongLongInt(16)));
    assert_eq!(got.len(), 4);
    assert_eq!(bench.snapshot().queue("s").unwrap().ready, 4);
}

#[test]
fn a_consumer_left_behind_goes_on_with_what_is_left() {
    let limits = [
        ("x-max-length-bytes", int(4)),
        ("x-stream-max-segment-size-bytes", int(1)),
    ];
    let (mut bench, mut client) = stream(1, &limits);
    qos(&mut bench, &mut client, 1, false);
    consume(&mut bench, &mut client, &from(text("first")));
    assert_eq!(bench.bodies(&mut client), ["0"]);
    publish(&mut bench, &mut client, 1..9);
    bench.ack(&mut client, 1, false);
    assert_eq!(bench.bodies(&mut client), ["5"]);
}

#[test]
fn old_messages_go_when_new_ones_come() {
    let (mut bench, mut client) = stream(2, &[("x-max-age", text("1m"))]);
    bench.pass(61_000);
    assert_eq!(
        bench.ready("s"),
        2,
        "nothing is cut off until something is written"
    );
    publish(&mut bench, &mut client, 2..3);
    assert_eq!(bench.ready("s"), 1);
    bench.pass(30_000);
    publish(&mut bench, &mut client, 3..4);
    assert_eq!(bench.ready("s"), 2);
}

#[test]
fn filters_choose_by_value() {
    let (mut bench, mut client) = stream(1, &[]);
    for value in ["x", "y"] {
        let headers = table(&[("x-stream-filter-value", text(value))]);
        let properties = AMQPProperties::default().with_headers(headers);
        bench.publish_with(&mut client, "", "s", value, properties);
    }
    let filter = |value: &str, unfiltered: bool| {
        [
            ("x-stream-offset", text("first")),
            ("x-stream-filter", text(value)),
            ("x-stream-match-unfiltered", AMQPValue::Boolean(unfiltered)),
        ]
    };
    for (arguments, wanted) in [
        (filter("y", false), vec!["y"]),
        (filter("x", true), vec!["0", "x"]),
    ] {
        let mut client = bench.client();
        qos(&mut bench, &mut client, 1, false);
        consume(&mut bench, &mut client, &arguments);
        for (tag, body) in (1..).zip(wanted) {
            assert_eq!(bench.bodies(&mut client), [body]);
            bench.ack(&mut client, tag, false);
        }
        assert!(bench.bodies(&mut client).is_empty());
    }
}

#[test]
fn the_place_in_the_stream_takes_that_of_an_older_one() {
    let (mut bench, mut client) = stream(0, &[]);
    let headers = table(&[("x-stream-offset", int(77)), ("mine", int(1))]);
    let properties = AMQPProperties::default()
        .with_headers(headers)
        .with_message_id("id".into());
    bench.publish_with(&mut client, "", "s", "m", properties);
    qos(&mut bench, &mut client, 1, false);
    consume(&mut bench, &mut client, &from(text("first")));
    let got = bench.deliveries(&mut client);
    let wanted = table(&[
        ("x-stream-offset", AMQPValue::LongLongInt(0)),
        ("mine", int(1)),
    ]);
    assert_eq!(got[0].properties.headers(), &Some(wanted));
    assert_eq!(
        got[0]
            .properties
            .message_id()
            .as_ref()
            .map(|id| id.as_str()),
        Some("id")
    );
}

#[test]
fn a_congested_consumer_goes_on_where_it_stopped() {
    let (mut bench, mut client) = stream(2, &[]);
    client.meter.add(5 << 20);
    qos(&mut bench, &mut client, 10, false);
    consume(&mut bench, &mut client, &from(text("first")));
    assert!(bench.bodies(&mut client).is_empty());
    client.meter.sub(5 << 20);
    assert!(client.meter.relieves(), "the core wants to know");
    bench.drained(&client);
    assert_eq!(bench.bodies(&mut client), ["0", "1"]);
}

#[test]
fn declaring_says_how_much_there_is() {
    let (mut bench, mut client) = stream(3, &[]);
    qos(&mut bench, &mut client, 1, false);
    consume(&mut bench, &mut client, &[]);
    bench.queue(
        &mut client,
        Queue::Declare(declare("s", &[("x-queue-type", text("stream"))])),
    );
    assert!(matches!(
        bench.next(&mut client),
        Some(AMQPClass::Queue(Queue::DeclareOk(ok))) if (ok.message_count, ok.consumer_count) == (3, 0)
    ));
}
