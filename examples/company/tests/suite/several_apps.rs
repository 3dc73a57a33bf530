//! Real apps together, as many as matter: here all four, in one process.

use company_sales_api::SalesApiClient;
use company_spares_api::{PartRanOut, SparesApiClient};
use company_support_api::{Help, SupportApiClient};
use lightbus::testing::TestBus;

use crate::values::{aurora_is_recalled, promised, pump};

pub(crate) async fn open(bus: &TestBus) -> anyhow::Result<()> {
    company_sales::start(&bus.app("sales").await?).await?;
    company_spares::start(&bus.app("spares").await?).await?;
    company_support::start(&bus.app("support").await?).await?;
    company_warranty::start(&bus.app("warranty").await?).await
}

/// Two customers, one pump: the company's day in one test.
#[lightbus::test]
async fn the_second_broken_pump_is_one_too_many(bus: TestBus) -> anyhow::Result<()> {
    open(&bus).await?;
    let (sales, spares) = (SalesApiClient::new(&bus), SparesApiClient::new(&bus));
    let support = SupportApiClient::new(&bus);
    let ada = sales.order("Ada", "Aurora", false).await?.serial;
    let grace = sales.order("Grace", "Aurora", false).await?.serial;
    bus.settled().await;

    let help = support.help("Ada", &ada, "pump").await?;
    assert_eq!(help, Help::Free { part: pump() });
    bus.published(PartRanOut { part: pump() }).once().await;
    let help = support.help("Grace", &grace, "pump").await?;
    assert_eq!(help, Help::Waiting { part: pump() });

    spares.deliver("pump", 10).await?;
    bus.called(spares.send("pump", "Grace"))
        .by("support")
        .once()
        .await;
    bus.published(promised(true, &grace)).once().await;
    bus.published(aurora_is_recalled())
        .by("warranty")
        .once()
        .await;
    assert!(sales.order("Edsger", "Aurora", false).await.is_err());
    Ok(())
}
