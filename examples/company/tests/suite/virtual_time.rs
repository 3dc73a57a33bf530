//! Hours and months, in milliseconds.

use std::time::Duration;

use company_spares_api::{PartArrived, PartRanOut, Posted, SparesApiClient};
use company_support_api::{CustomerReminded, Help, SupportApiClient};
use company_warranty_api::WarrantyApiClient;
use lightbus::testing::TestBus;

use crate::{ada_buys, covered};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Three months after a sale the customer gets a letter; not the day before.
#[tokio::test]
async fn a_machine_is_to_be_descaled_after_three_months() -> anyhow::Result<()> {
    let bus = TestBus::with_virtual_time().await?;
    company_warranty::start(&bus.app("warranty").await?).await?;
    company_support::start(&bus.app("support").await?).await?;
    let letter = || CustomerReminded {
        customer: "Ada".to_owned(),
        serial: "A-1001".to_owned(),
    };

    bus.simulate(ada_buys()).await?;

    bus.advance(89 * DAY).await;
    bus.published(letter()).never().await;
    bus.advance(DAY).await;
    bus.published(letter()).by("support").once().await;
    Ok(())
}

/// Pumps arrive while the shelf does not answer. Who waits for one is not forgotten: support tries again.
#[tokio::test]
async fn who_waits_for_a_pump_gets_it_in_the_end() -> anyhow::Result<()> {
    let bus = TestBus::with_virtual_time().await?;
    company_support::start(&bus.app("support").await?).await?;
    let (warranty, spares) = (WarrantyApiClient::new(&bus), SparesApiClient::new(&bus));
    bus.stub(warranty.coverage("A-1001"))
        .returns(covered())
        .await?;
    let part = "pump".to_owned();
    bus.simulate(PartRanOut { part: part.clone() }).await?;
    bus.settled().await;
    let help = SupportApiClient::new(&bus)
        .help("Ada", "A-1001", "pump")
        .await?;
    assert_eq!(help, Help::Waiting { part: part.clone() });

    // Nobody serves `spares` yet.
    bus.simulate(PartArrived { part, count: 10 }).await?;
    bus.settled().await;
    bus.stub(spares.send("pump", "Ada"))
        .returns(Posted { left: 9 })
        .await?;
    bus.advance(Duration::from_secs(60)).await;

    bus.called(spares.send("pump", "Ada")).times(2).await;
    Ok(())
}
