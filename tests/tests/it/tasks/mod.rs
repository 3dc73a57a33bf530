//! Tasks: enqueued by one program, worked on by another.

mod due;
mod enqueueing;
mod failing;
mod long;
mod turns;
mod unique;
mod workers;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use lightbus::testing::TestBus;
use lightbus::{Context, DeadReason, EnqueueError, Error, Priority, RunOutcome, TaskError};

use lightbus_tests::{Foreign, eventually, passed};
use tokio::sync::{Barrier, Semaphore, mpsc};

const SECOND: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(30);

/// The next `count` of what a worker reports.
async fn reports<T>(
    reported: &mut mpsc::UnboundedReceiver<T>,
    count: usize,
) -> anyhow::Result<Vec<T>> {
    let mut all = Vec::new();
    while all.len() < count {
        let next = tokio::time::timeout(LONG, reported.recv()).await?;
        all.push(next.ok_or_else(|| anyhow::anyhow!("the worker is gone"))?);
    }
    Ok(all)
}
