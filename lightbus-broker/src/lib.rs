//! A real AMQP 0-9-1 broker in a library: in the process, ready in milliseconds, gone when dropped.
//!
//! Tests, examples and development run on it over the very path they take in production: a socket, the protocol, an
//! ordinary client. Nothing is mocked. It behaves as RabbitMQ 4 does wherever a client would notice, and refuses what it
//! cannot do with the proper AMQP error instead of pretending.
//!
//! ```
//! use lapin::{BasicProperties, Connection, ConnectionProperties, options::*, types::FieldTable};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let broker = lightbus_broker::Broker::start().await?;
//!
//! let connection = Connection::connect(&broker.url(), ConnectionProperties::default()).await?;
//! let channel = connection.create_channel().await?;
//! channel.queue_declare("jobs".into(), QueueDeclareOptions::default(), FieldTable::default()).await?;
//! channel.confirm_select(ConfirmSelectOptions::default()).await?;
//! let confirm = channel
//!     .basic_publish("".into(), "jobs".into(), BasicPublishOptions::default(), b"work", BasicProperties::default())
//!     .await?;
//! assert!(confirm.await?.is_ack());
//! assert_eq!(broker.snapshot().queue("jobs").map(|queue| queue.ready), Some(1));
//! # Ok(()) }
//! ```
//!
//! It keeps everything in memory, on one node. For more than that, and for anything that must outlive the process, there
//! is RabbitMQ.
//!
//! # What it does
//!
//! | Area | Supported |
//! |---|---|
//! | Connections | PLAIN and AMQPLAIN, users, virtual hosts, negotiated limits, heartbeats, `connection.blocked`, `update-secret` |
//! | Channels | open, close, flow; an error closes its channel only |
//! | Exchanges | direct, fanout, topic, headers; durable, auto-delete, internal, passive; alternate exchanges; bindings between exchanges; the default exchange and `amq.*` |
//! | Queues | classic and quorum; durable, exclusive, auto-delete, passive, named by the broker; redeclaration compared argument by argument |
//! | Queue arguments | `x-expires`, `x-message-ttl`, `x-max-length`, `x-max-length-bytes`, `x-overflow` (`drop-head`, `reject-publish`, `reject-publish-dlx`), `x-max-priority`, `x-single-active-consumer`, `x-dead-letter-exchange`, `x-dead-letter-routing-key`, `x-delivery-limit`, `x-queue-type` |
//! | Publishing | `mandatory` and `basic.return`, publisher confirms, transactions, `expiration`, `priority`, `user-id` checked, `CC` and `BCC` |
//! | Consuming | prefetch for each consumer and for a whole channel, `basic.get`, acknowledgements one by one or many at once, requeueing to the old place, `basic.recover`, exclusive consumers, consumer priorities, cancel notifications, direct reply-to |
//! | Dead letters | reasons `rejected`, `expired`, `maxlen`, `delivery_limit`; `x-death`, `x-first-death-*`, `x-last-death-*`; circles are broken |
//! | Tests | [`Broker::snapshot`], [`Broker::drop_connections`], [`Broker::block_publishers`] |
//!
//! # What it does not, and what differs on purpose
//!
//! | Area | Here |
//! |---|---|
//! | Durability | accepted, not kept: everything ends with the process |
//! | Streams | `x-queue-type: stream` is refused with 406 |
//! | `immediate`, `prefetch_size`, `recover(requeue = false)` | refused with 540, as RabbitMQ does |
//! | Permissions | every user may do everything in every virtual host |
//! | Dead-lettering | synchronous, so that `x-dead-letter-strategy` makes no difference; a dead letter that nothing takes is gone |
//! | Quorum queues | one replica; every return of a message counts towards `x-delivery-limit` |
//! | Field tables | nested more than 64 deep: refused with 502, because such a message kills clients whose decoders recurse |
//! | Names and routing keys | must be UTF-8: 502 |
//! | Memory | publishers are blocked above a limit on what messages hold, not on what the process uses |
//!
//! # Robustness
//!
//! Whatever one client does stays with that client: malformed frames, floods, silence and half-open sockets end its
//! connection with the code the specification asks for. A consumer that does not read is given no more than 4 MiB ahead;
//! a client that asks without reading the answers is not read any further. Should handling a frame panic, that
//! connection is closed with 541 and the broker goes on.

mod broker;
mod config;
mod core;
mod error;
mod frames;
mod link;
mod queue_type;
mod server;
mod session;
mod snapshot;
mod thread;

pub use crate::{
    broker::Broker,
    config::BrokerBuilder,
    error::StartError,
    queue_type::QueueType,
    snapshot::{BindingInfo, ChannelInfo, ConnectionInfo, ExchangeInfo, QueueInfo, Snapshot},
};
