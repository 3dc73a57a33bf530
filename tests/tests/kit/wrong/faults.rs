//! A broker that does what it should not, on purpose.

use lightbus::HandlerError;

use super::{Shipped, ShopApiClient, ordered, packing, wrong};

wrong! {
    async fn the_broker_loses_it(bus) {
        packing(&bus.app("packing").await?).await?;
        bus.faults().drop_publishes(1);
        bus.simulate(ordered(7, "wheel")).await?;
        bus.enqueued(ShopApiClient::new(&bus).pack(7)).await;
    }

    async fn the_broker_refuses_it(bus) {
        packing(&bus.app("packing").await?).await?;
        bus.faults().fail_publishes(1);
        let refused = bus.simulate(ordered(7, "wheel")).await;
        assert!(refused.is_err());
        bus.enqueued(ShopApiClient::new(&bus).pack(7)).await;
    }

    async fn the_broker_delivers_it_twice(bus) {
        let app = bus.app("packing").await?;
        let shop = ShopApiClient::new(&app);
        let pack = move |shipped: Shipped| {
            let shop = shop.clone();
            async move {
                shop.pack(shipped.id).enqueue().await?;
                Ok::<_, HandlerError>(())
            }
        };
        ShopApiClient::new(&app).shipped().listen("pack", pack).await?;
        bus.faults().duplicate_deliveries(1);
        bus.simulate(Shipped { id: 7 }).await?;
        bus.settled().await;
        bus.enqueued(ShopApiClient::new(&bus).pack(7)).once().await;
    }
}
