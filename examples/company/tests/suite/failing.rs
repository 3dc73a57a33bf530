//! A test that fails, and what it prints: the chapter shows both.

use company_spares_api::{Posted, SparesApiClient};
use company_support_api::SupportApiClient;
use company_warranty_api::{WarrantyApiClient, WarrantyError};
use lightbus::testing::TestBus;

use crate::values::{promised, pumps};

/// Whoever wrote this has forgotten that a refurbished machine is not covered.
async fn linus_gets_a_pump_for_free(bus: TestBus) -> anyhow::Result<()> {
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
    support.help("Linus", "R-1003", "pump").await?;

    bus.published(promised(true, "R-1003")).once().await;
    Ok(())
}

/// What it prints: on a thread of its name, as a test has one.
pub(crate) fn printed() -> anyhow::Result<String> {
    let thread = std::thread::Builder::new().name("failing::linus_gets_a_pump_for_free".to_owned());
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(run())
    };
    thread
        .spawn(run)?
        .join()
        .unwrap_or_else(|_| anyhow::bail!("it ends otherwise"))
}

async fn run() -> anyhow::Result<String> {
    let bus = TestBus::start().await?;
    let test = tokio::spawn(linus_gets_a_pump_for_free(bus.clone()));
    let Err(failure) = test.await else {
        anyhow::bail!("it does not fail");
    };
    let panic = failure.into_panic();
    let why = panic.downcast_ref::<String>().cloned().unwrap_or_default();
    Ok(format!("{}\n\n{}", why.trim_end(), bus.story().trim_end()))
}
