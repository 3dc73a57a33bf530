//! A broker on its own: `cargo run --release -p lightbus-broker --example serve -- 127.0.0.1:5673`.

use lightbus_broker::Broker;
use std::error::Error;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments
        .next()
        .unwrap_or_else(|| "127.0.0.1:5672".to_owned());
    let mut builder = Broker::builder().listen(address.parse()?);
    if let Some(product) = arguments.next() {
        builder = builder.product(product, "4.0.5");
    }
    let broker = builder.start().await?;
    println!("{}", broker.url());
    println!("In memory, one node, not for production. Ctrl-C ends it.");
    tokio::signal::ctrl_c().await?;
    broker.shutdown().await;
    Ok(())
}
