//! What failed for good.

use std::time::Duration;

use company_support_api::{CustomerReminded, SupportApiClient};
use company_warranty_api::WarrantyApiClient;
use lightbus::testing::TestBus;

use crate::covered;

const HOUR: Duration = Duration::from_secs(3600);

/// Warranty is away for a day: the letter lies in the dead letters, with its reason, until somebody replays it.
#[tokio::test]
async fn a_reminder_outlives_a_day_without_warranty() -> anyhow::Result<()> {
    let bus = TestBus::with_virtual_time().await?;
    let support_app = bus.app("support").await?;
    company_support::start(&support_app).await?;
    bus.simulate(SupportApiClient::new(&bus).remind("Ada", "A-1001"))
        .await?;
    bus.advance(24 * HOUR).await;

    let dead = support_app.dead_tasks("support")?;
    let letters = dead.list(10).await?;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].attempts, Some(4));

    bus.stub(WarrantyApiClient::new(&bus).coverage("A-1001"))
        .returns(covered())
        .await?;
    dead.replay(|_| true).await?;
    let letter = CustomerReminded {
        customer: "Ada".to_owned(),
        serial: "A-1001".to_owned(),
    };
    bus.published(letter).once().await;
    Ok(())
}
