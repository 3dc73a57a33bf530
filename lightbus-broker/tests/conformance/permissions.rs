//! Users, virtual hosts, and what each user may do in them.
//!
//! On the embedded broker alone: users cannot be made over AMQP. The codes and texts are those of RabbitMQ 4.0.

use crate::prelude::*;
use lightbus_broker::{Broker, Permissions, StartError, User};

/// A broker on which bob may do some things, eve nothing anywhere, and ada everything.
async fn guarded() -> Broker {
    let some = Permissions::none()
        .configure("^(own-.*|amq\\.gen.*)$")
        .write("^(own-.*|w-.*)$")
        .read("^(own-.*|r-.*)$");
    Broker::builder()
        .user("ada", "secret")
        .add_user(User::new("bob", "hidden").access("/", some))
        .add_user(User::new("eve", "hidden").access("other", Permissions::all()))
        .add_user(User::new("bridge", "hidden").tag("impersonator"))
        .vhost("other")
        .start()
        .await
        .unwrap()
}

/// What happens to a user who asks for a virtual host.
async fn entering(broker: &Broker, user: &str, password: &str, vhost: &str) -> (Wire, AMQPClass) {
    let mut wire = Wire::connect(&broker.addr().to_string()).await;
    let tune = wire.log_in(user, password).await;
    wire.enter(&tune, vhost).await;
    let answer = wire.method(0).await;
    (wire, answer)
}

async fn bob(broker: &Broker) -> Wire {
    let (mut wire, answer) = entering(broker, "bob", "hidden", "/").await;
    assert_eq!(answer, connection::OpenOk {}.class());
    wire.open_channel(1).await;
    wire
}

#[tokio::test]
async fn a_virtual_host_is_entered_by_those_who_have_access() {
    let broker = guarded().await;
    for (user, vhost, text) in [
        (
            "eve",
            "/",
            Some("access to vhost '/' refused for user 'eve'"),
        ),
        (
            "bob",
            "other",
            Some("access to vhost 'other' refused for user 'bob'"),
        ),
        ("eve", "none", Some("vhost none not found")),
        ("eve", "other", None),
    ] {
        let (_, answer) = entering(&broker, user, "hidden", vhost).await;
        let expected = match text {
            None => connection::OpenOk {}.class(),
            Some(text) => connection::Close {
                reply_code: 530,
                reply_text: format!("NOT_ALLOWED - {text}").into(),
                class_id: 10,
                method_id: 40,
            }
            .class(),
        };
        assert_eq!(answer, expected, "{user} {vhost}");
    }
}

#[tokio::test]
async fn guest_is_gone_where_others_are_named() {
    let broker = guarded().await;
    let mut wire = Wire::connect(&broker.addr().to_string()).await;
    wire.greet().await;
    wire.introduce("PLAIN", b"\0guest\0guest", &[]).await;
    assert_eq!(wire.rest().await, b"");
}

/// The declaration of a queue or an exchange whose arguments name another exchange.
fn queue(name: &str, other: Option<&str>) -> queue::Declare {
    let arguments = other.map(|other| [("x-dead-letter-exchange", text(other))]);
    queue::Declare {
        queue: name.into(),
        arguments: arguments.map(|entry| table(&entry)).unwrap_or_default(),
        ..Default::default()
    }
}

fn exchange(name: &str, other: Option<&str>) -> exchange::Declare {
    let arguments = other.map(|other| [("alternate-exchange", text(other))]);
    exchange::Declare {
        exchange: name.into(),
        kind: "direct".into(),
        arguments: arguments.map(|entry| table(&entry)).unwrap_or_default(),
        ..Default::default()
    }
}

fn bind(queue: &str, exchange: &str) -> queue::Bind {
    queue::Bind {
        queue: queue.into(),
        exchange: exchange.into(),
        ..Default::default()
    }
}

fn refused(right: &str, kind: &str, name: &str) -> String {
    format!(
        "ACCESS_REFUSED - {right} access to {kind} '{name}' in vhost '/' refused for user 'bob'"
    )
}

#[tokio::test]
async fn what_counts_is_the_name_without_line_ends() {
    let broker = guarded().await;
    let mut wire = bob(&broker).await;
    wire.call(1, queue("own-q", None), declared("own-q", 0, 0))
        .await;
    let delete = queue::Delete {
        queue: "ow\nn-q".into(),
        ..Default::default()
    };
    wire.call(1, delete, queue::DeleteOk { message_count: 0 })
        .await;
}

#[tokio::test]
async fn declaring_and_deleting_ask_for_configure() {
    let broker = guarded().await;
    let mut wire = bob(&broker).await;
    let no = |kind: &str| refused("configure", kind, "x");
    let delete = queue::Delete {
        queue: "x".into(),
        ..Default::default()
    };
    wire.refused(1, queue("x", None), 403, &no("queue")).await;
    wire.refused(1, delete, 403, &no("queue")).await;
    let delete = exchange::Delete {
        exchange: "x".into(),
        ..Default::default()
    };
    wire.refused(1, exchange("x", None), 403, &no("exchange"))
        .await;
    wire.refused(1, delete, 403, &no("exchange")).await;
    wire.call(1, queue("own-q", None), declared("own-q", 0, 0))
        .await;
    wire.call(1, exchange("own-x", None), exchange::DeclareOk {})
        .await;
    wire.send(
        1,
        queue::Declare {
            exclusive: true,
            ..queue("", None)
        },
    )
    .await;
    assert!(matches!(
        wire.method(1).await,
        AMQPClass::Queue(queue::AMQPMethod::DeclareOk(_))
    ));
    // To look is free.
    let passive = queue::Declare {
        passive: true,
        ..queue("x", None)
    };
    wire.refused(1, passive, 404, "NOT_FOUND - no queue 'x' in vhost '/'")
        .await;
}

#[tokio::test]
async fn other_exchanges_in_arguments_ask_for_write() {
    let broker = guarded().await;
    let mut wire = bob(&broker).await;
    for other in ["x", ""] {
        let shown = if other.is_empty() {
            "amq.default"
        } else {
            other
        };
        let no = refused("write", "exchange", shown);
        wire.refused(1, queue("own-q", Some(other)), 403, &no).await;
        wire.refused(1, exchange("own-x", Some(other)), 403, &no)
            .await;
    }
    wire.call(1, queue("own-q", Some("w-x")), declared("own-q", 0, 0))
        .await;
    wire.call(1, exchange("own-x", Some("w-x")), exchange::DeclareOk {})
        .await;
}

#[tokio::test]
async fn binding_asks_for_write_on_one_end_and_read_on_the_other() {
    let broker = guarded().await;
    let mut wire = bob(&broker).await;
    wire.refused(1, bind("x", "r-x"), 403, &refused("write", "queue", "x"))
        .await;
    wire.refused(
        1,
        bind("own-q", "x"),
        403,
        &refused("read", "exchange", "x"),
    )
    .await;
    let unbind = queue::Unbind {
        queue: "x".into(),
        exchange: "r-x".into(),
        ..Default::default()
    };
    wire.refused(1, unbind, 403, &refused("write", "queue", "x"))
        .await;
    let between = |destination: &str, source: &str| exchange::Bind {
        destination: destination.into(),
        source: source.into(),
        ..Default::default()
    };
    wire.refused(
        1,
        between("x", "r-x"),
        403,
        &refused("write", "exchange", "x"),
    )
    .await;
    wire.refused(
        1,
        between("w-x", "x"),
        403,
        &refused("read", "exchange", "x"),
    )
    .await;
    let no = "NOT_FOUND - no exchange 'r-x' in vhost '/'";
    wire.refused(1, between("w-x", "r-x"), 404, no).await;
}

#[tokio::test]
async fn publishing_asks_for_write() {
    let broker = guarded().await;
    let mut wire = bob(&broker).await;
    for (exchange, shown) in [("x", "x"), ("", "amq.default")] {
        wire.publish(1, exchange, "k", "m").await;
        wire.channel_closes(1, 403, &refused("write", "exchange", shown), (60, 40))
            .await;
    }
    wire.publish(1, "w-x", "k", "m").await;
    wire.channel_closes(
        1,
        404,
        "NOT_FOUND - no exchange 'w-x' in vhost '/'",
        (60, 40),
    )
    .await;
}

#[tokio::test]
async fn consuming_getting_and_purging_ask_for_read() {
    let broker = guarded().await;
    let mut wire = bob(&broker).await;
    let no = refused("read", "queue", "w-q");
    let consume = basic::Consume {
        queue: "w-q".into(),
        ..Default::default()
    };
    wire.refused(1, consume, 403, &no).await;
    wire.refused(
        1,
        basic::Get {
            queue: "w-q".into(),
            no_ack: true,
        },
        403,
        &no,
    )
    .await;
    wire.refused(
        1,
        queue::Purge {
            queue: "w-q".into(),
            nowait: false,
        },
        403,
        &no,
    )
    .await;
    wire.call(1, queue("own-q", None), declared("own-q", 0, 0))
        .await;
    wire.consume("own-q", "c").await;
    // Direct replies are nobody's queue.
    let replies = basic::Consume {
        queue: "amq.rabbitmq.reply-to".into(),
        consumer_tag: "r".into(),
        no_ack: true,
        ..Default::default()
    };
    wire.call(
        1,
        replies,
        basic::ConsumeOk {
            consumer_tag: "r".into(),
        },
    )
    .await;
}

#[tokio::test]
async fn an_impersonator_may_publish_in_another_name() {
    let broker = guarded().await;
    let (mut wire, _) = entering(&broker, "bridge", "hidden", "/").await;
    wire.open_channel(1).await;
    wire.call(1, queue("q", None), declared("q", 0, 0)).await;
    let properties = AMQPProperties::default().with_user_id("ada".into());
    wire.put_with("q", "m", properties).await;
    let user = wire.get("q").await.properties.user_id().clone();
    assert_eq!(user.unwrap().as_str(), "ada");
}

#[tokio::test]
async fn no_start_with_what_everybody_knows_or_nobody_understands() {
    let open = "0.0.0.0:0".parse().unwrap();
    for builder in [
        Broker::builder(),
        Broker::builder().user("guest", "guest"),
        Broker::builder()
            .user("ada", "secret")
            .user("guest", "guest"),
    ] {
        let started = builder.listen(open).start().await;
        assert!(matches!(started, Err(StartError::Open(address)) if address == open));
    }
    let odd = User::new("bob", "hidden").access("/", Permissions::all().read("(?i)orders"));
    let started = Broker::builder().add_user(odd).start().await;
    assert!(matches!(started, Err(StartError::Pattern { pattern, .. }) if pattern == "(?i)orders"));
}
