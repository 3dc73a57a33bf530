//! What the journal of an API may hold, and the texts that name tasks.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, LongString};

use super::tape::Tape;
use crate::clock::Clock;
use crate::task::TaskId;
use crate::task::record::Record;
use crate::task::story::Story;
use crate::wire::again::{DEAD_REASON, REPLAYED};
use crate::wire::{ATTEMPT, ERROR, RESULT_TTL, SENT_AT, STATE, Sender, TASK_LOG, short};

const LIMIT: usize = 1 << 20;
const STATES: [&str; 12] = [
    "started",
    "progress",
    "retrying",
    "done",
    "failed",
    "expired",
    "cancelled",
    "cancel",
    "checkpoint",
    "marker",
    "",
    "exploded",
];
const CONTENT_TYPES: [&str; 3] = ["application/msgpack", "application/json", "text/html"];

/// Reads one record after the other, and tells them as a story. Gives how many were records.
pub(super) fn records(bytes: &[u8]) -> usize {
    let sender = Sender::new(&Clock::default(), "fuzzing", "0");
    let mut tape = Tape::new(bytes);
    let mut story = Story::default();
    let mut read = 0;
    while !tape.is_over() {
        let properties = properties(&mut tape);
        let Ok(record) = Record::read(&properties, tape.piece(), LIMIT) else {
            continue;
        };
        let (written, payload) = (record.properties(&sender), record.says.payload());
        let again = Record::read(&written, &payload, LIMIT);
        assert_eq!(again.as_ref(), Ok(&record), "what is written is read");
        tell(&mut story, record);
        read += 1;
    }
    read
}

/// The first end counts, until it comes out of the dead letters.
fn tell(story: &mut Story, record: Record) {
    let (before, replayed) = (story.end().cloned(), story.replayed);
    story.add(record);
    assert!(story.replayed >= replayed && story.size() < 2 * LIMIT);
    if let Some(before) = before.filter(|_| story.replayed == replayed) {
        let after = story.end();
        assert!(after.is_some_and(|after| std::ptr::eq(&raw const **after, &raw const *before)));
    }
}

fn properties(tape: &mut Tape<'_>) -> BasicProperties {
    let mut headers = FieldTable::default();
    let state = STATES[usize::from(tape.byte()) % STATES.len()];
    headers.insert(short(STATE), AMQPValue::LongString(state.into()));
    for name in [SENT_AT, ATTEMPT, REPLAYED, RESULT_TTL, ERROR, DEAD_REASON] {
        if name == SENT_AT || tape.one_in(4) {
            headers.insert(short(name), value(tape));
        }
    }
    let kind = if tape.one_in(16) {
        "lb1.task"
    } else {
        TASK_LOG
    };
    let content_type = CONTENT_TYPES[usize::from(tape.byte()) % CONTENT_TYPES.len()];
    BasicProperties::default()
        .with_type(short(kind))
        .with_content_type(short(content_type))
        .with_correlation_id(short(&String::from_utf8_lossy(tape.piece())))
        .with_headers(headers)
}

/// A number of any width, or a text.
fn value(tape: &mut Tape<'_>) -> AMQPValue {
    let byte = tape.byte();
    match tape.byte() % 8 {
        0 => AMQPValue::LongString(LongString::from(tape.piece())),
        1 => AMQPValue::ShortShortInt(byte.cast_signed()),
        2 => AMQPValue::LongLongInt(i64::MIN),
        3 => AMQPValue::LongLongInt(i64::MAX),
        4 => AMQPValue::Timestamp(u64::MAX),
        5 => AMQPValue::Void,
        _ => AMQPValue::LongUInt(byte.into()),
    }
}

/// Text that may be a task's id. True if it is.
pub(super) fn id(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let Ok(id) = text.parse::<TaskId>() else {
        return false;
    };
    let written = id.to_string();
    let again: TaskId = written.parse().expect("what is written is read");
    assert_eq!((again.to_string(), &again), (written, &id));
    let now = std::time::SystemTime::now();
    let _ = (id.earliest(now), id.due(), id.key());
    true
}
