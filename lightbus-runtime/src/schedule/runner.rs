//! The task that fires a process's schedules: a consumer of the app's state queue, for as long as the process has any.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::turn::Turn;
use crate::bus::Core;
use crate::connection::consumer::{Consumers, Source};
use crate::error::Error;
use crate::topology;
use crate::upkeep::{self, Keeping};

/// What is kept unacknowledged has to fit in: some words for each schedule.
const PREFETCH: u16 = 20_000;
/// Before the next consumer, after one that was lost: not at once, for the reason may be there still.
const REST: Duration = Duration::from_millis(50);

/// Begins to consume the state queue, or waits to take over from the replica that does.
pub(super) async fn start(core: &Arc<Core>) -> Result<(), Error> {
    let app = &core.config.app;
    let source = Source {
        queue: topology::cron_queue(app),
        plan: topology::cron_plan(app),
        prefetch: PREFETCH,
    };
    let keeping = upkeep::keep(core, &source);
    let stop = core.life.stop.child_token();
    let guard = stop.clone().drop_guard();
    // Not on the connection of the listeners: a broker under an alarm stops one that publishes, with its acknowledgements.
    let (consumers, started) = Consumers::new(&core.io.publish, source, stop.clone());
    core.spawn(run(Arc::clone(core), consumers, keeping, stop));
    core.first_start(&core.io.publish, started).await?;
    guard.disarm();
    Ok(())
}

async fn run(
    core: Arc<Core>,
    mut consumers: Consumers,
    _keeping: Keeping,
    stop: CancellationToken,
) {
    let mut changes = core.schedules.changes();
    loop {
        let has_any = changes.wait_for(|()| !core.schedules.entries().is_empty());
        let Some(Ok(_)) = stop
            .run_until_cancelled(has_any)
            .await
            .map(|has| has.map(drop))
        else {
            return;
        };
        let Some(consumer) = consumers.next().await else {
            return;
        };
        Turn::new(&core, consumer).run(&stop, &mut changes).await;
        if core.schedules.entries().is_empty() {
            consumers.paused();
        }
        if stop
            .run_until_cancelled(tokio::time::sleep(REST))
            .await
            .is_none()
        {
            return;
        }
    }
}
