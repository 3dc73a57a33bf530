//! The program written by hand on lapin.

use anyhow::{Context as _, Result, ensure};
use futures_util::{FutureExt, StreamExt, stream};
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};

use crate::tally::{Job, Sent, Tally, asked_to_end};

pub(crate) const QUEUE: &str = "bench-tasks";
const TAG: &str = "bench";
/// At most so many deliveries are acknowledged at once.
const BATCH: usize = 64;

#[derive(serde::Serialize, serde::Deserialize)]
struct Arguments {
    number: u64,
}

async fn connect(job: &Job) -> Result<(Connection, Channel)> {
    let connection = Connection::connect(&job.url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let mut arguments = FieldTable::default();
    arguments.insert(
        "x-queue-type".into(),
        AMQPValue::LongString("quorum".into()),
    );
    let durable = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    channel
        .queue_declare(QUEUE.into(), durable, arguments)
        .await?;
    Ok((connection, channel))
}

/// Nothing is awaited one by one: what has been handed to lapin is confirmed in its own time.
pub(crate) async fn enqueue(job: &Job, together: usize) -> Result<()> {
    let (connection, channel) = connect(job).await?;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await?;
    let mut sent = Sent::begin();
    let publishing = stream::iter(0..job.tasks).map(|number| publish(&channel, number));
    let mut confirmed = publishing.buffered(together);
    while let Some(confirmation) = confirmed.next().await {
        ensure!(confirmation?.is_ack(), "not stored");
        sent.confirmed(1);
    }
    sent.end();
    connection.close(200, "done".into()).await?;
    Ok(())
}

async fn publish(channel: &Channel, number: u64) -> Result<Confirmation> {
    let mut headers = FieldTable::default();
    headers.insert("task".into(), AMQPValue::LongString("count".into()));
    let properties = BasicProperties::default()
        .with_delivery_mode(2)
        .with_content_type("application/msgpack".into())
        .with_message_id(uuid::Uuid::now_v7().to_string().into())
        .with_headers(headers);
    let payload = rmp_serde::to_vec_named(&Arguments { number })?;
    let options = BasicPublishOptions::default();
    let confirm = channel.basic_publish("".into(), QUEUE.into(), options, &payload, properties);
    Ok(confirm.await?.await?)
}

pub(crate) async fn work(job: &Job) -> Result<()> {
    let (connection, channel) = connect(job).await?;
    let tally = Tally::watch(job);
    let mut end = std::pin::pin!(asked_to_end());
    channel
        .basic_qos(job.prefetch, BasicQosOptions::default())
        .await?;
    let options = BasicConsumeOptions::default();
    let consumer = channel.basic_consume(QUEUE.into(), TAG.into(), options, FieldTable::default());
    let mut batches = consumer.await?.ready_chunks(BATCH);
    loop {
        let batch = tokio::select! {
            batch = batches.next() => batch.context("the consumer ended")?,
            ended = &mut end => {
                ended?;
                break;
            }
        };
        let mut last = 0;
        for delivery in batch {
            let delivery = delivery?;
            let arguments: Arguments = rmp_serde::from_slice(&delivery.data)?;
            tally.ran(arguments.number);
            last = delivery.delivery_tag;
        }
        // The first poll hands it to lapin; that it has been written is not waited for.
        let multiple = BasicAckOptions { multiple: true };
        if let Some(refused) = channel.basic_ack(last, multiple).now_or_never() {
            refused?;
        }
    }
    // Else lapin would send the close ahead of what was acknowledged last.
    channel
        .basic_cancel(TAG.into(), BasicCancelOptions::default())
        .await?;
    connection.close(200, "done".into()).await?;
    Ok(())
}
