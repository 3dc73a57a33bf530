//! A queue of this instance alone: declared when it is first needed, read by one task, until the handlers have finished.

use std::sync::Arc;
use std::time::Duration;

use lapin::message::Delivery;
use tokio::sync::Semaphore;

use crate::bus::Core;
use crate::connection::consumer::{Consumers, Source};
use crate::delivery::{Work, Worker};
use crate::error::Error;

/// To take leave of the queue.
const CLOSE_GRACE: Duration = Duration::from_millis(500);

/// Returns when the queue is being read, or cannot be. `end` runs when nothing more will come.
pub(super) async fn read(
    core: &Core,
    source: Source,
    take: impl Fn(Delivery) -> Work + Send + Sync + 'static,
    end: impl FnOnce() + Send + 'static,
) -> Result<(), Error> {
    core.own_queue(&source.queue);
    let worker = Worker {
        slots: Arc::new(Semaphore::new(1)),
        grace: CLOSE_GRACE,
        refuses: false,
        tasks: core.life.late_tasks.clone(),
    };
    let stop = core.life.drained.child_token();
    // Given up by the one who asked first, it is tried again by the next one.
    let guard = stop.clone().drop_guard();
    let (mut consumers, started) = Consumers::new(&core.io.publish, source, stop.clone());
    core.life.late_tasks.spawn_on(
        async move {
            while let Some(consumer) = consumers.next().await {
                worker.work(consumer, &stop, &take).await;
            }
            end();
        },
        &core.handle,
    );
    started.await.unwrap_or(Err(Error::Closed))?;
    guard.disarm();
    Ok(())
}
