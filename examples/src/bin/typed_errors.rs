//! A provider's error reaches the caller as the type it is; what the bus itself has to say stands beside it.
//!
//! `cargo run -p lightbus-examples --bin typed_errors`

use std::time::Duration;

use lightbus::{Bus, CallError};
use lightbus_broker::Broker;
use serde::{Deserialize, Serialize};

/// The contract, and the error that is part of it.
#[lightbus::api(name = "bank")]
pub trait BankApi {
    /// Pays out, and says what is left.
    async fn withdraw(&self, euros: u32) -> Result<u32, BankError>;

    /// Takes its time.
    async fn audit(&self);
}

/// Why there is no money.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
pub enum BankError {
    /// There is less in the account.
    #[error("you have only €{balance}")]
    TooLittle {
        /// What there is.
        balance: u32,
    },
}

struct Bank;

impl BankApi for Bank {
    async fn withdraw(&self, euros: u32) -> Result<u32, BankError> {
        // A bug. The caller learns that the provider failed, and no more: the details are for the provider's own log.
        assert!(euros != 13, "we are superstitious");
        100_u32
            .checked_sub(euros)
            .ok_or(BankError::TooLittle { balance: 100 })
    }

    async fn audit(&self) {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

fn explain(outcome: Result<u32, CallError<BankError>>) -> String {
    match outcome {
        Ok(left) => format!("€{left} left"),
        // The provider's own error: all its fields, and the compiler knows its variants.
        Err(CallError::Domain(BankError::TooLittle { balance })) => {
            format!("no: the account holds €{balance}")
        }
        Err(CallError::NoProvider(_)) => "nobody serves this API".to_owned(),
        Err(CallError::ProviderFailed(_)) => "the provider panicked; its log says why".to_owned(),
        Err(other) => format!("something else: {other}"),
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    std::panic::set_hook(Box::new(|panic| {
        println!(
            "  the branch's log: {}",
            panic.to_string().replace('\n', " ")
        )
    }));
    let (url, _broker) = broker().await?;
    let customer = Bus::builder("customer").url(&url).connect().await?;
    let bank = BankApiClient::new(&customer);

    println!("before it opens:  {}", explain(bank.withdraw(30).await));

    let branch = Bus::builder("branch").url(&url).connect().await?;
    branch.serve(BankApiServer::new(Bank)).await?;
    println!("withdraw(30):     {}", explain(bank.withdraw(30).await));
    println!("withdraw(130):    {}", explain(bank.withdraw(130).await));
    println!("withdraw(13):     {}", explain(bank.withdraw(13).await));

    // `audit` returns no `Result`, so it has no domain error; the bus's errors remain.
    match bank.audit().timeout(Duration::from_millis(100)).await {
        Err(CallError::Timeout(what)) => println!("audit():          {}", what.detail),
        other => println!("audit():          {other:?}"),
    }

    customer.close().await;
    branch.close().await;
    Ok(())
}

/// The RabbitMQ of `LIGHTBUS_URL`, or else a broker inside this program, which lives until it is dropped.
async fn broker() -> anyhow::Result<(String, Option<Broker>)> {
    if let Ok(url) = std::env::var("LIGHTBUS_URL") {
        return Ok((url, None));
    }
    let broker = Broker::start().await?;
    Ok((broker.url(), Some(broker)))
}
