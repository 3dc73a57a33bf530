//! In which order, and that there is nothing else.

use company_spares_api::{Posted, SparesApiClient};
use company_support_api::SupportApiClient;
use company_warranty_api::WarrantyApiClient;
use lightbus::testing::TestBus;

use crate::values::{covered, promised, pumps};

/// Nothing is promised that is not in the post.
#[lightbus::test]
async fn a_part_is_posted_before_it_is_promised(bus: TestBus) -> anyhow::Result<()> {
    company_support::start(&bus.app("support").await?).await?;
    let (warranty, spares) = (WarrantyApiClient::new(&bus), SparesApiClient::new(&bus));
    let posted = Posted { left: 0 };
    bus.stub(warranty.coverage("A-1001"))
        .returns(covered())
        .await?;
    bus.stub(spares.in_stock("pump")).returns(pumps(1)).await?;
    bus.stub(spares.send("pump", "Ada")).returns(posted).await?;

    let support = SupportApiClient::new(&bus);
    support.help("Ada", "A-1001", "pump").await?;

    bus.called(warranty.coverage("A-1001"))
        .then(bus.called(spares.in_stock("pump")))
        .then(bus.called(spares.send("pump", "Ada")))
        .then(bus.published(promised(true, "A-1001")).once())
        .await;
    bus.nothing_else().await;
    Ok(())
}
