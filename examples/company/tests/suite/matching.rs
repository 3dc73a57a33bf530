//! What is compared: the whole value, some fields of it, or what a closure says.

use company_sales_api::{MachineSold, SalesApiClient};
use lightbus::testing::TestBus;
use serde_json::json;

use crate::ada_buys;

#[lightbus::test]
async fn a_sale_is_announced(bus: TestBus) -> anyhow::Result<()> {
    company_sales::start(&bus.app("sales").await?).await?;
    let sales = SalesApiClient::new(&bus);
    sales.order("Ada", "Aurora", false).await?;
    sales.order("Linus", "Aurora", true).await?;

    // All of it.
    bus.published(ada_buys()).once().await;
    // These fields, whatever else there is: the rest of the value does not count.
    let used = json!({"refurbished": true, "customer": "Linus"});
    bus.published(ada_buys()).fields(used).once().await;
    // Such a one.
    bus.published_such(|sold: &MachineSold| sold.serial.starts_with("R-"))
        .once()
        .await;
    Ok(())
}
