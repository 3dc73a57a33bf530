//! How far a task has come, noted for its next attempt: here, in the next attempt's copy of the message, and, for the case that this process is lost, on a stream.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::warn;

use super::id::made_at;
use super::journal::{Reading, Since, write};
use super::record::{Record, Says};
use super::running::Running;
use crate::boxed::Boxed;
use crate::clock::system;
use crate::codec::{Format, Payload, encode};
use crate::context::Context;
use crate::publishing::Refusal;
use crate::topology::Log;
use crate::wire;

/// It travels in a header, among others.
const LIMIT: usize = 16 * 1024;
/// For what the bus notes in a copy of the message.
const OTHERS: usize = 4 * 1024;
/// To find it again on the stream.
const LONGEST: Duration = Duration::from_secs(60);
/// By how much the clock of who enqueued may be ahead of the broker's.
const CLOCKS: Duration = Duration::from_secs(30);

/// Why a checkpoint was not stored. The one before it, if there is one, still counts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// It cannot be encoded, or is too large: note where the state is, not the state.
    #[error("the checkpoint was not stored: {0}")]
    Rejected(String),
    /// The broker did not store it, or the bus is closed.
    #[error("the checkpoint was not stored: {0}")]
    Connection(String),
    /// There is no task here whose checkpoint it could be.
    #[error("there is no checkpoint outside of a task: this is a call's or an event's handler")]
    NoTask,
}

pub(crate) fn encode_state<S: Serialize>(state: &S) -> Result<Vec<u8>, CheckpointError> {
    let bytes = encode(state).map_err(|error| CheckpointError::Rejected(error.to_string()))?;
    Ok(bytes)
}

/// Is there room for it in the next attempt's copy?
fn check(context: &Context, state: &[u8]) -> Result<(), CheckpointError> {
    let taken = wire::headers_size(context.properties());
    let last = carried(context).map_or(0, |last| last.len());
    let left = (wire::HEADERS_LIMIT - OTHERS).saturating_sub(taken - last.min(taken));
    let (size, limit) = (state.len(), left.min(LIMIT));
    if size <= limit {
        return Ok(());
    }
    Err(CheckpointError::Rejected(format!(
        "it takes {size} bytes, the limit is {limit}, beside the message's other headers. Keep the state elsewhere, and note where"
    )))
}

/// Stores it.
pub(crate) fn checkpoint(context: Context, state: Vec<u8>) -> Boxed<Result<(), CheckpointError>> {
    Box::pin(async move {
        let running = context.running().ok_or(CheckpointError::NoTask)?;
        check(&context, &state)?;
        let says = Says::Checkpoint(state.clone());
        let stored = running.write(&context, Log::Checkpoints, says).await;
        stored.map_err(|refusal| {
            CheckpointError::Connection(match refusal {
                Refusal::Failed(error) => error.to_string(),
                Refusal::Full => "the broker refused it".to_owned(),
                Refusal::Denied(reason) => reason,
            })
        })?;
        running.set_checkpoint(state);
        Ok(())
    })
}

/// The last one that was stored.
pub(crate) fn resume(context: Context) -> Boxed<Option<Vec<u8>>> {
    Box::pin(async move {
        let running = context.running()?;
        let here = running.checkpoint();
        if here.is_some() {
            return here;
        }
        let carried = carried(&context);
        // What the lost process noted is on the stream alone.
        let found = match context.is_redelivered() {
            true => find(&context, running).await,
            false => None,
        };
        let state = found.or(carried)?;
        running.set_checkpoint(state.clone());
        Some(state)
    })
}

pub(crate) fn decode_state<S: DeserializeOwned>(context: &Context, state: &[u8]) -> Option<S> {
    let decoded = Payload::check(state, Format::Msgpack).and_then(Payload::decode);
    match decoded {
        Ok(state) => Some(state),
        Err(error) => {
            unread(context, &error);
            None
        }
    }
}

fn carried(context: &Context) -> Option<Vec<u8>> {
    wire::header_bytes(context.properties(), wire::CHECKPOINT).map(<[u8]>::to_vec)
}

async fn find(context: &Context, running: &Running) -> Option<Vec<u8>> {
    match tokio::time::timeout(LONGEST, last(context, running)).await {
        Ok(Ok(found)) => found,
        Ok(Err(why)) => {
            unread(context, &why);
            None
        }
        Err(_) => {
            unread(context, &format!("it was not found within {LONGEST:?}"));
            None
        }
    }
}

fn unread(context: &Context, why: &dyn fmt::Display) {
    if let Some(running) = context.running() {
        running.desk.core.counters.checkpoints_lost.add();
    }
    warn!(?context, %why, "a checkpoint cannot be read; the task goes on from the one before, or from its beginning");
}

/// Reads the stream from the task's beginning up to a word of our own.
async fn last(context: &Context, running: &Running) -> Result<Option<Vec<u8>>, String> {
    let desk = &running.desk;
    let marker = system::new_id().to_string();
    let record = Record::new(&desk.core.clock, &marker, Says::Marker);
    let marked = write(&desk.core, desk.api, Log::Checkpoints, &record).await;
    marked.map_err(|refusal| format!("{refusal:?}"))?;
    let made = made_at(context.message_id()).and_then(|made| made.checked_sub(CLOCKS));
    let since = made.map_or(Since::First, Since::Time);
    let stop = desk.core.life.drained.child_token();
    let (mut reading, _) = Reading::new(&desk.core, desk.api, Log::Checkpoints, since, stop);
    let mut last = None;
    while let Some(found) = reading.next().await {
        match found.record {
            Some(record) if record.task == marker => break,
            Some(record) if record.task == context.message_id() => {
                if let Says::Checkpoint(state) = record.says {
                    last = Some(state);
                }
            }
            _ => {}
        }
    }
    reading.close().await;
    Ok(last)
}
