//! What operators do to a broker.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lightbus::Error;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::api::{BesideClient, BesideEvents, FaultsClient, Passed};
use super::events::{Events, Load};
use super::health::HealthLog;
use super::outcome::Outcome;
use super::stage::{BACKOFF, Stage};
use crate::eventually;

/// Row 5: the broker is stopped and started.
pub(super) async fn stop_and_start(stage: &Stage) -> anyhow::Result<Outcome> {
    stopped(stage, 0).await
}

/// Row 5: the same, with 200 listeners in one app.
pub(super) async fn stop_and_start_many(stage: &Stage) -> anyhow::Result<Outcome> {
    stopped(stage, 199).await
}

async fn stopped(stage: &Stage, more: usize) -> anyhow::Result<Outcome> {
    let events = Events::flow(stage, stage.url(), stage.url(), Load::default()).await?;
    let passed = Arc::<AtomicUsize>::default();
    for n in 0..more {
        let counter = Arc::clone(&passed);
        let handler = move |_: Passed| {
            counter.fetch_add(1, Ordering::SeqCst);
            std::future::ready(())
        };
        let beside = BesideClient::new(events.listener()).passed();
        let listener = beside.listen(&format!("more-{n}"), handler).await?;
        stage.leaves(listener.queue());
        stage.leaves(format!("{}.dead", listener.queue()));
    }
    let mut outcome = Outcome::default();
    let buses = [events.publisher(), events.listener()];
    let logs = buses.map(HealthLog::of);
    stage.stop().await?;
    tokio::time::sleep(stage.seconds(2.0, 30.0)).await;
    stage.resume().await?;
    let began = Instant::now();
    for bus in buses {
        bus.ready().await?;
    }
    outcome.recovered(began.elapsed(), BACKOFF);
    outcome.recovered(events.flowing().await?, BACKOFF);
    logs.iter()
        .for_each(|log| log.check_connections(&mut outcome));
    logs[1].check_consumer(&mut outcome, events.queue());
    let beside = BesideEvents::new(events.publisher()).passed();
    beside.publish(Passed { n: 0 }).await?;
    let heard = "every listener hears an event";
    eventually(heard, async || passed.load(Ordering::SeqCst) == more).await?;
    events.finish(stage, outcome).await
}

/// Row 6: every connection is closed.
pub(super) async fn close_connections(stage: &Stage) -> anyhow::Result<Outcome> {
    let events = Events::flow(stage, stage.url(), stage.url(), Load::default()).await?;
    let mut outcome = Outcome::default();
    for _ in 0..3 {
        stage.close_connections().await?;
        outcome.recovered(events.flowing().await?, Duration::from_secs(1));
    }
    events.finish(stage, outcome).await
}

/// Row 15: the listener's queue is deleted. It is empty: what is in a queue is lost with it.
pub(super) async fn queue_deleted(stage: &Stage) -> anyhow::Result<Outcome> {
    let mut events = Events::flow(stage, stage.url(), stage.url(), Load::default()).await?;
    events.pause().await?;
    let foreign = stage.foreign().await?;
    let queue = events.queue().to_owned();
    // What was handled has to be acknowledged too, or it comes again.
    foreign.until(&queue, 0, 1).await?;
    let mut outcome = Outcome::default();
    let log = HealthLog::of(events.listener());
    stage.delete_queue(&queue).await?;
    let began = Instant::now();
    foreign.until(&queue, 0, 1).await?;
    outcome.recovered(began.elapsed(), Duration::from_secs(1));
    events.listener().ready().await?;
    log.check_consumer(&mut outcome, &queue);
    events.resume();
    outcome.recovered(events.flowing().await?, Duration::from_secs(1));
    events.finish(stage, outcome).await
}

/// Row 16: an exchange is deleted, again and again; another event's publishes share its channel.
pub(super) async fn exchange_deleted(stage: &Stage) -> anyhow::Result<Outcome> {
    let events = Events::flow(stage, stage.url(), stage.url(), Load::default()).await?;
    let foreign = stage.foreign().await?;
    let mut outcome = Outcome::default();
    let stop = CancellationToken::new();
    let mut beside = JoinSet::new();
    for _ in 0..4 {
        let (bus, stop) = (events.publisher().clone(), stop.clone());
        beside.spawn(async move {
            let passed = BesideEvents::new(&bus).passed();
            let mut errors = Vec::new();
            while !stop.is_cancelled() {
                errors.extend(passed.publish(Passed { n: 0 }).await.err());
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            errors
        });
    }
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        foreign.delete_exchange("lb.ev.faults_beside").await?;
        outcome.recovered(events.flowing().await?, Duration::from_secs(2));
    }
    stop.cancel();
    while let Some(publisher) = beside.join_next().await {
        let errors = publisher?;
        outcome.check(
            errors.is_empty(),
            format!("the exchange is declared again: {errors:.200?}"),
        );
    }
    let errors = events.ledger().errors();
    outcome.check(
        errors.is_empty(),
        format!("the others are published again: {errors:.200?}"),
    );
    events.finish(stage, outcome).await
}

/// Row 29: a queue of the listener's name exists, with other arguments.
pub(super) async fn mismatch(stage: &Stage) -> anyhow::Result<Outcome> {
    let taken = format!("lb.q.{}.taken", stage.app_name("listener"));
    stage.leaves(&taken);
    stage.leaves(format!("{taken}.dead"));
    stage.foreign().await?.declare_plain_queue(&taken).await?;
    let events = Events::flow(stage, stage.url(), stage.url(), Load::default()).await?;
    let mut outcome = Outcome::default();
    let happened = FaultsClient::new(events.listener()).happened();
    let error = happened.listen("taken", |_| async {}).await.err();
    let told = error.as_ref().map_or_else(String::new, Error::to_string);
    let typed = matches!(error, Some(Error::TopologyMismatch { .. }));
    outcome.check(typed, format!("{error:?} is a mismatch"));
    let shown = told.contains(&taken) && told.contains("inequivalent arg 'x-");
    outcome.check(shown, format!("{told} names the queue and the argument"));
    outcome.recovered(events.flowing().await?, Duration::from_secs(1));
    events.finish(stage, outcome).await
}

/// Row 30: the app's user loses its permissions while it is at work.
pub(super) async fn permissions(stage: &Stage) -> anyhow::Result<Outcome> {
    let node = stage.rabbitmq("its users are fixed when it starts")?;
    let _ = node.add_user("limited", "secret").await;
    node.set_permissions("limited", ["^lb\\.", "^lb\\.", "^lb\\."])
        .await?;
    let url = stage.url().replace("://", "://limited:secret@");
    let events = Events::flow(stage, url.clone(), url, Load::default()).await?;
    let mut outcome = Outcome::default();
    // It may still declare the exchange, and not publish to it.
    let denied = ["^lb\\.", "^lb\\.(q|dead|sys|ev\\.faults$)", "^lb\\."];
    node.set_permissions("limited", denied).await?;
    // The broker's channels remember for a while what was allowed.
    let bus = events.publisher();
    let mut error = None;
    let passed = BesideEvents::new(bus).passed();
    eventually("publishing is denied", async || {
        let publish = passed
            .publish(Passed { n: 0 })
            .timeout(Duration::from_secs(3));
        error = publish.await.err().map(|error| error.to_string());
        error.is_some()
    })
    .await?;
    let told = error.unwrap_or_default();
    let named = told.contains("lb.ev.faults_beside") && told.contains("permission");
    outcome.check(
        named,
        format!("{told} names the exchange and the permission"),
    );
    outcome.recovered(events.flowing().await?, Duration::from_secs(2));
    let errors = events.ledger().errors();
    outcome.check(
        errors.is_empty(),
        format!("other events are published: {errors:.200?}"),
    );
    node.set_permissions("limited", ["^lb\\.", "^lb\\.", "^lb\\."])
        .await?;
    events.finish(stage, outcome).await
}
