//! What tests make go wrong.

use crate::{
    core::{At, Tamper},
    refusal::Refusal,
    server::Shared,
};
use std::{sync::Arc, time::Duration};

/// Makes go wrong what goes wrong with brokers and networks, so that tests can see what their programs make of it.
///
/// Each method says what happens and what ends it; [`clear`](Self::clear) ends all of it. Names of queues mean the queues
/// of that name in every virtual host. What is armed shows in the [`Snapshot`](crate::Snapshot): in its `faults`, and at each
/// queue and connection. A handle may outlive its broker; it does nothing then.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use lapin::{BasicProperties, Connection, ConnectionProperties, options::*, types::FieldTable};
///
/// let broker = lightbus_broker::Broker::start().await?;
/// let connection = Connection::connect(&broker.url(), ConnectionProperties::default()).await?;
/// let channel = connection.create_channel().await?;
/// channel.confirm_select(ConfirmSelectOptions::default()).await?;
///
/// broker.faults().fail_publishes(1);
/// let options = BasicPublishOptions::default();
/// let confirm = channel.basic_publish("".into(), "jobs".into(), options, b"work", BasicProperties::default()).await?;
/// assert!(confirm.await?.is_nack());
/// assert_eq!(broker.snapshot().faults.fail_publishes, 0);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Faults {
    shared: Arc<Shared>,
}

impl Faults {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Cuts the connections whose client calls itself so (`connection_name`), abruptly, as a network does. Says how many.
    /// When this returns, their consumers and exclusive queues are gone and what they had not acknowledged is back in its queues.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = lightbus_broker::Broker::start().await?;
    /// # let properties = lapin::ConnectionProperties::default().with_connection_name("sales-app".into());
    /// # let connection = lapin::Connection::connect(&broker.url(), properties).await?;
    /// # let channel = connection.create_channel().await?;
    /// assert_eq!(broker.faults().cut("sales-app"), 1);
    /// assert!(broker.snapshot().connections.is_empty());
    /// # Ok(()) }
    /// ```
    pub fn cut(&self, connection: &str) -> usize {
        self.shared.cut(Some(connection))
    }

    /// Cuts every connection, like [`Broker::drop_connections`](crate::Broker::drop_connections).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = lightbus_broker::Broker::start().await?;
    /// assert_eq!(broker.faults().cut_all(), 0);
    /// # Ok(()) }
    /// ```
    pub fn cut_all(&self) -> usize {
        self.shared.cut(None)
    }

    /// Closes the connections whose client calls itself so, with a code and a text that they are told. Says how many.
    /// An operator's way is 320 and `CONNECTION_FORCED - ` with a reason.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = lightbus_broker::Broker::start().await?;
    /// # let properties = lapin::ConnectionProperties::default().with_connection_name("sales-app".into());
    /// # let connection = lapin::Connection::connect(&broker.url(), properties).await?;
    /// # let channel = connection.create_channel().await?;
    /// let closed = broker.faults().close_connection("sales-app", 320, "CONNECTION_FORCED - maintenance");
    /// assert_eq!(closed, 1);
    /// # Ok(()) }
    /// ```
    pub fn close_connection(&self, connection: &str, code: u16, text: &str) -> usize {
        self.shared.close_named(connection, code, text)
    }

    /// Closes a channel of the connections whose client calls itself so, with a code and a text, as after an error. Says how many.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = lightbus_broker::Broker::start().await?;
    /// # let properties = lapin::ConnectionProperties::default().with_connection_name("sales-app".into());
    /// # let connection = lapin::Connection::connect(&broker.url(), properties).await?;
    /// # let channel = connection.create_channel().await?;
    /// let number = channel.id();
    /// let closed = broker.faults().close_channel("sales-app", number, 406, "PRECONDITION_FAILED - delivery acknowledgement timed out");
    /// assert_eq!(closed, 1);
    /// # Ok(()) }
    /// ```
    pub fn close_channel(&self, connection: &str, channel: u16, code: u16, text: &str) -> usize {
        self.shared.with(|core, now| {
            let named = core.named(connection);
            let closed = named.into_iter().filter(|conn| {
                let at = At {
                    conn: *conn,
                    channel,
                };
                core.force_close_channel(at, code, text, now)
            });
            closed.count()
        })
    }

    /// Cancels the consumers of a queue that have this tag; their clients are told (`basic.cancel`). Says how many there were.
    /// What they had not acknowledged they may still acknowledge.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = lightbus_broker::Broker::start().await?;
    /// # let properties = lapin::ConnectionProperties::default().with_connection_name("sales-app".into());
    /// # let connection = lapin::Connection::connect(&broker.url(), properties).await?;
    /// # let channel = connection.create_channel().await?;
    /// # channel.queue_declare("jobs".into(), Default::default(), Default::default()).await?;
    /// let consumer = channel.basic_consume("jobs".into(), "worker".into(), Default::default(), Default::default()).await?;
    /// assert_eq!(broker.faults().cancel_consumer("jobs", "worker"), 1);
    /// # drop(consumer);
    /// # Ok(()) }
    /// ```
    pub fn cancel_consumer(&self, queue: &str, tag: &str) -> usize {
        self.shared
            .with(|core, now| core.force_cancel(queue, tag, now))
    }

    /// Deletes a queue, whoever uses it; its consumers are told (`basic.cancel`). Says how many there were.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = lightbus_broker::Broker::start().await?;
    /// # let properties = lapin::ConnectionProperties::default().with_connection_name("sales-app".into());
    /// # let connection = lapin::Connection::connect(&broker.url(), properties).await?;
    /// # let channel = connection.create_channel().await?;
    /// # channel.queue_declare("jobs".into(), Default::default(), Default::default()).await?;
    /// assert_eq!(broker.faults().delete_queue("jobs"), 1);
    /// assert!(broker.snapshot().queue("jobs").is_none());
    /// # Ok(()) }
    /// ```
    pub fn delete_queue(&self, queue: &str) -> usize {
        self.shared.with(|core, now| core.force_delete(queue, now))
    }

    /// Does to the broker what a restart of the node does to RabbitMQ, except that the port stays open.
    ///
    /// Every connection is cut. Queues and exchanges that are not durable are gone, and so are exclusive ones, and the messages of classic
    /// queues that are not persistent. What clients had not acknowledged is back in its queues and will come with `redelivered` set. Counters
    /// and what is armed stay. For a broker that is away for a while, use [`refuse_connections`](Self::refuse_connections) first.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = lightbus_broker::Broker::start().await?;
    /// # let properties = lapin::ConnectionProperties::default().with_connection_name("sales-app".into());
    /// # let connection = lapin::Connection::connect(&broker.url(), properties).await?;
    /// # let channel = connection.create_channel().await?;
    /// # channel.queue_declare("jobs".into(), Default::default(), Default::default()).await?;
    /// broker.faults().restart();
    /// assert!(broker.snapshot().queue("jobs").is_none(), "it was not durable");
    /// # Ok(()) }
    /// ```
    pub fn restart(&self) {
        self.shared.restart();
    }

    /// Refuses connections that come from now on; those that are there stay. [`admit_connections`](Self::admit_connections) ends it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = lightbus_broker::Broker::start().await?;
    /// broker.faults().refuse_connections(lightbus_broker::Refusal::Closed);
    /// let refused = lapin::Connection::connect(&broker.url(), lapin::ConnectionProperties::default()).await;
    /// assert!(refused.is_err());
    /// broker.faults().admit_connections();
    /// let admitted = lapin::Connection::connect(&broker.url(), lapin::ConnectionProperties::default()).await;
    /// assert!(admitted.is_ok());
    /// # Ok(()) }
    /// ```
    pub fn refuse_connections(&self, how: Refusal) {
        self.shared.refuse(Some(how));
    }

    /// Admits connections again. Those that met silence are answered now, unless their time for logging in is over.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = lightbus_broker::Broker::start().await?;
    /// broker.faults().admit_connections();
    /// assert_eq!(broker.snapshot().faults.refusing, None);
    /// # Ok(()) }
    /// ```
    pub fn admit_connections(&self) {
        self.shared.refuse(None);
    }

    /// Stalls the connections whose client calls itself so: nothing is read from them or written to them, heartbeats neither, but
    /// their sockets stay open. What the broker has for them waits. Says how many; [`resume`](Self::resume) ends it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = lightbus_broker::Broker::start().await?;
    /// # let properties = lapin::ConnectionProperties::default().with_connection_name("sales-app".into());
    /// # let connection = lapin::Connection::connect(&broker.url(), properties).await?;
    /// # let channel = connection.create_channel().await?;
    /// assert_eq!(broker.faults().stall("sales-app"), 1);
    /// assert!(broker.snapshot().connections[0].stalled);
    /// # broker.faults().resume("sales-app");
    /// # Ok(()) }
    /// ```
    pub fn stall(&self, connection: &str) -> usize {
        self.shared.stall(connection, true)
    }

    /// Ends what [`stall`](Self::stall) began. Says how many connections there are of that name.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = lightbus_broker::Broker::start().await?;
    /// assert_eq!(broker.faults().resume("sales-app"), 0);
    /// # Ok(()) }
    /// ```
    pub fn resume(&self, connection: &str) -> usize {
        self.shared.stall(connection, false)
    }

    /// Stalls every connection, and those to come. [`resume_all`](Self::resume_all) ends it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = lightbus_broker::Broker::start().await?;
    /// broker.faults().stall_all();
    /// assert!(broker.snapshot().faults.stalled);
    /// broker.faults().resume_all();
    /// # Ok(()) }
    /// ```
    pub fn stall_all(&self) {
        self.shared.stall_all(true);
    }

    /// Ends what [`stall_all`](Self::stall_all) or [`stall`](Self::stall) began, for every connection.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = lightbus_broker::Broker::start().await?;
    /// broker.faults().resume_all();
    /// assert!(!broker.snapshot().faults.stalled);
    /// # Ok(()) }
    /// ```
    pub fn resume_all(&self) {
        self.shared.stall_all(false);
    }

    /// Holds everything the broker sends for so long, by its clock, in order: answers, confirms, deliveries. Heartbeats are
    /// not held. Zero ends it; what is held by then still comes when it was due, and nothing overtakes it. A connection that ends is sent it
    /// before.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    ///
    /// let broker = lightbus_broker::Broker::start().await?;
    /// broker.faults().delay(Duration::from_millis(50));
    /// let before = std::time::Instant::now();
    /// lapin::Connection::connect(&broker.url(), lapin::ConnectionProperties::default()).await?;
    /// assert!(before.elapsed() >= Duration::from_millis(150), "start, tune and open-ok");
    /// # Ok(()) }
    /// ```
    pub fn delay(&self, by: Duration) {
        self.shared.with(|core, now| core.set_delay(by, now));
    }

    /// Stops the deliveries of a queue, to consumers and to `basic.get`, which finds it empty. Messages come in and expire as ever. Says
    /// how many queues there are of that name; [`resume_queue`](Self::resume_queue) ends it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = lightbus_broker::Broker::start().await?;
    /// # let properties = lapin::ConnectionProperties::default().with_connection_name("sales-app".into());
    /// # let connection = lapin::Connection::connect(&broker.url(), properties).await?;
    /// # let channel = connection.create_channel().await?;
    /// # channel.queue_declare("jobs".into(), Default::default(), Default::default()).await?;
    /// assert_eq!(broker.faults().pause_queue("jobs"), 1);
    /// assert_eq!(broker.snapshot().queue("jobs").map(|queue| queue.paused), Some(true));
    /// # Ok(()) }
    /// ```
    pub fn pause_queue(&self, queue: &str) -> usize {
        self.shared
            .with(|core, now| core.pause_queues(queue, true, now))
    }

    /// Ends what [`pause_queue`](Self::pause_queue) began. Says how many queues there are of that name.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = lightbus_broker::Broker::start().await?;
    /// assert_eq!(broker.faults().resume_queue("jobs"), 0);
    /// # Ok(()) }
    /// ```
    pub fn resume_queue(&self, queue: &str) -> usize {
        self.shared
            .with(|core, now| core.pause_queues(queue, false, now))
    }

    /// Refuses the next so many messages on channels that asked for confirms: they reach no queue, and their publishers are told (`basic.nack`).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = lightbus_broker::Broker::start().await?;
    /// broker.faults().fail_publishes(3);
    /// assert_eq!(broker.snapshot().faults.fail_publishes, 3);
    /// # Ok(()) }
    /// ```
    pub fn fail_publishes(&self, count: u64) {
        self.tamper(Tamper::FailPublishes(count));
    }

    /// Loses the next so many messages: they reach no queue and are not returned either, and yet they are confirmed. A broker that does
    /// so is broken; this shows what a program makes of it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = lightbus_broker::Broker::start().await?;
    /// broker.faults().drop_publishes(1);
    /// assert_eq!(broker.snapshot().faults.drop_publishes, 1);
    /// # Ok(()) }
    /// ```
    pub fn drop_publishes(&self, count: u64) {
        self.tamper(Tamper::DropPublishes(count));
    }

    /// Never sends the next so many confirms, positive or negative. Their messages are routed as ever, and no later confirm covers them.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = lightbus_broker::Broker::start().await?;
    /// broker.faults().withhold_confirms(1);
    /// assert_eq!(broker.snapshot().faults.withhold_confirms, 1);
    /// # Ok(()) }
    /// ```
    pub fn withhold_confirms(&self, count: u64) {
        self.tamper(Tamper::WithholdConfirms(count));
    }

    /// Has the next so many deliveries come again, with `redelivered` set, as after an acknowledgement that got lost: a message goes back
    /// to its queue when it is acknowledged, or at once where it need not be. They are counted as they are delivered, whatever is acknowledged first; what a stream delivers does not count.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = lightbus_broker::Broker::start().await?;
    /// broker.faults().duplicate_deliveries(1);
    /// assert_eq!(broker.snapshot().faults.duplicate_deliveries, 1);
    /// # Ok(()) }
    /// ```
    pub fn duplicate_deliveries(&self, count: u64) {
        self.tamper(Tamper::DuplicateDeliveries(count));
    }

    /// Ends everything that is armed: refusals, stalls, delays, pauses, counts, and what
    /// [`Broker::block_publishers`](crate::Broker::block_publishers) began.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = lightbus_broker::Broker::start().await?;
    /// broker.faults().drop_publishes(7);
    /// broker.faults().clear();
    /// assert_eq!(broker.snapshot().faults, Default::default());
    /// # Ok(()) }
    /// ```
    pub fn clear(&self) {
        self.shared.heal();
    }

    fn tamper(&self, tamper: Tamper) {
        self.shared.with(|core, _| core.tamper(tamper));
    }
}
