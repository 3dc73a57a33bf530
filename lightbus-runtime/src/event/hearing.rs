//! What a listener makes of a delivery: an event for its handler, or something to be refused.

use std::sync::Arc;

use lapin::message::Delivery;
use lapin::types::ShortString;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::listen::{Options, Reach};
use super::pause::Pause;
use crate::attempts::{Attempts, Handling, Job, Received, Unreadable};
use crate::bus::Core;
use crate::codec::{DecodeError, Format, Payload};
use crate::context::{Context, Subject};
use crate::counters::Tally;
use crate::delivery::{Outcome, Work, catch_panic_now};
use crate::idempotence::Deduplicate;
use crate::manifest;
use crate::retry::Retry;
use crate::topology::Order;
use crate::wire::{self, again};

/// A handler without its types.
pub(crate) type Handle =
    Arc<dyn Fn(&str, Payload<'_>, &Context) -> Result<Handling, DecodeError> + Send + Sync>;

pub(super) struct Hearing {
    pub(super) core: Arc<Core>,
    pub(super) queue: String,
    pub(super) options: Options,
    pub(super) pause: Pause,
    pub(super) deduplicate: Option<Deduplicate>,
    handle: Handle,
}

impl Hearing {
    pub(super) fn new(
        core: &Arc<Core>,
        queue: &str,
        options: Options,
        handle: Handle,
        pause: Pause,
    ) -> Self {
        let store = options.deduplicate.clone();
        Self {
            core: Arc::clone(core),
            deduplicate: store.map(|store| Deduplicate::new(store, queue)),
            queue: queue.to_owned(),
            options,
            pause,
            handle,
        }
    }

    pub(super) fn is_broadcast(&self) -> bool {
        self.options.reach == Reach::Instance
    }

    /// A broadcast's queue goes with its listener.
    pub(super) async fn leave(&self) {
        if self.is_broadcast() {
            self.core.disown_queue(&self.queue).await;
        }
    }

    pub(super) fn begin(self: &Arc<Self>, delivery: Delivery) -> Work {
        let by_key = self.by_key(&delivery);
        if by_key.is_some_and(|(key, _)| !self.options.interest.matches(key)) {
            debug!(queue = self.queue, key = %delivery.routing_key, "skipped an event that an earlier version of this listener asked for");
            return Work::Settled(Outcome::Done);
        }
        match self.read(&delivery, by_key.map(|(_, event)| event)) {
            Ok((name, format)) => self.attempt(name, format, delivery),
            Err(unreadable) => self.refuse(delivery, unreadable),
        }
    }

    /// Everything that is checked before the event is decoded.
    fn read(
        &self,
        delivery: &Delivery,
        by_key: Option<&'static str>,
    ) -> Result<(&'static str, Format), Unreadable> {
        let unreadable = |reason, detail| Unreadable { reason, detail };
        let properties = &delivery.properties;
        let kind = properties.kind().as_ref().map(ShortString::as_str);
        if kind != Some(wire::EVENT) {
            let detail = format!("its type is {kind:?}, not `{}`", wire::EVENT);
            return Err(unreadable("kind", detail));
        }
        let limit = self.core.config.payload_limit;
        if delivery.data.len() > limit {
            let detail = format!("it takes more than the limit of {limit} bytes");
            return Err(unreadable("size", detail));
        }
        if wire::headers_size(properties) > wire::HEADERS_LIMIT {
            let limit = wire::HEADERS_LIMIT;
            let detail = format!("its headers take more than the limit of {limit} bytes");
            return Err(unreadable("size", detail));
        }
        let name = self
            .name_of(delivery, by_key)
            .map_err(|error| unreadable("unknown", error.0))?;
        let content_type = properties.content_type().as_ref().map(ShortString::as_str);
        let format =
            Format::of(content_type).map_err(|error| unreadable("undecodable", error.0))?;
        Ok((name, format))
    }

    fn name_of(
        &self,
        delivery: &Delivery,
        by_key: Option<&'static str>,
    ) -> Result<&'static str, DecodeError> {
        let interest = &self.options.interest;
        // A message that was moved has another key, and may name its event in a header.
        let named = wire::header_text(&delivery.properties, wire::NAME);
        by_key
            .filter(|name| named.is_none_or(|named| named == *name))
            .or_else(|| {
                interest
                    .events
                    .iter()
                    .find(|event| Some(**event) == named)
                    .copied()
            })
            .ok_or_else(|| {
                DecodeError::unknown_event(named.unwrap_or(delivery.routing_key.as_str()))
            })
    }

    /// The routing key it was published with, and the event that it names: its own key; or, when it comes from the ladder or somebody moved
    /// it back from the dead letters, the one that was noted. `None` when neither names an event of these.
    fn by_key<'a>(&self, delivery: &'a Delivery) -> Option<(&'a str, &'static str)> {
        let own = delivery.routing_key.as_str();
        let noted = wire::header_text(&delivery.properties, again::ORIGIN_KEY);
        std::iter::once(own)
            .chain(noted)
            .chain(wire::dead_letter_keys(&delivery.properties))
            .find_map(|key| Some((key, self.options.interest.event_of(key)?)))
    }

    fn attempt(self: &Arc<Self>, name: &'static str, format: Format, delivery: Delivery) -> Work {
        let attempts = self.attempts(name, format, delivery);
        match attempts.handling() {
            Ok(handling) => Work::Attached(Box::pin(attempts.run(handling))),
            Err(unreadable) => self.bury(attempts, unreadable),
        }
    }

    fn attempts(
        self: &Arc<Self>,
        name: &'static str,
        format: Format,
        delivery: Delivery,
    ) -> Attempts<Self> {
        let subject = Subject {
            api: self.options.interest.api,
            name,
        };
        let received = Received {
            exchange: delivery.exchange,
            key: delivery.routing_key,
            data: delivery.data,
            acker: delivery.acker,
        };
        let mut context = Context::new(
            &self.core.clock,
            delivery.properties,
            subject,
            delivery.redelivered,
        );
        if let Some(deduplicate) = &self.deduplicate {
            let claim = deduplicate.claim(wire::message_id(context.properties()));
            context = context.with_claim(claim);
        }
        Attempts::new(Arc::clone(self), format, received, context)
    }

    fn refuse(self: &Arc<Self>, delivery: Delivery, unreadable: Unreadable) -> Work {
        let attempts = self.attempts("", Format::Msgpack, delivery);
        self.bury(attempts, unreadable)
    }

    fn bury(&self, attempts: Attempts<Self>, unreadable: Unreadable) -> Work {
        let properties = attempts.context().properties();
        warn!(queue = self.queue, id = ?properties.message_id(), from = ?properties.app_id(), reason = unreadable.reason, detail = unreadable.detail,
            "cannot read an event; a named listener's goes to the dead letters, a broadcast one's is dropped");
        Work::Attached(Box::pin(attempts.unreadable(unreadable)))
    }
}

impl Job for Hearing {
    const WHAT: &'static str = "event";

    fn core(&self) -> &Arc<Core> {
        &self.core
    }

    fn queue(&self) -> &str {
        &self.queue
    }

    fn dead_letters(&self) -> Option<(&str, &str)> {
        (!self.is_broadcast()).then_some((&self.core.config.app, &self.queue))
    }

    fn retry(&self, _: &Context) -> &Retry {
        &self.options.retry
    }

    fn deduplicate(&self) -> Option<&Deduplicate> {
        self.deduplicate.as_ref()
    }

    /// A broadcast's copy is nobody else's business, and where order counts, none may overtake.
    fn stays_in_place(&self) -> bool {
        self.is_broadcast() || self.options.order == Order::Kept
    }

    fn rest(&self) -> CancellationToken {
        self.pause.rest()
    }

    fn tally(&self) -> &Tally {
        &self.core.counters.events
    }

    fn handling(
        &self,
        data: &[u8],
        format: Format,
        context: &Context,
    ) -> Result<Handling, Unreadable> {
        let unreadable = |detail| Unreadable {
            reason: "undecodable",
            detail,
        };
        let decoded = catch_panic_now(|| {
            Payload::check(data, format)
                .and_then(|payload| (self.handle)(context.name(), payload, context))
        });
        decoded
            .map_err(|panic| unreadable(format!("decoding it panicked: {panic}")))?
            .map_err(|error| unreadable(told(error.0, context)))
    }
}

/// Why an event cannot be decoded, for people: which field it is nobody says, and the text may quote it.
fn told(detail: String, event: &Context) -> String {
    match manifest::secrets(event.api(), event.name()) {
        secret if secret.is_empty() => detail,
        secret => format!(
            "a field cannot be decoded; which one is not told, since of this event some are secret: {}",
            secret.join(", ")
        ),
    }
}
