//! Calls: a client that keeps so many in flight, and a server that sends back what it got.

use std::time::Duration;

use anyhow::{Result, bail};

use super::{Cell, PATIENCE, Sample, each};
use crate::side::{Report, Role, Side};

pub(super) async fn measure(cell: &Cell<'_>, in_flight: usize, size: usize) -> Result<Sample> {
    let measured = cell.options.duration();
    let warm_up = (measured / 4).max(Duration::from_millis(100));
    let mut server = Side::start(&cell.assignment(size, Role::Serve)).await?;
    let mut client = Side::start(&cell.assignment(
        size,
        Role::Call {
            in_flight,
            warm_up,
            measured,
        },
    ))
    .await?;

    client.go().await?;
    let Report::Started = client.report(PATIENCE).await? else {
        bail!("the caller did not start")
    };
    let before = server.mark().await?;
    let called = client.report(measured + PATIENCE).await?;
    let after = server.mark().await?;
    let Report::Called {
        per_second,
        calls,
        cpu_us,
        p50_us,
        p99_us,
    } = called
    else {
        bail!("the caller did not call")
    };

    client.finish().await?;
    server.finish().await?;
    Ok(Sample {
        per_second,
        p50_us: Some(p50_us),
        p99_us: Some(p99_us),
        client_cpu_us: each(cpu_us, calls),
        server_cpu_us: each(after.0 - before.0, after.1 - before.1),
    })
}
