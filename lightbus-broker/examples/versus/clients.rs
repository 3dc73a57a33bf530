//! The way applications take: through lapin.

use crate::Outcome;
use futures_util::{StreamExt, stream};
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties, Consumer,
    options::*,
    types::{FieldTable, ShortString},
};
use std::time::Instant;

const QUEUE: &str = "versus";
/// Publications that wait for their confirm at once.
const WINDOW: usize = 1000;

async fn connect(url: &str) -> lapin::Result<Channel> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    connection.create_channel().await
}

/// Declares a queue that is gone with its consumer.
async fn declare(channel: &Channel, name: &str, durable: bool) -> lapin::Result<ShortString> {
    let options = QueueDeclareOptions {
        durable,
        auto_delete: true,
        ..Default::default()
    };
    let queue = channel.queue_declare(name.into(), options, FieldTable::default());
    Ok(queue.await?.name().clone())
}

async fn consume(channel: &Channel, queue: ShortString, no_ack: bool) -> lapin::Result<Consumer> {
    let options = BasicConsumeOptions {
        no_ack,
        ..Default::default()
    };
    channel
        .basic_consume(queue, "".into(), options, FieldTable::default())
        .await
}

async fn publish(
    channel: &Channel,
    queue: ShortString,
    body: &[u8],
    properties: BasicProperties,
) -> lapin::Result<()> {
    let options = BasicPublishOptions::default();
    channel
        .basic_publish("".into(), queue, options, body, properties)
        .await?
        .await?;
    Ok(())
}

fn block_on<T>(work: impl Future<Output = lapin::Result<T>>) -> Outcome<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    Ok(runtime.block_on(work)?)
}

/// One message, confirmed.
pub(crate) async fn publish_once(url: &str) -> lapin::Result<()> {
    let channel = connect(url).await?;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await?;
    let queue = declare(&channel, "", false).await?;
    publish(&channel, queue, b"first", BasicProperties::default()).await
}

/// How many messages a second are published, consumed and acknowledged one by one; `safe`: persistent and confirmed.
pub(crate) fn rate(url: &str, count: usize, safe: bool) -> Outcome<f64> {
    block_on(async {
        let (source, sink) = (connect(url).await?, connect(url).await?);
        let queue = declare(&sink, QUEUE, safe).await?;
        sink.basic_qos(1000, BasicQosOptions::default()).await?;
        let mut consumer = consume(&sink, queue, false).await?.take(count);
        let start = Instant::now();
        let publisher = tokio::spawn(publish_all(source, count, safe));
        while let Some(delivery) = consumer.next().await {
            delivery?.ack(BasicAckOptions::default()).await?;
        }
        if let Ok(result) = publisher.await {
            result?;
        }
        Ok(count as f64 / start.elapsed().as_secs_f64())
    })
}

async fn publish_all(channel: Channel, count: usize, safe: bool) -> lapin::Result<()> {
    let mut properties = BasicProperties::default();
    if safe {
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await?;
        properties = properties.with_delivery_mode(2);
    }
    let publications =
        (0..count).map(|_| publish(&channel, QUEUE.into(), &[7; 100], properties.clone()));
    let mut publications = stream::iter(publications).buffer_unordered(WINDOW);
    while publications.next().await.transpose()?.is_some() {}
    Ok(())
}

/// The median time of a call, in microseconds, one after the other.
pub(crate) fn call(url: &str, count: usize, direct: bool) -> Outcome<f64> {
    block_on(async {
        let (client, server) = (connect(url).await?, connect(url).await?);
        let requests = declare(&server, "", false).await?;
        let serving = tokio::spawn(serve(
            server.clone(),
            consume(&server, requests.clone(), true).await?,
        ));
        let answers = if direct {
            "amq.rabbitmq.reply-to".into()
        } else {
            declare(&client, "", false).await?
        };
        let mut replies = consume(&client, answers.clone(), true).await?;
        let mut times = Vec::with_capacity(count);
        for _ in 0..count {
            let start = Instant::now();
            let properties = BasicProperties::default().with_reply_to(answers.clone());
            publish(&client, requests.clone(), &[7; 100], properties).await?;
            replies.next().await.transpose()?;
            times.push(start.elapsed());
        }
        serving.abort();
        times.sort_unstable();
        Ok(times[times.len() / 2].as_secs_f64() * 1e6)
    })
}

async fn serve(channel: Channel, mut requests: Consumer) -> lapin::Result<()> {
    while let Some(request) = requests.next().await.transpose()? {
        if let Some(to) = request.properties.reply_to() {
            publish(
                &channel,
                to.clone(),
                &request.data,
                BasicProperties::default(),
            )
            .await?;
        }
    }
    Ok(())
}
