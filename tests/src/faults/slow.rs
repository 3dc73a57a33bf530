//! Apps and networks that are slow, and are not dead.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lightbus::BusBuilder;
use tokio_util::sync::CancellationToken;

use super::api::{FaultsClient, FaultsEvents, Happened};
use super::outcome::Outcome;
use super::stage::{HEARTBEAT, Stage};
use crate::eventually;
use crate::node::Node;
use crate::proxy::Mode;

/// Row 17: a handler takes longer than the broker lets it.
pub(super) async fn handler(stage: &Stage) -> anyhow::Result<Outcome> {
    let limit = Duration::from_secs(3);
    let own;
    let (stage, node) = match stage.embedded() {
        Some(_) => {
            own = stage.embedded_beside(limit).await?;
            (&own, None)
        }
        None => (stage, Some(stage.rabbitmq("it is one")?)),
    };
    if let Some(node) = node {
        node.consumer_timeout(limit).await?;
    }
    let outcome = too_long(stage, limit).await;
    if let Some(node) = node {
        Node::consumer_timeout(node, Duration::from_secs(1800)).await?;
    }
    outcome
}

async fn too_long(stage: &Stage, limit: Duration) -> anyhow::Result<Outcome> {
    let bus = stage.app("slow", stage.url()).grace(Duration::from_secs(2));
    let bus = bus.connect().await?;
    let runs = Arc::<AtomicUsize>::default();
    let counter = Arc::clone(&runs);
    let handler = move |_: Happened| {
        let first = counter.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            if first {
                std::future::pending::<()>().await;
            }
        }
    };
    let listener = FaultsClient::new(&bus)
        .happened()
        .listen("slow", handler)
        .await?;
    let queue = listener.queue().to_owned();
    stage.leaves(&queue);
    stage.leaves(format!("{queue}.dead"));
    let happened = FaultsEvents::new(&bus).happened();
    let event = Happened {
        n: 1,
        filler: String::new(),
    };
    happened.publish(event).await?;
    let began = Instant::now();
    let mut outcome = Outcome::default();
    eventually("it is delivered again", async || {
        runs.load(Ordering::SeqCst) > 1
    })
    .await?;
    outcome.recovered(began.elapsed(), limit + Duration::from_secs(4));
    let foreign = stage.foreign().await?;
    foreign.until(&queue, 0, 1).await?;
    outcome.confirmed = 1;
    outcome.handled = 1;
    outcome.duplicated = runs.load(Ordering::SeqCst) - 1;
    outcome.check(outcome.duplicated == 1, "it is delivered again once");
    drop(listener);
    // Its first handler never ends: the bus gives it up.
    tokio::time::timeout(Duration::from_secs(10), bus.close()).await?;
    Ok(outcome)
}

/// Row 28: handlers block every thread of their runtime for longer than three heartbeats.
pub(super) async fn blocked_threads(stage: &Stage) -> anyhow::Result<Outcome> {
    let (app, url) = (stage.app("blocking", stage.url()), stage.url());
    let queue = format!("lb.q.{}.blocking", stage.app_name("blocking"));
    stage.leaves(&queue);
    stage.leaves(format!("{queue}.dead"));
    let deliveries = Arc::<AtomicUsize>::default();
    let counter = Arc::clone(&deliveries);
    let handler = move |_: Happened| {
        counter.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(HEARTBEAT * 3 + Duration::from_secs(1));
        std::future::ready(())
    };
    let stop = CancellationToken::new();
    let running = tokio::task::spawn_blocking({
        let stop = stop.clone();
        move || block_threads(app, handler, &stop)
    });
    let foreign = stage.foreign().await?;
    foreign.until(&queue, 0, 1).await?;
    let publisher = stage.app("publisher", url).connect().await?;
    let happened = FaultsEvents::new(&publisher).happened();
    happened
        .publish(Happened {
            n: 1,
            filler: String::new(),
        })
        .await?;
    let mut outcome = Outcome {
        confirmed: 1,
        handled: 1,
        ..Outcome::default()
    };
    eventually("it is delivered", async || {
        deliveries.load(Ordering::SeqCst) > 0
    })
    .await?;
    tokio::time::sleep(HEARTBEAT * 3 + Duration::from_secs(2)).await;
    foreign.until(&queue, 0, 1).await?;
    outcome.duplicated = deliveries.load(Ordering::SeqCst) - 1;
    outcome.check(outcome.duplicated == 0, "it is not delivered again");
    publisher.close().await;
    stop.cancel();
    running.await??;
    Ok(outcome)
}

/// Listens on a runtime of one thread, that has nothing else to do.
fn block_threads<F: Future<Output = ()> + Send + 'static>(
    app: BusBuilder,
    handler: impl Fn(Happened) -> F + Send + Sync + 'static,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let bus = app.connect().await?;
        let happened = FaultsClient::new(&bus).happened();
        happened.listen("blocking", handler).await?;
        stop.cancelled().await;
        bus.close().await;
        Ok(())
    })
}

/// Row 32: a slow link; a message takes longer than three heartbeats.
pub(super) async fn link(stage: &Stage) -> anyhow::Result<Outcome> {
    let (to_broker, from_broker) = (stage.proxy().await?, stage.proxy().await?);
    let publisher = stage.app("publisher", to_broker.url());
    let publisher = publisher
        .publish_timeout(Duration::from_secs(120))
        .connect()
        .await?;
    let listener = stage.app("listener", from_broker.url()).connect().await?;
    let handled = Arc::<AtomicUsize>::default();
    let counter = Arc::clone(&handled);
    let handler = move |event: Happened| {
        counter.fetch_add(event.filler.len(), Ordering::SeqCst);
        std::future::ready(())
    };
    let listening = FaultsClient::new(&listener)
        .happened()
        .listen("slow", handler)
        .await?;
    stage.leaves(listening.queue());
    stage.leaves(format!("{}.dead", listening.queue()));
    let happened = FaultsEvents::new(&publisher).happened();
    // The publisher's channel is open before the link is slow.
    happened
        .publish(Happened {
            n: 0,
            filler: String::new(),
        })
        .await?;
    let slow = Mode::Slow {
        latency: Duration::from_millis(200),
        bytes_per_second: 64 * 1024,
    };
    let bytes = stage.seconds(0.75, 1.0).mul_f64(1_000_000.0).as_secs() as usize;
    let filler = "x".repeat(bytes);
    let (before_to, before_from) = (to_broker.accepted(), from_broker.accepted());
    to_broker.set(slow);
    from_broker.set(slow);
    let began = Instant::now();
    happened.publish(Happened { n: 1, filler }).await?;
    eventually("it has arrived", async || {
        handled.load(Ordering::SeqCst) >= bytes
    })
    .await?;
    let mut outcome = Outcome {
        confirmed: 2,
        handled: 2,
        ..Outcome::default()
    };
    outcome.recovered(began.elapsed(), Duration::from_secs(60));
    outcome.check(
        to_broker.accepted() == before_to,
        "the publisher kept its connections",
    );
    outcome.check(
        from_broker.accepted() == before_from,
        "the listener kept its connections",
    );
    outcome.check(handled.load(Ordering::SeqCst) == bytes, "it came once");
    publisher.close().await;
    listener.close().await;
    Ok(outcome)
}
