//! Calls that are not stubbed, or otherwise.

use super::{ShopApiClient, ordered, packing, wrong};

wrong! {
    async fn another_method_is_stubbed(bus) {
        packing(&bus.app("packing").await?).await?;
        let shop = ShopApiClient::new(&bus);
        bus.stub(shop.price("wheel")).returns(900).await?;
        bus.simulate(ordered(7, "wheel")).await?;
    }

    async fn stubbed_for_other_arguments(bus) {
        packing(&bus.app("packing").await?).await?;
        let shop = ShopApiClient::new(&bus);
        bus.stub(shop.in_stock("Wheel")).returns(4).await?;
        bus.simulate(ordered(7, "wheel")).await?;
        bus.enqueued(shop.pack(7)).await;
    }

    async fn stubbed_for_one_call(bus) {
        packing(&bus.app("packing").await?).await?;
        let shop = ShopApiClient::new(&bus);
        bus.stub(shop.in_stock("wheel")).times(1).returns(4).await?;
        bus.simulate(ordered(7, "wheel")).await?;
        bus.enqueued(shop.pack(7)).await;
        bus.simulate(ordered(8, "wheel")).await?;
    }
}
