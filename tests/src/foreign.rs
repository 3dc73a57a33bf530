//! Another AMQP client, as a program in another language would be: it looks at queues, and sends what lightbus never would.

use anyhow::Context;
use lapin::options::{
    BasicGetOptions, BasicPublishOptions, BasicRejectOptions, ConfirmSelectOptions,
    ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};

use crate::eventually;

/// A raw AMQP connection.
#[derive(Debug)]
pub struct Foreign {
    connection: Connection,
}

impl Foreign {
    /// Connects to a broker.
    pub async fn connect(url: &str) -> anyhow::Result<Self> {
        let connection = Connection::connect(url, ConnectionProperties::default()).await?;
        Ok(Self { connection })
    }

    /// A new channel.
    pub async fn channel(&self) -> anyhow::Result<Channel> {
        Ok(self.connection.create_channel().await?)
    }

    /// Messages and consumers of a queue; `None` when there is no such queue.
    pub async fn queue(&self, name: &str) -> anyhow::Result<Option<(u32, u32)>> {
        let channel = self.channel().await?;
        let options = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        match channel
            .queue_declare(name.into(), options, FieldTable::default())
            .await
        {
            Ok(queue) => {
                channel.close(200, "done".into()).await?;
                Ok(Some((queue.message_count(), queue.consumer_count())))
            }
            Err(error) if error.is_amqp_soft_error() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until a queue has that many messages and consumers. RabbitMQ counts what was settled, and what a closed channel
    /// leaves behind, in its own time.
    pub async fn until(&self, queue: &str, messages: u32, consumers: u32) -> anyhow::Result<()> {
        let what = format!("`{queue}` has {messages} messages and {consumers} consumers");
        eventually(&what, async || {
            let counted = self.queue(queue).await;
            counted.is_ok_and(|counted| counted == Some((messages, consumers)))
        })
        .await
    }

    /// Declares a durable queue without any arguments.
    pub async fn declare_plain_queue(&self, name: &str) -> anyhow::Result<()> {
        let options = QueueDeclareOptions {
            durable: true,
            ..QueueDeclareOptions::default()
        };
        let channel = self.channel().await?;
        channel
            .queue_declare(name.into(), options, FieldTable::default())
            .await?;
        Ok(())
    }

    /// Deletes a queue with all that is in it.
    pub async fn delete_queue(&self, name: &str) -> anyhow::Result<()> {
        let channel = self.channel().await?;
        channel
            .queue_delete(name.into(), QueueDeleteOptions::default())
            .await?;
        Ok(())
    }

    /// Deletes an exchange.
    pub async fn delete_exchange(&self, name: &str) -> anyhow::Result<()> {
        let channel = self.channel().await?;
        channel
            .exchange_delete(name.into(), ExchangeDeleteOptions::default())
            .await?;
        Ok(())
    }

    /// Declares a queue that hears all of a topic exchange, and takes nothing: it holds the one message that it may hold.
    pub async fn declare_full_queue(&self, name: &str, exchange: &str) -> anyhow::Result<()> {
        let mut arguments = FieldTable::default();
        arguments.insert(
            "x-queue-type".into(),
            AMQPValue::LongString("classic".into()),
        );
        arguments.insert("x-max-length".into(), AMQPValue::LongLongInt(1));
        let overflow = AMQPValue::LongString("reject-publish".into());
        arguments.insert("x-overflow".into(), overflow);
        let options = QueueDeclareOptions {
            durable: true,
            ..QueueDeclareOptions::default()
        };
        let channel = self.channel().await?;
        channel
            .queue_declare(name.into(), options, arguments)
            .await?;
        self.publish("", name, BasicProperties::default(), b"full")
            .await?;
        let bind = QueueBindOptions::default();
        let all = FieldTable::default();
        channel
            .queue_bind(name.into(), exchange.into(), "#".into(), bind, all)
            .await?;
        Ok(())
    }

    /// The next message of a queue, acknowledged.
    pub async fn take(&self, queue: &str) -> anyhow::Result<Option<lapin::message::Delivery>> {
        let channel = self.channel().await?;
        let got = channel
            .basic_get(queue.into(), BasicGetOptions { no_ack: true })
            .await?;
        Ok(got.map(|got| got.delivery))
    }

    /// All messages of a queue, acknowledged; none when there is no such queue.
    pub async fn drain(&self, queue: &str) -> anyhow::Result<Vec<lapin::message::Delivery>> {
        let mut drained = Vec::new();
        if self.queue(queue).await?.is_none() {
            return Ok(drained);
        }
        let channel = self.channel().await?;
        let options = BasicGetOptions { no_ack: true };
        while let Some(got) = channel.basic_get(queue.into(), options).await? {
            drained.push(got.delivery);
        }
        channel.close(200, "done".into()).await?;
        Ok(drained)
    }

    /// Takes the next message of a queue and gives it back, so many times: as workers do that are lost while they have it.
    pub async fn give_back(&self, queue: &str, times: usize) -> anyhow::Result<()> {
        let channel = self.channel().await?;
        for n in 0..times {
            let options = BasicGetOptions::default();
            let got = channel.basic_get(queue.into(), options).await?;
            let got = got.with_context(|| format!("`{queue}` is empty after {n} times"))?;
            got.reject(BasicRejectOptions { requeue: true }).await?;
        }
        channel.close(200, "done".into()).await?;
        Ok(())
    }

    /// Publishes and waits for the confirmation.
    pub async fn publish(
        &self,
        exchange: &str,
        key: &str,
        properties: BasicProperties,
        payload: &[u8],
    ) -> anyhow::Result<()> {
        let channel = self.channel().await?;
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await?;
        let options = BasicPublishOptions::default();
        channel
            .basic_publish(exchange.into(), key.into(), options, payload, properties)
            .await?
            .await?;
        channel.close(200, "done".into()).await?;
        Ok(())
    }

    /// An exchange and a queue to be answered on, as `<app>/<instance>`; the queue's name is returned.
    pub async fn reply_address(&self, app: &str, instance: &str) -> anyhow::Result<String> {
        let (exchange, queue) = (format!("lb.reply.{app}"), format!("lb.r.{app}.{instance}"));
        let channel = self.channel().await?;
        let durable = lapin::options::ExchangeDeclareOptions {
            durable: true,
            ..Default::default()
        };
        let none = FieldTable::default;
        channel
            .exchange_declare(
                exchange.as_str().into(),
                lapin::ExchangeKind::Direct,
                durable,
                none(),
            )
            .await?;
        let options = QueueDeclareOptions {
            durable: true,
            ..QueueDeclareOptions::default()
        };
        channel
            .queue_declare(queue.as_str().into(), options, none())
            .await?;
        let key = ShortString::from(instance);
        channel
            .queue_bind(
                queue.as_str().into(),
                exchange.as_str().into(),
                key,
                Default::default(),
                none(),
            )
            .await?;
        Ok(queue)
    }
}
