//! The reply queue of this process: one task hands each answer to the call that waits for it.

use std::sync::Arc;
use std::time::Duration;

use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::ShortString;
use tokio::sync::Semaphore;
use tracing::debug;

use super::failure::Failure;
use super::pending::Pending;
use crate::bus::Core;
use crate::codec::Format;
use crate::connection::consumer::{Consumers, Source};
use crate::counters::Counters;
use crate::delivery::{Outcome, Work, Worker};
use crate::error::Error;
use crate::topology;
use crate::wire::{self, Status};

const PREFETCH: u16 = 2000;
/// To take leave of the reply queue.
const CLOSE_GRACE: Duration = Duration::from_millis(500);

/// What a provider answered, not yet decoded.
#[derive(Debug)]
pub(crate) struct Reply {
    /// None: the method's own value.
    pub(super) status: Option<Status>,
    pub(super) detail: String,
    pub(super) format: Format,
    pub(super) payload: Vec<u8>,
}

/// Declares the reply queue and starts the task that reads it.
pub(super) async fn start(core: &Core) -> Result<(), Error> {
    let (app, instance) = (&core.config.app, &core.instance);
    let source = Source {
        queue: topology::reply_queue(app, instance),
        plan: topology::reply_plan(app, instance),
        prefetch: PREFETCH,
    };
    core.own_queue(&source.queue);
    let worker = Worker {
        slots: Arc::new(Semaphore::new(1)),
        grace: CLOSE_GRACE,
        tasks: core.life.late_tasks.clone(),
    };
    // Not the core itself: its tasks must not keep each other alive.
    let (pending, stop) = (Arc::clone(&core.pending), core.life.drained.child_token());
    let (limit, counters) = (core.config.payload_limit, Arc::clone(&core.counters));
    // Given up by its caller, it is tried again by the next one.
    let guard = stop.clone().drop_guard();
    let (mut consumers, started) = Consumers::new(&core.io.publish, source, stop.clone());
    core.life.late_tasks.spawn_on(
        async move {
            while let Some(consumer) = consumers.next().await {
                worker
                    .work(consumer, &stop, |delivery| {
                        take(&pending, &counters, delivery, limit)
                    })
                    .await;
            }
        },
        &core.handle,
    );
    started.await.unwrap_or(Err(Error::Closed))?;
    guard.disarm();
    Ok(())
}

fn take(pending: &Pending, counters: &Counters, delivery: Delivery, limit: usize) -> Work {
    match pending.take(&delivery.properties) {
        // A caller that has just given up does not want it either.
        Some(call) => drop(call.send(read(&delivery.properties, delivery.data, limit))),
        None => {
            counters.replies_ignored.add();
            debug!(correlation_id = ?delivery.properties.correlation_id(), "a reply that no call waits for")
        }
    }
    Work::Settled(Outcome::Done)
}

pub(crate) fn read(
    properties: &BasicProperties,
    payload: Vec<u8>,
    limit: usize,
) -> Result<Reply, Failure> {
    if payload.len() > limit {
        return Err(Failure::BadReply(format!(
            "the answer takes {} bytes, the limit is {limit}",
            payload.len()
        )));
    }
    let content_type = properties.content_type().as_ref().map(ShortString::as_str);
    let format = Format::of(content_type).map_err(|error| Failure::BadReply(error.0))?;
    let unknown = |text| Failure::BadReply(format!("the answer's status `{text}` is unknown"));
    let status = wire::header_text(properties, wire::STATUS)
        .map(|text| Status::parse(text).ok_or_else(|| unknown(text)))
        .transpose()?;
    let detail = wire::header_text(properties, wire::ERROR)
        .unwrap_or_default()
        .to_owned();
    Ok(Reply {
        status,
        detail,
        format,
        payload,
    })
}
