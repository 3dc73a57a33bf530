//! What is compared: the whole value, some fields of it, or what a closure says.

use company_sales_api::{MachineSold, SalesApiClient};
use lightbus::testing::TestBus;
use serde_json::json;

use crate::values::ada_buys;

#[lightbus::test]
async fn what_was_sold_is_announced(bus: TestBus) -> anyhow::Result<()> {
    company_sales::start(&bus.app("sales").await?).await?;
    let sales = SalesApiClient::new(&bus);
    sales.order("Ada", "Aurora", false).await?;
    sales.order("Linus", "Aurora", true).await?;

    // All of it.
    bus.published(ada_buys()).once().await;
    // These fields, whatever the others are: the value names the event, no more.
    let used = json!({"refurbished": true, "customer": "Linus"});
    bus.published(ada_buys()).fields(used).once().await;
    // Such a one.
    let is_used = |sold: &MachineSold| sold.serial.starts_with("R-");
    bus.published_such(is_used).once().await;
    Ok(())
}
