//! `cargo run -p company-spares`

use lightbus::Bus;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    company_journal::open("spares");
    let bus = Bus::connect("spares").await?;
    company_spares::start(&bus).await?;
    company_journal::ready();
    Ok(bus.run_until_shutdown().await?)
}
