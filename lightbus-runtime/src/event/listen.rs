//! A listener at work: its queue, and what becomes of each event.

use std::error::Error as StdError;
use std::pin::Pin;
use std::sync::Arc;

use lapin::message::Delivery;
use lapin::types::ShortString;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use crate::boxed::Boxed;
use crate::bus::{Bus, Core};
use crate::codec::{DecodeError, Format, Payload};
use crate::connection::consumer::{Consumers, Source};
use crate::context::{Context, Subject};
use crate::delivery::{Outcome, Work, catch_panic, catch_panic_now};
use crate::error::Error;
use crate::grammar::check_name;
use crate::topology::{self, Interest};
use crate::wire;

/// What a listener's handler may return: `()`, or a `Result` whose error is logged.
pub trait HandlerResult {
    #[doc(hidden)]
    fn into_result(self) -> Result<Handled, Box<dyn StdError + Send + Sync>>;
}

/// A handler's success, as opposed to an event that is left for later.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handled {
    Done,
    Kept,
}

impl HandlerResult for () {
    fn into_result(self) -> Result<Handled, Box<dyn StdError + Send + Sync>> {
        Ok(Handled::Done)
    }
}

impl<E: Into<Box<dyn StdError + Send + Sync>>> HandlerResult for Result<(), E> {
    fn into_result(self) -> Result<Handled, Box<dyn StdError + Send + Sync>> {
        self.map(|()| Handled::Done).map_err(Into::into)
    }
}

/// Who shares a copy of each event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    App,
    Instance,
}

#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) reach: Reach,
    pub(crate) interest: Interest,
    pub(crate) concurrency: u16,
    pub(crate) prefetch: u16,
}

type Handling =
    Pin<Box<dyn Future<Output = Result<Handled, Box<dyn StdError + Send + Sync>>> + Send>>;

/// A handler without its types.
pub(crate) type Handle =
    Arc<dyn Fn(&str, Payload<'_>, &Context) -> Result<Handling, DecodeError> + Send + Sync>;

/// A running listener. Dropping this does not end it: that is for [`stop`](Self::stop), or the end of the bus.
#[derive(Debug)]
pub struct Listener {
    queue: String,
    stop: CancellationToken,
    ended: tokio::task::JoinHandle<()>,
}

impl Listener {
    /// The listener's queue on the broker.
    pub fn queue(&self) -> &str {
        &self.queue
    }

    /// Takes no more events, and returns when those in progress have finished (within the bus's grace period).
    ///
    /// A named listener's queue stays, and collects events until the app listens again. A broadcast listener's queue is deleted.
    pub async fn stop(self) {
        self.stop.cancel();
        // An abort at the end of the runtime is an end as well.
        let _ = self.ended.await;
    }

    pub(crate) fn begin_stop(&self) {
        self.stop.cancel();
    }
}

/// Sets up the queue and starts to listen.
pub(crate) fn start(
    bus: Bus,
    name: &str,
    options: Options,
    handle: Handle,
) -> Boxed<Result<Listener, Error>> {
    let name = name.to_owned();
    Box::pin(async move { begin(bus.core(), &name, options, handle).await })
}

async fn begin(
    core: &Arc<Core>,
    name: &str,
    options: Options,
    handle: Handle,
) -> Result<Listener, Error> {
    check_name("listener", name)?;
    let name_taken = core.take_listener(name)?;
    let source = source(core, name, &options);
    let queue = source.queue.clone();
    let stop = core.life.stop.child_token();
    // Dropped before it is done, it does not begin to listen later.
    let guard = stop.clone().drop_guard();
    let (mut consumers, started) = Consumers::new(&core.io.consume, source, stop.clone());
    let worker = core.worker(options.concurrency);
    let hearing = Hearing {
        core: Arc::clone(core),
        queue: queue.as_str().into(),
        options,
        handle,
    };
    let ended = core.spawn({
        let stop = stop.clone();
        async move {
            while let Some(consumer) = consumers.next().await {
                worker
                    .work(consumer, &stop, |delivery| hearing.begin(delivery))
                    .await;
            }
            if hearing.options.reach == Reach::Instance {
                hearing.core.disown_queue(&hearing.queue).await;
            }
            drop(name_taken);
        }
    });
    started.await.unwrap_or(Err(Error::Closed))?;
    guard.disarm();
    Ok(Listener { queue, stop, ended })
}

fn source(core: &Core, name: &str, options: &Options) -> Source {
    let (app, interest) = (&core.config.app, &options.interest);
    let (queue, plan) = match options.reach {
        Reach::App => (
            topology::listener_queue(app, name),
            topology::listener_plan(app, name, interest),
        ),
        Reach::Instance => (
            topology::broadcast_queue(app, name, &core.instance),
            topology::broadcast_plan(app, name, &core.instance, interest),
        ),
    };
    if options.reach == Reach::Instance {
        core.own_queue(&queue);
    }
    Source {
        queue,
        plan,
        prefetch: options.prefetch,
    }
}

struct Hearing {
    core: Arc<Core>,
    queue: Arc<str>,
    options: Options,
    handle: Handle,
}

impl Hearing {
    fn begin(&self, delivery: Delivery) -> Work {
        let (interest, key) = (&self.options.interest, self.key_of(&delivery));
        if interest.event_of(key).is_some() && !interest.matches(key) {
            debug!(queue = &*self.queue, key = %delivery.routing_key, "skipped an event that an earlier version of this listener asked for");
            return Work::Settled(Outcome::Done);
        }
        match self.handle_of(&delivery) {
            Ok((name, format)) => self.run(name, format, delivery),
            Err(error) => self.refuse(&delivery.properties, &error.0),
        }
    }

    fn handle_of(&self, delivery: &Delivery) -> Result<(&'static str, Format), DecodeError> {
        let properties = &delivery.properties;
        let kind = properties.kind().as_ref().map(ShortString::as_str);
        if kind != Some(wire::EVENT) {
            return Err(DecodeError(format!(
                "its type is {kind:?}, not `{}`",
                wire::EVENT
            )));
        }
        // A message that was moved has another key, and names its event in a header.
        let named = wire::header_text(properties, wire::NAME);
        let name = self
            .options
            .interest
            .event_of(self.key_of(delivery))
            .filter(|name| named.is_none_or(|named| named == *name));
        let name = name.or_else(|| {
            self.options
                .interest
                .events
                .iter()
                .find(|event| Some(**event) == named)
                .copied()
        });
        let name = name.ok_or_else(|| {
            DecodeError::unknown_event(named.unwrap_or(delivery.routing_key.as_str()))
        })?;
        let limit = self.core.config.payload_limit;
        if delivery.data.len() > limit {
            return Err(DecodeError(format!(
                "it takes {} bytes, the limit is {limit}",
                delivery.data.len()
            )));
        }
        Format::of(properties.content_type().as_ref().map(ShortString::as_str))
            .map(|format| (name, format))
    }

    /// The routing key it was published with: its own, or, when somebody moved it back from the dead letters, the one they kept.
    fn key_of<'a>(&self, delivery: &'a Delivery) -> &'a str {
        let own = delivery.routing_key.as_str();
        std::iter::once(own)
            .chain(wire::dead_letter_keys(&delivery.properties))
            .find(|key| self.options.interest.event_of(key).is_some())
            .unwrap_or(own)
    }

    fn run(&self, name: &'static str, format: Format, delivery: Delivery) -> Work {
        let subject = Subject {
            api: self.options.interest.api,
            name,
        };
        let context = Context::new(delivery.properties, subject, delivery.redelivered);
        let decoded = catch_panic_now(|| {
            Payload::check(&delivery.data, format)
                .and_then(|payload| (self.handle)(name, payload, &context))
        });
        match decoded {
            Ok(Ok(handling)) => {
                let queue = Arc::clone(&self.queue);
                Work::Attached(Box::pin(finish(queue, context, handling)))
            }
            Ok(Err(error)) => self.refuse(context.properties(), &error.0),
            Err(panic) => self.refuse(
                context.properties(),
                &format!("decoding it panicked: {panic}"),
            ),
        }
    }

    fn refuse(&self, properties: &lapin::BasicProperties, reason: &str) -> Work {
        warn!(queue = &*self.queue, id = ?properties.message_id(), from = ?properties.app_id(), reason,
            "cannot read an event; a named listener's goes to the dead letters, a broadcast one's is dropped");
        Work::Settled(Outcome::Failed)
    }
}

async fn finish(queue: Arc<str>, context: Context, handling: Handling) -> Outcome {
    match catch_panic(context.clone().scope(handling)).await {
        Ok(Ok(Handled::Done)) => Outcome::Done,
        Ok(Ok(Handled::Kept)) => Outcome::Kept,
        Ok(Err(error)) => {
            error!(queue = &*queue, ?context, %error, "a listener failed; a named one's event goes to the dead letters, a broadcast one's is dropped");
            Outcome::Failed
        }
        Err(panic) => {
            error!(
                queue = &*queue,
                ?context,
                panic,
                "a listener panicked; a named one's event goes to the dead letters, a broadcast one's is dropped"
            );
            Outcome::Failed
        }
    }
}
