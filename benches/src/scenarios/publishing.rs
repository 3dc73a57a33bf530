//! Confirmed publishing: into the durable queue of a listener that is away.

use anyhow::{Result, bail};

use super::{Cell, PATIENCE, Sample, each};
use crate::contestants::Plan;
use crate::meter::per_second;
use crate::side::{Report, Role, Side};

/// More bytes than this would only measure the disk.
const LIMIT: u64 = 300_000_000;

pub(super) async fn measure(cell: &Cell<'_>, size: usize, window: usize) -> Result<Sample> {
    declare_listener(cell, size).await?;
    let plan = Plan {
        messages: LIMIT / size as u64,
        within: Some(cell.options.duration()),
        window,
    };
    let (events, elapsed, cpu_us) = publish(cell, size, plan).await?;
    Ok(Sample {
        per_second: per_second(events, elapsed),
        p50_us: None,
        p99_us: None,
        client_cpu_us: each(cpu_us, events),
        server_cpu_us: None,
    })
}

/// Lets a listener declare its queue and go: what is published from now on is kept for it.
pub(super) async fn declare_listener(cell: &Cell<'_>, size: usize) -> Result<()> {
    let mut listener = Side::start(&cell.assignment(
        size,
        Role::Listen {
            listeners: 1,
            expected: 0,
        },
    ))
    .await?;
    listener.go().await?;
    let Report::Listening = listener.report(PATIENCE).await? else {
        bail!("the listener does not listen")
    };
    listener.finish().await
}

/// Publishes; returns the number of events, the time and the processor time.
pub(super) async fn publish(
    cell: &Cell<'_>,
    size: usize,
    plan: Plan,
) -> Result<(u64, std::time::Duration, u64)> {
    let mut publisher = Side::start(&cell.assignment(size, Role::Publish(plan))).await?;
    publisher.go().await?;
    let published = publisher
        .report(plan.within.unwrap_or_default() + PATIENCE)
        .await?;
    publisher.finish().await?;
    match published {
        Report::Published {
            events,
            elapsed,
            cpu_us,
            ..
        } => Ok((events, elapsed, cpu_us)),
        other => bail!("the publisher said {other:?}"),
    }
}
