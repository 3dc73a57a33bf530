//! One event, two listeners. Each name gets its copy of every event; two replicas of one name share the work.
//!
//! `cargo run -p lightbus-examples --bin two_listeners`

use lightbus::Bus;
use lightbus_broker::Broker;
use tokio::sync::mpsc;

/// The contract: a shop that says what it ships. It has no calls at all.
#[lightbus::api(name = "shop")]
pub trait ShopApi {
    /// A parcel left the house. Listeners may ask for some countries only.
    #[event]
    fn parcel_shipped(#[key] country: String, parcel: u32);
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (url, _broker) = broker().await?;
    let (notes, mut noted) = mpsc::unbounded_channel();
    let note = |who: &'static str| {
        let notes = notes.clone();
        move |shipped: ParcelShipped| {
            // Fails when nobody reads the notes any more. The event of a listener that returns an error goes to the dead letters.
            let result = notes.send((who, shipped.country, shipped.parcel));
            async { result }
        }
    };

    // Two replicas of one app, with a listener of the same name: each parcel is for one of them.
    let billing_1 = Bus::builder("billing").url(&url).connect().await?;
    let billing_2 = Bus::builder("billing").url(&url).connect().await?;
    ShopApiClient::new(&billing_1)
        .parcel_shipped()
        .listen("write-bill", note("billing"))
        .await?;
    ShopApiClient::new(&billing_2)
        .parcel_shipped()
        .listen("write-bill", note("billing"))
        .await?;

    // Another app: gets its own copy, and only of what goes to Norway. The broker sorts the others out.
    let customs = Bus::builder("customs").url(&url).connect().await?;
    let to_norway = ShopApiClient::new(&customs)
        .parcel_shipped()
        .only(ParcelShipped::country_is("no"));
    to_norway.listen("declare", note("customs")).await?;

    let shop = Bus::builder("shop").url(&url).connect().await?;
    let shipped = ShopApiEvents::new(&shop).parcel_shipped();
    for (parcel, country) in (1..).zip(["de", "no", "fr", "no"]) {
        shipped
            .publish(ParcelShipped {
                country: country.into(),
                parcel,
            })
            .await?;
    }

    // Four bills and two declarations. Their order is the broker's and the scheduler's business: sort them.
    let mut all = Vec::new();
    for _ in 0..6 {
        all.extend(noted.recv().await);
    }
    all.sort_unstable();
    for (who, country, parcel) in all {
        println!("{who:8} heard of parcel {parcel} to {country}");
    }

    for bus in [billing_1, billing_2, customs, shop] {
        bus.close().await;
    }
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
