//! Bindings between exchanges.

use crate::prelude::*;

fn bind(destination: &str, source: &str, key: &str) -> exchange::Bind {
    exchange::Bind {
        destination: destination.into(),
        source: source.into(),
        routing_key: key.into(),
        ..Default::default()
    }
}

fn unbind(destination: &str, source: &str, key: &str) -> exchange::Unbind {
    exchange::Unbind {
        destination: destination.into(),
        source: source.into(),
        routing_key: key.into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn messages_pass_from_one_exchange_to_the_next() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let first = stage.exchange(&mut wire, "first", "topic").await;
    let second = stage.exchange(&mut wire, "second", "fanout").await;
    let queue = stage.queue(&mut wire, "q", &[]).await;
    wire.bind(&second, "", &queue).await;
    for _ in 0..2 {
        wire.call(1, bind(&second, &first, "a.*"), exchange::BindOk {})
            .await;
    }
    wire.publish(1, &first, "a.b", "1").await;
    wire.until_ready(&queue, 1).await;
    let message = wire.get(&queue).await;
    assert_eq!(message.get_ok().exchange.as_str(), first);
    assert_eq!(message.get_ok().routing_key.as_str(), "a.b");
    wire.call(1, unbind(&second, &first, "a.*"), exchange::UnbindOk {})
        .await;
    wire.publish(1, &first, "a.b", "2").await;
    assert_eq!(wire.message(1).await.text(), "2", "it comes back");
}

#[tokio::test]
async fn circles_end() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let one = stage.exchange(&mut wire, "one", "fanout").await;
    let two = stage.exchange(&mut wire, "two", "fanout").await;
    let queue = stage.queue(&mut wire, "q", &[]).await;
    for (to, from) in [(&one, &two), (&two, &one), (&one, &one)] {
        wire.call(1, bind(to, from, ""), exchange::BindOk {}).await;
    }
    wire.bind(&two, "", &queue).await;
    wire.publish(1, &one, "", "m").await;
    wire.until_ready(&queue, 1).await;
}

#[tokio::test]
async fn both_ends_must_exist_and_neither_be_the_default() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let (here, missing) = (
        stage.exchange(&mut wire, "x", "direct").await,
        stage.name("missing"),
    );
    let none = format!("NOT_FOUND - no exchange '{missing}' in vhost '/'");
    wire.refused(1, bind(&missing, &here, ""), 404, &none).await;
    wire.refused(1, bind(&here, &missing, ""), 404, &none).await;
    wire.call(1, unbind(&here, &missing, ""), exchange::UnbindOk {})
        .await;
    let default = "ACCESS_REFUSED - operation not permitted on the default exchange";
    wire.refused(1, bind("", &here, ""), 403, default).await;
    wire.refused(1, bind(&here, "", ""), 403, default).await;
    wire.refused(1, unbind("", &here, ""), 403, default).await;
    wire.call(
        1,
        unbind(&here, &here, "never bound"),
        exchange::UnbindOk {},
    )
    .await;
}

#[tokio::test]
async fn an_auto_delete_source_goes_with_its_last_destination() {
    let stage = Stage::start().await;
    let mut wire = stage.wire().await;
    let destination = stage.exchange(&mut wire, "destination", "direct").await;
    let source = stage.name("source");
    let declare = exchange::Declare {
        exchange: source.as_str().into(),
        kind: "direct".into(),
        auto_delete: true,
        ..Default::default()
    };
    wire.call(1, declare, exchange::DeclareOk {}).await;
    wire.call(1, bind(&destination, &source, ""), exchange::BindOk {})
        .await;
    let delete = exchange::Delete {
        exchange: destination.as_str().into(),
        ..Default::default()
    };
    wire.call(1, delete, exchange::DeleteOk {}).await;
    let passive = exchange::Declare {
        exchange: source.as_str().into(),
        passive: true,
        ..Default::default()
    };
    let none = format!("NOT_FOUND - no exchange '{source}' in vhost '/'");
    wire.refused(1, passive, 404, &none).await;
}
