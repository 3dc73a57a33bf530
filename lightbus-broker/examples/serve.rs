//! A broker on its own: `cargo run --release -p lightbus-broker --example serve -- 127.0.0.1:5673`.
//!
//! After the address: `--product NAME --version VERSION` for how it introduces itself, and, as often as needed,
//! `--user NAME:PASSWORD` and `--vhost NAME`.

use lightbus_broker::Broker;
use std::error::Error;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).peekable();
    let address = arguments
        .next_if(|argument| !argument.starts_with("--"))
        .unwrap_or_else(|| "127.0.0.1:5672".to_owned());
    let mut builder = Broker::builder().listen(address.parse()?);
    let (mut product, mut version) = (None, "4.0.5".to_owned());
    while let Some(option) = arguments.next() {
        let value = arguments
            .next()
            .ok_or_else(|| format!("{option} needs a value"))?;
        match option.as_str() {
            "--product" => product = Some(value),
            "--version" => version = value,
            "--user" => {
                let (name, password) = value.split_once(':').ok_or("--user needs NAME:PASSWORD")?;
                builder = builder.user(name, password);
            }
            "--vhost" => builder = builder.vhost(value),
            _ => return Err(format!("no option is called {option}").into()),
        }
    }
    if let Some(product) = product {
        builder = builder.product(product, version);
    }
    let broker = builder.start().await?;
    println!("{}", broker.url());
    println!("In memory, one node, not for production. Ctrl-C ends it.");
    tokio::signal::ctrl_c().await?;
    broker.shutdown().await;
    Ok(())
}
