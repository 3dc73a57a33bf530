//! What became of a message: who handled it, and what a call was told.

use company_sales_api::SalesApiClient;
use company_spares_api::PartRanOut;
use company_support_api::SupportApiClient;
use company_warranty_api::{WarrantyApiClient, WarrantyError};
use lightbus::testing::TestBus;

use crate::several_apps::open;
use crate::values::{ada_buys, covered, pump};

/// A new machine is everybody's business, but not support's.
#[lightbus::test]
async fn warranty_and_spares_hear_of_a_sale(bus: TestBus) -> anyhow::Result<()> {
    open(&bus).await?;

    bus.simulate(ada_buys()).await?;

    bus.published(ada_buys()).handled_by("warranty").await;
    bus.published(ada_buys()).handled_by("spares").await;
    bus.published(ada_buys())
        .handled_by("support")
        .never()
        .await;
    Ok(())
}

/// Whatever the real warranty says, it says to support.
#[lightbus::test]
async fn support_is_told_who_is_covered(bus: TestBus) -> anyhow::Result<()> {
    open(&bus).await?;
    let (sales, support) = (SalesApiClient::new(&bus), SupportApiClient::new(&bus));
    let warranty = WarrantyApiClient::new(&bus);
    sales.order("Ada", "Aurora", false).await?;
    bus.published(ada_buys()).handled_by("warranty").await;

    support.help("Ada", "A-1001", "pump").await?;
    // It was the last one: Linus is to be put on the list.
    bus.published(PartRanOut { part: pump() })
        .handled_by("support")
        .await;
    support.help("Linus", "R-1003", "pump").await?;

    bus.called(warranty.coverage("A-1001"))
        .by("support")
        .returned(covered())
        .once()
        .await;
    let serial = "R-1003".to_owned();
    bus.called(warranty.coverage("R-1003"))
        .by("support")
        .failed(WarrantyError::NotCovered { serial })
        .once()
        .await;
    Ok(())
}
