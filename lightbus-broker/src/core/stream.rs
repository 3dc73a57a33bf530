//! Streams: a log that stays, and for each consumer the place up to which it has read.

use super::{
    Core,
    consumer::Consumer,
    delivery::{Loan, deliver},
    ids::{ConsumerId, IdMap, QueueId},
    list,
    log::{Log, Retention},
    message::Message,
    notes::{Receiver, book_delivery},
    properties::{Field, Index},
    queue_arguments::QueueArguments,
    ready::Entry,
    stream_offset::{Filter, Start},
    tables,
};
use amq_protocol::types::AMQPValue;

const OFFSET: &str = "x-stream-offset";

/// How far a consumer has read.
#[derive(Debug)]
struct Reader {
    next: u64,
    filter: Option<Filter>,
}

/// What a queue of type `stream` has in place of messages that wait.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) log: Log,
    readers: IdMap<ConsumerId, Reader>,
}

impl Stream {
    pub(crate) fn new(arguments: &QueueArguments) -> Self {
        let retention = Retention {
            bytes: arguments.max_bytes,
            age: arguments.max_age,
            segment: arguments.segment_bytes,
        };
        Self {
            log: Log::new(retention),
            readers: IdMap::default(),
        }
    }

    pub(crate) fn attach(&mut self, consumer: ConsumerId, start: Start, filter: Option<Filter>) {
        let next = self.log.position(start);
        self.readers.insert(consumer, Reader { next, filter });
    }

    pub(crate) fn detach(&mut self, consumer: ConsumerId) {
        self.readers.remove(&consumer);
    }

    /// The next message for a consumer, which has then read it.
    fn read(&mut self, consumer: ConsumerId) -> Option<Entry> {
        let reader = self.readers.get_mut(&consumer)?;
        // What was cut off meanwhile is lost to it.
        let mut seq = reader.next.max(self.log.first());
        let found = loop {
            let Some(record) = self.log.get(seq) else {
                break None;
            };
            let filter = reader.filter.as_ref();
            if filter.is_none_or(|filter| filter.admits(record.filter.as_deref())) {
                break Some(record);
            }
            seq += 1;
        };
        reader.next = seq + u64::from(found.is_some());
        found.map(|record| Entry {
            seq,
            message: record.message.clone(),
            expires: None,
            redelivered: false,
            returns: 0,
        })
    }
}

impl Core {
    /// Gives every consumer of a stream what it has not read, as far as it may have it.
    pub(super) fn serve_stream(&mut self, id: QueueId) {
        let Self {
            queues,
            conns,
            output,
            watch,
            now,
            ..
        } = self;
        let Some(queue) = queues.get_mut(&id) else {
            return;
        };
        if queue.paused {
            return;
        }
        let mut at = 0;
        while let Some(consumer) = queue.consumers.get_mut_at(at) {
            let Some(connection) = conns.get_mut(&consumer.at.conn) else {
                at += 1;
                continue;
            };
            if connection.is_congested() {
                connection.meter.starve();
            }
            let willing = consumer.has_credit() && connection.can_take(consumer);
            let stream = queue.stream.as_mut().filter(|_| willing);
            let Some(entry) = stream.and_then(|stream| stream.read(consumer.id)) else {
                at += 1;
                continue;
            };
            consumer.unacked += 1;
            let consumer: Consumer = consumer.clone();
            list(output, consumer.at.conn, connection);
            let receiver = Receiver::of(&consumer);
            book_delivery((watch, *now), connection, queue, receiver, &entry);
            let loan = Loan {
                since: now.instant,
                loses_ack: false,
            };
            deliver(connection, queue, &consumer, entry, loan);
        }
    }
}

/// A message's properties with its place in the stream among the headers.
pub(super) fn with_offset(message: &Message, offset: u64) -> Vec<u8> {
    let properties = &message.properties;
    let index = Index::scan(properties).unwrap_or_default();
    let old = index.wire(properties, Field::Headers).unwrap_or(&[0; 4]);
    let name = OFFSET.as_bytes();
    let headers = if old.windows(name.len()).any(|part| part == name) {
        let mut headers = tables::decode(old).unwrap_or_default();
        headers.insert(OFFSET.into(), AMQPValue::LongLongInt(offset as i64));
        tables::encode(&headers)
    } else {
        appended(old.get(4..).unwrap_or_default(), name, offset)
    };
    index.splice(properties, &[(Field::Headers, Some(headers))])
}

/// A table of some entries and one more, a number.
fn appended(entries: &[u8], name: &[u8], number: u64) -> Vec<u8> {
    let size = entries.len() + 1 + name.len() + 9;
    let mut table = Vec::with_capacity(4 + size);
    table.extend_from_slice(&(size as u32).to_be_bytes());
    table.extend_from_slice(entries);
    table.push(name.len() as u8);
    table.extend_from_slice(name);
    table.push(b'l');
    table.extend_from_slice(&number.to_be_bytes());
    table
}
