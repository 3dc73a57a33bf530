//! A program is told to end while a handler is at work: it takes nothing new, finishes what it has begun, answers, and ends.
//!
//! `cargo run -p lightbus-examples --bin graceful_shutdown`

use std::sync::Arc;
use std::time::Duration;

use lightbus::Bus;
use lightbus_broker::Broker;
use tokio::sync::Notify;

/// The contract.
#[lightbus::api(name = "kitchen")]
pub trait KitchenApi {
    /// Cooks a dish; that takes a while.
    async fn cook(&self, dish: String) -> String;
}

struct Kitchen {
    started: Arc<Notify>,
}

impl KitchenApi for Kitchen {
    async fn cook(&self, dish: String) -> String {
        println!("kitchen: cooks {dish}");
        self.started.notify_one();
        tokio::time::sleep(Duration::from_millis(300)).await;
        println!("kitchen: {dish} is done");
        format!("a plate of {dish}")
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (url, _broker) = broker().await?;
    let started = Arc::new(Notify::new());
    let kitchen = Bus::builder("kitchen").url(&url).connect().await?;
    kitchen
        .serve(KitchenApiServer::new(Kitchen {
            started: Arc::clone(&started),
        }))
        .await?;

    let guest = Bus::builder("guest").url(&url).connect().await?;
    let order = tokio::spawn(KitchenApiClient::new(&guest).cook("risotto").into_future());

    // While the risotto is on the stove, the program gets the signal that `kill`, systemd or Kubernetes would send.
    let signal = async {
        started.notified().await;
        println!("host:    SIGTERM!");
        #[cfg(unix)]
        nix::sys::signal::raise(nix::sys::signal::Signal::SIGTERM)?;
        #[cfg(not(unix))]
        kitchen.shutdown();
        anyhow::Ok(())
    };
    let (closed, sent) = tokio::join!(kitchen.run_until_shutdown(), signal);
    sent?;
    closed?;
    println!("host:    the kitchen is closed");

    println!("guest:   got {}", order.await??);
    guest.close().await;
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
