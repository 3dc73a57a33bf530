//! What went over a bus once: as answers, and sent once more.

use company_sales_api::SalesApiClient;
use company_spares_api::SparesApiClient;
use company_support_api::{Help, SupportApiClient};
use lightbus::testing::{Recording, TestBus};

use crate::several_apps::open;
use crate::values::pump;

/// A day of the real apps.
async fn yesterday() -> anyhow::Result<Recording> {
    let bus = TestBus::start().await?;
    open(&bus).await?;
    SalesApiClient::new(&bus)
        .order("Ada", "Aurora", false)
        .await?;
    bus.settled().await;
    SupportApiClient::new(&bus)
        .help("Ada", "A-1001", "pump")
        .await?;
    Ok(bus.recording())
}

/// Whatever support asked yesterday is answered as it was.
#[lightbus::test]
async fn support_is_told_what_it_was_told_yesterday(bus: TestBus) -> anyhow::Result<()> {
    bus.stub_from(&yesterday().await?.by("support")).await?;
    company_support::start(&bus.app("support").await?).await?;

    let support = SupportApiClient::new(&bus);
    let help = support.help("Ada", "A-1001", "pump").await?;

    assert_eq!(help, Help::Free { part: pump() });
    Ok(())
}

/// Whom parts go to is nobody else's business: the API marks it `#[lightbus(secret)]`.
#[lightbus::test]
async fn whom_parts_go_to_is_not_recorded(bus: TestBus) -> anyhow::Result<()> {
    company_spares::start(&bus.app("spares").await?).await?;
    let spares = SparesApiClient::new(&bus);

    spares.send("pump", "Ada").await?;

    let recorded = bus.recording().to_string();
    let sent = r#""call":"spares.send","content":{"customer":"[secret]","part":"pump"}"#;
    assert!(recorded.contains(sent), "{recorded}");
    assert!(!recorded.contains("Ada"), "{recorded}");
    Ok(())
}

/// Warranty hears what sales said yesterday.
#[lightbus::test]
async fn yesterdays_sales_are_covered_once_more(bus: TestBus) -> anyhow::Result<()> {
    company_warranty::start(&bus.app("warranty").await?).await?;

    yesterday().await?.by("sales").replay(&bus).await?;

    let support = SupportApiClient::new(&bus);
    bus.enqueued(support.remind("Ada", "A-1001")).once().await;
    Ok(())
}
