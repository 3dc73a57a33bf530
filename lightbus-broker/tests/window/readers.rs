//! Those who read events: fast, slowly, not at all.

use crate::prelude::*;

/// A reader that keeps up sees everything, however much happens at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_keeps_up_misses_nothing() {
    const EACH: u64 = 2000;
    let broker = Broker::builder()
        .event_buffer(20 * EACH as usize)
        .start()
        .await
        .unwrap();
    let mut events = broker.events();
    let mut publishers = Vec::new();
    for publisher in 0..3 {
        let channel = connect(&broker).await.create_channel().await.unwrap();
        let queue = format!("q{publisher}");
        declare(&channel, &queue, &[("x-max-length", int(10))]).await;
        publishers.push(tokio::spawn(async move {
            for _ in 0..EACH {
                let (options, properties) = (Default::default(), Default::default());
                channel
                    .basic_publish("".into(), queue.as_str().into(), options, b"m", properties)
                    .await
                    .unwrap();
            }
            channel
        }));
    }
    let (mut number, mut published, mut dropped) = (0, 0, 0);
    while published < 3 * EACH || dropped < 3 * (EACH - 10) {
        let event = next(&mut events).await;
        assert_eq!(event.number, number + 1, "{event}");
        number = event.number;
        published += u64::from(matches!(event.kind, EventKind::Published { .. }));
        dropped += u64::from(matches!(event.kind, EventKind::Dropped { .. }));
    }
    for publisher in publishers {
        publisher.await.unwrap();
    }
    assert_eq!((published, dropped), (3 * EACH, 3 * (EACH - 10)));
}

#[tokio::test]
async fn who_reads_too_slowly_misses_the_oldest_and_nobody_waits() {
    let broker = Broker::builder().event_buffer(10).start().await.unwrap();
    let channel = connect(&broker).await.create_channel().await.unwrap();
    channel.confirm_select(Default::default()).await.unwrap();
    declare(&channel, "q", &[]).await;
    let (mut slow, mut fast) = (broker.events(), broker.events());
    for _ in 0..50 {
        publish(&channel, "", "q", b"m").await;
        assert_eq!(lines(&mut fast, 2).await.len(), 2);
    }
    let missed = next(&mut slow).await;
    assert!(
        matches!(missed.kind, EventKind::Missed { count: 90 }),
        "{missed}"
    );
    let mut numbers = Vec::new();
    while let Some(event) = slow.try_next() {
        numbers.push(event.number);
    }
    assert_eq!(numbers, (91..=100).collect::<Vec<_>>());
}

#[tokio::test]
async fn unread_events_never_hold_much_memory() {
    let broker = Broker::builder()
        .memory_limit(1 << 20)
        .start()
        .await
        .unwrap();
    let channel = connect(&broker).await.create_channel().await.unwrap();
    channel.confirm_select(Default::default()).await.unwrap();
    let mut events = broker.events();
    for _ in 0..50 {
        publish(&channel, "", "nowhere", &[0; 50_000]).await;
    }
    assert!(broker.snapshot().message_bytes <= 1 << 17);
    assert!(matches!(
        next(&mut events).await.kind,
        EventKind::Missed { .. }
    ));
    drop(events);
    assert_eq!(broker.snapshot().message_bytes, 0);
}
