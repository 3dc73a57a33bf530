//! The thread that lapin runs on: its own one-thread runtime, so that a handler which blocks cannot kill heartbeats.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use super::declare;
use super::link::{Link, Supervisor};
use crate::Error;
use crate::boxed::Boxed;
use crate::config::Config;
use crate::counters::Counters;
use crate::health::Monitor;

/// Beyond the grace period, for what ends in steps of its own.
const MARGIN: Duration = Duration::from_secs(1);
/// For all queues of the instance. What a slow broker still has of them then it deletes itself, in 60 s.
const DELETING: Duration = Duration::from_secs(2);

/// Queues that belong to this process and are deleted when it leaves.
pub(crate) type InstanceQueues = Arc<Mutex<Vec<String>>>;

/// The running thread, and what tells it to end.
#[derive(Debug)]
pub(crate) struct IoThread {
    pub(crate) publish: Link,
    pub(crate) consume: Link,
    ended: watch::Receiver<bool>,
}

struct Main {
    config: Config,
    publish: (Link, Supervisor),
    consume: Supervisor,
    life: Life,
}

/// How a bus ends: `stop`, then its handlers finish, then `drained`, then what the handlers needed ends too.
#[derive(Clone, Debug, Default)]
pub(crate) struct Life {
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
    pub(crate) drained: CancellationToken,
    pub(crate) late_tasks: TaskTracker,
    pub(crate) queues: InstanceQueues,
    pub(crate) monitor: Arc<Monitor>,
    pub(crate) counters: Arc<Counters>,
}

impl IoThread {
    /// Starts the thread and waits until both connections are open.
    ///
    /// When the bus's life is stopped, the thread waits for its tasks (within the grace period) and until the last messages have
    /// left, deletes the instance's queues, closes both connections and ends.
    pub(crate) async fn start(config: &Config, life: &Life) -> Result<Self, Error> {
        // A start that fails or is dropped takes the thread with it.
        let guard = life.stop.clone().drop_guard();
        let (publish, publish_supervisor) = Link::new("publish", life);
        let (consume, consume_supervisor) = Link::new("consume", life);
        let main = Main {
            config: config.clone(),
            publish: (publish.clone(), publish_supervisor),
            consume: consume_supervisor,
            life: life.clone(),
        };
        let (publish_up, consume_up) = (oneshot::channel(), oneshot::channel());
        let (ended_sender, ended) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| thread_failed(&error))?;
        std::thread::Builder::new()
            .name(format!("lightbus {}", config.app))
            .spawn(move || {
                runtime.block_on(main.run(publish_up.0, consume_up.0));
                // Not waited for: a host name may still be being looked up.
                runtime.shutdown_background();
                ended_sender.send_replace(true);
            })
            .map_err(|error| thread_failed(&error))?;
        if !config.lazy {
            for up in [publish_up.1, consume_up.1] {
                up.await.unwrap_or(Err(Error::Closed))?;
            }
        }
        guard.disarm();
        Ok(Self {
            publish,
            consume,
            ended,
        })
    }

    /// Waits for the thread's end. The thread itself is not joined: at this point it has nothing left to do.
    pub(crate) fn ended(&self) -> Boxed<()> {
        let mut ended = self.ended.clone();
        Box::pin(async move { drop(ended.wait_for(|ended| *ended).await) })
    }
}

fn thread_failed(error: &std::io::Error) -> Error {
    Error::Broker {
        object: "starting the AMQP thread".to_owned(),
        detail: error.to_string(),
    }
}

type First = oneshot::Sender<Result<(), Error>>;

impl Main {
    async fn run(self, publish_up: First, consume_up: First) {
        let Self {
            config,
            publish: (link, publish),
            consume,
            life,
        } = self;
        // The connections outlive `stop` by the time the handlers take to finish.
        let close = CancellationToken::new();
        let leave = async {
            life.stop.cancelled().await;
            let end = Instant::now() + config.grace + MARGIN;
            wait_for(&life.tasks, end).await;
            life.drained.cancel();
            wait_for(&life.late_tasks, Instant::now() + MARGIN).await;
            // A broker that does not get to read the answers would not get to read this either.
            if flush(&link, end.max(Instant::now() + MARGIN)).await {
                delete_queues(&link, &life.queues).await;
            }
            close.cancel();
        };
        tokio::join!(
            leave,
            publish.run(&config, publish_up, &close),
            consume.run(&config, consume_up, &close)
        );
        life.monitor.end();
    }
}

async fn wait_for(tasks: &TaskTracker, end: Instant) {
    tasks.close();
    if tokio::time::timeout_at(end, tasks.wait()).await.is_err() {
        debug!("some tasks of the bus are still running");
    }
}

async fn delete_queues(link: &Link, queues: &InstanceQueues) {
    let names = std::mem::take(&mut *queues.lock().unwrap_or_else(PoisonError::into_inner));
    let (false, Some(session)) = (names.is_empty(), link.now()) else {
        return;
    };
    let deleting = async {
        for name in names {
            if let Err(error) = declare::delete_queue(&session, &name).await {
                debug!(queue = name, %error, "could not delete the queue; the broker will, in 60 s");
            }
        }
    };
    let _ = tokio::time::timeout(DELETING, deleting).await;
}

/// Answers may still be on their way out, and a closing connection does not wait for them. Does the broker still read them?
async fn flush(link: &Link, end: Instant) -> bool {
    // A broker under an alarm reads nothing more from here.
    let Some(session) = link.now().filter(|_| !link.is_blocked()) else {
        return false;
    };
    match tokio::time::timeout_at(end, session.flush()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "the last answers may not have left"),
        Err(_) => {
            debug!("the last answers were still leaving");
            return false;
        }
    }
    true
}
