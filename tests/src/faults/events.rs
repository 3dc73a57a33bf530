//! Events under load: an app that publishes, an app that listens, and the books of both.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lightbus::{Bus, BusBuilder, Context, Listener, Retry};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::api::{FaultsClient, FaultsEvents, Happened};
use super::ledger::Ledger;
use super::outcome::Outcome;
use super::stage::Stage;
use crate::eventually;

/// What a publish may take, all attempts together.
pub const PUBLISH_TIMEOUT: Duration = Duration::from_secs(10);
/// Every operation ends by its deadline and this.
pub const SLACK: Duration = Duration::from_secs(1);
/// How many events are being published at a time.
pub const PUBLISHERS: usize = 8;
/// Enough to be in the middle of something at any moment, not so much that a busy machine is the fault.
const PAUSE: Duration = Duration::from_millis(4);

/// How events flow.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Bytes in an event.
    pub bytes: usize,
    /// How long a publisher pauses between two events.
    pub pause: Duration,
    /// How long a handler takes.
    pub work: Duration,
    /// How many handlers run at a time.
    pub concurrency: u16,
    /// How many events the listener takes ahead.
    pub prefetch: u16,
    /// How often every fourth event fails before it is handled; put off for 1, 2 and 3 s.
    pub fails: u32,
    /// Do the apps start without their broker?
    pub lazy: bool,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            bytes: 0,
            pause: PAUSE,
            work: Duration::ZERO,
            concurrency: 64,
            prefetch: 1000,
            fails: 0,
            lazy: false,
        }
    }
}

/// Each bit of these is a level of the broker's ladder of delays, and one of them takes two.
const DELAYS: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(3),
];

/// The apps that events flow between.
#[derive(Debug)]
pub struct Apps {
    /// The one that publishes.
    pub publisher: BusBuilder,
    /// The one that listens.
    pub listener: BusBuilder,
}

/// Events that flow from one app to another until [`finish`](Self::finish).
#[derive(Debug)]
pub struct Events {
    ledger: Arc<Ledger>,
    load: Load,
    publisher: Bus,
    listener: Bus,
    queue: String,
    stop: CancellationToken,
    publishers: JoinSet<()>,
    _listener: Listener,
}

impl Events {
    /// Lets events flow, over these URLs for the publishing and the listening app.
    pub async fn flow(
        stage: &Stage,
        publisher_url: impl Into<String>,
        listener_url: impl Into<String>,
        load: Load,
    ) -> anyhow::Result<Self> {
        let apps = Apps {
            publisher: stage.app("publisher", publisher_url),
            listener: stage.app("listener", listener_url),
        };
        let events = Self::between(stage, apps, Ledger::default(), load).await?;
        events.flowing().await?;
        Ok(events)
    }

    /// Begins between two apps, with books of one's own. Apps that start lazily publish nothing yet: the listener's queue has to be there first.
    pub async fn between(
        stage: &Stage,
        apps: Apps,
        ledger: Ledger,
        load: Load,
    ) -> anyhow::Result<Self> {
        let [publisher, listener] = [apps.publisher, apps.listener].map(|app| match load.lazy {
            true => app.lazy(),
            false => app,
        });
        let ledger = Arc::new(ledger);
        let listener = listener.connect().await?;
        let listening = listen(&listener, Arc::clone(&ledger), load).await?;
        let queue = listening.queue().to_owned();
        stage.leaves(&queue);
        stage.leaves(format!("{queue}.dead"));
        let publisher = publisher.publish_timeout(PUBLISH_TIMEOUT).connect().await?;
        let mut events = Self {
            ledger,
            load,
            publisher,
            listener,
            queue,
            stop: CancellationToken::new(),
            publishers: JoinSet::new(),
            _listener: listening,
        };
        if !load.lazy {
            events.resume();
        }
        Ok(events)
    }

    /// Publishes again.
    pub fn resume(&mut self) {
        self.stop = CancellationToken::new();
        for _ in 0..PUBLISHERS {
            let (publisher, ledger) = (self.publisher.clone(), Arc::clone(&self.ledger));
            let publishing = publish(publisher, ledger, self.load, self.stop.clone());
            self.publishers.spawn(publishing);
        }
    }

    /// Publishes no more, and waits until all that was confirmed has been handled.
    pub async fn pause(&mut self) -> anyhow::Result<()> {
        self.stop.cancel();
        while self.publishers.join_next().await.is_some() {}
        let all = "all that was confirmed was handled";
        eventually(all, async || self.ledger.missing().is_empty()).await
    }

    /// The books.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The books, to be looked at after the end too.
    pub fn books(&self) -> Arc<Ledger> {
        Arc::clone(&self.ledger)
    }

    /// The listener's queue.
    pub fn queue(&self) -> &str {
        &self.queue
    }

    /// The app that publishes.
    pub fn publisher(&self) -> &Bus {
        &self.publisher
    }

    /// The app that listens.
    pub fn listener(&self) -> &Bus {
        &self.listener
    }

    /// Waits until an event that is published from now on has been confirmed and handled. Says how long that took.
    pub async fn flowing(&self) -> anyhow::Result<Duration> {
        let (began, newest) = (Instant::now(), self.ledger.newest());
        eventually("events flow", async || self.ledger.flows_since(newest)).await?;
        Ok(began.elapsed())
    }

    /// Publishes no more, waits until all that was confirmed has been handled, and counts.
    pub async fn finish(self, stage: &Stage, outcome: Outcome) -> anyhow::Result<Outcome> {
        self.finish_within(stage, outcome, Duration::from_secs(60))
            .await
    }

    /// The same; what has not ended within the limit is lost.
    pub async fn finish_within(
        mut self,
        stage: &Stage,
        mut outcome: Outcome,
        limit: Duration,
    ) -> anyhow::Result<Outcome> {
        self.stop.cancel();
        while self.publishers.join_next().await.is_some() {}
        // What has not ended by then is counted below.
        let _ = tokio::time::timeout(limit, self.all_ended(stage)).await;
        self.publisher.close().await;
        self.listener.close().await;
        let dead = dead_letters(stage, &self.queue).await?;
        let missing = self.ledger.missing();
        let totals = self.ledger.totals();
        outcome.confirmed += totals.confirmed;
        outcome.handled += totals.handled;
        outcome.duplicated += totals.duplicated;
        outcome.lost += missing.iter().filter(|n| !dead.contains(n)).count();
        if !dead.is_empty() {
            outcome.note(format!("{} dead", dead.len()));
        }
        let renamed = self.ledger.renamed();
        outcome.check(renamed == 0, "a duplicate has the message id of the first");
        let slowest = self.ledger.slowest();
        outcome.in_time("a publish", slowest, PUBLISH_TIMEOUT + SLACK);
        Ok(outcome)
    }

    /// Waits until every confirmed event was handled or is dead.
    async fn all_ended(&self, stage: &Stage) -> anyhow::Result<()> {
        let letters = format!("{}.dead", self.queue);
        let foreign = stage.foreign().await?;
        loop {
            let missing = self.ledger.missing().len();
            if missing == 0 {
                return Ok(());
            }
            let dead = foreign.queue(&letters).await?;
            if dead.is_some_and(|(dead, _)| dead as usize >= missing) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn listen(bus: &Bus, ledger: Arc<Ledger>, load: Load) -> Result<Listener, lightbus::Error> {
    let handler = move |event: Happened| {
        let ledger = Arc::clone(&ledger);
        async move {
            if !ledger.knows(event.n) {
                // Another pair of apps shares the exchange.
                return Ok(());
            }
            if !load.work.is_zero() {
                tokio::time::sleep(load.work).await;
            }
            let context = Context::current();
            let attempt = context.as_ref().map_or(0, Context::attempt);
            if event.n.is_multiple_of(4) && attempt < load.fails {
                return Err("it fails on purpose");
            }
            ledger.handled(event.n, context.as_ref().map_or("", Context::message_id));
            Ok(())
        }
    };
    let happened = FaultsClient::new(bus).happened();
    let happened = happened
        .concurrency(load.concurrency)
        .prefetch(load.prefetch)
        .retry(Retry::list(DELAYS));
    happened.listen("books", handler).await
}

async fn publish(bus: Bus, ledger: Arc<Ledger>, load: Load, stop: CancellationToken) {
    let happened = FaultsEvents::new(&bus).happened();
    let filler = "x".repeat(load.bytes);
    while !stop.is_cancelled() {
        let event = Happened {
            n: ledger.next(),
            filler: filler.clone(),
        };
        let (n, began) = (event.n, Instant::now());
        match happened.publish(event).await {
            Ok(()) => ledger.confirmed(n, began.elapsed()),
            Err(error) => ledger.failed(error.to_string(), began.elapsed()),
        }
        tokio::time::sleep(load.pause).await;
    }
}

/// The events among the dead letters of a queue.
async fn dead_letters(stage: &Stage, queue: &str) -> anyhow::Result<Vec<u64>> {
    let letters = stage
        .foreign()
        .await?
        .drain(&format!("{queue}.dead"))
        .await?;
    letters
        .iter()
        .map(|letter| Ok(rmp_serde::from_slice::<Happened>(&letter.data)?.n))
        .collect()
}
