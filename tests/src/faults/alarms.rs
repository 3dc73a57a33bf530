//! A broker that is low on memory, and takes no more.

use std::time::{Duration, Instant};

use super::events::{Events, Load, PUBLISH_TIMEOUT, SLACK};
use super::outcome::Outcome;
use super::stage::{BACKOFF, Stage};
use crate::eventually;

/// Handled one by one, more slowly than published: there is work left when the alarm begins.
const BACKLOG: Load = Load {
    bytes: 0,
    pause: Duration::from_millis(100),
    work: Duration::from_millis(20),
    concurrency: 1,
    prefetch: 4,
    fails: 0,
    lazy: false,
};

/// Row 13: publishers are blocked; handlers and acknowledgements go on.
pub(super) async fn publishers(stage: &Stage) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::default();
    let events = Events::flow(stage, stage.url(), stage.url(), BACKLOG).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let backlog = events.ledger().missing().len();
    outcome.check(
        backlog > 4,
        format!("{backlog} events wait for their handler, more than it has taken ahead"),
    );
    stage.alarm_on().await?;
    let began = Instant::now();
    // Four are taken ahead: more come only for acknowledgements.
    eventually("handlers go on during the alarm", async || {
        events.ledger().missing().is_empty()
    })
    .await?;
    let lasts = stage.seconds(0.0, 30.0).max(PUBLISH_TIMEOUT + SLACK);
    tokio::time::sleep(lasts.saturating_sub(began.elapsed())).await;
    // The first publish of the alarm began after it, and the machine is busy with it too: their sum has the slack of two.
    let late = began + PUBLISH_TIMEOUT + 2 * SLACK;
    let is_named = || {
        let errors = events.ledger().errors();
        errors
            .iter()
            .any(|error| error.contains("memory or disk alarm"))
    };
    while !is_named() && Instant::now() < late {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let errors = events.ledger().errors();
    outcome.check(
        is_named(),
        format!("publishes end by their deadline and name the alarm: {errors:.200?}"),
    );
    stage.alarm_off().await?;
    outcome.recovered(events.flowing().await?, BACKOFF);
    events.finish(stage, outcome).await
}

/// Row 14: apps are closed while publishers are blocked.
pub(super) async fn shutdown(stage: &Stage) -> anyhow::Result<Outcome> {
    let events = Events::flow(stage, stage.url(), stage.url(), Load::default()).await?;
    stage.alarm_on().await?;
    let blocked = "publishers are blocked";
    eventually(blocked, async || {
        let newest = events.ledger().newest();
        tokio::time::sleep(Duration::from_millis(200)).await;
        events.ledger().newest() == newest
    })
    .await?;
    let mut outcome = Outcome::default();
    let grace = Duration::from_secs(2);
    let began = Instant::now();
    events.publisher().close().await;
    outcome.recovered(began.elapsed(), grace + SLACK);
    let began = Instant::now();
    events.listener().close().await;
    outcome.recovered(began.elapsed(), grace + SLACK);
    stage.alarm_off().await?;
    // What was confirmed and not handled lies in the queue: nobody listens any more.
    let mut again = Events::flow(stage, stage.url(), stage.url(), Load::default()).await?;
    again.pause().await?;
    drop(again);
    Ok(outcome)
}
