//! How fast messages go from a publisher through the broker to a consumer, all in this process, through lapin:
//! `cargo run --release -p lightbus-broker --example throughput -- [messages] [bytes] [confirm|plain] [url]`.

use futures_util::{StreamExt, stream};
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties, options::*, types::FieldTable,
};
use lightbus_broker::Broker;
use std::{error::Error, time::Instant};

/// Publications that wait for their confirm at once.
const WINDOW: usize = 1000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let count: usize = arguments.next().map_or(Ok(100_000), |text| text.parse())?;
    let bytes: usize = arguments.next().map_or(Ok(100), |text| text.parse())?;
    let confirmed = arguments.next().is_none_or(|text| text == "confirm");
    let broker = Broker::start().await?;
    let url = arguments.next().unwrap_or_else(|| broker.url());

    let properties = ConnectionProperties::default();
    let publishing = Connection::connect(&url, properties.clone()).await?;
    let consuming = Connection::connect(&url, properties).await?;
    let (source, sink) = (
        publishing.create_channel().await?,
        consuming.create_channel().await?,
    );
    let queue = "throughput";
    sink.queue_declare(
        queue.into(),
        QueueDeclareOptions {
            auto_delete: true,
            ..Default::default()
        },
        FieldTable::default(),
    )
    .await?;
    sink.basic_qos(1000, BasicQosOptions::default()).await?;
    let consumer = sink
        .basic_consume(
            queue.into(),
            "".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await?;

    let start = Instant::now();
    let publisher = tokio::spawn(publish(source, queue, count, vec![0; bytes], confirmed));
    let mut consumer = consumer.take(count).enumerate();
    while let Some((number, delivery)) = consumer.next().await {
        let delivery = delivery?;
        if (number + 1) % 100 == 0 || number + 1 == count {
            delivery.ack(BasicAckOptions { multiple: true }).await?;
        }
    }
    publisher.await??;
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{count} messages of {bytes} bytes in {seconds:.2} s: {:.0} a second",
        count as f64 / seconds
    );
    Ok(())
}

async fn publish(
    channel: Channel,
    queue: &'static str,
    count: usize,
    body: Vec<u8>,
    confirmed: bool,
) -> lapin::Result<()> {
    if confirmed {
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await?;
    }
    let (channel, body) = (&channel, &body[..]);
    let publications = (0..count).map(|_| async move {
        let options = BasicPublishOptions::default();
        let properties = BasicProperties::default();
        channel
            .basic_publish("".into(), queue.into(), options, body, properties)
            .await?
            .await
    });
    let mut publications = stream::iter(publications).buffer_unordered(WINDOW);
    while publications.next().await.transpose()?.is_some() {}
    Ok(())
}
