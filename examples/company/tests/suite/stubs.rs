//! Peers that answer as a test wants them to: with values, errors, in turn, and late.

use std::time::Duration;

use company_spares_api::{Posted, SparesApiClient, SparesError};
use company_support_api::{Help, SupportApiClient, SupportError};
use company_warranty_api::{WarrantyApiClient, WarrantyError};
use lightbus::CallError;
use lightbus::testing::TestBus;

use crate::values::{covered, pump, pumps};

/// An error of the peer's own, as its own type.
#[lightbus::test]
async fn who_is_not_covered_gets_a_bill(bus: TestBus) -> anyhow::Result<()> {
    company_support::start(&bus.app("support").await?).await?;
    let (warranty, spares) = (WarrantyApiClient::new(&bus), SparesApiClient::new(&bus));
    let serial = "R-1003".to_owned();
    let unknown = WarrantyError::NotCovered { serial };
    let posted = Posted { left: 2 };
    bus.stub(warranty.coverage("R-1003")).fails(unknown).await?;
    bus.stub(spares.in_stock("pump")).returns(pumps(3)).await?;
    bus.stub(spares.send("pump", "Linus"))
        .returns(posted)
        .await?;

    let support = SupportApiClient::new(&bus);
    let help = support.help("Linus", "R-1003", "pump").await?;

    let (part, euros) = (pump(), 39);
    assert_eq!(help, Help::Paid { part, euros });
    Ok(())
}

/// Of several stubs that fit, the first one answers, until it is used up.
#[lightbus::test]
async fn the_last_pump_goes_to_whoever_comes_first(bus: TestBus) -> anyhow::Result<()> {
    company_support::start(&bus.app("support").await?).await?;
    let (warranty, spares) = (WarrantyApiClient::new(&bus), SparesApiClient::new(&bus));
    bus.stub(warranty.coverage(""))
        .any_arguments()
        .returns(covered())
        .await?;
    bus.stub(spares.in_stock("pump")).returns(pumps(1)).await?;
    let send = || bus.stub(spares.send("", "")).any_arguments();
    send().times(1).returns(Posted { left: 0 }).await?;
    send().fails(SparesError::NoneLeft { part: pump() }).await?;

    let support = SupportApiClient::new(&bus);
    let ada = support.help("Ada", "A-1001", "pump").await;
    let grace = support.help("Grace", "A-1002", "pump").await;

    assert_eq!(ada, Ok(Help::Free { part: pump() }));
    assert!(matches!(grace, Err(CallError::Domain(_))), "{grace:?}");
    Ok(())
}

/// A peer that takes an hour, by virtual time: support asks for two seconds, as the API says, and gives up.
#[lightbus::test(virtual_time)]
async fn nobody_waits_for_ever(bus: TestBus) -> anyhow::Result<()> {
    company_support::start(&bus.app("support").await?).await?;
    let (support, warranty) = (SupportApiClient::new(&bus), WarrantyApiClient::new(&bus));
    let hour = Duration::from_secs(3600);
    bus.stub(warranty.coverage("A-1001"))
        .after(hour)
        .returns(covered())
        .await?;

    let help = support.help("Ada", "A-1001", "pump");
    let help = tokio::spawn(help.into_future());
    bus.advance(Duration::from_secs(2)).await;

    let Err(CallError::Domain(SupportError::CallAgain { reason })) = help.await? else {
        anyhow::bail!("somebody helped");
    };
    assert!(reason.contains("no answer within 2000 ms"), "{reason}");
    Ok(())
}
