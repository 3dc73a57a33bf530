//! A queue of this instance alone: declared when it is first needed, read by one task, until the handlers have finished.

use std::sync::Arc;
use std::time::Duration;

use lapin::message::Delivery;
use tokio::sync::{Semaphore, oneshot};
use tokio_util::sync::DropGuard;

use crate::bus::Core;
use crate::connection::consumer::{Consumers, Source};
use crate::delivery::{AtStop, Gate, Work, Worker};
use crate::error::Error;

/// To take leave of the queue.
const CLOSE_GRACE: Duration = Duration::from_millis(500);

/// The outcome of the first attempt to read a queue. Dropped, the queue is given up, to be tried again by the next one who asks.
pub(super) struct Starting {
    started: oneshot::Receiver<Result<(), Error>>,
    guard: DropGuard,
}

impl Starting {
    /// Until the queue is being read, or cannot be.
    pub(super) async fn being_read(self) -> Result<(), Error> {
        self.started.await.unwrap_or(Err(Error::Closed))?;
        self.guard.disarm();
        Ok(())
    }

    /// Like that, unless the bus started without its broker.
    pub(super) async fn first_start(self, core: &Core) -> Result<(), Error> {
        core.first_start(&core.io.publish, self.started).await?;
        self.guard.disarm();
        Ok(())
    }
}

/// Begins to declare and read the queue. `end` runs when nothing more will come.
pub(super) fn read(
    core: &Core,
    source: Source,
    take: impl Fn(Delivery) -> Work + Send + Sync + 'static,
    end: impl FnOnce() + Send + 'static,
) -> Starting {
    core.own_queue(&source.queue);
    let worker = Worker {
        gate: Gate::Open,
        slots: Arc::new(Semaphore::new(1)),
        grace: CLOSE_GRACE,
        at_stop: AtStop::Handle,
        tasks: core.life.late_tasks.clone(),
    };
    let stop = core.life.drained.child_token();
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
    Starting { started, guard }
}
