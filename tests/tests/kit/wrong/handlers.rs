//! Handlers that fail, and messages that are too much for them.

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Connection, ConnectionProperties};
use lightbus::HandlerError;
use lightbus::testing::TestBus;
use serde_json::json;

use super::{Shipped, Shop, ShopApiClient, ShopApiServer, StockError, ordered, packing, wrong};

wrong! {
    async fn the_handler_fails(bus) {
        packing(&bus.app("packing").await?).await?;
        let shop = ShopApiClient::new(&bus);
        let error = StockError::NoSuchPart { part: "wheel".to_owned() };
        bus.stub(shop.in_stock("wheel")).fails(error).await?;
        bus.simulate(ordered(7, "wheel")).await?;
        bus.enqueued(shop.pack(7)).await;
    }

    async fn the_worker_fails_each_time(bus) {
        bus.app("shop").await?.serve(ShopApiServer::new(Shop)).await?;
        let shop = ShopApiClient::new(&bus);
        bus.simulate(shop.pack(0)).await?;
        bus.enqueued(shop.pack(0)).handled_by("shop").await;
    }

    async fn it_was_tried_again_more_often(bus) {
        bus.app("shop").await?.serve(ShopApiServer::new(Shop)).await?;
        let shop = ShopApiClient::new(&bus);
        bus.simulate(shop.pack(0)).await?;
        bus.enqueued(shop.pack(0)).retried(1).dead_because("no such order").await;
    }

    async fn the_handler_panics(bus) {
        let app = bus.app("mailer").await?;
        let greet = |shipped: Shipped| async move {
            assert!(shipped.id > 100, "old order {}", shipped.id);
            Ok::<_, HandlerError>(())
        };
        let retry = lightbus::Retry::never();
        ShopApiClient::new(&app).shipped().retry(retry).listen("mail", greet).await?;
        bus.simulate(Shipped { id: 7 }).await?;
        bus.published(Shipped { id: 7 }).handled_by("mailer").await;
    }

    async fn the_message_cannot_be_read(bus) {
        packing(&bus.app("packing").await?).await?;
        send(&bus, 1, r#"{"id": "seven", "part": "wheel"}"#).await?;
        bus.published(ordered(7, "wheel")).fields(json!({"part": "wheel"})).handled_by("packing").await;
    }

    async fn sent_twice_under_one_id(bus) {
        packing(&bus.app("packing").await?).await?;
        let shop = ShopApiClient::new(&bus);
        bus.stub(shop.in_stock("wheel")).returns(4).await?;
        let order = serde_json::to_string(&ordered(7, "wheel"))?;
        send(&bus, 2, &order).await?;
        bus.settled().await;
        bus.enqueued(shop.pack(7)).once().await;
    }
}

/// An order from a program that is not in Rust, so many times.
async fn send(bus: &TestBus, times: usize, order: &str) -> anyhow::Result<()> {
    let named = ConnectionProperties::default().with_connection_name("php-shop".into());
    let connection = Connection::connect(&bus.url(), named).await?;
    let channel = connection.create_channel().await?;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await?;
    let properties = BasicProperties::default()
        .with_type("lb1.ev".into())
        .with_message_id("7".into())
        .with_content_type("application/json".into());
    for _ in 0..times {
        let (exchange, key) = ("lb.ev.shop".into(), "shop.ordered".into());
        let options = BasicPublishOptions::default();
        let confirm =
            channel.basic_publish(exchange, key, options, order.as_bytes(), properties.clone());
        confirm.await?.await?;
        bus.settled().await;
    }
    connection.close(200, "done".into()).await?;
    Ok(())
}
