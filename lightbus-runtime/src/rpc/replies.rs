//! The reply queue of this process: one task hands each answer to the call that waits for it.

use std::sync::Arc;

use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::ShortString;
use tracing::debug;

use super::failure::Failure;
use super::pending::Pending;
use super::{cancel, own_queue};
use crate::bus::Core;
use crate::codec::Format;
use crate::connection::consumer::Source;
use crate::counters::Counters;
use crate::delivery::{Outcome, Work};
use crate::error::Error;
use crate::topology;
use crate::wire::{self, Status};

const PREFETCH: u16 = 2000;

/// What a provider answered, not yet decoded.
#[derive(Debug)]
pub(crate) struct Reply {
    /// None: the method's own value.
    pub(super) status: Option<Status>,
    pub(super) detail: String,
    pub(super) format: Format,
    pub(crate) payload: Vec<u8>,
}

/// Declares the reply queue and starts the task that reads it.
pub(crate) async fn start(core: &Arc<Core>) -> Result<(), Error> {
    let (app, instance) = (&core.config.app, &core.instance);
    let source = Source {
        queue: topology::reply_queue(app, instance),
        plan: topology::reply_plan(app, instance),
        prefetch: PREFETCH,
    };
    // Not the core itself: its tasks must not keep each other alive.
    let (pending, counters) = (Arc::clone(&core.pending), Arc::clone(&core.counters));
    let (limit, weak) = (core.config.payload_limit, Arc::downgrade(core));
    let take = move |delivery| take(&pending, &counters, delivery, limit);
    let end = move || {
        // A caller that is dropped while the queue is set up ends this as well; the next one begins anew.
        if let Some(core) = weak
            .upgrade()
            .filter(|core| core.life.drained.is_cancelled())
        {
            cancel::abandon_calls(&core);
        }
    };
    // Nothing may be sent before: its answer would be lost.
    own_queue::read(core, source, take, end).being_read().await
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
            "the answer takes more than the limit of {limit} bytes"
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
