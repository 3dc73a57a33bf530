//! Whoever should do something is not there.

use std::time::Duration;

use super::{Shipped, Shop, ShopApiClient, ShopApiServer, ordered, packing, wrong};

wrong! {
    async fn nobody_listens(bus) {
        bus.app("shop").await?;
        bus.simulate(Shipped { id: 7 }).await?;
        bus.published(Shipped { id: 7 }).handled_by("shop").await;
    }

    async fn published_before_anybody_listened(bus) {
        bus.simulate(ordered(7, "wheel")).await?;
        packing(&bus.app("packing").await?).await?;
        let shop = ShopApiClient::new(&bus);
        bus.called(shop.in_stock("wheel")).await;
    }

    async fn the_app_was_never_started(bus) {
        bus.simulate(ordered(7, "wheel")).await?;
        let shop = ShopApiClient::new(&bus);
        bus.called(shop.in_stock("wheel")).by("packing").await;
    }

    async fn the_app_was_dropped(bus) {
        let app = bus.app_builder("shop").connect().await?;
        app.serve(ShopApiServer::new(Shop)).await?;
        drop(app);
        // Let it be gone.
        while bus.broker().snapshot().connections.len() > 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let shop = ShopApiClient::new(&bus);
        bus.simulate(ordered(7, "wheel")).await?;
        bus.enqueued(shop.pack(7)).by("shop").await;
    }

    async fn no_provider(bus) {
        packing(&bus.app("packing").await?).await?;
        bus.simulate(ordered(7, "wheel")).await?;
        bus.enqueued(ShopApiClient::new(&bus).pack(7)).await;
    }

    async fn no_provider_for_the_test_itself(bus) {
        bus.app("shop").await?;
        let price = ShopApiClient::new(&bus).price("wheel").await?;
        assert_eq!(price, 900);
    }

    async fn nobody_works(bus) {
        bus.app("shop").await?.serve(ShopApiServer::new(Shop)).calls_only().await?;
        let shop = ShopApiClient::new(&bus);
        bus.simulate(shop.pack(7)).await?;
        bus.enqueued(shop.pack(7)).handled_by("shop").await;
    }
}
