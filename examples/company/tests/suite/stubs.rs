//! Peers that answer as a test wants them to: with values, errors, in turn, and late.

use std::time::Duration;

use company_spares_api::{Posted, SparesApiClient, SparesError, Stock};
use company_support_api::{Help, SupportApiClient, SupportError};
use company_warranty_api::{WarrantyApiClient, WarrantyError};
use lightbus::CallError;
use lightbus::testing::TestBus;

use crate::covered;

fn pump() -> String {
    "pump".to_owned()
}

/// An error of the peer's own, as its own type.
#[lightbus::test]
async fn who_is_not_covered_gets_a_bill(bus: TestBus) -> anyhow::Result<()> {
    company_support::start(&bus.app("support").await?).await?;
    let (warranty, spares) = (WarrantyApiClient::new(&bus), SparesApiClient::new(&bus));
    let unknown = WarrantyError::NotCovered {
        serial: "R-1003".to_owned(),
    };
    bus.stub(warranty.coverage("R-1003")).fails(unknown).await?;
    bus.stub(spares.in_stock("pump"))
        .returns(Stock { left: 3, euros: 39 })
        .await?;
    bus.stub(spares.send("pump", "Linus"))
        .returns(Posted { left: 2 })
        .await?;

    let help = SupportApiClient::new(&bus)
        .help("Linus", "R-1003", "pump")
        .await?;

    assert_eq!(
        help,
        Help::Paid {
            part: pump(),
            euros: 39
        }
    );
    Ok(())
}

/// The first call is answered by the first stub, until that is used up.
#[lightbus::test]
async fn the_last_pump_goes_to_whoever_comes_first(bus: TestBus) -> anyhow::Result<()> {
    company_support::start(&bus.app("support").await?).await?;
    let (warranty, spares) = (WarrantyApiClient::new(&bus), SparesApiClient::new(&bus));
    bus.stub(warranty.coverage(""))
        .any_arguments()
        .returns(covered())
        .await?;
    bus.stub(spares.in_stock("pump"))
        .returns(Stock { left: 1, euros: 39 })
        .await?;
    let send = || bus.stub(spares.send("", "")).any_arguments();
    send().times(1).returns(Posted { left: 0 }).await?;
    send().fails(SparesError::NoneLeft { part: pump() }).await?;

    let support = SupportApiClient::new(&bus);
    assert_eq!(
        support.help("Ada", "A-1001", "pump").await?,
        Help::Free { part: pump() }
    );
    let reason = "no pump left".to_owned();
    let grace = support.help("Grace", "A-1002", "pump").await;
    assert_eq!(
        grace,
        Err(CallError::Domain(SupportError::CallAgain { reason }))
    );
    Ok(())
}

/// A peer that takes its time: whoever calls it gives up first. (Of virtual time there is a file of its own.)
#[lightbus::test]
async fn support_does_not_wait_for_ever(bus: TestBus) -> anyhow::Result<()> {
    company_support::start(&bus.app("support").await?).await?;
    let warranty = WarrantyApiClient::new(&bus);
    let late = Duration::from_millis(60);
    bus.stub(warranty.coverage("A-1001"))
        .after(late)
        .returns(covered())
        .await?;

    let patience = Duration::from_millis(30);
    let help = SupportApiClient::new(&bus)
        .help("Ada", "A-1001", "pump")
        .timeout(patience)
        .await;

    assert!(matches!(help, Err(CallError::Timeout(_))), "{help:?}");
    bus.called(warranty.coverage("A-1001")).once().await;
    Ok(())
}
