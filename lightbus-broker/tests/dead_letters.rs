//! Dead letters that must arrive, through lapin.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use futures_util::StreamExt;
use lapin::options::*;
use support::*;

#[tokio::test]
async fn a_letter_waits_in_its_queue_until_there_is_one_that_takes_it() {
    let (broker, _connection, channel) = start().await;
    let arguments = [
        ("x-queue-type", text("quorum")),
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text("dead")),
        ("x-dead-letter-strategy", text("at-least-once")),
        ("x-overflow", text("reject-publish")),
    ];
    declare(&channel, "q", &arguments).await;
    let mut consumer = consume(&channel, "q").await;
    assert!(publish(&channel, "", "q", b"m").await.is_ack());
    let delivery = consumer.next().await.unwrap().unwrap();
    delivery
        .reject(BasicRejectOptions { requeue: false })
        .await
        .unwrap();
    until(&broker, "it is held", |now| {
        now.queue("q").unwrap().held == 1
    })
    .await;
    declare(&channel, "dead", &[]).await;
    until(&broker, "it arrived", |now| {
        now.queue("dead").unwrap().ready == 1
    })
    .await;
    assert_eq!(broker.snapshot().queue("q").unwrap().held, 0);
    let got = get(&channel, "dead").await.unwrap();
    assert_eq!(header(&got, "x-first-death-queue"), Some(text("q")));
    assert_eq!(header(&got, "x-last-death-reason"), Some(text("rejected")));
}

#[tokio::test]
async fn high_priorities_come_first_but_not_alone() {
    let (_broker, _connection, channel) = start().await;
    declare(&channel, "q", &[("x-queue-type", text("quorum"))]).await;
    for (body, priority) in [("n1", 0), ("n2", 4), ("h1", 5), ("h2", 9), ("h3", 255)] {
        let properties = lapin::BasicProperties::default().with_priority(priority);
        publish_with(&channel, "", "q", body.as_bytes(), properties).await;
    }
    let mut seen = Vec::new();
    while let Some(got) = get(&channel, "q").await {
        seen.push(String::from_utf8(got.data.clone()).unwrap());
    }
    assert_eq!(seen, ["h1", "h2", "n1", "h3", "n2"]);
}
