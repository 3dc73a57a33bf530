//! A listener: its queue, and its life.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::hearing::{Handle, Hearing};
use super::pause::Pause;
use crate::attempts::Handled;
use crate::boxed::Boxed;
use crate::bus::{Bus, Core};
use crate::connection::consumer::{Consumers, Source};
use crate::delivery::{AtStop, Worker};
use crate::error::Error;
use crate::grammar::check_name;
use crate::idempotence::DedupStore;
use crate::manifest::ListenerName;
use crate::retry::{HandlerError, Retry};
use crate::topology::{self, Interest, Order};
use crate::upkeep::{self, Keeping};

/// What a listener's handler may return: `()`, or a `Result` whose error decides, with the listener's [`Retry`], what becomes of the event.
pub trait HandlerResult {
    #[doc(hidden)]
    fn into_result(self) -> Result<Handled, HandlerError>;
}

impl HandlerResult for () {
    fn into_result(self) -> Result<Handled, HandlerError> {
        Ok(Handled::Done)
    }
}

impl<E: Into<HandlerError>> HandlerResult for Result<(), E> {
    fn into_result(self) -> Result<Handled, HandlerError> {
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
    pub(crate) order: Order,
    pub(crate) interest: Interest,
    pub(crate) concurrency: u16,
    pub(crate) prefetch: u16,
    pub(crate) retry: Retry,
    pub(crate) deduplicate: Option<Arc<dyn DedupStore>>,
}

/// A running listener. Dropping this does not end it: that is for [`stop`](Self::stop), or the end of the bus.
#[derive(Debug)]
pub struct Listener {
    queue: String,
    stop: CancellationToken,
    pause: Pause,
    ended: tokio::task::JoinHandle<()>,
}

impl Listener {
    /// The listener's queue on the broker.
    pub fn queue(&self) -> &str {
        &self.queue
    }

    /// Takes no more events until [`resume`](Self::resume); those in progress finish, and what has been sent ahead is begun for up to a second; the others wait
    /// in the queue, or go to other replicas. Returns at once.
    ///
    /// A pause ends with the process. A broadcast listener's queue lives for 60 s without its listener: after a longer pause, what was published meanwhile is
    /// gone.
    pub fn pause(&self) {
        self.pause.set(true);
    }

    /// Takes events again. Returns at once.
    pub fn resume(&self) {
        self.pause.set(false);
    }

    /// Is the listener paused?
    pub fn is_paused(&self) -> bool {
        self.pause.is_set()
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
    if name == topology::CRON {
        return Err(Error::Config(
            "no listener can be called `cron`: that is where the app's schedules are kept"
                .to_owned(),
        ));
    }
    let name_taken = core.take_listener(name, &options.interest)?;
    let source = source(core, name, &options);
    let (queue, keeping) = (source.queue.clone(), upkeep::keep(core, &source));
    let stop = core.life.stop.child_token();
    // Dropped before it is done, it does not begin to listen later.
    let guard = stop.clone().drop_guard();
    let (consumers, started) = Consumers::new(&core.io.consume, source, stop.clone());
    let pause = Pause::new();
    let listening = Listening {
        worker: core.worker(options.concurrency, at_stop(options.order)),
        hearing: Arc::new(Hearing::new(core, &queue, options, handle, pause.clone())),
        consumers,
        pause: pause.clone(),
        stop: stop.clone(),
        _name: name_taken,
        keeping,
    };
    let ended = core.spawn(listening.run());
    core.first_start(&core.io.consume, started).await?;
    guard.disarm();
    Ok(Listener {
        queue,
        stop,
        pause,
        ended,
    })
}

fn at_stop(order: Order) -> AtStop {
    match order {
        Order::Free => AtStop::Handle,
        Order::Kept => AtStop::HandBack,
    }
}

fn source(core: &Core, name: &str, options: &Options) -> Source {
    let (app, interest) = (&core.config.app, &options.interest);
    let (queue, plan) = match options.reach {
        Reach::App => (
            topology::listener_queue(app, name),
            topology::listener_plan(app, name, interest, options.order),
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

/// The task behind a listener.
struct Listening {
    worker: Worker,
    hearing: Arc<Hearing>,
    consumers: Consumers,
    pause: Pause,
    stop: CancellationToken,
    _name: ListenerName,
    keeping: Keeping,
}

impl Listening {
    async fn run(mut self) {
        while let Some(rest) = self.pause.next(&self.stop).await
            && let Some(consumer) = self.consumers.next().await
        {
            let hearing = &self.hearing;
            self.worker
                .work(consumer, &rest, |delivery| hearing.begin(delivery))
                .await;
            if self.pause.is_set() {
                self.consumers.paused();
            }
        }
        drop(self.keeping);
        self.hearing.leave().await;
    }
}
