//! A broker that ends with `kill -9`.

use super::events::{Events, Load};
use super::outcome::Outcome;
use super::stage::{BACKOFF, Pace, Stage};

/// Row 3: the broker is killed while events flow, three times.
pub(super) async fn events(stage: &Stage) -> anyhow::Result<Outcome> {
    stage.rabbitmq("it lives in this process, and in memory")?;
    let events = Events::flow(stage, stage.url(), stage.url(), Load::default()).await?;
    let mut outcome = Outcome::default();
    let kills = if stage.pace() == Pace::Quick { 1 } else { 3 };
    for _ in 0..kills {
        tokio::time::sleep(stage.seconds(1.0, 10.0)).await;
        stage.kill().await?;
        stage.restart().await?;
        outcome.recovered(events.flowing().await?, BACKOFF);
    }
    events.finish(stage, outcome).await
}
