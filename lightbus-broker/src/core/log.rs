//! A stream's messages: records that are appended, numbered from 0 on, and cut off at the front a segment at a time.

use super::{
    message::{Headers, Message},
    stream_offset::Start,
};
use amq_protocol::types::AMQPValue;
use std::{collections::VecDeque, sync::Arc, time::Duration};

/// How much a segment holds where the declaration does not say, in bytes of bodies.
const SEGMENT: usize = 1 << 20;
/// A limit on the whole stream is kept to about this fraction of it.
const SEGMENTS: usize = 8;
/// How many records a segment holds at most.
const RECORDS: usize = 16_384;
const FILTER_VALUE: &str = "x-stream-filter-value";

/// How much of a stream is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retention {
    pub(crate) bytes: Option<usize>,
    pub(crate) age: Option<Duration>,
    pub(crate) segment: Option<usize>,
}

impl Retention {
    /// How large a segment becomes: as declared; else small enough for the limit to mean something.
    fn segment(&self) -> usize {
        let share = self.bytes.map_or(SEGMENT, |limit| limit / SEGMENTS);
        self.segment.unwrap_or(share.min(SEGMENT))
    }
}

/// A message in a stream.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) message: Arc<Message>,
    /// What consumers filter by.
    pub(crate) filter: Option<Box<str>>,
    /// When it came, in seconds since 1970.
    at: u64,
}

#[derive(Debug)]
struct Segment {
    first: u64,
    records: Vec<Record>,
    bytes: usize,
}

/// The records of a stream. There is always a segment at the end that is being written.
#[derive(Debug)]
pub(crate) struct Log {
    segments: VecDeque<Segment>,
    retention: Retention,
    next: u64,
    bytes: usize,
}

impl Log {
    pub(crate) fn new(retention: Retention) -> Self {
        Self {
            segments: VecDeque::new(),
            retention,
            next: 0,
            bytes: 0,
        }
    }

    /// The number of the first record that is still there.
    pub(crate) fn first(&self) -> u64 {
        self.segments
            .front()
            .map_or(self.next, |segment| segment.first)
    }

    pub(crate) fn len(&self) -> usize {
        (self.next - self.first()) as usize
    }

    pub(crate) fn messages(&self) -> impl Iterator<Item = &Arc<Message>> {
        let records = self.segments.iter().flat_map(|segment| &segment.records);
        records.map(|record| &record.message)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Appends a message that came at this second.
    pub(crate) fn append(&mut self, message: Arc<Message>, at: u64) {
        let size = message.size();
        if self
            .segments
            .back()
            .is_none_or(|last| self.is_full(last, size, at))
        {
            let first = self.next;
            self.segments.push_back(Segment {
                first,
                records: Vec::new(),
                bytes: 0,
            });
        }
        let Some(last) = self.segments.back_mut() else {
            return;
        };
        let filter = filter_value(&message);
        last.records.push(Record {
            message,
            filter,
            at,
        });
        last.bytes += size;
        self.bytes += size;
        self.next += 1;
        if last.records.len() == 1 {
            self.retain(at);
        }
    }

    /// Whether a segment is to be followed by another one. With a limit on age, it spans no more than that.
    fn is_full(&self, segment: &Segment, more: usize, now: u64) -> bool {
        let oldest = segment.records.first().map_or(now, |record| record.at);
        segment.bytes + more > self.retention.segment() && !segment.records.is_empty()
            || segment.records.len() >= RECORDS
            || self.is_too_old(oldest, now)
    }

    fn is_too_old(&self, at: u64, now: u64) -> bool {
        let limit = self.retention.age;
        limit.is_some_and(|limit| at.saturating_add(limit.as_secs()) < now)
    }

    /// Cuts off segments that are too many or too old; never the one that is being written.
    fn retain(&mut self, now: u64) {
        while self.segments.len() > 1 {
            let Some(oldest) = self.segments.front() else {
                return;
            };
            let newest = oldest.records.last().map_or(now, |record| record.at);
            let over = self.retention.bytes.is_some_and(|limit| self.bytes > limit);
            if !over && !self.is_too_old(newest, now) {
                return;
            }
            self.bytes -= oldest.bytes;
            self.segments.pop_front();
        }
    }

    /// The number of the record to start with.
    pub(crate) fn position(&self, start: Start) -> u64 {
        match start {
            Start::First => self.first(),
            Start::Last => self.next.saturating_sub(1).max(self.first()),
            Start::Next => self.next,
            Start::Offset(offset) => offset.max(self.first()),
            Start::Since(second) => self.since(second),
        }
    }

    fn since(&self, second: u64) -> u64 {
        let ended = |segment: &Segment| segment.records.last().is_some_and(|last| last.at < second);
        let at = self.segments.partition_point(ended);
        self.segments.get(at).map_or(self.next, |segment| {
            let earlier = segment.records.partition_point(|record| record.at < second);
            segment.first + earlier as u64
        })
    }

    /// A record, by its number.
    pub(crate) fn get(&self, offset: u64) -> Option<&Record> {
        let after = self
            .segments
            .partition_point(|segment| segment.first <= offset);
        let segment = self.segments.get(after.checked_sub(1)?)?;
        let at = usize::try_from(offset - segment.first).ok()?;
        segment.records.get(at)
    }
}

/// What a message says of itself for consumers to filter by. Few messages say anything.
fn filter_value(message: &Message) -> Option<Box<str>> {
    let (properties, name) = (&message.properties, FILTER_VALUE.as_bytes());
    if !properties.windows(name.len()).any(|part| part == name) {
        return None;
    }
    match Headers::of(properties).table().inner().get(FILTER_VALUE)? {
        AMQPValue::LongString(value) => std::str::from_utf8(value.as_bytes()).ok().map(Box::from),
        _ => None,
    }
}
