//! How often, and not at all. That is said once the bus is quiet: nothing is slept for.

use company_sales_api::{MachineSold, SalesApiClient};
use company_spares_api::{PartRanOut, SparesApiClient};
use company_support_api::SupportApiClient;
use lightbus::testing::TestBus;
use serde_json::json;

use crate::values::{ada_buys, pump};

#[lightbus::test]
async fn each_machine_is_announced_once(bus: TestBus) -> anyhow::Result<()> {
    company_sales::start(&bus.app("sales").await?).await?;
    let sales = SalesApiClient::new(&bus);
    for customer in ["Ada", "Grace", "Linus"] {
        sales.order(customer, "Aurora", false).await?;
    }
    let dawn = sales.order("Edsger", "Dawn", false).await;

    assert!(dawn.is_err(), "there is no such model: {dawn:?}");
    bus.published(ada_buys()).once().await;
    bus.published_such(|_: &MachineSold| true).times(3).await;
    Ok(())
}

/// The broker sorts out what a listener has not asked for: warranty never sees a refurbished machine.
#[lightbus::test]
async fn nobody_is_reminded_of_a_refurbished_machine(bus: TestBus) -> anyhow::Result<()> {
    company_warranty::start(&bus.app("warranty").await?).await?;
    let support = SupportApiClient::new(&bus);
    let mut sold = ada_buys();
    sold.refurbished = true;

    bus.simulate(sold).await?;

    bus.enqueued(support.remind("", ""))
        .fields(json!({}))
        .never()
        .await;
    Ok(())
}

#[lightbus::test]
async fn spares_says_so_when_the_last_one_is_gone(bus: TestBus) -> anyhow::Result<()> {
    company_spares::start(&bus.app("spares").await?).await?;
    let spares = SparesApiClient::new(&bus);
    let ran_out = || PartRanOut { part: pump() };

    bus.published(ran_out()).never().await;
    spares.send("pump", "Ada").await?;
    bus.published(ran_out()).once().await;
    Ok(())
}
