//! What goes wrong in production, on demand.

use company_sales_api::{OrderError, SalesApiClient};
use company_support_api::{RepairPromised, SupportApiClient, SupportError};
use company_warranty_api::{ModelRecalled, WarrantyApiClient};
use lightbus::CallError;
use lightbus::testing::TestBus;

use crate::{ada_buys, covered};

/// A peer that does not run is an error in milliseconds, not a timeout.
#[lightbus::test]
async fn warranty_is_away(bus: TestBus) -> anyhow::Result<()> {
    company_support::start(&bus.app("support").await?).await?;

    let help = SupportApiClient::new(&bus)
        .help("Ada", "A-1001", "pump")
        .await;

    assert!(
        matches!(help, Err(CallError::Domain(SupportError::CallAgain { .. }))),
        "{help:?}"
    );
    Ok(())
}

/// The broker refuses what sales would announce: then nothing was sold.
#[lightbus::test]
async fn what_cannot_be_announced_is_not_sold(bus: TestBus) -> anyhow::Result<()> {
    company_sales::start(&bus.app("sales").await?).await?;
    bus.faults().fail_publishes(1000);

    let order = SalesApiClient::new(&bus)
        .order("Ada", "Aurora", false)
        .await;

    assert!(
        matches!(order, Err(CallError::Domain(OrderError::TryLater { .. }))),
        "{order:?}"
    );
    println!("{}", bus.story());
    Ok(())
}

/// Connections come back by themselves, and what was sent meanwhile arrives.
#[lightbus::test]
async fn warranty_loses_its_connections(bus: TestBus) -> anyhow::Result<()> {
    company_warranty::start(&bus.app("warranty").await?).await?;

    bus.faults().cut_all();
    bus.simulate(ada_buys()).await?;

    bus.enqueued(SupportApiClient::new(&bus).remind("Ada", "A-1001"))
        .await;
    assert_eq!(
        WarrantyApiClient::new(&bus).coverage("A-1001").await?,
        covered()
    );
    Ok(())
}

/// So does the broker.
#[lightbus::test]
async fn the_broker_is_restarted(bus: TestBus) -> anyhow::Result<()> {
    company_warranty::start(&bus.app("warranty").await?).await?;

    bus.faults().restart();
    bus.simulate(ada_buys()).await?;

    bus.enqueued(SupportApiClient::new(&bus).remind("Ada", "A-1001"))
        .await;
    Ok(())
}

/// The bus delivers at least once: a repair that is heard of twice is one repair, and no reason to recall the model.
#[lightbus::test]
async fn a_repair_that_is_heard_of_twice_counts_once(bus: TestBus) -> anyhow::Result<()> {
    company_warranty::start(&bus.app("warranty").await?).await?;
    let part = "pump".to_owned();
    let promise = RepairPromised {
        free: true,
        serial: "A-1001".to_owned(),
        part: part.clone(),
    };

    bus.simulate(ada_buys()).await?;
    bus.settled().await;

    // The next delivery comes again, as after an acknowledgement that got lost.
    bus.faults().duplicate_deliveries(1);
    bus.simulate(promise).await?;

    bus.published(ModelRecalled {
        model: "Aurora".to_owned(),
        part,
    })
    .never()
    .await;
    println!("{}", bus.story());
    Ok(())
}
