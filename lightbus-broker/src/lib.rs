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
//! # In memory, on one node, not for production
//!
//! It keeps everything in memory, on one node, and nothing of it outlives the process. What must be kept, must not stop
//! or must grow belongs on RabbitMQ.
//!
//! # What it does as RabbitMQ 4 does, and what differs on purpose
//!
//! Tests named `conformance::…` run unchanged on RabbitMQ: `LIGHTBUS_URL=amqp://… cargo test --test conformance`.
//!
//! | Area | RabbitMQ 4 | Here | Tests |
//! |---|---|---|---|
//! | Negotiation | AMQP 0-9-1, and 0-9 as such; PLAIN and AMQPLAIN; limits and heartbeats agreed on; silence before a login, 403 for those who want to be told | the same; AMQP 1.0 is answered with 0-9-1 | `conformance::negotiation` |
//! | Connections | closed with code, text, class and method; `connection.blocked`; `update-secret` | the same; where RabbitMQ drops a connection without a word (unknown methods, broken tables), 540 or 501 | `conformance::connection` |
//! | Limits on a client | from its configuration | from [`BrokerBuilder`]; publishers are blocked above a limit on what messages hold, not on what the process uses | `lifecycle`, `malice`, `core::tests::malice` |
//! | Channels | an error closes its channel only; flow cannot be stopped (540); `access.request` is granted | the same | `conformance::channel` |
//! | Users | passwords, tags, virtual hosts, permissions by regular expression, topic permissions | the same without topic permissions, and with as much of the regular expressions as [`Permissions`] says; `guest` where nobody else is named | `conformance::permissions` |
//! | Exchanges | direct, fanout, topic, headers; durable, auto-delete, internal, passive; alternate exchanges; the default exchange and `amq.*` | the same; `x-local-random` and the types that plugins bring are unknown (406) | `conformance::exchange`, `conformance::routing`, `core::tests::routing` |
//! | Bindings | to queues and between exchanges, with arguments; what is not bound can be unbound | the same | `conformance::queue_bind`, `conformance::exchange_bind` |
//! | Queues | durable, exclusive, auto-delete, passive, named by the broker | the same | `conformance::queue`, `conformance::queue_delete` |
//! | Arguments | checked by type of queue; declarations compared argument by argument | the same | `conformance::declarations`, `core::tests::declaring` |
//! | Classic queues | `x-expires`, `x-message-ttl`, `x-max-length`, `x-max-length-bytes`, `x-overflow`, `x-max-priority`, `x-single-active-consumer` | the same; `x-queue-mode` and `x-queue-version` mean nothing in memory | `conformance::limits`, `core::tests::expiring` |
//! | Quorum queues | delivery counts and limit (20), two priorities, what comes back comes first, a single active consumer that makes way for a better one | the same on one replica, whatever group size is asked for; every return of a message counts towards `x-delivery-limit`; no `x-acquired-count` | `core::tests::quorum`, `conformance::dead_letters::delivered_too_often` |
//! | Streams | `x-stream-offset`, filters, retention by size and age, any number of consumers at their own pace | the same in memory: each message is a chunk of its own; a segment holds 1 MiB of bodies, or an eighth of `x-max-length-bytes` where that is less, unless the declaration says otherwise; with `x-max-age` it spans no more than that. Segments are removed when one is begun, the one being written never is. Filters are exact | `streams`, `core::tests::streaming` |
//! | Publishing | `mandatory` and `basic.return`, `expiration`, `user-id`, `CC` and `BCC`; `immediate` is refused (540) | the same | `conformance::basic_publish` |
//! | Confirms | gathered; refused by full queues | the same | `conformance::confirm`, `core::tests::confirms` |
//! | Transactions | what is published, acknowledged and rejected waits for the commit | the same | `conformance::tx`, `core::tests::transacting` |
//! | Consuming | tags, exclusive and single active consumers, priorities, cancel notifications, `basic.get` | the same | `conformance::basic_consume`, `core::tests::consuming` |
//! | Prefetch | of each consumer and of a whole channel; sizes are refused (540) | the same | `conformance::basic_qos` |
//! | Settling | one or many at once, requeued to the old place, `basic.recover`; `requeue = false` is refused (540) | the same | `conformance::basic_acks` |
//! | Acknowledgement timeouts | by default 30 minutes, looked at once a minute | the same; `x-consumer-timeout` | `core::tests::timing_out` |
//! | Direct reply-to | with its rules, and as no queue: a mandatory reply comes back as well | the same | `conformance::reply_to`, `core::tests::replying` |
//! | Dead letters | `rejected`, `expired`, `maxlen`, `delivery_limit`; `x-death`, `x-first-death-*`, `x-last-death-*`; circles are broken; at most or at least once | the same, synchronous; at least once, what is not taken is tried again every second | `conformance::dead_letters`, `dead_letters`, `core::tests::dying` |
//! | Names and keys | UTF-8 (501), but for the routing key of a message | UTF-8 (501), that key too | `conformance::connection::names_that_are_no_text` |
//! | Field tables | nested as deep as one likes | nested more than 64 deep: refused with 502, because such a message kills clients whose decoders recurse | `core::tests::malice::nested_tables_are_refused_before_anything_recurses`, `malice` |
//! | Durability, clusters, federation | yes | durable and persistent are accepted and not kept: one node, in memory; everything ends with the process | `lifecycle::a_dropped_broker_is_gone` |
//! | Policies, management, event exchange, other protocols | yes | no | `lifecycle` |
//! | Seeing what happens | the firehose (`amq.rabbitmq.trace`), metrics | [`Broker::snapshot`], [`Broker::events`], counters; nothing is published to `amq.rabbitmq.trace` | `window::messages`, `window::topology`, `window::readers`, `window::snapshot` |
//! | Failing on purpose | no | [`Broker::faults`], [`Broker::drop_connections`], [`Broker::block_publishers`] | `faults`, `lifecycle::cut_connections_are_gone_at_once` |
//! | Time | the machine's | the machine's, or a test's: [`Broker::advance`] | `clock` |
//!
//! # In front of another broker
//!
//! A [`Relay`] stands in front of a RabbitMQ and tells what passes in the same [events](EventKind): what watches this broker can watch that one.
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
mod relay;
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
    relay::{Relay, RelayError},
    snapshot::{
        ArmedFaults, BindingInfo, ChannelInfo, ConnectionInfo, ConsumerInfo, ExchangeInfo,
        QueueInfo, Snapshot,
    },
    user::{Permissions, User},
};
