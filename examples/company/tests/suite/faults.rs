//! What goes wrong in production, on demand.

use company_sales_api::{OrderError, SalesApiClient};
use company_support_api::{SupportApiClient, SupportError};
use lightbus::CallError;
use lightbus::testing::TestBus;

use crate::values::{ada_buys, aurora_is_recalled, promised};

/// A peer that does not run is an error in milliseconds, not a timeout.
#[lightbus::test(broker = "embedded")]
async fn warranty_is_away(bus: TestBus) -> anyhow::Result<()> {
    company_support::start(&bus.app("support").await?).await?;
    let support = SupportApiClient::new(&bus);

    let help = support.help("Ada", "A-1001", "pump").await;

    let Err(CallError::Domain(SupportError::CallAgain { reason })) = help else {
        anyhow::bail!("{help:?}");
    };
    assert!(reason.contains("warranty"), "{reason}");
    Ok(())
}

/// The broker refuses the announcement: then nothing is sold.
#[lightbus::test(broker = "embedded")]
async fn what_cannot_be_announced_is_not_sold(bus: TestBus) -> anyhow::Result<()> {
    company_sales::start(&bus.app("sales").await?).await?;
    let sales = SalesApiClient::new(&bus);

    bus.faults().fail_publishes(1);
    let order = sales.order("Ada", "Aurora", false).await;

    let Err(CallError::Domain(OrderError::TryLater { reason })) = order else {
        anyhow::bail!("{order:?}");
    };
    assert!(reason.contains("refused by the broker"), "{reason}");
    Ok(())
}

/// Connections come back by themselves, and what was sent meanwhile arrives.
#[lightbus::test(broker = "embedded")]
async fn a_sale_arrives_though_the_connections_are_cut(bus: TestBus) -> anyhow::Result<()> {
    company_warranty::start(&bus.app("warranty").await?).await?;
    let support = SupportApiClient::new(&bus);

    bus.faults().cut_all();
    bus.simulate(ada_buys()).await?;

    bus.enqueued(support.remind("Ada", "A-1001")).await;
    Ok(())
}

/// So does the broker, with all that it had stored.
#[lightbus::test(broker = "embedded")]
async fn a_sale_outlives_the_broker(bus: TestBus) -> anyhow::Result<()> {
    company_warranty::start(&bus.app("warranty").await?).await?;
    let support = SupportApiClient::new(&bus);

    bus.simulate(ada_buys()).await?;
    bus.faults().restart();

    bus.enqueued(support.remind("Ada", "A-1001")).await;
    Ok(())
}

/// Messages are delivered at least once: a repair that is heard of twice is one repair, and no reason to recall the model.
#[lightbus::test(broker = "embedded")]
async fn a_repair_that_is_heard_of_twice_counts_once(bus: TestBus) -> anyhow::Result<()> {
    company_warranty::start(&bus.app("warranty").await?).await?;
    bus.simulate(ada_buys()).await?;
    bus.settled().await;

    // The next delivery comes again, as after an acknowledgement that got lost.
    bus.faults().duplicate_deliveries(1);
    bus.simulate(promised(true, "A-1001")).await?;
    bus.published(aurora_is_recalled()).never().await;

    // The second repair is one too many.
    bus.simulate(promised(true, "A-1001")).await?;
    bus.published(aurora_is_recalled()).once().await;
    Ok(())
}
