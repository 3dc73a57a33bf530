//! Declares again, from time to time, what the listeners, workers and schedules at work need. An exchange that somebody deletes is declared anew by the next
//! publisher, but without their bindings.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tracing::warn;

use crate::bus::Core;
use crate::connection::consumer::Source;
use crate::connection::declare::declare;
use crate::error::Error;
use crate::health::{Owner, Part, State};
use crate::retry::chance;

/// Between two passes, more or less.
const EVERY: Duration = Duration::from_secs(30);

/// What is kept up for the consumers of a bus, by one task.
#[derive(Debug, Default)]
pub(crate) struct Upkeep {
    sources: Mutex<Vec<(Owner, Arc<Source>)>>,
    begun: OnceLock<()>,
}

/// A consumer's part of it, until this is dropped.
pub(crate) struct Keeping {
    core: Arc<Core>,
    owner: Owner,
    source: Arc<Source>,
}

impl Upkeep {
    fn sources(&self) -> MutexGuard<'_, Vec<(Owner, Arc<Source>)>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn keep(core: &Arc<Core>, source: &Source) -> Keeping {
    let (owner, source) = (core.life.monitor.owner(), Arc::new(source.clone()));
    core.upkeep.sources().push((owner, Arc::clone(&source)));
    let begin = || drop(core.spawn(run(Arc::clone(core))));
    core.upkeep.begun.get_or_init(begin);
    Keeping {
        core: Arc::clone(core),
        owner,
        source,
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        let mut sources = self.core.upkeep.sources();
        sources.retain(|(owner, _)| *owner != self.owner);
        tell(&self.core, self.owner, &self.source, None);
    }
}

async fn run(core: Arc<Core>) {
    let passes = async {
        loop {
            tokio::time::sleep(EVERY.mul_f64(0.75 + chance() / 2.0)).await;
            let sources = core.upkeep.sources().clone();
            for (owner, source) in sources {
                check(&core, owner, &source).await;
            }
        }
    };
    core.life.stop.run_until_cancelled(passes).await;
}

async fn check(core: &Core, owner: Owner, source: &Source) {
    // On the next connection the consumers declare everything anyway.
    let Some(session) = core.io.consume.now() else {
        return;
    };
    let error = match declare(&session, &source.plan).await {
        Ok(()) => None,
        Err(error @ (Error::Denied { .. } | Error::TopologyMismatch { .. })) => Some(error),
        Err(_) => return,
    };
    // It may have ended meanwhile.
    let sources = core.upkeep.sources();
    if sources.iter().any(|(at_work, _)| *at_work == owner) {
        tell(core, owner, source, error);
    }
}

/// Tells of the first failure, and of the first success after it.
fn tell(core: &Core, owner: Owner, source: &Source, error: Option<Error>) {
    let (monitor, queue) = (&core.life.monitor, &source.queue);
    let part = Part::Bindings(queue.clone());
    let failing = monitor.parts().iter().any(|known| known.part == part);
    match error {
        Some(error) if !failing => {
            warn!(queue, %error, "what a consumer needs cannot be declared again: nothing new may come to its queue");
            monitor.set(owner, &part, State::Lost, Some(error.to_string()));
        }
        None if failing => monitor.set(owner, &part, State::Ended, None),
        _ => {}
    }
}
