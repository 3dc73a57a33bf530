//! Workers of tasks that are lost.

use std::time::{Duration, Instant};

use lightbus::{Bus, DeadLetters, DeadReason, TaskError};

use super::api::FaultsTasksClient;
use super::calls::Executions;
use super::outcome::Outcome;
use super::process::{Process, Role};
use super::stage::{Pace, Stage};
use crate::eventually;

const QUEUE: &str = "faults_tasks";
const TASKS: u64 = 60;
/// The task that ends its worker's process.
const FATAL: u64 = 1;
const WORKERS: usize = 3;
const BETWEEN_KILLS: Duration = Duration::from_millis(400);

pub(super) fn role(stage: &Stage, fatal: u64) -> Role {
    Role::Work {
        app: stage.app_name("worker"),
        url: stage.url(),
        fatal,
    }
}

/// An app that enqueues.
pub(super) async fn peer(stage: &Stage) -> anyhow::Result<Bus> {
    for priority in ["", "+high", "+low", ".dead"] {
        stage.leaves(format!("lb.task.{QUEUE}{priority}"));
    }
    stage.leaves(format!("lb.join.{QUEUE}"));
    Ok(stage.app("peer", stage.url()).connect().await?)
}

/// Enqueues tasks, and gives the dead letters of their queue.
async fn enqueue(
    stage: &Stage,
    numbers: impl Iterator<Item = u64>,
    takes_ms: u64,
) -> anyhow::Result<DeadLetters> {
    let peer = peer(stage).await?;
    let api = FaultsTasksClient::new(&peer);
    for n in numbers {
        api.work(n, takes_ms).enqueue().await?;
    }
    Ok(peer.dead_tasks(QUEUE)?)
}

async fn count_lost(dead: &DeadLetters, runs: &Executions, tasks: u64) -> anyhow::Result<usize> {
    let letters = dead.list(tasks as usize).await?;
    let is_dead = |n: &u64| {
        let number = |letter: &lightbus::DeadLetter| letter.json()?.get("n")?.as_u64();
        letters.iter().any(|letter| number(letter) == Some(*n))
    };
    Ok((1..=tasks)
        .filter(|n| runs.of(*n) == 0 && !is_dead(n))
        .count())
}

/// Row 23: one task takes its worker's whole process down, whichever works on it. Each is started again.
pub(super) async fn aborts(stage: &Stage) -> anyhow::Result<Outcome> {
    let others = || FATAL + 1..=TASKS;
    let peer = stage.app("waiting", stage.url()).connect().await?;
    stage.leaves(format!("lb.journal.{QUEUE}"));
    let fatal = FaultsTasksClient::new(&peer).work(FATAL, 0).keep_result();
    let fatal = fatal.enqueue().await?;
    let dead = enqueue(stage, others(), 0).await?;
    let (runs, began) = (Executions::default(), Instant::now());
    loop {
        let mut process = Process::start(stage, &role(stage, FATAL), &runs).await?;
        let over = async || {
            let is_dead = dead.count().await.is_ok_and(|dead| dead > 0);
            is_dead && others().all(|n| runs.of(n) > 0)
        };
        tokio::select! {
            ended = process.ended() => ended?,
            over = eventually("it is dead, and the others are done", over) => {
                over?;
                process.end().await?;
                break;
            }
        }
        anyhow::ensure!(runs.of(FATAL) <= 30, "it is delivered again and again");
    }
    let mut outcome = Outcome {
        recovery: Some(began.elapsed()),
        confirmed: TASKS as usize,
        handled: others().filter(|n| runs.of(*n) > 0).count(),
        lost: count_lost(&dead, &runs, TASKS).await?,
        ..Outcome::default()
    };
    let letters = dead.list(TASKS as usize).await?;
    let alone = letters.len() == 1 && letters[0].reason == DeadReason::DeliveryLimit;
    outcome.check(alone, format!("it is dead, and no other: {letters:?}"));
    let told = fatal.result().timeout(Duration::from_secs(5)).await;
    let says_why =
        matches!(&told, Err(TaskError::Failed(why)) if why.detail.contains("delivery_limit"));
    outcome.check(says_why, format!("who waits for it hears why: {told:?}"));
    outcome.duplicated = others()
        .map(|n| runs.of(n).saturating_sub(1) as usize)
        .sum();
    outcome.note(format!("dead after {} processes", runs.of(FATAL)));
    Ok(outcome)
}

/// Row 33: workers are killed one after the other, over and over, while there is work.
pub(super) async fn killed(stage: &Stage) -> anyhow::Result<Outcome> {
    let kills = match stage.pace() {
        Pace::Full => 200,
        _ => 12,
    };
    let tasks = kills * 20;
    let dead = enqueue(stage, 1..=tasks, 20).await?;
    let runs = Executions::default();
    let mut workers = Vec::new();
    for _ in 0..WORKERS {
        workers.push(Process::start(stage, &role(stage, 0), &runs).await?);
    }
    for _ in 0..kills {
        tokio::time::sleep(BETWEEN_KILLS).await;
        workers.remove(0).kill().await?;
        workers.push(Process::start(stage, &role(stage, 0), &runs).await?);
    }
    let began = Instant::now();
    let all = async || {
        count_lost(&dead, &runs, tasks)
            .await
            .is_ok_and(|lost| lost == 0)
    };
    let ended = eventually("all are done, or dead", all).await;
    let mut outcome = Outcome {
        confirmed: tasks as usize,
        handled: (1..=tasks).filter(|n| runs.of(*n) > 0).count(),
        lost: count_lost(&dead, &runs, tasks).await?,
        ..Outcome::default()
    };
    outcome.check(ended.is_ok(), "all are done, or dead");
    outcome.recovered(began.elapsed(), Duration::from_secs(15));
    outcome.duplicated = (1..=tasks)
        .map(|n| runs.of(n).saturating_sub(1) as usize)
        .sum();
    outcome.note(format!("{kills} kills"));
    for worker in workers {
        worker.end().await?;
    }
    Ok(outcome)
}
