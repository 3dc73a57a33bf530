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
//! | Channels | open, close; an error closes its channel only |
//! | Exchanges | direct, fanout, topic, headers; durable, auto-delete, internal, passive; alternate exchanges; bindings between exchanges; the default exchange and `amq.*` |
//! | Queues | classic, quorum and stream; durable, exclusive, auto-delete, passive, named by the broker; the arguments of each type checked, and redeclaration compared argument by argument |
//! | Queue arguments | `x-expires`, `x-message-ttl`, `x-max-length`, `x-max-length-bytes`, `x-overflow` (`drop-head`, `reject-publish`, `reject-publish-dlx`), `x-max-priority`, `x-single-active-consumer`, `x-dead-letter-exchange`, `x-dead-letter-routing-key`, `x-dead-letter-strategy`, `x-delivery-limit`, `x-consumer-timeout`, `x-max-age`, `x-stream-max-segment-size-bytes`, `x-queue-type` |
//! | Quorum queues | delivery counts and limit (20), high priorities (5 and above) two to one before the others, what comes back comes first, dead letters at most or at least once, a single active consumer that makes way for a better one |
//! | Streams | `x-stream-offset` (`first`, `last`, `next`, an offset, a timestamp, an interval such as `5m`), filters, retention by size and age, any number of consumers at their own pace |
//! | Publishing | `mandatory` and `basic.return`, publisher confirms, transactions, `expiration`, `priority`, `user-id` checked, `CC` and `BCC` |
//! | Consuming | prefetch for each consumer and for a whole channel, `basic.get`, acknowledgements one by one or many at once, requeueing to the old place, `basic.recover`, exclusive consumers, consumer priorities, cancel notifications, acknowledgement timeouts, direct reply-to |
//! | Dead letters | reasons `rejected`, `expired`, `maxlen`, `delivery_limit`; `x-death`, `x-first-death-*`, `x-last-death-*`; circles are broken |
//! | Tests | what is in it ([`Broker::snapshot`]), what happens ([`Broker::events`]), what goes wrong ([`Broker::faults`]), and when ([`Broker::advance`]); [`Broker::drop_connections`], [`Broker::block_publishers`] |
//!
//! # What it does not, and what differs on purpose
//!
//! | Area | Here |
//! |---|---|
//! | Durability | accepted, not kept: everything ends with the process |
//! | Streams | in memory: each message is a chunk of its own; a segment holds 1 MiB of bodies, or an eighth of `x-max-length-bytes` where that is less, unless the declaration says otherwise; with `x-max-age` it spans no more than that. Segments are removed when one is begun, the one being written never is. Filters are exact |
//! | `immediate`, `prefetch_size`, `recover(requeue = false)` | refused with 540, as RabbitMQ does |
//! | Permissions | every user may do everything in every virtual host |
//! | Dead-lettering | synchronous; at least once, what is not taken is tried again every second |
//! | Quorum queues | one replica, whatever group size is asked for; every return of a message counts towards `x-delivery-limit`; no `x-acquired-count` |
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
mod clock;
mod config;
mod core;
mod counters;
mod error;
mod events;
mod faults;
mod flush;
mod frames;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod gate;
mod link;
mod outage;
mod queue_type;
mod refusal;
mod server;
mod session;
mod snapshot;
mod snapshot_text;
mod thread;
mod user;

pub use crate::{
    broker::Broker,
    clock::NotManual,
    config::BrokerBuilder,
    core::{
        Binding, CancelReason, CloseReason, ConnectionName, DeleteReason, DropReason, Event,
        EventKind, Message, QueueName, RefuseReason,
    },
    counters::{ExchangeCounters, PublishCounters, QueueCounters, Rates, Totals},
    error::StartError,
    events::Events,
    faults::Faults,
    queue_type::QueueType,
    refusal::Refusal,
    snapshot::{
        ArmedFaults, BindingInfo, ChannelInfo, ConnectionInfo, ConsumerInfo, ExchangeInfo,
        QueueInfo, Snapshot,
    },
    user::{Permissions, User},
};
