//! Writing and reading the streams of what becomes of an API's tasks.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use lapin::message::Delivery;
use lapin::types::{AMQPValue, LongString};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::record::Record;
use crate::bus::Core;
use crate::connection::consumer::{Consumer, Consumers, Source};
use crate::error::Error;
use crate::publishing::{Message, Progress, Refusal};
use crate::topology::{self, Log};
use crate::wire;

/// Records may hold values of a megabyte, but hardly all of them.
const PREFETCH: u16 = 256;
const ACKNOWLEDGED_TOGETHER: u64 = 64;

/// Stores a record in one of the streams.
pub(crate) async fn write(
    core: &Core,
    api: &str,
    log: Log,
    record: &Record,
) -> Result<(), Refusal> {
    let (properties, payload) = (record.properties(&core.sender), record.says.payload());
    let message = Message {
        exchange: &topology::journal_exchange(api),
        key: log.key(),
        // Not the exchange alone: the stream has to be there as well.
        needs: &format!("{} is written", log.stream(api)),
        plan: &|| topology::log_plan(api, log),
        properties: &|| properties.clone(),
        payload: &payload,
        must_route: false,
    };
    core.store(&message, &mut Progress::new(&core.clock)).await
}

/// Where in a stream to begin.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Since {
    First,
    /// With what was written then, by the broker's clock.
    Time(SystemTime),
}

/// A stream being read, over losses of the connection.
pub(crate) struct Reading {
    core: Arc<Core>,
    consumers: Consumers,
    consumer: Option<Consumer>,
    /// The place of the next record.
    next: Option<u64>,
    stop: CancellationToken,
}

/// What is found at one place of a stream.
pub(crate) struct Found {
    pub(crate) next: u64,
    /// `None`: something else than a record lies there.
    pub(crate) record: Option<Record>,
}

impl Reading {
    /// Whoever waits for the outcome of the first attempt hears why there is nothing to read; else it is tried for ever.
    pub(crate) fn new(
        core: &Arc<Core>,
        api: &str,
        log: Log,
        since: Since,
        stop: CancellationToken,
    ) -> (Self, oneshot::Receiver<Result<(), Error>>) {
        let source = Source {
            queue: log.stream(api),
            plan: topology::log_plan(api, log),
            prefetch: PREFETCH,
        };
        let (mut consumers, started) = Consumers::new(&core.io.consume, source, stop.clone());
        consumers.start_at(match since {
            Since::First => AMQPValue::LongString(LongString::from("first")),
            Since::Time(at) => {
                let seconds = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
                AMQPValue::Timestamp(seconds)
            }
        });
        let reading = Self {
            core: Arc::clone(core),
            consumers,
            consumer: None,
            next: None,
            stop,
        };
        (reading, started)
    }

    /// The next one; `None` after the stop, or when the first attempt failed and somebody was told. May be dropped and called again.
    pub(crate) async fn next(&mut self) -> Option<Found> {
        loop {
            let consumer = match &mut self.consumer {
                Some(consumer) => consumer,
                none => {
                    if let Some(next) = self.next {
                        let next = i64::try_from(next).unwrap_or(i64::MAX);
                        self.consumers.start_at(AMQPValue::LongLongInt(next));
                    }
                    none.insert(self.consumers.next().await?)
                }
            };
            let next = self.stop.run_until_cancelled(consumer.next());
            let Some(delivery) = next.await? else {
                if let Some(lost) = self.consumer.take() {
                    lost.close().await;
                }
                continue;
            };
            let tag = delivery.delivery_tag;
            if tag % ACKNOWLEDGED_TOGETHER == 0 {
                consumer.ack(tag, true);
            }
            return Some(self.found(&delivery));
        }
    }

    fn found(&mut self, delivery: &Delivery) -> Found {
        let offset = wire::header_number(&delivery.properties, wire::STREAM_OFFSET);
        let offset = offset.and_then(|offset| u64::try_from(offset).ok());
        // One with headers that could not be read lies behind the last one.
        self.next = offset.or(self.next).map(|at| at.saturating_add(1));
        let record = Record::read(
            &delivery.properties,
            &delivery.data,
            self.core.config.payload_limit,
        );
        if let Err(why) = &record {
            self.core.counters.task_records_ignored.add();
            debug!(key = %delivery.routing_key, why, "ignored what is no record of a task");
        }
        Found {
            next: self.next.unwrap_or_default(),
            record: record.ok(),
        }
    }

    /// Ends the reading.
    pub(crate) async fn close(self) {
        if let Some(consumer) = self.consumer {
            consumer.close().await;
        }
    }
}
