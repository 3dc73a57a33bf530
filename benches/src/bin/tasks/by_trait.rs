//! lightbus, as the README shows it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use lightbus::{Bus, enqueue_many};

use crate::tally::{Job, Sent, Tally};

/// Where its tasks lie.
pub(crate) const QUEUE: &str = "lb.task.bench_tasks";

/// Work that costs nothing.
#[lightbus::api(name = "bench_tasks")]
trait BenchTasks {
    /// Counts its number.
    #[task]
    async fn count(&self, number: u64) -> u64;
}

struct Counter(Arc<Tally>);

impl BenchTasks for Counter {
    async fn count(&self, number: u64) -> u64 {
        self.0.ran(number);
        number
    }
}

async fn connect(job: &Job) -> Result<Bus> {
    let bus = Bus::builder("bench").url(&job.url);
    Ok(bus
        .publish_timeout(Duration::from_secs(60))
        .connect()
        .await?)
}

pub(crate) async fn enqueue(job: &Job, together: usize) -> Result<()> {
    let bus = connect(job).await?;
    let api = BenchTasksClient::new(&bus);
    let mut sent = Sent::begin();
    if together == 1 {
        for number in 0..job.tasks {
            api.count(number).enqueue().await?;
            sent.confirmed(1);
        }
    } else {
        let tasks = (0..job.tasks).map(move |number| api.count(number));
        let mut enqueued = enqueue_many(tasks);
        while let Some(enqueued) = enqueued.next().await {
            enqueued?;
            sent.confirmed(1);
        }
    }
    sent.end();
    bus.close().await;
    Ok(())
}

pub(crate) async fn work(job: &Job) -> Result<()> {
    let bus = connect(job).await?;
    let server = BenchTasksServer::new(Counter(Tally::watch(job)));
    // The broker is asked for a quarter more than run at a time.
    let concurrency = job.prefetch / 5 * 4;
    bus.serve(server)
        .tasks_only()
        .task_concurrency(concurrency.max(1))
        .await?;
    bus.run_until_shutdown().await?;
    Ok(())
}
