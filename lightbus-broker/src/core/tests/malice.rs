use super::bench::{Bench, Client};
use crate::{
    core::{At, Directive, Meter, connection::Phase},
    frames::{self, BODY, BadFrame, HEADER, HEARTBEAT, METHOD},
};
use amq_protocol::protocol::{
    AMQPClass, channel,
    connection::{self, AMQPMethod},
};
use std::sync::Arc;

/// The code with which a connection is closed for one frame.
fn verdict(kind: u8, channel: u16, payload: &[u8]) -> u16 {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.frame(&mut client, kind, channel, payload);
    let code = bench.closed(&mut client).0;
    assert_eq!(client.directive, Directive::AwaitClose);
    assert!(bench.snapshot().connections.is_empty());
    close_ok(&mut bench, &mut client);
    assert_eq!(client.directive, Directive::Linger);
    code
}

fn close_ok(bench: &mut Bench, client: &mut Client) {
    bench.method(
        client,
        0,
        AMQPClass::Connection(AMQPMethod::CloseOk(connection::CloseOk {})),
    );
}

#[test]
fn faults_have_their_codes() {
    assert_eq!(verdict(METHOD, 1, &[0]), 501, "no method number");
    assert_eq!(verdict(METHOD, 1, &[0, 50, 0, 10, 0, 0]), 501, "cut short");
    assert_eq!(verdict(METHOD, 1, &[0, 50, 0, 99]), 540, "unknown method");
    assert_eq!(verdict(METHOD, 1, &[9, 9, 0, 10]), 540, "unknown class");
    assert_eq!(
        verdict(METHOD, 1, &[0, 60, 0, 72, 0]),
        503,
        "what only brokers send"
    );
    assert_eq!(verdict(METHOD, 1, &[0, 20, 0, 10, 0]), 504, "open twice");
    assert_eq!(
        verdict(METHOD, 7, &[0, 60, 0, 80, 0, 0, 0, 0, 0, 0, 0, 1, 0]),
        504,
        "no such channel"
    );
    assert_eq!(
        verdict(METHOD, 0, &[0, 60, 0, 80, 0, 0, 0, 0, 0, 0, 0, 1, 0]),
        504,
        "channel 0"
    );
    assert_eq!(
        verdict(METHOD, 0, &[0, 10, 0, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        504,
        "start-ok again"
    );
    assert_eq!(verdict(HEADER, 1, &[0; 14]), 505, "no publish");
    assert_eq!(verdict(BODY, 1, &[1]), 505, "no header");
    assert_eq!(verdict(HEADER, 0, &[0; 14]), 505, "content on channel 0");
    assert_eq!(verdict(HEARTBEAT, 1, &[]), 505, "heartbeat on a channel");
    assert_eq!(verdict(HEARTBEAT, 0, &[1]), 501, "heartbeat with a payload");
}

#[test]
fn a_channel_may_be_closed_by_both_sides_at_once() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.publish(&mut client, "no such exchange", "k", "m");
    let close = channel::AMQPMethod::Close(channel::Close {
        reply_code: 200,
        reply_text: "".into(),
        class_id: 0,
        method_id: 0,
    });
    bench.method(&mut client, 1, AMQPClass::Channel(close));
    let close_ok = channel::AMQPMethod::CloseOk(channel::CloseOk {});
    bench.method(&mut client, 1, AMQPClass::Channel(close_ok));
    bench.frame(&mut client, METHOD, 1, &[0, 20, 0, 10, 0]);
    let answers: Vec<_> = std::iter::from_fn(|| bench.next(&mut client)).collect();
    assert!(
        matches!(
            answers[..],
            [
                AMQPClass::Channel(channel::AMQPMethod::Close(_)),
                AMQPClass::Channel(channel::AMQPMethod::CloseOk(_)),
                AMQPClass::Channel(channel::AMQPMethod::OpenOk(_)),
            ]
        ),
        "{answers:?}"
    );
}

#[test]
fn channels_are_counted_whatever_their_numbers() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    // One is open; ten were agreed.
    for channel in 1000..1009 {
        bench.frame(&mut client, METHOD, channel, &[0, 20, 0, 10, 0]);
        assert!(matches!(
            bench.next(&mut client),
            Some(AMQPClass::Channel(channel::AMQPMethod::OpenOk(_)))
        ));
    }
    bench.frame(&mut client, METHOD, 2, &[0, 20, 0, 10, 0]);
    assert_eq!(bench.closed(&mut client).0, 530);
}

#[test]
fn content_must_be_what_was_announced() {
    let publish = [0, 60, 0, 40, 0, 0, 0, 1, b'q', 0];
    let header = |size: u8| [0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, size, 0, 0];
    for (frames, code) in [
        (
            vec![(METHOD, publish.to_vec()), (METHOD, vec![0, 85, 0, 10, 0])],
            505,
        ),
        (vec![(METHOD, publish.to_vec()), (BODY, vec![1])], 505),
        (
            vec![
                (METHOD, publish.to_vec()),
                (HEADER, header(1)[..9].to_vec()),
            ],
            501,
        ),
        (
            vec![
                (METHOD, publish.to_vec()),
                (HEADER, [&header(1)[..], &[0]].concat()),
            ],
            502,
        ),
        (
            vec![
                (METHOD, publish.to_vec()),
                (HEADER, header(1).to_vec()),
                (HEADER, header(1).to_vec()),
            ],
            505,
        ),
        (
            vec![
                (METHOD, publish.to_vec()),
                (HEADER, header(1).to_vec()),
                (BODY, vec![1, 2]),
            ],
            501,
        ),
    ] {
        let mut bench = Bench::new();
        let mut client = bench.client();
        for (kind, payload) in &frames {
            bench.frame(&mut client, *kind, 1, payload);
        }
        assert_eq!(bench.closed(&mut client).0, code, "{frames:?}");
    }
}

#[test]
fn nested_tables_are_refused_before_anything_recurses() {
    let mut bytes = Vec::new();
    for _ in 0..20_000 {
        let mut outer = vec![1, b'k', b'F'];
        outer.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
        outer.append(&mut bytes);
        bytes = outer;
    }
    let mut bomb = (bytes.len() as u32).to_be_bytes().to_vec();
    bomb.append(&mut bytes);
    let declare = [&[0, 50, 0, 10, 0, 0, 1, b'q', 0][..], &bomb].concat();
    assert_eq!(verdict(METHOD, 1, &declare), 502);

    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.frame(&mut client, METHOD, 1, &[0, 60, 0, 40, 0, 0, 0, 1, b'q', 0]);
    let header = [&[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x20, 0][..], &bomb].concat();
    bench.frame(&mut client, HEADER, 1, &header);
    assert_eq!(bench.closed(&mut client).0, 502);
}

#[test]
fn a_channel_error_leaves_the_connection_and_its_other_channels_alone() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.method(
        &mut client,
        2,
        AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {})),
    );
    bench.next(&mut client);
    bench.publish(&mut client, "missing", "k", "m");
    assert_eq!(bench.closed(&mut client).0, 404);
    // Until the client confirms, what it still sends on the channel is ignored.
    bench.publish(&mut client, "", "k", "m");
    bench.method(
        &mut client,
        1,
        AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {})),
    );
    assert!(bench.next(&mut client).is_none());
    // Both sides may close at once.
    let close = channel::Close {
        reply_code: 200,
        ..channel::Close::default()
    };
    bench.method(
        &mut client,
        1,
        AMQPClass::Channel(channel::AMQPMethod::Close(close)),
    );
    assert!(matches!(
        bench.next(&mut client),
        Some(AMQPClass::Channel(channel::AMQPMethod::CloseOk(_)))
    ));
    assert_eq!(bench.snapshot().connections[0].channels.len(), 1);
    assert_eq!(client.directive, Directive::Read);
}

#[test]
fn bad_frames_end_only_their_connection() {
    let mut bench = Bench::new();
    let (mut bad, mut good) = (bench.client(), bench.client());
    let now = bench.core.now;
    bench.core.bad_frame(bad.id, BadFrame::End(0), now);
    assert_eq!(bench.closed(&mut bad).0, 501);
    assert_eq!(bench.core.directive(bad.id), Directive::Linger);
    bench.declare(&mut good, "q", &[]);
}

#[test]
fn strangers_are_told_the_version_and_left() {
    let mut bench = Bench::new();
    let id = bench
        .core
        .connect("test".into(), Arc::new(Meter::default()));
    bench.core.greet(id, *b"GET / HT");
    let mut sent = Vec::new();
    bench.core.take_output(|_, out| sent.append(out));
    assert_eq!(sent, frames::PROTOCOL);
    assert_eq!(bench.core.directive(id), Directive::Close);
}

#[test]
fn a_wrong_password_is_refused() {
    for (tells, phase) in [(true, Phase::Closing), (false, Phase::Refused)] {
        let mut bench = Bench::new();
        let id = bench
            .core
            .connect("test".into(), Arc::new(Meter::default()));
        bench.core.greet(id, frames::PROTOCOL);
        let capabilities = super::bench::table(&[(
            "authentication_failure_close",
            amq_protocol::types::AMQPValue::Boolean(tells),
        )]);
        let start_ok = connection::StartOk {
            client_properties: super::bench::table(&[(
                "capabilities",
                amq_protocol::types::AMQPValue::FieldTable(capabilities),
            )]),
            mechanism: "PLAIN".into(),
            response: "\0guest\0wrong".into(),
            locale: "en_US".into(),
        };
        let mut bytes = Vec::new();
        frames::method(
            &mut bytes,
            0,
            AMQPClass::Connection(AMQPMethod::StartOk(start_ok)),
        );
        let (frame, _) = frames::next(&bytes, 4096).unwrap().unwrap();
        let now = bench.core.now;
        bench.core.frame(id, &frame, now);
        assert_eq!(bench.core.conns[&id].phase, phase);
    }
}

#[test]
fn too_large_messages_are_skipped_and_close_the_channel() {
    let settings = crate::config::Settings {
        max_message_size: 10,
        ..crate::config::Settings::default()
    };
    let mut bench = Bench::with(settings);
    let mut client = bench.client();
    let publish = [0, 60, 0, 40, 0, 0, 0, 1, b'q', 0];
    bench.frame(&mut client, METHOD, 1, &publish);
    let header = [0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11, 0, 0];
    bench.frame(&mut client, HEADER, 1, &header);
    bench.frame(&mut client, BODY, 1, b"0123456789");
    assert!(bench.next(&mut client).is_none(), "not while it is sent");
    assert_eq!(bench.snapshot().message_bytes, 0, "nothing is kept");
    bench.frame(&mut client, BODY, 1, b"x");
    let text =
        "PRECONDITION_FAILED - message size 11 is larger than configured max size 10".to_owned();
    assert_eq!(bench.closed(&mut client), (406, text));
    assert_eq!(client.directive, Directive::Read);
}

#[test]
fn half_a_message_is_paid_back() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.frame(&mut client, METHOD, 1, &[0, 60, 0, 40, 0, 0, 0, 1, b'q', 0]);
    bench.frame(
        &mut client,
        HEADER,
        1,
        &[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0],
    );
    bench.frame(&mut client, BODY, 1, &[1, 2, 3]);
    assert!(bench.snapshot().message_bytes > 0);
    let at = At {
        conn: client.id,
        channel: 1,
    };
    bench.core.end_channel(at);
    assert_eq!(bench.snapshot().message_bytes, 0);
}

#[test]
fn a_virtual_host_takes_no_more_queues_and_connections_than_it_may() {
    let settings = crate::config::Settings {
        max_queues: 1,
        max_vhost_connections: 1,
        ..crate::config::Settings::default()
    };
    let mut bench = Bench::with(settings);
    let mut client = bench.client();
    bench.declare(&mut client, "q", &[]);
    bench.declare(&mut client, "q", &[]);
    let declare = super::bench::declare("r", &[]);
    bench.queue(
        &mut client,
        amq_protocol::protocol::queue::AMQPMethod::Declare(declare),
    );
    let text =
        "PRECONDITION_FAILED - cannot declare queue 'r': queue limit in vhost '/' (1) is reached";
    assert_eq!(bench.closed(&mut client), (406, text.to_owned()));

    let late = bench.client();
    assert_eq!(bench.core.conns[&late.id].phase, Phase::Closing);
    bench.disconnect(&late);
    bench.disconnect(&client);
    let next = bench.client();
    assert_eq!(bench.core.conns[&next.id].phase, Phase::Running);
}

#[test]
fn half_messages_over_the_limit_do_not_wait_for_each_other() {
    let settings = crate::config::Settings {
        memory_limit: 20_000,
        ..crate::config::Settings::default()
    };
    let mut bench = Bench::with(settings);
    let mut clients = [bench.client(), bench.client()];
    bench.declare(&mut clients[0], "q", &[]);
    for client in &mut clients {
        bench.publish(client, "", "q", "it publishes");
    }
    let header = [0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0x2E, 0xE0, 0, 0];
    for client in &mut clients {
        bench.frame(client, METHOD, 1, &[0, 60, 0, 40, 0, 0, 0, 1, b'q', 0]);
        bench.frame(client, HEADER, 1, &header);
        bench.frame(client, BODY, 1, &[b'm'; 11_000]);
    }
    assert!(bench.snapshot().message_bytes > 20_000);
    for client in &mut clients {
        assert_eq!(bench.core.directive(client.id), Directive::Read);
        bench.frame(client, BODY, 1, &[b'm'; 1000]);
        assert_eq!(client.directive, Directive::Pause);
    }
    assert_eq!(bench.ready("q"), 4);
}

#[test]
fn a_blocked_flood_is_not_read_on_because_it_is_always_in_the_midst_of_a_message() {
    let settings = crate::config::Settings {
        memory_limit: 20_000,
        ..crate::config::Settings::default()
    };
    let mut bench = Bench::with(settings);
    let mut client = bench.client();
    bench.declare(&mut client, "q", &[]);
    let body = "m".repeat(3000);
    for _ in 0..9 {
        bench.publish(&mut client, "", "q", &body);
    }
    assert_eq!(client.directive, Directive::Pause);
    let mut half = super::bench::publication(
        "",
        "q",
        &body,
        &amq_protocol::protocol::basic::AMQPProperties::default(),
        false,
    );
    half.truncate(half.len() - 3008);
    bench.raw(&mut client, &half);
    assert_eq!(client.directive, Directive::Pause);
}
