//! Do the apps fit together? Is there somebody for whatever is asked, announced and planned?

use lightbus::testing::{TestBus, Wiring};

#[lightbus::test]
async fn nothing_leads_nowhere(bus: TestBus) -> anyhow::Result<()> {
    let sales = bus.app("sales").await?;
    let spares = bus.app("spares").await?;
    let support = bus.app("support").await?;
    let warranty = bus.app("warranty").await?;
    company_sales::start(&sales).await?;
    company_spares::start(&spares).await?;
    company_support::start(&support).await?;
    company_warranty::start(&warranty).await?;

    // Both are for a printer that is not bought yet.
    Wiring::of(&[&sales, &spares, &support, &warranty])
        .except("sales.day_closed")
        .except("support.customer_reminded")
        .assert();
    Ok(())
}

/// What is missing is named.
#[lightbus::test]
async fn support_does_not_do_without_warranty(bus: TestBus) -> anyhow::Result<()> {
    let (spares, support) = (bus.app("spares").await?, bus.app("support").await?);
    company_spares::start(&spares).await?;
    company_support::start(&support).await?;

    let loose = Wiring::of(&[&spares, &support]).loose();

    let told = loose.iter().map(ToString::to_string).collect::<Vec<_>>();
    let is_told = told.iter().any(|loose| loose.contains("warn-the-desks"));
    assert!(is_told, "{told:#?}");
    Ok(())
}
