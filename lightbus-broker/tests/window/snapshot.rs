//! A snapshot, and what happened between two of them.

use crate::prelude::*;

#[tokio::test]
async fn a_snapshot_tells_consumers_arguments_and_rates() {
    let broker = Broker::builder().manual_clock().start().await.unwrap();
    let channel = connect(&broker).await.create_channel().await.unwrap();
    channel.confirm_select(Default::default()).await.unwrap();
    let arguments = [
        ("x-single-active-consumer", AMQPValue::Boolean(true)),
        ("x-max-length", int(9)),
    ];
    declare(&channel, "q", &arguments).await;
    let of = table(&[("x-match", text("any")), ("n", int(1))]);
    channel
        .queue_bind(
            "q".into(),
            "amq.headers".into(),
            "".into(),
            Default::default(),
            of,
        )
        .await
        .unwrap();
    channel
        .basic_qos(3, BasicQosOptions::default())
        .await
        .unwrap();
    let mut first = consume_as(&channel, "q", "first").await;
    let _second = consume_as(&channel, "q", "second").await;
    let earlier = broker.snapshot();
    for _ in 0..4 {
        publish(&channel, "", "q", b"m").await;
    }
    first
        .next()
        .await
        .unwrap()
        .unwrap()
        .ack(Default::default())
        .await
        .unwrap();
    until(&broker, "one is acknowledged", |s| {
        s.queue("q").unwrap().counters.acked == 1
    })
    .await;
    broker.advance(Duration::from_secs(2)).unwrap();
    let snapshot = broker.snapshot();
    let queue = snapshot.queue("q").unwrap();
    assert_eq!(queue.arguments["x-single-active-consumer"], "true");
    assert_eq!(queue.arguments["x-max-length"], "9");
    assert_eq!(snapshot.bindings[0].arguments["n"], "1");
    let [one, two] = &queue.subscriptions[..] else {
        panic!("{queue:?}")
    };
    assert_eq!(
        (one.tag.as_str(), one.active, one.prefetch, one.unacked),
        ("first", true, 3, 3)
    );
    assert_eq!(
        (two.tag.as_str(), two.active, two.unacked),
        ("second", false, 0)
    );
    assert_eq!((one.connection.as_deref(), one.channel), (Some("test"), 1));
    let rates = snapshot.rates_since(&earlier);
    assert_eq!(rates.per_second(rates.totals.publishing.published), 2.0);
    assert_eq!(rates.queue("q").unwrap().delivered, 4);
    let shown = snapshot.to_string();
    for line in [
        "queue q: 0 ready, 3 unacked, 4 enqueued, 4 delivered, 1 acked (classic, durable, x-max-length=9, x-single-active-consumer=true)",
        "  consumer first on connection test channel 1: 3 unacked of 3",
        "  consumer second on connection test channel 1: 0 unacked of 3, waiting for its turn",
        "binding amq.headers -''-> queue q, n=1, x-match=any",
        "exchange (default) (direct): 4 received, 4 copies routed, 0 unroutable",
    ] {
        assert!(
            shown.lines().any(|other| other == line),
            "no line {line:?} in\n{shown}"
        );
    }
}
