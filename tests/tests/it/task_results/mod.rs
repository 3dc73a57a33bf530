//! What becomes of a task after it was enqueued: its result, its status, its progress, its checkpoints, and its end by word of somebody else.

mod cancelling;
mod checkpoints;
mod endings;
mod journal;
mod outliving;
mod progress;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use lightbus::testing::TestBus;
use lightbus::{Bus, CheckpointError, Context, TaskError, TaskHandle, TaskId, TaskStatus};
use lightbus_tests::proxy::{Mode, Proxy};
use lightbus_tests::raw::{RawProperties, nested_tables};
use lightbus_tests::{Foreign, TestBroker, eventually};
use tokio::sync::{Semaphore, mpsc};

const LONG: Duration = Duration::from_secs(30);

/// The same task, as another process finds it.
fn elsewhere<T, E>(bus: &Bus, handle: &TaskHandle<T, E>) -> anyhow::Result<TaskHandle<T, E>>
where
    T: serde::de::DeserializeOwned,
    E: serde::de::DeserializeOwned,
{
    let id: TaskId = handle.id().to_string().parse()?;
    assert_eq!(&id, handle.id());
    Ok(bus.task(id))
}

async fn status<T, E>(handle: &TaskHandle<T, E>) -> String {
    match handle.status().await {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    }
}

async fn until_it_is<T, E>(handle: &TaskHandle<T, E>, wanted: &str) -> anyhow::Result<()> {
    eventually(&format!("the task is {wanted}"), async || {
        status(handle).await.starts_with(wanted)
    })
    .await
}
