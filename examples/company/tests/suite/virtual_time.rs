//! Hours and months, in milliseconds.

use std::time::Duration;

use company_sales_api::{DayClosed, SalesApiClient};
use company_spares_api::{PartArrived, PartRanOut, Posted, SparesApiClient};
use company_support_api::{Help, SupportApiClient};
use company_warranty_api::WarrantyApiClient;
use lightbus::testing::TestBus;

use crate::values::{ada_buys, ada_is_reminded, covered, pump};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Three months after a sale the customer gets a letter; not the day before.
#[lightbus::test(virtual_time)]
async fn a_machine_is_to_be_descaled_after_three_months(bus: TestBus) -> anyhow::Result<()> {
    company_warranty::start(&bus.app("warranty").await?).await?;
    company_support::start(&bus.app("support").await?).await?;

    bus.simulate(ada_buys()).await?;

    bus.advance(89 * DAY).await;
    bus.published(ada_is_reminded()).never().await;
    bus.advance(DAY).await;
    bus.published(ada_is_reminded()).by("support").once().await;
    Ok(())
}

/// Pumps arrive while the shelf does not answer. Who waits for one is not forgotten: support tries again.
#[lightbus::test(virtual_time)]
async fn who_waits_for_a_pump_gets_it_in_the_end(bus: TestBus) -> anyhow::Result<()> {
    company_support::start(&bus.app("support").await?).await?;
    let (warranty, spares) = (WarrantyApiClient::new(&bus), SparesApiClient::new(&bus));
    bus.stub(warranty.coverage("A-1001"))
        .returns(covered())
        .await?;
    bus.simulate(PartRanOut { part: pump() }).await?;
    bus.settled().await;
    let support = SupportApiClient::new(&bus);
    let help = support.help("Ada", "A-1001", "pump").await?;
    assert_eq!(help, Help::Waiting { part: pump() });

    // Nobody serves `spares` yet.
    let (part, count) = (pump(), 10);
    bus.simulate(PartArrived { part, count }).await?;
    bus.settled().await;
    let posted = Posted { left: 9 };
    bus.stub(spares.send("pump", "Ada")).returns(posted).await?;
    bus.advance(MINUTE).await;

    bus.called(spares.send("pump", "Ada")).times(2).await;
    Ok(())
}

/// A schedule fires by virtual time, or when it is told to.
#[lightbus::test(virtual_time)]
async fn the_till_is_closed_every_night(bus: TestBus) -> anyhow::Result<()> {
    company_sales::start(&bus.app("sales").await?).await?;
    let sales = SalesApiClient::new(&bus);
    sales.order("Ada", "Aurora", false).await?;

    bus.run_schedule("nightly").await?;
    let (machines, euros) = (1, 499);
    bus.published(DayClosed { machines, euros }).once().await;

    bus.advance(7 * DAY).await;
    bus.enqueued(sales.close_the_till())
        .by("sales")
        .times(8)
        .await;
    Ok(())
}
