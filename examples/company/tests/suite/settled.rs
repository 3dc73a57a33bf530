//! Instead of sleeping: until nothing is on its way any more.

use company_sales_api::{OrderError, SalesApiClient};
use company_warranty_api::ModelRecalled;
use lightbus::CallError;
use lightbus::testing::TestBus;

/// That a listener has done its work cannot be seen on the bus. Once the bus is quiet, it has.
#[lightbus::test]
async fn a_recalled_model_is_not_sold_any_more(bus: TestBus) -> anyhow::Result<()> {
    company_sales::start(&bus.app("sales").await?).await?;
    let model = "Aurora".to_owned();

    bus.simulate(ModelRecalled {
        model: model.clone(),
        part: "pump".to_owned(),
    })
    .await?;
    bus.settled().await;

    let order = SalesApiClient::new(&bus)
        .order("Edsger", "Aurora", false)
        .await;
    assert_eq!(
        order,
        Err(CallError::Domain(OrderError::Recalled { model }))
    );
    Ok(())
}
