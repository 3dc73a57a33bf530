//! What operators do to a broker.

use std::time::{Duration, Instant};

use lightbus::Error;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::api::{BesideEvents, FaultsClient, Passed};
use super::events::{Events, Load};
use super::outcome::Outcome;
use super::stage::{BACKOFF, Stage};
use crate::eventually;

/// Row 5: the broker is stopped and started.
pub(super) async fn stop_and_start(stage: &Stage) -> anyhow::Result<Outcome> {
    let events = Events::flow(stage, stage.url(), stage.url(), Load::default()).await?;
    let mut outcome = Outcome::default();
    stage.stop().await?;
    tokio::time::sleep(stage.seconds(2.0, 30.0)).await;
    stage.resume().await?;
    outcome.recovered(events.flowing().await?, BACKOFF);
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
    stage.delete_queue(&queue).await?;
    let began = Instant::now();
    foreign.until(&queue, 0, 1).await?;
    outcome.recovered(began.elapsed(), Duration::from_secs(1));
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
