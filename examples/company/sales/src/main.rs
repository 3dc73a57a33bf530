//! `cargo run -p company-sales`

use lightbus::Bus;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    company_journal::open("sales");
    let bus = Bus::connect("sales").await?;
    company_sales::start(&bus).await?;
    company_journal::ready();
    Ok(bus.run_until_shutdown().await?)
}
