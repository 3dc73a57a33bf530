//! Instead of sleeping: until nothing is on its way any more.

use company_sales_api::{OrderError, SalesApiClient};
use lightbus::CallError;
use lightbus::testing::TestBus;

use crate::values::aurora_is_recalled;

/// That a listener has done its work cannot be seen on the bus. Once the bus is quiet, it has.
#[lightbus::test]
async fn a_recalled_model_is_not_sold_any_more(bus: TestBus) -> anyhow::Result<()> {
    company_sales::start(&bus.app("sales").await?).await?;

    bus.simulate(aurora_is_recalled()).await?;
    bus.settled().await;

    let sales = SalesApiClient::new(&bus);
    let order = sales.order("Edsger", "Aurora", false).await;
    let model = "Aurora".to_owned();
    assert_eq!(
        order,
        Err(CallError::Domain(OrderError::Recalled { model }))
    );
    Ok(())
}
