//! Real apps together, as many as matter: here all four, in one process.

use company_sales_api::SalesApiClient;
use company_spares_api::{PartRanOut, SparesApiClient};
use company_support_api::{Help, RepairPromised, SupportApiClient};
use company_warranty_api::ModelRecalled;
use lightbus::testing::TestBus;

fn pump() -> String {
    "pump".to_owned()
}

/// The company's day, in one test: two customers, one pump.
#[lightbus::test]
async fn the_second_broken_pump_is_one_too_many(bus: TestBus) -> anyhow::Result<()> {
    company_sales::start(&bus.app("sales").await?).await?;
    company_spares::start(&bus.app("spares").await?).await?;
    company_support::start(&bus.app("support").await?).await?;
    company_warranty::start(&bus.app("warranty").await?).await?;
    let (sales, spares) = (SalesApiClient::new(&bus), SparesApiClient::new(&bus));
    let support = SupportApiClient::new(&bus);

    let ada = sales.order("Ada", "Aurora", false).await?;
    let grace = sales.order("Grace", "Aurora", false).await?;
    bus.settled().await;
    assert_eq!(
        support.help("Ada", &ada.serial, "pump").await?,
        Help::Free { part: pump() }
    );
    bus.published(PartRanOut { part: pump() })
        .by("spares")
        .once()
        .await;
    assert_eq!(
        support.help("Grace", &grace.serial, "pump").await?,
        Help::Waiting { part: pump() }
    );

    spares.deliver("pump", 10).await?;

    bus.called(spares.send("pump", "Grace"))
        .by("support")
        .once()
        .await;
    let promise = RepairPromised {
        free: true,
        serial: grace.serial,
        part: pump(),
    };
    bus.published(promise).once().await;
    bus.published(ModelRecalled {
        model: "Aurora".to_owned(),
        part: pump(),
    })
    .by("warranty")
    .once()
    .await;
    assert!(sales.order("Edsger", "Aurora", false).await.is_err());
    Ok(())
}
