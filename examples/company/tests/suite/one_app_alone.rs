//! One app, without its peers: the test says what they would say.

use company_spares_api::{Posted, SparesApiClient};
use company_support_api::{Help, SupportApiClient};
use company_warranty_api::WarrantyApiClient;
use lightbus::testing::TestBus;

use crate::values::{ada_buys, covered, promised, pump, pumps};

/// Warranty needs nobody: it hears of a sale, and covers the machine.
#[lightbus::test]
async fn warranty_covers_what_was_sold(bus: TestBus) -> anyhow::Result<()> {
    company_warranty::start(&bus.app("warranty").await?).await?;

    bus.simulate(ada_buys()).await?;
    bus.settled().await;

    let warranty = WarrantyApiClient::new(&bus);
    assert_eq!(warranty.coverage("A-1001").await?, covered());
    Ok(())
}

/// Support asks two others, and tells the world.
#[lightbus::test]
async fn support_sends_a_part(bus: TestBus) -> anyhow::Result<()> {
    company_support::start(&bus.app("support").await?).await?;
    let (warranty, spares) = (WarrantyApiClient::new(&bus), SparesApiClient::new(&bus));
    let posted = Posted { left: 0 };
    bus.stub(warranty.coverage("A-1001"))
        .returns(covered())
        .await?;
    bus.stub(spares.in_stock("pump")).returns(pumps(1)).await?;
    bus.stub(spares.send("pump", "Ada")).returns(posted).await?;

    let support = SupportApiClient::new(&bus);
    let help = support.help("Ada", "A-1001", "pump").await?;

    assert_eq!(help, Help::Free { part: pump() });
    bus.published(promised(true, "A-1001"))
        .by("support")
        .once()
        .await;
    Ok(())
}
