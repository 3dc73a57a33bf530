//! The same test on both brokers: on the one in the process, and, with `LIGHTBUS_TEST_URL` set, on a RabbitMQ.

use company_support_api::SupportApiClient;
use company_warranty_api::WarrantyApiClient;
use lightbus::testing::TestBus;

use crate::values::{ada_buys, covered};

#[lightbus::test(broker = "both")]
async fn a_sale_is_covered_and_has_a_reminder(bus: TestBus) -> anyhow::Result<()> {
    company_warranty::start(&bus.app("warranty").await?).await?;
    let (support, warranty) = (SupportApiClient::new(&bus), WarrantyApiClient::new(&bus));

    bus.simulate(ada_buys()).await?;

    bus.enqueued(support.remind("Ada", "A-1001"))
        .by("warranty")
        .once()
        .await;
    assert_eq!(warranty.coverage("A-1001").await?, covered());
    Ok(())
}
