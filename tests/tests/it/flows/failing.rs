//! Flows of which a part fails, or that somebody takes back.

use std::sync::atomic::Ordering;

use lightbus::testing::TestBus;
use lightbus::{TaskError, group};
use lightbus_tests::eventually;

use super::{heard, maths};

maths!(middle, "flow_middle");

#[lightbus::test]
async fn a_task_that_is_dead_ends_its_flow_until_it_is_replayed(
    bus: TestBus,
) -> anyhow::Result<()> {
    let (worker, mut said) = middle::Worker::new();
    bus.serve(middle::ApiServer::new(worker.clone())).await?;
    let api = middle::ApiClient::new(&bus);
    let dead = bus.dead_tasks("flow_middle")?;
    let flow = api
        .double(1)
        .then(|n| api.fragile(n))
        .then(|n| api.double(n))
        .on_failure(|failed| api.complain(failed));
    let handle = flow.keep_result().enqueue().await?;
    let Err(TaskError::Failed(failure)) = handle.result().await else {
        anyhow::bail!("it has no value");
    };
    assert!(failure.detail.contains("flow_middle.fragile"), "{failure}");
    assert!(failure.detail.contains("TooLarge"), "{failure}");
    let complaint = heard(&mut said).await?;
    assert!(
        complaint.starts_with("flow_middle.fragile ("),
        "{complaint}"
    );
    assert!(complaint.contains("after 2 attempts"), "{complaint}");

    worker.works.store(true, Ordering::SeqCst);
    eventually("the letter is there", async || {
        dead.replay(|_| true)
            .await
            .is_ok_and(|replayed| replayed == 1)
    })
    .await?;
    eventually("the flow went on", async || {
        handle.result().await.is_ok_and(|value| value == 6)
    })
    .await?;
    assert!(said.try_recv().is_err(), "it was told once");
    Ok(())
}

maths!(member, "flow_member");

#[lightbus::test]
async fn a_group_fails_with_the_error_of_its_member_and_is_whole_after_a_replay(
    bus: TestBus,
) -> anyhow::Result<()> {
    let (worker, mut said) = member::Worker::new();
    bus.serve(member::ApiServer::new(worker.clone())).await?;
    let api = member::ApiClient::new(&bus);
    let dead = bus.dead_tasks("flow_member")?;

    let typed = group([1, 1000].map(|n| api.double(n))).keep_result();
    let error = typed.enqueue().await?.result().await;
    let expected = member::Trouble::TooLarge { n: 1000 };
    assert_eq!(error, Err(TaskError::Domain(expected)));
    eventually("the first letter is gone", async || {
        dead.discard(|_| true).await.is_ok_and(|gone| gone == 1)
    })
    .await?;

    let flow = group([10, 11].map(|n| api.fragile(n)))
        .then(|both| api.sum(both, "whole"))
        .then(|text| api.say(text))
        .on_failure(|failed| api.complain(failed));
    let handle = flow.keep_result().enqueue().await?;
    let failed = handle.result().await;
    assert!(matches!(failed, Err(TaskError::Failed(_))), "{failed:?}");
    // Two members fail, and one complaint is enough.
    assert!(heard(&mut said).await?.starts_with("flow_member.fragile ("));
    eventually("both letters are there", async || {
        dead.list(10).await.is_ok_and(|letters| letters.len() == 2)
    })
    .await?;
    worker.works.store(true, Ordering::SeqCst);
    let mut replayed = 0;
    eventually("both letters are replayed", async || {
        replayed += dead.replay(|_| true).await.unwrap_or_default();
        replayed == 2
    })
    .await?;
    assert_eq!(heard(&mut said).await?, "whole: [11, 12] = 23");
    eventually("the flow is done", async || handle.result().await.is_ok()).await?;
    assert!(said.try_recv().is_err());
    Ok(())
}

maths!(large, "flow_large");

#[lightbus::test]
async fn what_is_too_large_to_go_on_fails_by_name(bus: TestBus) -> anyhow::Result<()> {
    let large = bus
        .app_builder("large")
        .payload_limit(10_000)
        .connect()
        .await?;
    let (worker, mut said) = large::Worker::new();
    large.serve(large::ApiServer::new(worker)).await?;
    let api = large::ApiClient::new(&large);
    let complain = |failed| api.complain(failed);
    let members = group([6000, 6000].map(|bytes| api.large(bytes)));
    let flow = members.then(|_| api.say("never")).on_failure(complain);
    let error = flow.keep_result().enqueue().await?.result().await;
    let text = format!("{error:?}");
    assert!(text.contains("10000 bytes together"), "{text}");
    assert!(heard(&mut said).await?.contains("bytes together"));
    Ok(())
}

maths!(huge, "flow_huge");

#[lightbus::test]
async fn a_member_whose_value_is_too_large_fails_its_group(bus: TestBus) -> anyhow::Result<()> {
    bus.serve(huge::ApiServer::new(huge::Worker::new().0))
        .await?;
    let api = huge::ApiClient::new(&bus);
    let flow = group([10, 3_000_000].map(|bytes| api.large(bytes))).then(|_| api.say("never"));
    let error = flow.keep_result().enqueue().await?.result().await;
    let text = format!("{error:?}");
    assert!(
        text.contains("takes 3000003 bytes") || text.contains("a member of a group may return"),
        "{text}"
    );
    Ok(())
}

maths!(cancelled, "flow_cancelled");

#[lightbus::test]
async fn a_cancelled_flow_goes_no_further(bus: TestBus) -> anyhow::Result<()> {
    let (worker, mut said) = cancelled::Worker::new();
    bus.serve(cancelled::ApiServer::new(worker)).await?;
    let api = cancelled::ApiClient::new(&bus);
    let flow = group([1, 2].map(|n| api.wait(n)))
        .then(|both| api.sum(both, "never"))
        .then(|text| api.say(text))
        .on_failure(|failed| api.complain(failed));
    let handle = flow.keep_result().enqueue().await?;
    for _ in 0..2 {
        assert!(heard(&mut said).await?.starts_with("waiting"));
    }
    handle.cancel().await?;
    assert!(matches!(
        handle.result().await,
        Err(TaskError::Cancelled(_))
    ));
    // What comes after it in the same queues is done, and nothing of the flow before.
    api.sum(vec![1], "after")
        .then(|text| api.say(text))
        .enqueue()
        .await?;
    assert_eq!(heard(&mut said).await?, "after: [1] = 1");
    assert!(said.try_recv().is_err());
    Ok(())
}
