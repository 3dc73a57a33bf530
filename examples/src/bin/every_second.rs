//! A schedule: two replicas of an app have it, one of them fires it every second, and a worker does what is to be done.
//!
//! `cargo run -p lightbus-examples --bin every_second`

use std::time::Duration;

use lightbus::{Bus, Context, Overlap};
use lightbus_broker::Broker;
use tokio::sync::mpsc;

/// The contract.
#[lightbus::api(name = "garden")]
pub trait GardenApi {
    /// Waters a bed, in the background.
    #[task(retries = 2)]
    async fn water(&self, bed: String) -> Result<(), String>;
}

struct Garden {
    watered: mpsc::UnboundedSender<()>,
}

impl GardenApi for Garden {
    async fn water(&self, bed: String) -> Result<(), String> {
        let context = Context::current().ok_or("outside of a handler")?;
        println!("gardener: waters the {bed} ({})", context.message_id());
        self.watered.send(()).map_err(|error| error.to_string())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (url, _broker) = broker().await?;
    let (watered, mut waterings) = mpsc::unbounded_channel();
    let gardener = Bus::builder("gardener").url(&url).connect().await?;
    gardener
        .serve(GardenApiServer::new(Garden { watered }))
        .await?;

    // Both write the same; whichever is there fires.
    let mut replicas = Vec::new();
    for _ in 0..2 {
        let clock = Bus::builder("clock").url(&url).connect().await?;
        let water = GardenApiClient::new(&clock).water("roses");
        let roses = clock
            .schedule("water-roses")
            .every(Duration::from_secs(1))
            .overlap(Overlap::Skip)
            .run(water)
            .await?;
        replicas.push((clock, roses));
    }

    for n in 1..=4 {
        waterings.recv().await;
        if n == 2 {
            println!("clock:    the first replica leaves");
            replicas.remove(0).0.close().await;
        }
    }

    let (clock, roses) = &replicas[0];
    roses.pause().await?;
    println!("clock:    paused; nobody waters, but for one more time by hand");
    roses.run_now().await?;
    waterings.recv().await;

    for run in roses.history().await? {
        let asked_for = if run.manual { "by hand" } else { "in time" };
        let took = run.ended.zip(run.fired);
        let took = took.and_then(|((ended, _), fired)| ended.duration_since(fired).ok());
        println!("clock:    fired {asked_for}, and done after {took:?}");
    }
    roses.resume().await?;
    clock.close().await;
    gardener.close().await;
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
