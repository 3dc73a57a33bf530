//! What comes of flows in which nothing goes wrong.

use std::time::{Duration, Instant};

use lightbus::testing::TestBus;
use lightbus::{Output, Priority, TaskHandle, TaskId, group};

use super::maths;

maths!(chain, "flow_chain");
maths!(other, "flow_chain_other");

#[lightbus::test]
async fn each_task_of_a_chain_gets_the_value_of_the_one_before(bus: TestBus) -> anyhow::Result<()> {
    let (here, there) = (bus.app("here").await?, bus.app("there").await?);
    here.serve(chain::ApiServer::new(chain::Worker::new().0))
        .await?;
    there
        .serve(other::ApiServer::new(other::Worker::new().0))
        .await?;
    let (one, two) = (chain::ApiClient::new(&bus), other::ApiClient::new(&bus));
    let flow = one
        .double(5)
        .then(|n| two.double(n).priority(Priority::High))
        .then(|n| one.numbers(n, 23))
        .then(|numbers| two.sum(numbers, "from 20"));
    let handle = flow.keep_result().enqueue().await?;
    assert_eq!(handle.id().api(), "flow_chain_other");
    assert_eq!(handle.result().await?, "from 20: [20, 21, 22] = 63");
    // Also for a process that only has its id.
    let id: TaskId = handle.id().to_string().parse()?;
    let again: TaskHandle<String, String> = bus.app("later").await?.task(id);
    assert_eq!(again.result().await?, "from 20: [20, 21, 22] = 63");
    Ok(())
}

maths!(text, "flow_text");

#[lightbus::test]
async fn text_and_what_nobody_needs_go_on_as_well(bus: TestBus) -> anyhow::Result<()> {
    let (worker, mut heard) = text::Worker::new();
    bus.serve(text::ApiServer::new(worker)).await?;
    let api = text::ApiClient::new(&bus);
    let said = api.sum(vec![1, 2], "first").then(|text| api.say(text));
    said.then(|_| api.say("then this")).enqueue().await?;
    assert_eq!(super::heard(&mut heard).await?, "first: [1, 2] = 3");
    assert_eq!(super::heard(&mut heard).await?, "then this");
    Ok(())
}

maths!(groups, "flow_groups");

#[lightbus::test]
async fn a_groups_values_come_together_in_its_order(bus: TestBus) -> anyhow::Result<()> {
    let (worker, _heard) = groups::Worker::new();
    bus.serve(groups::ApiServer::new(worker)).await?;
    let api = groups::ApiClient::new(&bus);

    let doubled = group((0..100).map(|n| api.double(n)));
    let values = doubled.keep_result().enqueue().await?.result().await?;
    assert_eq!(values, (0..100).map(|n| 2 * n).collect::<Vec<u64>>());

    let sum = group([3, 4].map(|n| api.double(n))).then(|doubled| api.sum(doubled, "both"));
    let sum = sum.keep_result().enqueue().await?.result().await?;
    assert_eq!(sum, "both: [6, 8] = 14");

    // One value for all of them, and members that are chains.
    let fan = api.double(1).then(|two: Output<u64>| {
        let longer = api
            .numbers(two, 5)
            .then(|numbers| api.sum(numbers, "numbers"));
        let empty = api.numbers(two, 2).then(|numbers| api.sum(numbers, "none"));
        group([longer, empty])
    });
    let texts = fan.keep_result().enqueue().await?.result().await?;
    assert_eq!(texts, ["numbers: [2, 3, 4] = 9", "none: [] = 0"]);

    // A group of groups.
    let nested = group([2, 3].map(|most| group((0..most).map(|n| api.double(n)))));
    let counted = nested.then(|lists| api.count(lists));
    let counted = counted.keep_result().enqueue().await?.result().await?;
    assert_eq!(counted, [2, 3]);
    Ok(())
}

maths!(each, "flow_each");

#[lightbus::test]
async fn what_is_done_with_each_element_of_a_list_comes_together_again(
    bus: TestBus,
) -> anyhow::Result<()> {
    bus.serve(each::ApiServer::new(each::Worker::new().0))
        .await?;
    let api = each::ApiClient::new(&bus);
    for (to, expected) in [(3, "all: [0, 4, 8] = 12"), (0, "all: [] = 0")] {
        let flow = api
            .numbers(0, to)
            .then_each(|n| api.double(n).then(|n| api.double(n)))
            .then(|all| api.sum(all, "all"));
        let handle = flow.keep_result().enqueue().await?;
        assert_eq!(handle.result().await?, expected);
    }
    let last = api.numbers(1, 4).then_each(|n| api.numbers(0, n));
    let lists = last.keep_result().enqueue().await?.result().await?;
    assert_eq!(lists, [vec![0], vec![0, 1], vec![0, 1, 2]]);
    Ok(())
}

maths!(told, "flow_told");

#[lightbus::test]
async fn a_flow_tells_how_far_it_has_come(bus: TestBus) -> anyhow::Result<()> {
    let (worker, _heard) = told::Worker::new();
    bus.serve(told::ApiServer::new(worker.clone())).await?;
    let api = told::ApiClient::new(&bus);
    let group = |n: Output<u64>| group([1, 2].map(|_| api.wait(n)));
    let flow = api.double(2).then(group).then(|all| api.sum(all, "sum"));
    let handle = flow.keep_result().enqueue().await?;
    let mut progress = handle.progress();
    let next = progress.next().await.map(|it| it.to_string());
    assert_eq!(next.as_deref(), Some("33 % (1 of 3 are done)"));
    worker.may.add_permits(2);
    assert_eq!(handle.result().await?, "sum: [4, 4] = 8");
    Ok(())
}

maths!(late, "flow_late");

#[lightbus::test]
async fn a_step_may_be_put_off(bus: TestBus) -> anyhow::Result<()> {
    bus.serve(late::ApiServer::new(late::Worker::new().0))
        .await?;
    let api = late::ApiClient::new(&bus);
    let begun = Instant::now();
    let later = |n| api.double(n).after(Duration::from_secs(1));
    let flow = api.double(1).then(later).then(later);
    let handle = flow.keep_result().enqueue().await?;
    assert_eq!(handle.result().await?, 8);
    assert!(begun.elapsed() >= Duration::from_secs(2));
    Ok(())
}

#[lightbus::test]
async fn a_group_begins_whatever_queues_its_tasks_have(bus: TestBus) -> anyhow::Result<()> {
    #[lightbus::api(name = "flow_queued")]
    trait Api {
        #[task(queue = "slow")]
        async fn work(&self, n: u64) -> u64;
    }
    struct Worker;
    impl Api for Worker {
        async fn work(&self, n: u64) -> u64 {
            n
        }
    }
    bus.serve(ApiServer::new(Worker)).await?;
    let api = ApiClient::new(&bus);
    let flow = group([1, 2].map(|n| api.work(n))).keep_result();
    assert_eq!(flow.enqueue().await?.result().await?, [1, 2]);
    Ok(())
}
