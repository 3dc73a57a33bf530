//! Flows whose workers come and go.

use std::time::Duration;

use lightbus::group;
use lightbus::health::{Part, State};
use lightbus::testing::TestBus;
use lightbus_tests::proxy::Proxy;
use lightbus_tests::{eventually, passed};

use super::{LONG, heard, maths};

maths!(handed, "flow_handed_on");

#[lightbus::test]
async fn a_group_is_put_together_by_whoever_is_left(bus: TestBus) -> anyhow::Result<()> {
    let (worker, mut said) = handed::Worker::new();
    let first = bus.app("first").await?;
    first.serve(handed::ApiServer::new(worker.clone())).await?;
    let api = handed::ApiClient::new(&bus);
    let flow = group((0..6).map(|n| api.wait(n))).then(|all| api.sum(all, "all"));
    let handle = flow.keep_result().enqueue().await?;
    for _ in 0..6 {
        heard(&mut said).await?;
    }
    // Half of them report to the first, which then leaves.
    worker.may.add_permits(3);
    eventually("three are done", async || {
        worker.may.available_permits() == 0
    })
    .await?;
    let second = bus.app("second").await?;
    second.serve(handed::ApiServer::new(worker.clone())).await?;
    let leaving = tokio::spawn(async move { first.close().await });
    worker.may.add_permits(3);
    leaving.await?;
    worker.may.add_permits(6);
    assert_eq!(handle.result().await?, "all: [0, 1, 2, 3, 4, 5] = 15");
    Ok(())
}

maths!(alarm, "flow_alarm");

#[lightbus::test(broker = "embedded")]
async fn an_alarm_while_groups_end_holds_them_up_and_no_longer(bus: TestBus) -> anyhow::Result<()> {
    let embedded = bus.broker();
    bus.serve(alarm::ApiServer::new(alarm::Worker::new().0))
        .await?;
    let peer = bus.app("peer").await?;
    let api = alarm::ApiClient::new(&peer);
    for _ in 0..3 {
        let mut handles = Vec::new();
        for n in 0..60 {
            let flow = group([n, n + 1].map(|n| api.double(n))).then(|all| api.sum(all, "both"));
            handles.push(flow.keep_result().enqueue().await?);
        }
        embedded.block_publishers("low on memory");
        let publish = Part::Connection("publish");
        eventually("what has ended cannot be noted", async || {
            let parts = bus.health().parts;
            parts
                .iter()
                .any(|part| part.part == publish && part.state == State::Blocked)
        })
        .await?;
        // Longer than what has ended waits to be noted together.
        passed(Duration::from_millis(200)).await?;
        embedded.unblock_publishers();
        for handle in handles {
            handle.result().timeout(LONG).await?;
        }
    }
    Ok(())
}

maths!(cut, "flow_cut");

#[lightbus::test]
async fn lost_connections_lose_no_flow(bus: TestBus) -> anyhow::Result<()> {
    let proxy = Proxy::start(&bus.url()).await?;
    let worker = bus.app_builder("cut").url(proxy.url());
    let worker = worker.connect().await?;
    worker
        .serve(cut::ApiServer::new(cut::Worker::new().0))
        .await?;
    let api = cut::ApiClient::new(&bus);
    let mut handles = Vec::new();
    for n in 0..20 {
        let flow = api
            .numbers(n, n + 5)
            .then_each(|n| api.double(n).then(|n| api.double(n)))
            .then(|all| api.sum(all, "sum"));
        handles.push(flow.keep_result().enqueue().await?);
        if n % 5 == 4 {
            proxy.cut();
        }
    }
    for (n, handle) in (0..).zip(handles) {
        let four = |n: u64| 4 * n;
        let all: Vec<u64> = (n..n + 5).map(four).collect();
        let expected = format!("sum: {all:?} = {}", all.iter().sum::<u64>());
        assert_eq!(handle.result().await?, expected);
    }
    Ok(())
}
