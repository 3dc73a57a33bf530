//! Watching a broker: events, snapshots, counters.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod messages;
mod readers;
mod snapshot;
mod topology;

/// What every module needs.
mod prelude {
    pub(crate) use crate::{bind, consume_as, lines, next, support::*};
    pub(crate) use futures_util::StreamExt;
    pub(crate) use lapin::{
        BasicProperties, Channel, Connection, ConnectionProperties,
        options::*,
        types::{AMQPValue, FieldTable},
    };
    pub(crate) use lightbus_broker::{
        Broker, CancelReason, CloseReason, DeleteReason, DropReason, Event, EventKind, Events,
        RefuseReason,
    };
    pub(crate) use std::time::Duration;
}

use prelude::*;

/// The next event, which must come.
async fn next(events: &mut Events) -> Event {
    tokio::time::timeout(Duration::from_secs(10), events.next())
        .await
        .expect("no event came")
        .expect("the broker is gone")
}

/// The next so many events, as people read them, without their numbers.
async fn lines(events: &mut Events, count: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for _ in 0..count {
        let line = next(events).await.to_string();
        lines.push(line.split_once(' ').unwrap().1.to_owned());
    }
    lines
}

async fn consume_as(channel: &Channel, queue: &str, tag: &str) -> lapin::Consumer {
    let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
    channel
        .basic_consume(queue.into(), tag.into(), options, none)
        .await
        .unwrap()
}

async fn bind(channel: &Channel, queue: &str, exchange: &str, key: &str) {
    let options = QueueBindOptions::default();
    channel
        .queue_bind(
            queue.into(),
            exchange.into(),
            key.into(),
            options,
            FieldTable::default(),
        )
        .await
        .unwrap();
}
