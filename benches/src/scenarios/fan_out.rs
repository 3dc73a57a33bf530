//! Fan-out: every event goes to each of so many listeners while more are published.

use std::time::Duration;

use anyhow::{Result, bail};

use super::{Cell, PATIENCE, SMALL, Sample, WINDOW, each};
use crate::contestants::{Plan, WARM_UP};
use crate::meter::per_second;
use crate::side::{Report, Role, Side};

pub(super) async fn measure(cell: &Cell<'_>, listeners: usize, deliveries: u64) -> Result<Sample> {
    let messages = deliveries.div_ceil(listeners as u64);
    let deliveries = messages * listeners as u64;
    let plan = Plan {
        messages,
        within: None,
        window: WINDOW,
    };
    let expected = deliveries + WARM_UP.messages * listeners as u64;
    let mut listening = Side::start(&cell.assignment(
        SMALL,
        Role::Listen {
            listeners,
            expected,
        },
    ))
    .await?;
    listening.go().await?;
    let Report::Listening = listening.report(PATIENCE).await? else {
        bail!("the listeners do not listen")
    };
    let mut publisher = Side::start(&cell.assignment(SMALL, Role::Publish(plan))).await?;
    publisher.go().await?;

    let published = publisher.report(PATIENCE).await?;
    let Report::Published {
        events,
        started_us,
        cpu_us: publishing_us,
        ..
    } = published
    else {
        bail!("the publisher said {published:?}")
    };
    let handled = listening.report(PATIENCE).await?;
    let Report::Handled {
        last_us,
        cpu_listening_us,
        ..
    } = handled
    else {
        bail!("the listeners said {handled:?}")
    };
    publisher.finish().await?;
    listening.finish().await?;
    Ok(Sample {
        // From the first publish to the last delivery.
        per_second: per_second(
            deliveries,
            Duration::from_micros(last_us.saturating_sub(started_us)),
        ),
        p50_us: None,
        p99_us: None,
        client_cpu_us: each(publishing_us, events),
        server_cpu_us: each(cpu_listening_us, deliveries),
    })
}
