//! lightbus with its default settings, used as the README shows it.

use anyhow::Result;
use futures_util::{StreamExt, TryStreamExt};
use lightbus::{Bus, EventPublisher};

use super::{Caller, Plan, Publisher, Tally};
use crate::api::{BenchApi, BenchApiClient, BenchApiEvents, BenchApiServer, Happened};
use crate::scenarios::{LISTENING_APP, lightbus_listener};

/// The provider.
struct Bench {
    tally: Tally,
}

impl BenchApi for Bench {
    async fn echo(&self, _id: u64, body: String) -> String {
        self.tally.count();
        body
    }
}

/// Serves the API.
pub(crate) async fn serve(url: &str, tally: Tally) -> Result<Bus> {
    let bus = Bus::builder("bench-server").url(url).connect().await?;
    bus.serve(BenchApiServer::new(Bench { tally })).await?;
    Ok(bus)
}

/// Listens to the event under so many names.
pub(crate) async fn listen(
    url: &str,
    prefix: &str,
    listeners: usize,
    tally: &Tally,
) -> Result<Bus> {
    let bus = Bus::builder(LISTENING_APP).url(url).connect().await?;
    let bench = BenchApiClient::new(&bus);
    for number in 0..listeners {
        let tally = tally.clone();
        let handler = move |_event: Happened| {
            tally.count();
            async {}
        };
        bench
            .happened()
            .listen(&lightbus_listener(prefix, number), handler)
            .await?;
    }
    Ok(bus)
}

/// Calls by the generated client.
pub(crate) struct Calls {
    bench: BenchApiClient,
}

impl Calls {
    pub(crate) async fn new(url: &str) -> Result<Self> {
        let bus = Bus::builder("bench-client").url(url).connect().await?;
        Ok(Self {
            bench: BenchApiClient::new(&bus),
        })
    }
}

impl Caller for Calls {
    async fn call(&self, id: u64, body: &str) -> Result<String> {
        Ok(self.bench.echo(id, body).await?)
    }
}

/// Publishes, so many at a time.
pub(crate) struct Events {
    happened: EventPublisher<Happened>,
}

impl Events {
    pub(crate) async fn new(url: &str) -> Result<Self> {
        let bus = Bus::builder("bench-publisher").url(url).connect().await?;
        Ok(Self {
            happened: BenchApiEvents::new(&bus).happened(),
        })
    }
}

impl Publisher for Events {
    async fn publish(&self, plan: &Plan, body: &str) -> Result<u64> {
        let publishing = futures_util::stream::iter(plan.ids())
            .map(|id| {
                self.happened
                    .publish(Happened {
                        id,
                        body: body.to_owned(),
                    })
                    .into_future()
            })
            .buffer_unordered(plan.window);
        Ok(publishing
            .try_fold(0, |confirmed, ()| async move { Ok(confirmed + 1) })
            .await?)
    }
}
