//! Chains and groups of tasks whose workers are lost.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use lightbus::{Bus, TaskError, TaskHandle};
use tokio::task::JoinHandle;

use super::api::FaultsTasksClient;
use super::calls::Executions;
use super::outcome::Outcome;
use super::process::{MEMBERS, Process};
use super::stage::Stage;
use super::tasks;

const WORKERS: usize = 3;
/// On average.
const BETWEEN_KILLS: Duration = Duration::from_millis(400);
/// How many flows begin between two kills.
const AT_ONCE: u64 = 10;
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

type Ended = Result<usize, TaskError<Infallible>>;

async fn begin(bus: &Bus, flow: u64) -> anyhow::Result<TaskHandle<usize, Infallible>> {
    let api = FaultsTasksClient::new(bus);
    let first = flow * NUMBERS;
    let flow = api
        .split(first)
        .then_each(|n| api.step(n, 0).then(|n| api.step(n, SECOND)))
        .then(|members| api.finish(first + LAST, members));
    Ok(flow.keep_result().enqueue().await?)
}

/// Row 34: workers are killed at random, over and over, while chains and groups are under way.
pub(super) async fn killed(stage: &Stage) -> anyhow::Result<Outcome> {
    let ends = Instant::now() + stage.seconds(5.0, 300.0);
    let peer = tasks::peer(stage).await?;
    let runs = Executions::default();
    let mut workers = Vec::new();
    for _ in 0..WORKERS {
        workers.push(Process::start(stage, &tasks::role(stage, 0), &runs).await?);
    }
    let mut flows = Vec::new();
    let mut kills = 0;
    while Instant::now() < ends {
        let until = Instant::now() + BETWEEN_KILLS.mul_f64(2.0 * fastrand::f64());
        for _ in 0..AT_ONCE {
            // From 1 on: 0 is the number of a task that ends its worker.
            let flow = flows.len() as u64 + 1;
            let handle = begin(&peer, flow).await?;
            flows.push(tokio::spawn(async move { handle.result().await }));
        }
        tokio::time::sleep_until(until.into()).await;
        let any = fastrand::usize(..workers.len());
        workers.swap_remove(any).kill().await?;
        kills += 1;
        workers.push(Process::start(stage, &tasks::role(stage, 0), &runs).await?);
    }
    let outcome = judge(flows, &runs, kills).await;
    for worker in workers {
        worker.end().await?;
    }
    Ok(outcome)
}

async fn judge(flows: Vec<JoinHandle<Ended>>, runs: &Executions, kills: usize) -> Outcome {
    let began = Instant::now();
    let mut outcome = Outcome {
        confirmed: flows.len(),
        ..Outcome::default()
    };
    let mut wrong = Vec::new();
    for (flow, ended) in (1..).zip(flows) {
        let left = LONGEST.saturating_sub(began.elapsed());
        match tokio::time::timeout(left, ended).await {
            Ok(Ok(Ok(members))) if members == MEMBERS as usize => {}
            other => wrong.push(format!("flow {flow}: {other:?}")),
        }
        let missing = numbers(flow).filter(|n| runs.of(*n) == 0).count();
        outcome.lost += missing;
        outcome.handled += usize::from(missing == 0);
        let again = numbers(flow).map(|n| runs.of(n).saturating_sub(1) as usize);
        outcome.duplicated += again.sum::<usize>();
    }
    let first = wrong.first();
    outcome.check(
        first.is_none(),
        format!("all flows end; {} did not, as {first:?}", wrong.len()),
    );
    outcome.recovered(began.elapsed(), Duration::from_secs(30));
    outcome.note(format!("{kills} kills"));
    outcome
}
