//! Connections that come and go, in a process of their own, whose descriptors are counted.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use futures_util::{StreamExt, stream};
use lightbus_broker::Broker;
use support::*;

/// The descriptors that are open in this process.
fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[tokio::test]
async fn connections_that_come_and_go_leave_nothing() {
    let broker = Broker::start().await.unwrap();
    let mut witness = Witness::new(&broker).await;
    let (descriptors, before) = (open_descriptors(), broker.snapshot());
    for round in 0..20 {
        let clients = stream::iter(0..100).map(|number| {
            let broker = &broker;
            async move {
                let mut client = raw(broker).await;
                client.open().await;
                client.send(1, queue_declare("", 4)).await;
                client.frame().await.expect("queue.declare-ok");
                // Half of them say goodbye.
                if number % 2 == 0 {
                    client.send(0, [0, 10, 0, 50, 0, 200, 0, 0, 0, 0, 0]).await;
                    client.frame().await.expect("connection.close-ok");
                }
            }
        });
        clients.buffer_unordered(10).collect::<Vec<()>>().await;
        if round % 5 == 0 {
            witness.calls().await;
        }
    }
    until(&broker, "only the witness is left", |s| {
        s.connections.len() == 1
    })
    .await;
    let are_closed = async || open_descriptors() <= descriptors;
    eventually("all descriptors are closed", are_closed).await;
    let after = broker.snapshot();
    assert_eq!(
        (after.queues.len(), after.message_bytes),
        (before.queues.len(), before.message_bytes)
    );
    witness.calls().await;
}
