//! A task of a flow on its way to its queue.

use std::time::Duration;

use lapin::BasicProperties;
use uuid::Uuid;

use super::next::{self, LIMIT, Next, Step};
use super::output::fill;
use super::{Place, Stuck};
use crate::bus::Core;
use crate::publishing::{Message, Progress, Refusal, Unsent};
use crate::task::address::{Address, Route};
use crate::wire::{self, FlowHeaders, TaskHeaders};

/// The name of the task that begins a flow: the worker publishes what its body says.
pub(in crate::task) const BEGIN: &str = "+flow";

/// For what is noted in the headers of a copy, for another attempt or the dead letters.
const OTHERS: usize = 4 * 1024;

/// Ready to be published.
pub(super) struct Posting<'a> {
    address: Address<'a>,
    route: Route,
    properties: BasicProperties,
    payload: Vec<u8>,
}

impl<'a> Posting<'a> {
    /// A task with `value` in its holes, and what follows it.
    pub(super) fn step(
        core: &Core,
        place: &Place<'_>,
        step: &'a Step,
        then: &[Next],
        value: &[u8],
    ) -> Result<Self, Stuck> {
        let cannot = |why: String| Stuck::Cannot(format!("{} cannot follow: {why}", step.name()));
        let payload = arguments(core, step, value).map_err(cannot)?;
        let then = follow(then).map_err(cannot)?;
        let (now, due) = (core.clock.date(), step.due());
        let expires = step.expires_ms.map(Duration::from_millis);
        let says = TaskHeaders {
            name: &step.task,
            begins_until: expires.map(|expires| due.begins_until(expires, now)),
            unique: None,
            result_ttl: step.ttl_ms.map(Duration::from_millis),
            own: &step.headers,
            flow: Some(FlowHeaders {
                flow: place.flow,
                length: place.length,
                then: &then,
                replayed: place.replayed,
            }),
        };
        let properties = core.sender.task(&place.id.to_string(), &says);
        let (size, limit) = (
            wire::headers_size(&properties),
            wire::HEADERS_LIMIT - OTHERS,
        );
        if size > limit {
            return Err(cannot(format!(
                "its headers and what follows it take {size} bytes together, the limit is {limit}"
            )));
        }
        let address = step.address();
        Ok(Self {
            address,
            route: address.route(due, now),
            properties,
            payload,
        })
    }

    /// Word to a worker to begin with what the payload says.
    pub(super) fn begin(
        core: &Core,
        place: &Place<'_>,
        address: Address<'a>,
        payload: Vec<u8>,
    ) -> Self {
        let says = TaskHeaders {
            name: BEGIN,
            begins_until: None,
            unique: None,
            result_ttl: None,
            own: &[],
            flow: Some(FlowHeaders {
                flow: place.flow,
                length: place.length,
                then: &[],
                replayed: 0,
            }),
        };
        Self {
            address,
            route: address.route(crate::task::message::Due::Now, core.clock.date()),
            properties: core.sender.task(&place.id.to_string(), &says),
            payload,
        }
    }

    pub(super) fn queue(&self) -> String {
        self.address.queue()
    }

    fn message<'b>(
        &'b self,
        plan: &'b (dyn Fn() -> crate::topology::Plan + Sync),
        properties: &'b (dyn Fn() -> BasicProperties + Sync),
    ) -> Message<'b> {
        Message {
            exchange: &self.route.exchange,
            key: &self.route.key,
            needs: &self.route.needs,
            plan,
            properties,
            payload: &self.payload,
            must_route: self.route.on_ladder,
        }
    }

    /// Until it is stored, or refused.
    pub(super) async fn store(&self, core: &Core) -> Result<(), Refusal> {
        let plan = || self.address.plan_of(&self.route);
        let properties = || self.properties.clone();
        let message = self.message(&plan, &properties);
        core.store(&message, &mut Progress::new(&core.clock)).await
    }

    /// Within `timeout`.
    pub(super) async fn publish<'b>(
        &self,
        core: &'b Core,
        progress: &mut Progress<'b>,
        timeout: Duration,
    ) -> Result<(), Unsent> {
        let plan = || self.address.plan_of(&self.route);
        let properties = || self.properties.clone();
        let message = self.message(&plan, &properties);
        core.publish(&message, progress, timeout).await
    }
}

/// With `value` in their holes.
fn arguments(core: &Core, step: &Step, value: &[u8]) -> Result<Vec<u8>, String> {
    let filled = fill(&step.args.0, value).map_err(|error| error.to_string())?;
    let (size, limit) = (filled.len(), core.config.payload_limit);
    match size > limit {
        true => Err(format!(
            "its arguments would take {size} bytes, the limit is {limit}. Return a reference, or raise `payload_limit` everywhere"
        )),
        false => Ok(filled),
    }
}

fn follow(then: &[Next]) -> Result<Vec<u8>, String> {
    let written = match then {
        [] => Vec::new(),
        then => next::write(then)?,
    };
    let size = written.len();
    match size > LIMIT {
        true => Err(format!(
            "what follows it takes {size} bytes, the limit is {LIMIT}. Give references to large values"
        )),
        false => Ok(written),
    }
}

/// The id of the next one in a row.
pub(super) fn next_task(base: Uuid) -> Uuid {
    next::following(base, "task")
}

pub(super) fn next_group(base: Uuid) -> Uuid {
    next::following(base, "group")
}
