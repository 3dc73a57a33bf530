//! Tasks that come out of the dead letters: whoever waits for them waits for the new attempts.

use std::time::Duration;

use lapin::BasicProperties;
use tracing::debug;

use super::flow;
use super::journal::write;
use super::record::{Record, Says};
use crate::bus::Core;
use crate::clock::Clock;
use crate::topology::{self, Log};
use crate::wire::again::REPLAYED;
use crate::wire::{self, RESULT_TTL};

/// Writes down that the task of this message, which was in `queue`, is to be run again. Who cannot be told goes on knowing its last end, until a worker begins.
pub(crate) async fn note_replayed(core: &Core, queue: &str, properties: &BasicProperties) {
    if !wire::is_kind(properties, wire::TASK) {
        return;
    }
    let own = topology::api_of_task_queue(queue)
        .and_then(|api| Some((api, own(&core.clock, properties)?)));
    for (api, record) in own
        .into_iter()
        .chain(flow::replayed(&core.clock, properties))
    {
        if let Err(refusal) = write(core, &api, Log::Journal, &record).await {
            debug!(
                api,
                task = record.task,
                ?refusal,
                "cannot write down that a task is replayed"
            );
        }
    }
}

/// Of one whose result is kept.
fn own(clock: &Clock, properties: &BasicProperties) -> Option<Record> {
    let ttl = u64::try_from(wire::header_number(properties, RESULT_TTL)?).ok()?;
    let replayed = wire::header_number(properties, REPLAYED)?;
    Some(Record {
        replayed: u32::try_from(replayed).ok()?,
        ttl: Some(Duration::from_millis(ttl)),
        ..Record::new(clock, wire::message_id(properties), Says::Replayed)
    })
}
