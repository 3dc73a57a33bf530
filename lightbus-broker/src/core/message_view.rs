//! A message as those see it who watch the broker. Nothing is decoded before somebody asks.

use super::{
    message::{Headers, Message, OVERHEAD},
    properties::{Field, Index},
};
use amq_protocol::types::FieldTable;
use std::fmt;

impl Message {
    /// Its number among all messages published since the broker started. All its copies keep it, dead letters too.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use lapin::{BasicProperties, Connection, ConnectionProperties, options::*};
    /// use lightbus_broker::{Broker, EventKind};
    ///
    /// let broker = Broker::start().await?;
    /// let mut events = broker.events();
    /// let connection = Connection::connect(&broker.url(), ConnectionProperties::default()).await?;
    /// let channel = connection.create_channel().await?;
    /// let properties = BasicProperties::default().with_message_id("m-1".into()).with_type("Order".into());
    /// channel.basic_publish("".into(), "jobs".into(), BasicPublishOptions::default(), b"work", properties).await?;
    ///
    /// let message = loop {
    ///     match events.next().await.ok_or("the broker is gone")?.kind {
    ///         EventKind::Published { message, .. } => break message,
    ///         _ => continue,
    ///     }
    /// };
    /// assert_eq!((message.number(), message.exchange(), message.routing_key()), (1, "", "jobs"));
    /// assert_eq!((message.body(), message.message_id(), message.type_name()), (&b"work"[..], Some("m-1"), Some("Order")));
    /// assert!(message.headers().inner().is_empty());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The exchange it was published to, or that its last queue gave it up to.
    #[must_use]
    pub fn exchange(&self) -> &str {
        &self.exchange
    }

    /// Its routing key.
    #[must_use]
    pub fn routing_key(&self) -> &str {
        &self.routing_key
    }

    /// Its body: the very bytes that lie in the queues.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body.bytes
    }

    /// Its headers, decoded anew at each call.
    #[must_use]
    pub fn headers(&self) -> FieldTable {
        Headers::of(&self.properties).table().clone()
    }

    /// The property `content-type`.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        self.text(Field::ContentType)
    }

    /// The property `message-id`.
    #[must_use]
    pub fn message_id(&self) -> Option<&str> {
        self.text(Field::MessageId)
    }

    /// The property `correlation-id`.
    #[must_use]
    pub fn correlation_id(&self) -> Option<&str> {
        self.text(Field::CorrelationId)
    }

    /// The property `reply-to`.
    #[must_use]
    pub fn reply_to(&self) -> Option<&str> {
        self.text(Field::ReplyTo)
    }

    /// The property `expiration`: for how long it may wait in a queue, in milliseconds.
    #[must_use]
    pub fn expiration(&self) -> Option<&str> {
        self.text(Field::Expiration)
    }

    /// The property `type`.
    #[must_use]
    pub fn type_name(&self) -> Option<&str> {
        self.text(Field::Type)
    }

    /// The property `app-id`.
    #[must_use]
    pub fn app_id(&self) -> Option<&str> {
        self.text(Field::AppId)
    }

    /// The property `priority`; 0 if there is none.
    #[must_use]
    pub fn priority(&self) -> u8 {
        self.priority
    }

    /// Whether it asked to be kept through a restart (`delivery-mode` 2).
    #[must_use]
    pub fn is_persistent(&self) -> bool {
        self.persistent
    }

    /// A short string property; one that is not UTF-8 counts as none.
    fn text(&self, field: Field) -> Option<&str> {
        let index = Index::scan(&self.properties).ok()?;
        std::str::from_utf8(index.short(&self.properties, field)?).ok()
    }

    /// What it holds on to, roughly, in bytes.
    pub(crate) fn weight(&self) -> usize {
        self.body.bytes.len() + self.properties.len() + OVERHEAD
    }
}

/// Without the body, of which only the length is told.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("number", &self.number)
            .field("exchange", &self.exchange)
            .field("routing_key", &self.routing_key)
            .field("message_id", &self.message_id())
            .field("body", &format_args!("{} bytes", self.body.bytes.len()))
            .finish_non_exhaustive()
    }
}
