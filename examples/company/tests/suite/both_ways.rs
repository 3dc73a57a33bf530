//! One value is what is expected, and what is sent: an event, a call, a task.

use company_sales_api::{DayClosed, SalesApiClient};
use company_support_api::SupportApiClient;
use company_warranty_api::WarrantyApiClient;
use lightbus::testing::TestBus;

use crate::values::{ada_buys, ada_is_reminded, covered};

/// Sales publishes the very event that other tests send to warranty: if its type changes, both change.
#[lightbus::test]
async fn a_call_comes_in_and_an_event_goes_out(bus: TestBus) -> anyhow::Result<()> {
    company_sales::start(&bus.app("sales").await?).await?;
    let sales = SalesApiClient::new(&bus);

    let receipt = bus.simulate(sales.order("Ada", "Aurora", false)).await?;

    assert_eq!(receipt.euros, 499);
    bus.published(ada_buys()).by("sales").once().await;
    Ok(())
}

/// A new machine is to be descaled one day: warranty enqueues a task of support's.
#[lightbus::test]
async fn an_event_comes_in_and_a_task_goes_out(bus: TestBus) -> anyhow::Result<()> {
    company_warranty::start(&bus.app("warranty").await?).await?;
    let support = SupportApiClient::new(&bus);

    bus.simulate(ada_buys()).await?;

    bus.enqueued(support.remind("Ada", "A-1001"))
        .by("warranty")
        .once()
        .await;
    Ok(())
}

/// And support does it, once it has asked warranty.
#[lightbus::test]
async fn a_task_comes_in_and_a_call_goes_out(bus: TestBus) -> anyhow::Result<()> {
    company_support::start(&bus.app("support").await?).await?;
    let (support, warranty) = (SupportApiClient::new(&bus), WarrantyApiClient::new(&bus));
    bus.stub(warranty.coverage("A-1001"))
        .returns(covered())
        .await?;

    bus.simulate(support.remind("Ada", "A-1001")).await?;

    bus.called(warranty.coverage("A-1001"))
        .by("support")
        .once()
        .await;
    bus.published(ada_is_reminded()).once().await;
    Ok(())
}

/// What a task returned is asked for as anywhere.
#[lightbus::test]
async fn a_task_comes_in_and_its_result_is_there(bus: TestBus) -> anyhow::Result<()> {
    company_sales::start(&bus.app("sales").await?).await?;
    let sales = SalesApiClient::new(&bus);
    sales.order("Ada", "Aurora", false).await?;

    let closing = bus.simulate(sales.close_the_till().keep_result()).await?;

    closing.result().await?;
    let (machines, euros) = (1, 499);
    bus.published(DayClosed { machines, euros }).once().await;
    Ok(())
}
