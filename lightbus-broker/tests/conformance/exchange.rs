//! Declaring and deleting exchanges.

use crate::prelude::*;

fn declare(name: &str, kind: &str) -> exchange::Declare {
    exchange::Declare {
        exchange: name.into(),
        kind: kind.into(),
        ..Default::default()
    }
}

fn passive(name: &str) -> exchange::Declare {
    exchange::Declare {
        passive: true,
        ..declare(name, "direct")
    }
}

fn delete(name: &str) -> exchange::Delete {
    exchange::Delete {
        exchange: name.into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn every_type_is_declared_found_and_deleted() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    for kind in ["direct", "fanout", "topic", "headers"] {
        let name = stage.exchange(&mut wire, kind, kind).await;
        wire.call(1, declare(&name, kind), exchange::DeclareOk {})
            .await;
        wire.call(1, passive(&name), exchange::DeclareOk {}).await;
        wire.call(1, delete(&name), exchange::DeleteOk {}).await;
        let text = format!("NOT_FOUND - no exchange '{name}' in vhost '/'");
        wire.refused(1, passive(&name), 404, &text).await;
        // Deleting what is not there is no error.
        wire.call(1, delete(&name), exchange::DeleteOk {}).await;
    }
}

#[tokio::test]
async fn a_declaration_that_differs_is_refused() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let name = stage.exchange(&mut wire, "x", "direct").await;
    let base = declare(&name, "direct");
    let alternate = table(&[("alternate-exchange", text("other"))]);
    for (declare, difference) in [
        (
            declare(&name, "fanout"),
            "'type' for exchange '{}' in vhost '/': received 'fanout' but current is 'direct'",
        ),
        (
            exchange::Declare {
                durable: true,
                ..base.clone()
            },
            "'durable' for exchange '{}' in vhost '/': received 'true' but current is 'false'",
        ),
        (
            exchange::Declare {
                auto_delete: true,
                ..base.clone()
            },
            "'auto_delete' for exchange '{}' in vhost '/': received 'true' but current is 'false'",
        ),
        (
            exchange::Declare {
                internal: true,
                ..base.clone()
            },
            "'internal' for exchange '{}' in vhost '/': received 'true' but current is 'false'",
        ),
        (
            exchange::Declare {
                arguments: alternate,
                ..base.clone()
            },
            "'alternate-exchange' for exchange '{}' in vhost '/': received the value 'other' of type 'longstr' but current is none",
        ),
    ] {
        let text = format!(
            "PRECONDITION_FAILED - inequivalent arg {}",
            difference.replace("{}", &name)
        );
        wire.refused(1, declare, 406, &text).await;
    }
    let ignored = exchange::Declare {
        arguments: table(&[("x-else", int(1))]),
        ..base
    };
    wire.call(1, ignored, exchange::DeclareOk {}).await;
}

#[tokio::test]
async fn reserved_names_and_the_default_exchange() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let default = "ACCESS_REFUSED - operation not permitted on the default exchange";
    wire.refused(1, declare("", "direct"), 403, default).await;
    wire.refused(1, passive(""), 403, default).await;
    wire.refused(1, delete(""), 403, default).await;
    let reserved = "ACCESS_REFUSED - exchange name 'amq.mine' contains reserved prefix 'amq.*'";
    wire.refused(1, declare("amq.mine", "direct"), 403, reserved)
        .await;
    let system =
        "ACCESS_REFUSED - deletion of system exchange 'amq.direct' in vhost '/' not allowed";
    wire.refused(1, delete("amq.direct"), 403, system).await;
    let system = "ACCESS_REFUSED - deletion of system exchange 'amq.mine' in vhost '/' not allowed";
    wire.refused(1, delete("amq.mine"), 403, system).await;
    let missing = "NOT_FOUND - no exchange 'amq.mine' in vhost '/'";
    wire.refused(1, passive("amq.mine"), 404, missing).await;
}

#[tokio::test]
async fn the_exchanges_that_are_always_there() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    for (name, kind, internal) in [
        ("amq.direct", "direct", false),
        ("amq.fanout", "fanout", false),
        ("amq.topic", "topic", false),
        ("amq.headers", "headers", false),
        ("amq.match", "headers", false),
        ("amq.rabbitmq.trace", "topic", true),
    ] {
        let declare = exchange::Declare {
            durable: true,
            internal,
            ..declare(name, kind)
        };
        wire.call(1, declare, exchange::DeclareOk {}).await;
    }
}

#[tokio::test]
async fn one_in_use_stays_if_it_is_to_be_deleted_only_unused() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let name = stage.exchange(&mut wire, "x", "direct").await;
    let queue = stage.queue(&mut wire, "q", &[]).await;
    wire.bind(&name, "k", &queue).await;
    let unused = exchange::Delete {
        if_unused: true,
        ..delete(&name)
    };
    let text = format!("PRECONDITION_FAILED - exchange '{name}' in vhost '/' in use");
    wire.refused(1, unused.clone(), 406, &text).await;
    let unbind = queue::Unbind {
        queue: queue.as_str().into(),
        exchange: name.as_str().into(),
        routing_key: "k".into(),
        ..Default::default()
    };
    wire.call(1, unbind, queue::UnbindOk {}).await;
    wire.call(1, unused, exchange::DeleteOk {}).await;
}

#[tokio::test]
async fn an_auto_delete_exchange_goes_with_its_last_binding() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let queue = stage.queue(&mut wire, "q", &[]).await;
    let name = stage.name("x");
    let declare = exchange::Declare {
        auto_delete: true,
        ..declare(&name, "direct")
    };
    wire.call(1, declare.clone(), exchange::DeclareOk {}).await;
    wire.call(1, passive(&name), exchange::DeclareOk {}).await;
    wire.bind(&name, "a", &queue).await;
    wire.bind(&name, "b", &queue).await;
    let missing = format!("NOT_FOUND - no exchange '{name}' in vhost '/'");
    for (key, last) in [("a", false), ("b", true)] {
        let unbind = queue::Unbind {
            queue: queue.as_str().into(),
            exchange: name.as_str().into(),
            routing_key: key.into(),
            ..Default::default()
        };
        wire.call(1, unbind, queue::UnbindOk {}).await;
        match last {
            false => wire.call(1, passive(&name), exchange::DeclareOk {}).await,
            true => wire.refused(1, passive(&name), 404, &missing).await,
        }
    }
    // So it does when its last queue goes.
    wire.call(1, declare, exchange::DeclareOk {}).await;
    wire.bind(&name, "a", &queue).await;
    let delete = queue::Delete {
        queue: queue.as_str().into(),
        ..Default::default()
    };
    wire.call(1, delete, queue::DeleteOk { message_count: 0 })
        .await;
    wire.refused(1, passive(&name), 404, &missing).await;
}

#[tokio::test]
async fn an_internal_exchange_takes_nothing_from_clients() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let name = stage.name("x");
    let declare = exchange::Declare {
        internal: true,
        ..declare(&name, "fanout")
    };
    wire.call(1, declare, exchange::DeclareOk {}).await;
    wire.publish(1, &name, "k", "m").await;
    let text =
        format!("ACCESS_REFUSED - cannot publish to internal exchange '{name}' in vhost '/'");
    wire.channel_closes(1, 403, &text, (60, 40)).await;
}

#[tokio::test]
async fn what_leads_nowhere_goes_to_the_alternate_exchange() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let other = stage.exchange(&mut wire, "other", "fanout").await;
    let (here, there) = (
        stage.queue(&mut wire, "here", &[]).await,
        stage.queue(&mut wire, "there", &[]).await,
    );
    let name = stage.name("x");
    let declare = exchange::Declare {
        arguments: table(&[("alternate-exchange", text(&other))]),
        ..declare(&name, "direct")
    };
    wire.call(1, declare, exchange::DeclareOk {}).await;
    wire.bind(&other, "", &there).await;
    wire.bind(&name, "known", &here).await;
    wire.publish(1, &name, "known", "1").await;
    wire.publish(1, &name, "unknown", "2").await;
    wire.until_ready(&here, 1).await;
    wire.until_ready(&there, 1).await;
    let stray = wire.get(&there).await;
    assert_eq!(stray.text(), "2");
    assert_eq!(stray.get_ok().exchange.as_str(), name);
}

#[tokio::test]
async fn no_answer_where_none_is_wanted() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let name = stage.name("x");
    wire.send(
        1,
        exchange::Declare {
            nowait: true,
            ..declare(&name, "direct")
        },
    )
    .await;
    wire.call(1, passive(&name), exchange::DeclareOk {}).await;
    wire.send(
        1,
        exchange::Delete {
            nowait: true,
            ..delete(&name)
        },
    )
    .await;
    let text = format!("NOT_FOUND - no exchange '{name}' in vhost '/'");
    wire.refused(1, passive(&name), 404, &text).await;
}

#[tokio::test]
async fn names_lose_their_line_ends() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let name = stage.name("x");
    wire.call(
        1,
        declare(&format!("{name}\r\n"), "direct"),
        exchange::DeclareOk {},
    )
    .await;
    wire.call(1, passive(&name), exchange::DeclareOk {}).await;
}
