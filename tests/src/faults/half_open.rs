//! Connections whose other end is gone without a word.

use std::time::{Duration, Instant};

use super::calls;
use super::events::{Events, Load, SLACK};
use super::outcome::{Outcome, Seconds};
use super::stage::{BACKOFF, HEARTBEAT, Stage};
use crate::eventually;
use crate::proxy::{Mode, Proxy};

/// Beyond the heartbeats: lapin looks each half of one, and what is seen from here is the next attempt to connect.
const NOTICE: Duration = Duration::from_millis(1500);

/// Row 7: nothing gets through, either way.
pub(super) async fn both_ways(stage: &Stage) -> anyhow::Result<Outcome> {
    stalled(stage, Mode::Stall, HEARTBEAT * 2 + NOTICE).await
}

/// Row 8: nothing gets through from the broker.
pub(super) async fn to_client(stage: &Stage) -> anyhow::Result<Outcome> {
    stalled(stage, Mode::StallToClient, HEARTBEAT * 3 + NOTICE).await
}

/// Row 8: nothing gets through to the broker.
pub(super) async fn to_broker(stage: &Stage) -> anyhow::Result<Outcome> {
    stalled(stage, Mode::StallToBroker, HEARTBEAT * 3 + NOTICE).await
}

async fn stalled(stage: &Stage, mode: Mode, detection: Duration) -> anyhow::Result<Outcome> {
    let proxy = stage.proxy().await?;
    let events = Events::flow(stage, proxy.url(), proxy.url(), Load::default()).await?;
    let mut outcome = Outcome::default();
    fault(stage, &proxy, mode, detection, &mut outcome).await?;
    proxy.set(Mode::Pass);
    outcome.recovered(events.flowing().await?, BACKOFF);
    events.finish(stage, outcome).await
}

/// Row 9: everything is taken and nothing handed on; later the connections are reset.
pub(super) async fn blackhole(stage: &Stage) -> anyhow::Result<Outcome> {
    let proxy = stage.proxy().await?;
    let events = Events::flow(stage, proxy.url(), proxy.url(), Load::default()).await?;
    let mut outcome = Outcome::default();
    let detection = HEARTBEAT * 2 + NOTICE;
    fault(stage, &proxy, Mode::Blackhole, detection, &mut outcome).await?;
    proxy.cut();
    proxy.set(Mode::Pass);
    outcome.recovered(events.flowing().await?, BACKOFF);
    events.finish(stage, outcome).await
}

/// Both apps have to notice, and a call that is under way has to end.
async fn fault(
    stage: &Stage,
    proxy: &Proxy,
    mode: Mode,
    detection: Duration,
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    let provider = calls::Provider::start(stage, "provider", stage.url()).await?;
    let caller = stage.app("caller", proxy.url()).connect().await?;
    calls::answered(&caller).await?;
    let connections = proxy.connections();
    let began = Instant::now();
    proxy.set(mode);
    let call = tokio::spawn(calls::timed(caller.clone(), Duration::from_secs(3)));
    // Each connection is followed by an attempt at the next one.
    let noticed = "every connection was given up";
    eventually(noticed, async || proxy.connections() >= 2 * connections).await?;
    outcome.in_time("noticing", began.elapsed(), detection);
    outcome.note(format!("noticed after {}", Seconds(began.elapsed())));
    let took = call.await??;
    outcome.in_time("a call of 3 s", took, Duration::from_secs(3) + SLACK);
    let lasts = stage.seconds(6.0, 60.0);
    tokio::time::sleep(lasts.saturating_sub(began.elapsed())).await;
    provider.close().await;
    caller.close().await;
    Ok(())
}
