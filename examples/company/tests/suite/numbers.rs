//! How often, and that something is not sent at all. That is said once the bus is quiet: nothing is slept for.

use company_sales_api::{MachineSold, SalesApiClient};
use company_spares_api::{PartRanOut, SparesApiClient};
use company_support_api::SupportApiClient;
use lightbus::testing::TestBus;
use serde_json::json;

use crate::ada_buys;

#[lightbus::test]
async fn each_machine_is_announced_once(bus: TestBus) -> anyhow::Result<()> {
    company_sales::start(&bus.app("sales").await?).await?;
    let sales = SalesApiClient::new(&bus);
    for customer in ["Ada", "Grace", "Linus"] {
        sales.order(customer, "Aurora", false).await?;
    }
    assert!(sales.order("Edsger", "Dawn", false).await.is_err());

    bus.published(ada_buys()).once().await;
    bus.published_such(|sold: &MachineSold| sold.model == "Aurora")
        .times(3)
        .await;
    bus.published_such(|sold: &MachineSold| sold.model == "Dawn")
        .never()
        .await;
    Ok(())
}

/// The broker sorts out what a listener has not asked for: warranty never sees a refurbished machine.
#[lightbus::test]
async fn nobody_is_reminded_of_a_refurbished_machine(bus: TestBus) -> anyhow::Result<()> {
    company_warranty::start(&bus.app("warranty").await?).await?;

    bus.simulate(MachineSold {
        refurbished: true,
        ..ada_buys()
    })
    .await?;

    let support = SupportApiClient::new(&bus);
    bus.enqueued(support.remind("", ""))
        .fields(json!({}))
        .never()
        .await;
    Ok(())
}

#[lightbus::test]
async fn spares_says_so_when_the_last_one_is_gone(bus: TestBus) -> anyhow::Result<()> {
    company_spares::start(&bus.app("spares").await?).await?;
    let ran_out = || PartRanOut {
        part: "pump".to_owned(),
    };
    bus.published(ran_out()).never().await;

    SparesApiClient::new(&bus).send("pump", "Ada").await?;

    bus.published(ran_out()).by("spares").once().await;
    Ok(())
}
