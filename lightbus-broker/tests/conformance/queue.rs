//! Declaring queues.

use crate::prelude::*;

fn declare(name: &str) -> queue::Declare {
    queue::Declare {
        queue: name.into(),
        ..Default::default()
    }
}

fn passive(name: &str) -> queue::Declare {
    queue::Declare {
        passive: true,
        ..declare(name)
    }
}

#[tokio::test]
async fn declared_found_and_counted() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let name = stage.name("q");
    wire.call(1, declare(&name), declared(&name, 0, 0)).await;
    wire.call(1, declare(&name), declared(&name, 0, 0)).await;
    wire.publish(1, "", &name, "m").await;
    wire.until_ready(&name, 1).await;
    wire.call(1, passive(&name), declared(&name, 1, 0)).await;
    wire.consume(&name, "c").await;
    wire.message(1).await;
    wire.call(1, passive(&name), declared(&name, 0, 1)).await;
}

#[tokio::test]
async fn a_missing_one_is_not_found() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let name = stage.name("q");
    let none = format!("NOT_FOUND - no queue '{name}' in vhost '/'");
    wire.refused(1, passive(&name), 404, &none).await;
    let purge = queue::Purge {
        queue: name.as_str().into(),
        nowait: false,
    };
    wire.refused(1, purge, 404, &none).await;
    let get = basic::Get {
        queue: name.as_str().into(),
        no_ack: true,
    };
    wire.refused(1, get, 404, &none).await;
    let consume = basic::Consume {
        queue: name.as_str().into(),
        ..Default::default()
    };
    wire.refused(1, consume, 404, &none).await;
}

#[tokio::test]
async fn the_broker_names_it() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    wire.send(
        1,
        queue::Declare {
            exclusive: true,
            ..declare("")
        },
    )
    .await;
    let AMQPClass::Queue(queue::AMQPMethod::DeclareOk(ok)) = wire.method(1).await else {
        panic!("not declared")
    };
    assert!(ok.queue.as_str().starts_with("amq.gen-"), "{}", ok.queue);
    // The empty name is the queue declared last, on this channel.
    wire.publish(1, "", ok.queue.as_str(), "m").await;
    wire.until_ready(ok.queue.as_str(), 1).await;
    assert_eq!(wire.get("").await.text(), "m");
    let text = "NOT_FOUND - no queue '' in vhost '/'";
    wire.open_channel(3).await;
    wire.refused(3, passive(""), 404, text).await;
    wire.call(
        1,
        queue::Purge::default(),
        queue::PurgeOk { message_count: 0 },
    )
    .await;
    wire.call(
        1,
        queue::Delete::default(),
        queue::DeleteOk { message_count: 0 },
    )
    .await;
    wire.open_channel(2).await;
    let text = "NOT_FOUND - no previously declared queue";
    wire.refused(2, queue::Purge::default(), 404, text).await;
}

#[tokio::test]
async fn reserved_names_are_refused() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let text = "ACCESS_REFUSED - queue name 'amq.mine' contains reserved prefix 'amq.*'";
    wire.refused(1, declare("amq.mine"), 403, text).await;
    wire.refused(
        1,
        passive("amq.mine"),
        404,
        "NOT_FOUND - no queue 'amq.mine' in vhost '/'",
    )
    .await;
}

#[tokio::test]
async fn an_exclusive_queue_is_its_connections_alone() {
    let stage = Stage::start().await;
    let (mut owner, mut other) = (stage.wire().await, stage.wire().await);
    let name = stage.name("q");
    let exclusive = queue::Declare {
        exclusive: true,
        ..declare(&name)
    };
    owner
        .call(1, exclusive.clone(), declared(&name, 0, 0))
        .await;
    let text = format!(
        "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '{name}' in vhost '/'. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration."
    );
    let queue = || name.as_str().into();
    other.refused(1, exclusive, 405, &text).await;
    other.refused(1, declare(&name), 405, &text).await;
    other.refused(1, passive(&name), 405, &text).await;
    other
        .refused(
            1,
            queue::Purge {
                queue: queue(),
                nowait: false,
            },
            405,
            &text,
        )
        .await;
    other
        .refused(
            1,
            queue::Delete {
                queue: queue(),
                ..Default::default()
            },
            405,
            &text,
        )
        .await;
    other
        .refused(
            1,
            basic::Get {
                queue: queue(),
                no_ack: true,
            },
            405,
            &text,
        )
        .await;
    other
        .refused(
            1,
            basic::Consume {
                queue: queue(),
                ..Default::default()
            },
            405,
            &text,
        )
        .await;
    let bind = queue::Bind {
        queue: queue(),
        exchange: "amq.direct".into(),
        ..Default::default()
    };
    other.refused(1, bind, 405, &text).await;
    // Anybody may publish to it.
    other.publish(1, "", &name, "m").await;
    owner.until_ready(&name, 1).await;
    owner
        .call(0, connection::Close::default(), connection::CloseOk {})
        .await;
    let gone = format!("NOT_FOUND - no queue '{name}' in vhost '/'");
    loop {
        other.send(1, passive(&name)).await;
        let AMQPClass::Channel(channel::AMQPMethod::Close(close)) = other.method(1).await else {
            panic!("it may not be there for others")
        };
        other.send(1, channel::CloseOk {}).await;
        other.open_channel(1).await;
        if close.reply_code == 404 {
            assert_eq!(close.reply_text.as_str(), gone);
            return;
        }
    }
}

#[tokio::test]
async fn an_auto_delete_queue_goes_with_its_last_consumer() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let name = stage.name("q");
    wire.call(
        1,
        queue::Declare {
            auto_delete: true,
            ..declare(&name)
        },
        declared(&name, 0, 0),
    )
    .await;
    wire.consume(&name, "a").await;
    wire.consume(&name, "b").await;
    for (tag, last) in [("a", false), ("b", true)] {
        wire.cancel(tag).await;
        let none = format!("NOT_FOUND - no queue '{name}' in vhost '/'");
        match last {
            false => wire.call(1, passive(&name), declared(&name, 0, 1)).await,
            true => wire.refused(1, passive(&name), 404, &none).await,
        }
    }
}

#[tokio::test]
async fn names_lose_their_line_ends() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let name = stage.name("q");
    wire.call(1, declare(&format!("{name}\r\n")), declared(&name, 0, 0))
        .await;
    wire.call(1, passive(&name), declared(&name, 0, 0)).await;
}

#[tokio::test]
async fn the_longest_name_and_odd_ones() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    for name in [
        "x".repeat(255),
        " ".to_owned(),
        "tab\tand\u{1}".to_owned(),
        "naïve ☃".to_owned(),
    ] {
        let declare = queue::Declare {
            exclusive: true,
            ..declare(&name)
        };
        wire.call(1, declare, declared(&name, 0, 0)).await;
        wire.publish(1, "", &name, "m").await;
        wire.until_ready(&name, 1).await;
        assert_eq!(wire.get(&name).await.get_ok().routing_key.as_str(), name);
    }
}

#[tokio::test]
async fn no_answer_where_none_is_wanted() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let name = stage.name("q");
    wire.send(
        1,
        queue::Declare {
            nowait: true,
            ..declare(&name)
        },
    )
    .await;
    wire.call(1, passive(&name), declared(&name, 0, 0)).await;
    wire.send(
        1,
        queue::Purge {
            queue: name.as_str().into(),
            nowait: true,
        },
    )
    .await;
    wire.send(
        1,
        queue::Delete {
            queue: name.as_str().into(),
            nowait: true,
            ..Default::default()
        },
    )
    .await;
    let none = format!("NOT_FOUND - no queue '{name}' in vhost '/'");
    wire.refused(1, passive(&name), 404, &none).await;
}
