//! What failed for good.

use std::time::Duration;

use anyhow::Context;
use company_support_api::SupportApiClient;
use company_warranty_api::WarrantyApiClient;
use lightbus::testing::TestBus;

use crate::values::{ada_is_reminded, covered};

const HOUR: Duration = Duration::from_secs(3600);

/// Warranty is away for a day: the reminder lies in the dead letters, with its reason, until somebody replays it.
#[lightbus::test(virtual_time)]
async fn a_reminder_outlives_a_day_without_warranty(bus: TestBus) -> anyhow::Result<()> {
    let app = bus.app("support").await?;
    company_support::start(&app).await?;
    let (support, warranty) = (SupportApiClient::new(&bus), WarrantyApiClient::new(&bus));
    bus.simulate(support.remind("Ada", "A-1001")).await?;
    bus.advance(24 * HOUR).await;

    bus.enqueued(support.remind("Ada", "A-1001"))
        .retried(3)
        .dead_because("nobody serves `warranty`")
        .once()
        .await;
    let dead = app.dead_tasks("support")?;
    let letters = dead.list(10).await?;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].attempts, Some(4));

    bus.stub(warranty.coverage("A-1001"))
        .returns(covered())
        .await?;
    dead.replay(|_| true).await?;
    bus.published(ada_is_reminded()).once().await;
    Ok(())
}

/// The letter of such a reminder, printed as a test: `regressions.rs` keeps it, with the start of the program written in.
#[lightbus::test(virtual_time)]
async fn what_was_printed_is_kept(bus: TestBus) -> anyhow::Result<()> {
    let app = bus.app("support").await?;
    company_support::start(&app).await?;
    let support = SupportApiClient::new(&bus);
    bus.simulate(support.remind("Ada", "A-1001")).await?;
    bus.advance(24 * HOUR).await;

    bus.enqueued(support.remind("Ada", "A-1001")).dead().await;
    let letters = app.dead_tasks("support")?.list(1).await?;
    let printed = letters[0].to_test();
    println!("{printed}");

    let kept = code(include_str!("regressions.rs"));
    let start = "    // Start the program under test here";
    let (before, after) = printed.split_once(start).context("its start")?;
    let (_, after) = after.split_once('\n').context("its message")?;
    assert!(kept.contains(&code(before)), "{printed}");
    assert!(kept.ends_with(&code(after)), "{printed}");
    Ok(())
}

/// Without what is said of it: ids, times and hosts are others each time. Nor do spaces matter.
fn code(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.starts_with("//"));
    lines.flat_map(str::split_whitespace).collect()
}
