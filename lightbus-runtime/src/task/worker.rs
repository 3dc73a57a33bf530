//! The worker's side of tasks: consumers of an API's task queues.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::cancel::Cancels;
use super::flow;
use super::queue::TaskQueue;
use super::running::Desk;
use super::spec::Rate;
use crate::bus::Core;
use crate::connection::consumer::{Consumers, Source};
use crate::delivery::{AtStop, Gate, Pace, Worker, shares};
use crate::error::Error;
use crate::retry::Retry;
use crate::service::Dispatch;
use crate::topology::{self, Lane, Priority};
use crate::upkeep;

/// The tasks of an API that are worked on.
pub(crate) struct Tasks {
    pub(crate) api: &'static str,
    pub(crate) dispatch: Arc<dyn Dispatch>,
    /// Each with how much is done of it at a time.
    pub(crate) lanes: BTreeMap<Lane<'static>, u16>,
}

type Started = oneshot::Receiver<Result<(), Error>>;

/// Works on tasks until `stop`.
pub(crate) async fn work(
    core: &Arc<Core>,
    tasks: Tasks,
    stop: &CancellationToken,
) -> Result<Vec<JoinHandle<()>>, Error> {
    let usual = core.config.retry_of(tasks.api);
    let policies = policies(&*tasks.dispatch, &usual);
    let desk = Arc::new(Desk {
        core: Arc::clone(core),
        api: tasks.api,
        cancels: Cancels::follow(core, tasks.api).await?,
    });
    let mut begun: Vec<(JoinHandle<()>, Started)> = Vec::new();
    for (&lane, &concurrency) in &tasks.lanes {
        for (priority, worker) in workers(core, &tasks, lane, concurrency) {
            let queue = TaskQueue {
                core: Arc::clone(core),
                api: tasks.api,
                name: topology::task_queue(tasks.api, lane, priority),
                lane: topology::task_lane(tasks.api, lane),
                dispatch: Arc::clone(&tasks.dispatch),
                desk: Arc::clone(&desk),
                policies: Arc::clone(&policies),
                stop: stop.clone(),
            };
            let source = Source {
                queue: queue.name.clone(),
                plan: topology::task_plan(tasks.api, lane, priority),
                prefetch: ahead(lane, concurrency),
            };
            begun.push(begin(core, source, worker, Arc::new(queue), stop));
        }
    }
    let queues: Vec<_> = tasks
        .lanes
        .keys()
        .map(|lane| topology::task_lane(tasks.api, *lane))
        .collect();
    info!(api = tasks.api, ?queues, "working on tasks");
    let mut ended = vec![flow::gather(core, tasks.api, stop).await?];
    for (task, started) in begun {
        core.first_start(&core.io.consume, started).await?;
        ended.push(task);
    }
    Ok(ended)
}

/// How many the broker may send: those that run, and for each priority something to choose from. Not many more: another worker might begin them meanwhile.
fn ahead(lane: Lane<'_>, concurrency: u16) -> u16 {
    match lane {
        Lane::Limited(_) => concurrency,
        Lane::Api | Lane::Named(_) => concurrency.saturating_add(concurrency / 4 + 1),
    }
}

fn begin(
    core: &Arc<Core>,
    source: Source,
    worker: Worker,
    queue: Arc<TaskQueue>,
    stop: &CancellationToken,
) -> (JoinHandle<()>, Started) {
    let keeping = upkeep::keep(core, &source);
    let (mut consumers, started) = Consumers::new(&core.io.consume, source, stop.clone());
    let stop = stop.clone();
    let ended = core.spawn(async move {
        let _keeping = keeping;
        while let Some(consumer) = consumers.next().await {
            // Nothing begins that was cancelled while nobody here could hear of it.
            queue.desk.cancels.caught_up(&stop).await;
            worker
                .work(consumer, &stop, |delivery| queue.begin(delivery))
                .await;
        }
    });
    (ended, started)
}

/// A worker for each queue of a lane. They share its slots.
fn workers(
    core: &Core,
    tasks: &Tasks,
    lane: Lane<'_>,
    concurrency: u16,
) -> Vec<(Priority, Worker)> {
    let worker = |gate, at_stop| Worker {
        gate,
        ..core.worker(concurrency, at_stop)
    };
    if let Lane::Limited(task) = lane {
        let gate = match rate(tasks, task) {
            Some(rate) => Gate::Paced(Pace::new(&core.clock, rate.count, rate.per)),
            None => Gate::Open,
        };
        // While it still runs here, none begins elsewhere.
        return vec![(Priority::Normal, worker(gate, AtStop::HandBack))];
    }
    let slots = Arc::new(Semaphore::new(concurrency.into()));
    let shares = shares(&Priority::ALL.map(Priority::weight));
    let each = Priority::ALL.into_iter().zip(shares);
    each.map(|(priority, share)| {
        let worker = worker(Gate::Shared(share), AtStop::Handle);
        let slots = Arc::clone(&slots);
        (priority, Worker { slots, ..worker })
    })
    .collect()
}

fn rate(tasks: &Tasks, task: &str) -> Option<Rate> {
    let row = tasks.dispatch.task(task)?;
    tasks.dispatch.spec(row)?.rate
}

/// When each task is tried again, by its row; a call's row has what nobody asks for.
fn policies(dispatch: &dyn Dispatch, usual: &Retry) -> Arc<[Retry]> {
    let rows = 0..dispatch.rows();
    let policy = |row| match dispatch.spec(row) {
        Some(spec) => spec.retry(usual.clone()),
        None => usual.clone(),
    };
    rows.map(policy).collect()
}
