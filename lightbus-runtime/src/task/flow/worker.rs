//! A flow in a worker's hands: what its message says follows, and what is done about it.

use lapin::BasicProperties;
use uuid::Uuid;

use super::failed::{Cause, FailedStep, fail};
use super::next::{self, Bytes, LIMIT, Next};
use super::{Place, Stuck, advance, record};
use crate::boxed::Boxed;
use crate::bus::Core;
use crate::clock::Clock;
use crate::context::Context;
use crate::task::record::{Record, Says};
use crate::wire::again::REPLAYED;
use crate::wire::{self, FLOW, FLOW_LENGTH, THEN};

/// The key of the flow that a task is part of, if it is cancelled by the API's own cancellations.
pub(in crate::task) fn is_part_of<'a>(
    properties: &'a BasicProperties,
    api: &str,
) -> Option<&'a str> {
    let (owner, last) = wire::header_text(properties, FLOW)?.split_once('/')?;
    (owner == api).then_some(last)
}

/// What follows a task, and where.
struct Following {
    id: Uuid,
    flow: String,
    length: u32,
    replayed: i64,
    then: Vec<Next>,
}

impl Following {
    fn of(properties: &BasicProperties) -> Option<Result<Self, Stuck>> {
        let then = wire::header_bytes(properties, THEN)?;
        Some(match then.len() {
            size if size > LIMIT => Err(Stuck::Cannot(format!(
                "what follows it takes {size} bytes, the limit is {LIMIT}"
            ))),
            _ => Self::read(properties, then),
        })
    }

    fn read(properties: &BasicProperties, then: &[u8]) -> Result<Self, Stuck> {
        let cannot = |why: String| Stuck::Cannot(format!("what follows it cannot be read: {why}"));
        let id = Uuid::try_parse(wire::message_id(properties));
        Ok(Self {
            id: id.map_err(|error| cannot(format!("its id is none: {error}")))?,
            flow: wire::header_text(properties, FLOW)
                .unwrap_or_default()
                .to_owned(),
            length: wire::header_number(properties, FLOW_LENGTH)
                .and_then(|length| u32::try_from(length).ok())
                .unwrap_or_default(),
            replayed: wire::header_number(properties, REPLAYED).unwrap_or_default(),
            then: next::read(then).map_err(cannot)?,
        })
    }

    fn place(&self) -> Place<'_> {
        Place {
            id: self.id,
            flow: &self.flow,
            length: self.length,
            replayed: self.replayed,
        }
    }
}

/// Why what follows a task cannot be read: its worker may be too old for it.
pub(in crate::task) fn unreadable(properties: &BasicProperties) -> Option<String> {
    match Following::of(properties)? {
        Err(Stuck::Cannot(why)) => Some(why),
        _ => None,
    }
}

/// Publishes what follows a task that is done; `None` if nothing does.
pub(in crate::task) fn succeeded(
    core: &std::sync::Arc<Core>,
    context: &Context,
    value: &[u8],
) -> Option<Boxed<Result<(), Stuck>>> {
    let following = Following::of(context.properties())?;
    let (core, value) = (std::sync::Arc::clone(core), value.to_vec());
    Some(Box::pin(async move {
        let following = following?;
        advance::advance(&core, following.place(), &following.then, &value).await
    }))
}

/// Tells those who wait for what follows a task that it is dead for good, or was taken back; `None` if nothing follows.
pub(in crate::task) fn lost(
    core: &std::sync::Arc<Core>,
    context: &Context,
    data: &[u8],
    reason: &str,
    error: &str,
    domain: Option<Vec<u8>>,
) -> Option<Boxed<Result<(), Stuck>>> {
    let properties = context.properties();
    // By its own word: one that is refused need not be known here.
    let name = wire::header_text(properties, wire::NAME).unwrap_or_default();
    let following = match name {
        super::BEGIN => Following::read(properties, data),
        _ => Following::of(properties)?,
    };
    // What is too large to go on is told in words.
    let limit = core.config.payload_limit;
    let domain = domain.filter(|domain| domain.len() <= limit);
    let cause = Cause {
        failed: FailedStep {
            task: format!("{}.{name}", context.api()),
            id: context.message_id().to_owned(),
            attempts: context.attempt().saturating_add(1),
            reason: reason.to_owned(),
            error: wire::truncate(error, 1024).to_owned(),
        },
        domain: domain.map(Bytes),
    };
    let core = std::sync::Arc::clone(core);
    Some(Box::pin(async move {
        let following = following?;
        fail(&core, following.place(), &following.then, &cause).await
    }))
}

/// Begins a flow with what its first message says.
pub(in crate::task) async fn begin(
    core: &Core,
    properties: &BasicProperties,
    data: &[u8],
) -> Result<(), Stuck> {
    let begin = Following::read(properties, data)?;
    advance::advance(core, begin.place(), &begin.then, &[]).await
}

/// What waits for a task that comes out of the dead letters begins anew: what is known of the last one of its flow.
pub(in crate::task) fn replayed(
    clock: &Clock,
    properties: &BasicProperties,
) -> Option<(String, Record)> {
    let following = Following::of(properties)?.ok()?;
    let end = advance::end(following.id, &following.then)?;
    let record = record(
        clock,
        end.id,
        following.replayed,
        end.ttl_ms?,
        Says::Replayed,
    );
    Some((end.api.to_owned(), record))
}
