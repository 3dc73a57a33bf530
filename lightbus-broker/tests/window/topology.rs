//! What comes and goes: connections, channels, exchanges, queues, bindings, consumers.

use crate::prelude::*;

#[tokio::test]
async fn topology_and_connections_come_and_go() {
    let broker = Broker::start().await.unwrap();
    let mut events = broker.events();
    let connection = connect(&broker).await;
    let channel = connection.create_channel().await.unwrap();
    let auto_delete = ExchangeDeclareOptions {
        auto_delete: true,
        ..Default::default()
    };
    channel
        .exchange_declare(
            "x".into(),
            lapin::ExchangeKind::Fanout,
            auto_delete,
            Default::default(),
        )
        .await
        .unwrap();
    let exclusive = QueueDeclareOptions {
        exclusive: true,
        ..Default::default()
    };
    channel
        .queue_declare("q".into(), exclusive, Default::default())
        .await
        .unwrap();
    for _ in 0..2 {
        bind(&channel, "q", "x", "k").await;
    }
    consume_as(&channel, "q", "c").await;
    assert!(
        channel
            .queue_purge("none".into(), Default::default())
            .await
            .is_err()
    );
    let channel = connection.create_channel().await.unwrap();
    channel
        .queue_unbind("q".into(), "x".into(), "k".into(), Default::default())
        .await
        .unwrap();
    connection.close(200, "bye".into()).await.unwrap();
    assert_eq!(
        lines(&mut events, 11).await,
        [
            "connection test of guest opened /",
            "exchange x declared",
            "queue q declared",
            "bound: x -'k'-> q",
            "test consumes q (c)",
            "channel 1 of test closed: 404 NOT_FOUND - no queue 'none' in vhost '/'",
            "test no longer consumes q (c): ChannelClosed",
            "unbound: x -'k'-> q",
            "exchange x deleted",
            "connection test closed by its client: 200 bye",
            "queue q deleted: Exclusive",
        ]
    );
}

#[tokio::test]
async fn ends_say_why() {
    let (broker, _connection, channel) = start().await;
    declare(&channel, "q", &[]).await;
    let mut events = broker.events();
    let _consumer = consume_as(&channel, "q", "c").await;
    channel
        .queue_delete("q".into(), Default::default())
        .await
        .unwrap();
    next(&mut events).await;
    let kind = next(&mut events).await.kind;
    assert!(matches!(
        kind,
        EventKind::ConsumerCancelled {
            why: CancelReason::QueueDeleted,
            ..
        }
    ));
    let kind = next(&mut events).await.kind;
    assert!(matches!(
        kind,
        EventKind::QueueDeleted {
            why: DeleteReason::Client,
            ..
        }
    ));
    broker.block_publishers("test");
    publish_without_waiting(&channel).await;
    assert_eq!(lines(&mut events, 3).await[0], "test blocked: test");
    broker.unblock_publishers();
    assert_eq!(lines(&mut events, 1).await[0], "test no longer blocked");
    broker.drop_connections();
    let kind = next(&mut events).await.kind;
    assert!(
        matches!(
            kind,
            EventKind::ConnectionClosed {
                why: CloseReason::Lost,
                ..
            }
        ),
        "{kind:?}"
    );
    let properties = ConnectionProperties::default();
    let _connection = Connection::connect(&broker.url(), properties)
        .await
        .unwrap();
    next(&mut events).await;
    broker.shutdown().await;
    let kind = next(&mut events).await.kind;
    let EventKind::ConnectionClosed {
        why: CloseReason::Broker { code: 320, .. },
        ..
    } = kind
    else {
        panic!("{kind:?}")
    };
    assert!(events.next().await.is_none());
}

/// The publication is what blocks the connection, so that it is handled, but nothing after it.
async fn publish_without_waiting(channel: &Channel) {
    let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
    channel
        .basic_publish("".into(), "q".into(), options, b"m", properties)
        .await
        .unwrap();
}
