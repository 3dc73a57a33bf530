//! Connections that are reset, again and again.

use std::time::Duration;

use super::events::{Events, Load, PUBLISHERS};
use super::outcome::Outcome;
use super::stage::{Pace, Stage};
use crate::proxy::Proxy;

/// After a short loss an app is back at once.
const RECOVERY: Duration = Duration::from_secs(2);

/// Row 1: the publisher's connections are cut.
pub(super) async fn publisher(stage: &Stage) -> anyhow::Result<Outcome> {
    let proxy = stage.proxy().await?;
    let events = Events::flow(stage, proxy.url(), stage.url(), Load::default()).await?;
    let mut outcome = Outcome::default();
    let cuts = cut_again_and_again(stage, &proxy).await;
    outcome.recovered(events.flowing().await?, RECOVERY);
    let errors = events.ledger().errors();
    outcome.check(
        errors.is_empty(),
        format!("every publish is Ok: {errors:.200?}"),
    );
    let outcome = events.finish(stage, outcome).await?;
    duplicates_within(outcome, PUBLISHERS * cuts)
}

/// Row 2: the listener's connections are cut.
pub(super) async fn listener(stage: &Stage) -> anyhow::Result<Outcome> {
    let proxy = stage.proxy().await?;
    let events = Events::flow(stage, stage.url(), proxy.url(), Load::default()).await?;
    let mut outcome = Outcome::default();
    cut_again_and_again(stage, &proxy).await;
    outcome.recovered(events.flowing().await?, RECOVERY);
    let errors = events.ledger().errors();
    outcome.check(
        errors.is_empty(),
        format!("every publish is Ok: {errors:.200?}"),
    );
    events.finish(stage, outcome).await
}

/// Says how many times.
async fn cut_again_and_again(stage: &Stage, proxy: &Proxy) -> usize {
    let cuts = match stage.pace() {
        Pace::Quick => 8,
        Pace::Usual => 20,
        Pace::Full => 60,
    };
    for _ in 0..cuts {
        tokio::time::sleep(stage.seconds(0.5, 1.0)).await;
        proxy.cut();
    }
    cuts
}

/// What was under way at a cut may be there twice, nothing else.
fn duplicates_within(mut outcome: Outcome, most: usize) -> anyhow::Result<Outcome> {
    let duplicated = outcome.duplicated;
    outcome.check(duplicated <= most, format!("at most {most} duplicates"));
    Ok(outcome)
}
