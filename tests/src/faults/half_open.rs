//! Connections whose other end is gone without a word.

use std::time::{Duration, Instant};

use super::calls;
use super::events::{Events, Load, SLACK};
use super::health::HealthLog;
use super::outcome::{Outcome, Seconds};
use super::stage::{BACKOFF, HEARTBEAT, Stage};
use crate::eventually;
use crate::proxy::{Mode, Proxy};

/// Beyond the heartbeats: either side looks each half of one.
const NOTICE: Duration = Duration::from_secs(1);

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
    let logs = fault(stage, &proxy, &events, mode, detection, &mut outcome).await?;
    proxy.set(Mode::Pass);
    recovered(&events, &logs, &mut outcome).await?;
    events.finish(stage, outcome).await
}

/// Row 9: everything is taken and nothing handed on; later the connections are reset.
pub(super) async fn blackhole(stage: &Stage) -> anyhow::Result<Outcome> {
    let proxy = stage.proxy().await?;
    let events = Events::flow(stage, proxy.url(), proxy.url(), Load::default()).await?;
    let mut outcome = Outcome::default();
    let (mode, detection) = (Mode::Blackhole, HEARTBEAT * 2 + NOTICE);
    let logs = fault(stage, &proxy, &events, mode, detection, &mut outcome).await?;
    proxy.cut();
    proxy.set(Mode::Pass);
    recovered(&events, &logs, &mut outcome).await?;
    events.finish(stage, outcome).await
}

/// Both apps are ready by their own measure, and events flow.
async fn recovered(
    events: &Events,
    logs: &[HealthLog],
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    let began = Instant::now();
    for bus in [events.publisher(), events.listener()] {
        bus.ready().await?;
    }
    events.flowing().await?;
    outcome.recovered(began.elapsed(), BACKOFF);
    for log in logs {
        log.check_connections(outcome);
    }
    Ok(())
}

/// Every app has to notice, and a call that is under way has to end. What the apps of the events tell from then on is returned.
async fn fault(
    stage: &Stage,
    proxy: &Proxy,
    events: &Events,
    mode: Mode,
    detection: Duration,
    outcome: &mut Outcome,
) -> anyhow::Result<Vec<HealthLog>> {
    let provider = calls::Provider::start(stage, "provider", stage.url()).await?;
    let caller = stage.app("caller", proxy.url()).connect().await?;
    calls::answered(&caller).await?;
    let buses = [events.publisher(), events.listener(), &caller];
    let mut logs: Vec<_> = buses.into_iter().map(HealthLog::of).collect();
    let began = Instant::now();
    proxy.set(mode);
    let call = tokio::spawn(calls::timed(caller.clone(), Duration::from_secs(3)));
    let noticed = "every connection is known to be lost";
    eventually(noticed, async || logs.iter().all(HealthLog::lost_both)).await?;
    outcome.in_time("noticing", began.elapsed(), detection);
    outcome.note(format!("noticed after {}", Seconds(began.elapsed())));
    let took = call.await??;
    outcome.in_time("a call of 3 s", took, Duration::from_secs(3) + SLACK);
    let lasts = stage.seconds(6.0, 60.0);
    tokio::time::sleep(lasts.saturating_sub(began.elapsed())).await;
    provider.close().await;
    caller.close().await;
    logs.pop();
    Ok(logs)
}
