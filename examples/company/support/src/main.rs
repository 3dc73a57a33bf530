//! `cargo run -p company-support`

use lightbus::Bus;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    company_journal::open("support");
    let bus = Bus::connect("support").await?;
    company_support::start(&bus).await?;
    company_journal::ready();
    Ok(bus.run_until_shutdown().await?)
}
