//! `cargo run -p company-warranty`

use lightbus::Bus;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    company_journal::open("warranty");
    let bus = Bus::connect("warranty").await?;
    company_warranty::start(&bus).await?;
    company_journal::ready();
    Ok(bus.run_until_shutdown().await?)
}
