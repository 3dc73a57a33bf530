//! What failed for good.

use std::time::Duration;

use company_support_api::SupportApiClient;
use company_warranty_api::WarrantyApiClient;
use lightbus::testing::TestBus;

use crate::values::{ada_is_reminded, covered};

const HOUR: Duration = Duration::from_secs(3600);

/// Warranty is away for a day: the reminder lies in the dead letters, with its reason, until somebody replays it.
#[lightbus::test(virtual_time)]
async fn a_reminder_outlives_a_day_without_warranty(bus: TestBus) -> anyhow::Result<()> {
    let app = bus.app("support").await?;
    company_support::start(&app).await?;
    let (support, warranty) = (SupportApiClient::new(&bus), WarrantyApiClient::new(&bus));
    bus.simulate(support.remind("Ada", "A-1001")).await?;
    bus.advance(24 * HOUR).await;

    let dead = app.dead_tasks("support")?;
    let letters = dead.list(10).await?;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].attempts, Some(4));

    bus.stub(warranty.coverage("A-1001"))
        .returns(covered())
        .await?;
    dead.replay(|_| true).await?;
    bus.published(ada_is_reminded()).once().await;
    Ok(())
}
