//! Time that does not pass, and time that passes too fast.

use std::time::Duration;

use lightbus::HandlerError;

use super::{Shipped, Shop, ShopApiClient, ShopApiEvents, ShopApiServer, wrong};

const HOUR: Duration = Duration::from_secs(3600);

wrong! {
    async fn it_is_due_in_an_hour(bus) {
        bus.app("shop").await?.serve(ShopApiServer::new(Shop)).await?;
        let shop = ShopApiClient::new(&bus);
        shop.pack(7).after(HOUR).enqueue().await?;
        bus.enqueued(shop.pack(7)).handled_by("shop").await;
    }

    async fn the_time_cannot_be_moved(bus) {
        bus.app("shop").await?;
        bus.advance(HOUR).await;
    }

    async fn the_call_takes_too_long(bus) {
        let shop = ShopApiClient::new(&bus);
        bus.stub(shop.price("wheel")).after(Duration::from_secs(60)).returns(900).await?;
        shop.price("wheel").timeout(Duration::from_secs(1)).await?;
    }

    async fn the_handler_does_not_end(bus) {
        let app = bus.app("mailer").await?;
        let mail = |_: Shipped| std::future::pending::<Result<(), HandlerError>>();
        ShopApiClient::new(&app).shipped().listen("mail", mail).await?;
        bus.simulate(Shipped { id: 7 }).await?;
        bus.published(Shipped { id: 7 }).handled_by("mailer").within(Duration::from_millis(100)).await;
    }

    async fn it_is_never_quiet(bus) {
        let app = bus.app("shop").await?;
        let events = ShopApiEvents::new(&app);
        let again = move |shipped: Shipped| {
            let events = events.clone();
            async move {
                events.shipped().publish(Shipped { id: shipped.id + 1 }).await?;
                Ok::<_, HandlerError>(())
            }
        };
        ShopApiClient::new(&app).shipped().listen("again", again).await?;
        bus.simulate(Shipped { id: 7 }).await?;
        bus.published(Shipped { id: 0 }).never().within(Duration::from_millis(100)).await;
    }
}
