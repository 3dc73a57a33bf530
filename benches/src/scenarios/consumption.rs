//! Consumption: a listener comes back to a full queue.

use std::time::Duration;

use anyhow::{Result, bail, ensure};

use super::publishing::{declare_listener, publish};
use super::{Cell, PATIENCE, SMALL, Sample, WINDOW, each};
use crate::contestants::{Plan, WARM_UP};
use crate::meter::per_second;
use crate::side::{Report, Role, Side};

pub(super) async fn measure(cell: &Cell<'_>, messages: u64) -> Result<Sample> {
    declare_listener(cell, SMALL).await?;
    let (filled, ..) = publish(
        cell,
        SMALL,
        Plan {
            messages,
            within: None,
            window: WINDOW,
        },
    )
    .await?;
    ensure!(
        filled == messages,
        "{filled} of {messages} events were confirmed"
    );

    let messages = messages + WARM_UP.messages;
    let mut listener = Side::start(&cell.assignment(
        SMALL,
        Role::Listen {
            listeners: 1,
            expected: messages,
        },
    ))
    .await?;
    listener.go().await?;
    let Report::Listening = listener.report(PATIENCE).await? else {
        bail!("the listener does not listen")
    };
    let handled = listener.report(PATIENCE).await?;
    let Report::Handled {
        first_us,
        last_us,
        cpu_us,
        ..
    } = handled
    else {
        bail!("the listener said {handled:?}")
    };
    listener.finish().await?;
    Ok(Sample {
        per_second: per_second(
            messages,
            Duration::from_micros(last_us.saturating_sub(first_us)),
        ),
        p50_us: None,
        p99_us: None,
        client_cpu_us: None,
        server_cpu_us: each(cpu_us, messages),
    })
}
