//! What was sent is not what is expected.

use serde_json::json;

use super::{
    Shipped, Shop, ShopApiClient, ShopApiEvents, ShopApiServer, StockError, ordered, packing, wrong,
};

wrong! {
    async fn a_wrong_value(bus) {
        bus.app("shop").await?;
        bus.simulate(ordered(7, "wheel")).await?;
        bus.simulate(ordered(8, "door")).await?;
        bus.published(ordered(9, "door")).await;
    }

    async fn a_wrong_value_deep_inside(bus) {
        bus.app("shop").await?;
        bus.simulate(ordered(7, "wheel")).await?;
        let other = json!({"to": {"street": {"number": 2}}});
        bus.published(ordered(7, "wheel")).fields(other).await;
    }

    async fn sent_twice(bus) {
        let shop = bus.app("shop").await?;
        for _ in 0..2 {
            ShopApiEvents::new(&shop).shipped().publish(Shipped { id: 7 }).await?;
        }
        bus.published(Shipped { id: 7 }).once().await;
    }

    async fn sent_although_it_should_not_be(bus) {
        packing(&bus.app("packing").await?).await?;
        let shop = ShopApiClient::new(&bus);
        bus.stub(shop.in_stock("wheel")).returns(4).await?;
        bus.simulate(ordered(7, "wheel")).await?;
        // It fails at once.
        bus.settled().await;
        bus.enqueued(shop.pack(0)).any_arguments().never().await;
    }

    async fn sent_by_somebody_else(bus) {
        bus.app("shop").await?;
        bus.simulate(Shipped { id: 7 }).await?;
        bus.published(Shipped { id: 7 }).by("shop").await;
    }

    async fn without_its_header(bus) {
        bus.app("shop").await?;
        bus.simulate(Shipped { id: 7 }).await?;
        bus.published(Shipped { id: 7 }).with_header("tenant", "acme").await;
    }

    async fn in_another_order(bus) {
        packing(&bus.app("packing").await?).await?;
        let shop = ShopApiClient::new(&bus);
        bus.stub(shop.in_stock("wheel")).returns(4).await?;
        bus.simulate(ordered(7, "wheel")).await?;
        bus.published(ordered(7, "wheel")).then(bus.enqueued(shop.pack(7))).then(bus.called(shop.in_stock("wheel"))).await;
    }

    async fn of_another_kind(bus) {
        let shop = ShopApiClient::new(&bus);
        bus.app("shop").await?.serve(ShopApiServer::new(Shop)).await?;
        shop.price("wheel").await?;
        bus.stub(shop.in_stock("wheel")).returns(1).await?;
        bus.called(other_shop::ApiClient::new(&bus).price("wheel")).await;
    }

    async fn more_than_was_expected(bus) {
        packing(&bus.app("packing").await?).await?;
        let shop = ShopApiClient::new(&bus);
        bus.stub(shop.in_stock("wheel")).returns(4).await?;
        bus.simulate(ordered(7, "wheel")).await?;
        bus.called(shop.in_stock("wheel")).once().await;
        bus.nothing_else().await;
    }

    async fn answered_otherwise(bus) {
        let shop = ShopApiClient::new(&bus);
        bus.app("shop").await?.serve(ShopApiServer::new(Shop)).await?;
        let _ = shop.in_stock("flux capacitor").await;
        bus.called(shop.in_stock("flux capacitor")).failed(StockError::NoSuchPart { part: String::new() }).await;
    }
}

mod other_shop {
    #[lightbus::api(name = "shop_de")]
    pub trait Api {
        async fn price(&self, part: String) -> u64;
    }
}
