//! One value is what is expected, and what is sent: an event, a call, a task.

use company_sales_api::{DayClosed, Receipt, SalesApiClient};
use company_support_api::{CustomerReminded, SupportApiClient};
use company_warranty_api::WarrantyApiClient;
use lightbus::testing::TestBus;

use crate::{ada_buys, covered};

/// Sales publishes the very event that the tests of warranty send: if its type changes, both change.
#[lightbus::test]
async fn an_event(bus: TestBus) -> anyhow::Result<()> {
    company_sales::start(&bus.app("sales").await?).await?;

    let receipt = bus
        .simulate(SalesApiClient::new(&bus).order("Ada", "Aurora", false))
        .await?;

    assert_eq!(
        receipt,
        Receipt {
            serial: "A-1001".to_owned(),
            euros: 499
        }
    );
    bus.published(ada_buys()).by("sales").once().await;
    Ok(())
}

/// A new machine is to be descaled one day: warranty enqueues a task of support's.
#[lightbus::test]
async fn a_task_that_goes_out(bus: TestBus) -> anyhow::Result<()> {
    company_warranty::start(&bus.app("warranty").await?).await?;

    bus.simulate(ada_buys()).await?;

    let support = SupportApiClient::new(&bus);
    bus.enqueued(support.remind("Ada", "A-1001"))
        .by("warranty")
        .once()
        .await;
    Ok(())
}

/// And support does it, once it has asked warranty.
#[lightbus::test]
async fn a_task_that_comes_in_and_the_call_it_makes(bus: TestBus) -> anyhow::Result<()> {
    company_support::start(&bus.app("support").await?).await?;
    let warranty = WarrantyApiClient::new(&bus);
    bus.stub(warranty.coverage("A-1001"))
        .returns(covered())
        .await?;

    bus.simulate(SupportApiClient::new(&bus).remind("Ada", "A-1001"))
        .await?;

    bus.called(warranty.coverage("A-1001"))
        .by("support")
        .once()
        .await;
    let letter = CustomerReminded {
        customer: "Ada".to_owned(),
        serial: "A-1001".to_owned(),
    };
    bus.published(letter).once().await;
    Ok(())
}

/// What a task returned is asked for as anywhere.
#[lightbus::test]
async fn a_task_and_its_result(bus: TestBus) -> anyhow::Result<()> {
    company_sales::start(&bus.app("sales").await?).await?;
    let sales = SalesApiClient::new(&bus);
    sales.order("Ada", "Aurora", false).await?;

    let closing = bus.simulate(sales.close_the_till().keep_result()).await?;

    closing.result().await?;
    bus.published(DayClosed {
        machines: 1,
        euros: 499,
    })
    .once()
    .await;
    Ok(())
}
