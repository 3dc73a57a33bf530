//! Chains and groups of tasks whose workers are lost.

use std::time::{Duration, Instant};

use lightbus::{Bus, TaskHandle};

use super::api::FaultsTasksClient;
use super::calls::Executions;
use super::outcome::Outcome;
use super::process::{MEMBERS, Process};
use super::stage::{Pace, Stage};
use super::tasks;

const WORKERS: usize = 3;
const BETWEEN_KILLS: Duration = Duration::from_millis(400);
/// How many flows begin between two kills.
const AT_ONCE: u64 = 5;
/// How long all are given to end.
const LONGEST: Duration = Duration::from_secs(60);
/// The numbers of a flow's tasks are within so many.
const NUMBERS: u64 = 100;
/// What a member's second task adds.
const SECOND: u64 = 10;
const LAST: u64 = 99;

/// All numbers that a flow's tasks tell.
fn numbers(flow: u64) -> impl Iterator<Item = u64> {
    let members = (1..=MEMBERS).flat_map(|member| [member, member + SECOND]);
    let all = [0].into_iter().chain(members).chain([LAST]);
    all.map(move |number| flow * NUMBERS + number)
}

async fn begin(
    bus: &Bus,
    flow: u64,
) -> anyhow::Result<TaskHandle<usize, std::convert::Infallible>> {
    let api = FaultsTasksClient::new(bus);
    let first = flow * NUMBERS;
    let flow = api
        .split(first)
        .then_each(|n| api.step(n, 0).then(|n| api.step(n, SECOND)))
        .then(|members| api.finish(first + LAST, members));
    Ok(flow.keep_result().enqueue().await?)
}

/// Row 34: workers are killed one after the other, over and over, while chains and groups are under way.
pub(super) async fn killed(stage: &Stage) -> anyhow::Result<Outcome> {
    let kills = match stage.pace() {
        Pace::Full => 750,
        _ => 12,
    };
    let peer = tasks::peer(stage).await?;
    let runs = Executions::default();
    let mut workers = Vec::new();
    for _ in 0..WORKERS {
        workers.push(Process::start(stage, &tasks::role(stage, 0), &runs).await?);
    }
    let mut flows = Vec::new();
    for kill in 0..kills {
        let until = Instant::now() + BETWEEN_KILLS;
        for flow in kill * AT_ONCE..(kill + 1) * AT_ONCE {
            flows.push((flow, begin(&peer, flow).await?));
        }
        tokio::time::sleep_until(until.into()).await;
        workers.remove(0).kill().await?;
        workers.push(Process::start(stage, &tasks::role(stage, 0), &runs).await?);
    }
    let outcome = judge(flows, &runs, kills).await;
    for worker in workers {
        worker.end().await?;
    }
    Ok(outcome)
}

async fn judge(
    flows: Vec<(u64, TaskHandle<usize, std::convert::Infallible>)>,
    runs: &Executions,
    kills: u64,
) -> Outcome {
    let began = Instant::now();
    let mut outcome = Outcome {
        confirmed: flows.len(),
        ..Outcome::default()
    };
    for (flow, handle) in flows {
        let left = LONGEST.saturating_sub(began.elapsed());
        match handle.result().timeout(left).await {
            Ok(members) => {
                outcome.check(members == MEMBERS as usize, format!("flow {flow} is whole"))
            }
            Err(error) => outcome.check(false, format!("flow {flow} ended: {error:?}")),
        }
        let missing = numbers(flow).filter(|n| runs.of(*n) == 0).count();
        outcome.lost += missing;
        outcome.handled += usize::from(missing == 0);
        let again = numbers(flow).map(|n| runs.of(n).saturating_sub(1) as usize);
        outcome.duplicated += again.sum::<usize>();
    }
    outcome.recovered(began.elapsed(), Duration::from_secs(30));
    outcome.note(format!("{kills} kills"));
    outcome
}
