use super::bench::{Bench, int, publication, text};
use crate::core::{Directive, connection::Phase};
use amq_protocol::protocol::{
    AMQPClass,
    basic::{self, AMQPMethod, AMQPProperties},
    connection,
};

#[test]
fn confirms_of_one_batch_come_as_one() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.confirms(&mut client);
    bench.declare(&mut client, "q", &[]);
    let one = publication("", "q", "m", &AMQPProperties::default(), false);
    bench.raw(&mut client, &one.repeat(3));
    bench.raw(&mut client, &one);
    let acks = [
        basic::Ack {
            delivery_tag: 3,
            multiple: true,
        },
        basic::Ack {
            delivery_tag: 4,
            multiple: false,
        },
    ];
    for ack in acks {
        assert_eq!(
            bench.next(&mut client),
            Some(AMQPClass::Basic(AMQPMethod::Ack(ack)))
        );
    }
    assert_eq!(bench.next(&mut client), None);
}

#[test]
fn a_return_comes_before_its_confirm_and_after_the_earlier_ones() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.confirms(&mut client);
    bench.declare(&mut client, "q", &[]);
    let routed = publication("", "q", "m", &AMQPProperties::default(), true);
    let lost = publication("", "nowhere", "lost", &AMQPProperties::default(), true);
    let batch = [&routed[..], &routed, &lost, &routed].concat();
    bench.raw(&mut client, &batch);
    let ack = |delivery_tag, multiple| {
        Some(AMQPClass::Basic(AMQPMethod::Ack(basic::Ack {
            delivery_tag,
            multiple,
        })))
    };
    assert_eq!(bench.next(&mut client), ack(2, true));
    let Some(AMQPClass::Basic(AMQPMethod::Return(back))) = bench.next(&mut client) else {
        panic!("not returned")
    };
    assert_eq!(
        (
            back.reply_code,
            back.reply_text.as_str(),
            back.routing_key.as_str()
        ),
        (312, "NO_ROUTE", "nowhere")
    );
    assert_eq!(bench.next_content(&mut client).1, "lost");
    assert_eq!(bench.next(&mut client), ack(3, false));
    assert_eq!(bench.next(&mut client), ack(4, false));
}

#[test]
fn what_is_not_mandatory_vanishes_quietly() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.publish(&mut client, "", "nowhere", "lost");
    assert_eq!(bench.next(&mut client), None);
    assert_eq!(bench.snapshot().message_bytes, 0);
}

#[test]
fn a_full_queue_that_rejects_is_a_nack() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.confirms(&mut client);
    bench.declare(
        &mut client,
        "q",
        &[
            ("x-max-length", int(2)),
            ("x-overflow", text("reject-publish")),
        ],
    );
    let one = publication("", "q", "m", &AMQPProperties::default(), false);
    bench.raw(&mut client, &one.repeat(3));
    assert_eq!(
        bench.next(&mut client),
        Some(AMQPClass::Basic(AMQPMethod::Ack(basic::Ack {
            delivery_tag: 2,
            multiple: true
        })))
    );
    let nack = basic::Nack {
        delivery_tag: 3,
        multiple: false,
        requeue: true,
    };
    assert_eq!(
        bench.next(&mut client),
        Some(AMQPClass::Basic(AMQPMethod::Nack(nack)))
    );
    assert_eq!(bench.ready("q"), 2);
}

#[test]
fn what_was_safe_is_confirmed_before_the_channel_closes() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.confirms(&mut client);
    bench.declare(&mut client, "q", &[]);
    let good = publication("", "q", "m", &AMQPProperties::default(), false);
    let bad = publication("no-such", "q", "m", &AMQPProperties::default(), false);
    let batch = [&good[..], &bad, &good].concat();
    bench.raw(&mut client, &batch);
    assert!(matches!(
        bench.next(&mut client),
        Some(AMQPClass::Basic(AMQPMethod::Ack(basic::Ack {
            delivery_tag: 1,
            ..
        })))
    ));
    assert_eq!(
        bench.closed(&mut client),
        (
            404,
            "NOT_FOUND - no exchange 'no-such' in vhost '/'".to_owned()
        )
    );
    assert_eq!(bench.ready("q"), 1, "nothing after the fault counts");
}

#[test]
fn properties_are_checked() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.declare(&mut client, "q", &[]);
    for (properties, wanted) in [
        (
            AMQPProperties::default().with_user_id("ada".into()),
            "user_id property set to 'ada' but authenticated user was 'guest'",
        ),
        (
            AMQPProperties::default().with_expiration("-1".into()),
            "invalid expiration '-1': {value_negative,-1}",
        ),
        (
            AMQPProperties::default().with_expiration("1000.5".into()),
            "invalid expiration '1000.5': {leftover_string,\".5\"}",
        ),
        (
            AMQPProperties::default().with_expiration("".into()),
            "invalid expiration '': no_integer",
        ),
        (
            AMQPProperties::default().with_expiration("315360000001".into()),
            "invalid expiration '315360000001': {value_too_large,315360000001}",
        ),
    ] {
        bench.publish_with(&mut client, "", "q", "m", properties);
        assert_eq!(
            bench.closed(&mut client),
            (406, format!("PRECONDITION_FAILED - {wanted}"))
        );
        bench.reopen(&mut client);
    }
    bench.publish_with(
        &mut client,
        "",
        "q",
        "m",
        AMQPProperties::default()
            .with_user_id("guest".into())
            .with_expiration("+7000".into()),
    );
    assert_eq!(bench.ready("q"), 1);
}

#[test]
fn publishers_are_blocked_and_unblocked() {
    let mut bench = Bench::new();
    let (mut publisher, mut consumer) = (bench.client(), bench.client());
    bench.declare(&mut publisher, "q", &[]);
    bench.publish(&mut publisher, "", "q", "m");
    bench.core.set_block(Some("testing".into()));
    let blocked = |class| matches!(class, Some(AMQPClass::Connection(connection::AMQPMethod::Blocked(b))) if b.reason.as_str() == "testing");
    assert!(blocked(bench.next(&mut publisher)));
    assert!(bench.next(&mut consumer).is_none(), "it does not publish");
    assert_eq!(bench.core.directive(publisher.id), Directive::Pause);
    bench.publish(&mut consumer, "", "q", "m");
    assert!(blocked(bench.next(&mut consumer)), "now it does");
    assert_eq!(consumer.directive, Directive::Pause);
    assert_eq!(bench.ready("q"), 2, "what was read still counts");
    bench.core.set_block(None);
    assert!(matches!(
        bench.next(&mut publisher),
        Some(AMQPClass::Connection(connection::AMQPMethod::Unblocked(_)))
    ));
    assert_eq!(bench.core.take_resumed().len(), 2);
    assert_eq!(bench.core.conns[&publisher.id].phase, Phase::Running);
}

#[test]
fn memory_blocks_publishers_until_there_is_room() {
    let settings = crate::config::Settings {
        memory_limit: 10_000,
        ..crate::config::Settings::default()
    };
    let mut bench = Bench::with(settings);
    let (mut publisher, mut consumer) = (bench.client(), bench.client());
    bench.declare(&mut publisher, "q", &[]);
    let body = "x".repeat(3000);
    for _ in 0..3 {
        assert_eq!(publisher.directive, Directive::Read);
        bench.publish(&mut publisher, "", "q", &body);
    }
    assert_eq!(publisher.directive, Directive::Read);
    bench.publish(&mut publisher, "", "q", &body);
    assert_eq!(publisher.directive, Directive::Pause);
    assert!(matches!(
        bench.next(&mut publisher),
        Some(AMQPClass::Connection(connection::AMQPMethod::Blocked(_)))
    ));
    assert!(bench.get(&mut consumer, "q").is_some());
    assert!(bench.get(&mut consumer, "q").is_some());
    assert!(matches!(
        bench.next(&mut publisher),
        Some(AMQPClass::Connection(connection::AMQPMethod::Unblocked(_)))
    ));
}
