//! The protocol as RabbitMQ 4 serves it, method by method: codes, texts, the order of frames.
//!
//! Each test runs on a broker of its own; with `LIGHTBUS_URL` set, the same tests run on the RabbitMQ there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod basic_acks;
mod basic_consume;
mod basic_publish;
mod basic_qos;
mod channel;
mod confirm;
mod connection;
mod dead_letters;
mod declarations;
mod exchange;
mod exchange_bind;
mod limits;
mod negotiation;
mod permissions;
mod queue;
mod queue_bind;
mod queue_delete;
mod reply_to;
mod routing;
mod table;
mod tx;

/// What every module needs.
mod prelude {
    pub(crate) use crate::support::{
        eventually, int,
        stage::{Stage, declared},
        table, text,
        wire::{Event, Message, Method, Wire},
    };
    pub(crate) use amq_protocol::{
        protocol::{
            AMQPClass, access,
            basic::{self, AMQPProperties},
            channel, confirm, connection, exchange, queue, tx,
        },
        types::{AMQPValue, FieldTable},
    };
}
