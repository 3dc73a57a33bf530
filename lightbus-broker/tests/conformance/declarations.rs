//! Declarations whose arguments make no sense, or differ from those of what is there.

use crate::prelude::*;

fn declare(name: &str) -> queue::Declare {
    queue::Declare {
        queue: name.into(),
        ..Default::default()
    }
}

fn with(name: &str, arguments: &[(&str, AMQPValue)]) -> queue::Declare {
    queue::Declare {
        arguments: table(arguments),
        durable: true,
        ..declare(name)
    }
}

fn exchange(name: &str, kind: &str) -> exchange::Declare {
    exchange::Declare {
        exchange: name.into(),
        kind: kind.into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_queue_that_differs_is_refused() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let name = stage
        .queue(
            &mut wire,
            "q",
            &[("x-expires", int(600_000)), ("x-max-length", int(5))],
        )
        .await;
    let same = |entries: &[(&str, AMQPValue)]| queue::Declare {
        durable: false,
        ..with(&name, entries)
    };
    let arguments = [("x-expires", int(600_000)), ("x-max-length", int(5))];
    let base = same(&arguments);
    for (declare, difference) in [
        (
            queue::Declare {
                durable: true,
                ..base.clone()
            },
            "'durable' for queue '{}' in vhost '/': received 'true' but current is 'false'",
        ),
        (
            queue::Declare {
                auto_delete: true,
                ..base.clone()
            },
            "'auto_delete' for queue '{}' in vhost '/': received 'true' but current is 'false'",
        ),
        (
            queue::Declare {
                arguments: table(&[("x-expires", int(5))]),
                ..base.clone()
            },
            "'x-expires' for queue '{}' in vhost '/': received '5' but current is '600000'",
        ),
        (
            queue::Declare {
                arguments: table(&arguments[..1]),
                ..base.clone()
            },
            "'x-max-length' for queue '{}' in vhost '/': received none but current is the value '5' of type 'signedint'",
        ),
        (
            same(
                &[
                    arguments.as_slice(),
                    &[("x-dead-letter-exchange", text("x"))],
                ]
                .concat(),
            ),
            "'x-dead-letter-exchange' for queue '{}' in vhost '/': received the value 'x' of type 'longstr' but current is none",
        ),
    ] {
        let text = format!(
            "PRECONDITION_FAILED - inequivalent arg {}",
            difference.replace("{}", &name)
        );
        wire.refused(1, declare, 406, &text).await;
    }
    // Integers of other types are the same, and what means nothing to it is not compared.
    let other = same(&[
        ("x-expires", AMQPValue::LongLongInt(600_000)),
        ("x-max-length", AMQPValue::ShortShortInt(5)),
        ("x-else", text("?")),
    ]);
    wire.call(1, other, declared(&name, 0, 0)).await;
    // Another connection's claim to have it alone is what others would be told, too.
    let text = format!(
        "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '{name}' in vhost '/'. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration."
    );
    wire.refused(
        1,
        queue::Declare {
            exclusive: true,
            ..base
        },
        405,
        &text,
    )
    .await;
}

#[tokio::test]
async fn queue_arguments_that_make_no_sense() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let name = stage.name("q");
    let (mut seen, mut wanted) = (Vec::new(), Vec::new());
    for (argument, value, why) in [
        ("x-expires", int(0), "{value_zero,0}"),
        ("x-expires", int(-1), "{value_negative,-1}"),
        ("x-expires", text("1"), "\"expected integer, got longstr\""),
        ("x-message-ttl", int(-1), "{value_negative,-1}"),
        (
            "x-message-ttl",
            text("1"),
            "\"expected integer, got longstr\"",
        ),
        (
            "x-message-ttl",
            AMQPValue::LongLongInt(1 << 40),
            "{value_too_large,1099511627776}",
        ),
        ("x-max-length", int(-1), "{value_negative,-1}"),
        (
            "x-max-length",
            AMQPValue::Boolean(true),
            "\"expected integer, got bool\"",
        ),
        ("x-max-length-bytes", int(-5), "{value_negative,-5}"),
        ("x-max-priority", int(256), "{max_value_exceeded,256}"),
        ("x-max-priority", int(-1), "{value_negative,-1}"),
        (
            "x-dead-letter-routing-key",
            text("k"),
            "routing_key_but_no_dlx_defined",
        ),
        ("x-overflow", text("explode"), "invalid_overflow"),
        ("x-overflow", int(1), "{unacceptable_type,signedint}"),
        (
            "x-single-active-consumer",
            text("yes"),
            "{unacceptable_type,longstr}",
        ),
    ] {
        wanted.push((
            406,
            format!("PRECONDITION_FAILED - invalid arg '{argument}' for queue '{name}' in vhost '/': {why}"),
        ));
        seen.push(wire.refusal(1, with(&name, &[(argument, value)])).await);
    }
    assert_eq!(seen, wanted);
}

#[tokio::test]
async fn quorum_queues_are_durable_and_for_all() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let name = stage.name("q");
    let quorum = with(&name, &[("x-queue-type", text("quorum"))]);
    for (declare, property) in [
        (
            queue::Declare {
                durable: false,
                ..quorum.clone()
            },
            "non-durable",
        ),
        (
            queue::Declare {
                exclusive: true,
                ..quorum.clone()
            },
            "exclusive-owner",
        ),
        (
            queue::Declare {
                auto_delete: true,
                ..quorum.clone()
            },
            "auto-delete",
        ),
    ] {
        let text = format!(
            "PRECONDITION_FAILED - invalid property '{property}' for queue '{name}' in vhost '/'"
        );
        wire.refused(1, declare, 406, &text).await;
    }
    wire.call(1, quorum, declared(&name, 0, 0)).await;
    let text = format!(
        "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue '{name}' in vhost '/': received 'classic' but current is 'quorum'"
    );
    wire.refused(
        1,
        with(&name, &[("x-queue-type", crate::support::text("classic"))]),
        406,
        &text,
    )
    .await;
}

#[tokio::test]
async fn an_unknown_exchange_type_is_refused() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let name = stage.name("x");
    if stage.is_4() {
        let text = "PRECONDITION_FAILED - unknown exchange type 'nonsense'";
        for name in [name.as_str(), "", "amq.none"] {
            wire.refused(1, exchange(name, "nonsense"), 406, text).await;
        }
    } else {
        let text = "COMMAND_INVALID - unknown exchange type 'nonsense'";
        wire.fatal(1, exchange(&name, "nonsense"), 503, text).await;
    }
}

#[tokio::test]
async fn an_alternate_exchange_is_named_by_a_string() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let name = stage.name("x");
    let declare = exchange::Declare {
        arguments: table(&[("alternate-exchange", int(1))]),
        ..exchange(&name, "direct")
    };
    let text = format!(
        "PRECONDITION_FAILED - invalid type 'signedint' for arg 'alternate-exchange' in exchange '{name}' in vhost '/'"
    );
    wire.refused(1, declare, 406, &text).await;
}

#[tokio::test]
async fn a_priority_is_a_number() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let queue = stage.queue(&mut wire, "q", &[]).await;
    let arguments = table(&[("x-priority", text("high"))]);
    let consume = basic::Consume {
        arguments,
        queue: queue.as_str().into(),
        ..Default::default()
    };
    let text = format!(
        "PRECONDITION_FAILED - invalid arg 'x-priority' for queue '{queue}' in vhost '/': \"expected integer, got longstr\""
    );
    wire.refused(1, consume, 406, &text).await;
}

#[tokio::test]
async fn a_dead_letter_exchange_is_named_by_a_string() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let name = stage.name("q");
    let declare = with(&name, &[("x-dead-letter-exchange", int(1))]);
    let text = format!(
        "PRECONDITION_FAILED - invalid type 'signedint' for arg 'x-dead-letter-exchange' in queue '{name}' in vhost '/'"
    );
    wire.refused(1, declare, 406, &text).await;
}

#[tokio::test]
async fn arguments_of_other_types_of_queue() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let name = stage.name("q");
    for (kind, argument, value) in [
        ("classic", "x-delivery-limit", int(5)),
        ("classic", "x-dead-letter-strategy", text("at-least-once")),
        ("classic", "x-quorum-initial-group-size", int(1)),
        ("classic", "x-max-age", text("1D")),
        ("quorum", "x-max-priority", int(5)),
        ("quorum", "x-queue-mode", text("lazy")),
    ] {
        let declare = with(&name, &[("x-queue-type", text(kind)), (argument, value)]);
        let text = format!(
            "PRECONDITION_FAILED - invalid arg '{argument}' for queue '{name}' in vhost '/' of queue type rabbit_{kind}_queue"
        );
        wire.refused(1, declare, 406, &text).await;
    }
    // What no type knows is nobody's business.
    wire.call(
        1,
        with(&name, &[("x-unknown", int(1))]),
        declared(&name, 0, 0),
    )
    .await;
}
