//! Frames from a broker.

use std::collections::BTreeSet;

use amq_protocol::frame::{AMQPFrame, parse_frame};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};

use super::pieces::{Passed, pass};
use super::tape::Tape;
use crate::clock::Clock;
use crate::connection::guard::DEEPEST;
use crate::context::{Context, Subject};
use crate::rpc;
use crate::wire;

/// A limit for bodies that is easily reached.
const SHORT: usize = 100;

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const END: u8 = 0xCE;

/// In whatever pieces a stream comes, the same comes out: nothing is changed without need, and what comes out can be read.
pub(super) fn check(bytes: &[u8], written: &[usize], read: &[usize]) {
    for frame in cut(&in_any_pieces(SHORT, bytes, written, read).bytes) {
        if let (HEADER, Some(said)) = (frame[0], frame.get(11..19)) {
            let said = u64::from_be_bytes(said.try_into().unwrap());
            assert!(said <= SHORT as u64 + 1, "{said}");
        }
    }
    let whole = in_any_pieces(usize::MAX, bytes, written, read);
    let (before, after) = (cut(bytes), cut(&whole.bytes));
    if !whole.broken {
        assert_eq!(before.len(), after.len());
    }
    let (mut spoilt, mut replaced) = (BTreeSet::new(), 0);
    for (before, after) in before.iter().zip(&after) {
        let (kind, channel) = (before[0], [before[1], before[2]]);
        let changed = before != after;
        match kind {
            METHOD if changed => {
                assert!(!is_readable(before), "changed {before:?}");
                spoilt.insert(channel);
            }
            METHOD => {}
            HEADER => {
                let spoilt = spoilt.remove(&channel);
                assert!(changed || !spoilt, "{before:?} follows a spoilt method");
                if changed && !spoilt && could_be_parsed(before) {
                    assert!(!is_readable(before), "changed {before:?}");
                }
                assert!(is_readable(after), "{after:?}");
                replaced += u64::from(changed);
            }
            _ => assert!(!changed),
        }
    }
    assert!(whole.broken || replaced == whole.replaced);
}

fn in_any_pieces(body: usize, bytes: &[u8], written: &[usize], read: &[usize]) -> Passed {
    let whole = pass(body, bytes, &[usize::MAX], &[1 << 20]);
    same(&whole, &pass(body, bytes, written, &[1 << 20]));
    same(&whole, &pass(body, bytes, &[usize::MAX], read));
    same(&whole, &pass(body, bytes, written, read));
    whole
}

/// A broken stream ends where the trouble was noticed, a little earlier or later.
fn same(whole: &Passed, other: &Passed) {
    match whole.broken {
        true => assert!(other.broken && other.bytes.starts_with(&whole.bytes)),
        false => assert_eq!(whole, other),
    }
}

/// Is it certain that lapin's parser, which recurses, gets to its end on a small stack?
fn could_be_parsed(frame: &[u8]) -> bool {
    frame.iter().filter(|byte| b"FA".contains(byte)).count() < 100
}

/// Does lapin read it, and is it not nested too deep?
fn is_readable(frame: &[u8]) -> bool {
    let mut ended = frame.to_vec();
    if let Some(end) = ended.last_mut() {
        *end = END;
    }
    match parse_frame(ended.as_slice()) {
        Ok((_, AMQPFrame::Header(_, header))) => {
            let headers = header.properties.headers().as_ref();
            headers.is_none_or(|table| depth(table) <= DEEPEST)
        }
        Ok(_) => true,
        Err(_) => false,
    }
}

fn depth(table: &FieldTable) -> usize {
    fn of(value: &AMQPValue) -> usize {
        match value {
            AMQPValue::FieldTable(table) => depth(table),
            AMQPValue::FieldArray(list) => 1 + list.as_slice().iter().map(of).max().unwrap_or(0),
            _ => 0,
        }
    }
    1 + table.inner().values().map(of).max().unwrap_or(0)
}

/// Whole frames, as far as they go.
fn cut(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut frames = Vec::new();
    while let Some(size) = bytes.get(3..7) {
        let size = u32::from_be_bytes(size.try_into().unwrap()) as usize;
        let Some((frame, rest)) = bytes.split_at_checked(size + 8) else {
            break;
        };
        frames.push(frame);
        bytes = rest;
    }
    frames
}

pub(crate) fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let size = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&[kind], &channel.to_be_bytes()[..], &size, payload, &[END]].concat()
}

/// Frames as a broker sends them, mostly.
pub(super) fn compose(tape: &mut Tape<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    while !tape.is_over() {
        let channel = u16::from(tape.byte() % 3);
        match tape.byte() % 8 {
            0..=2 => bytes.extend(frame(METHOD, channel, &method(tape))),
            3..=5 => bytes.extend(frame(HEADER, channel, &header(tape))),
            6 => bytes.extend(frame(3, channel, tape.piece())),
            _ => bytes.extend(tape.piece()),
        }
    }
    bytes
}

fn method(tape: &mut Tape<'_>) -> Vec<u8> {
    let id = [(10, 10), (60, 50), (60, 60), (60, 71), (60, 80)];
    let (class, method) = id[usize::from(tape.byte()) % id.len()];
    let mut payload = vec![0, class, 0, method];
    if tape.one_in(4) {
        payload.extend(tape.piece());
        return payload;
    }
    let (before, names): (usize, _) = match (class, method) {
        (60, 50) => (2, 3),
        (60, 71) => (9, 2),
        _ => (0, 1),
    };
    payload.resize(payload.len() + before, 0);
    (0..names).for_each(|_| short(tape, &mut payload));
    if method == 60 {
        payload.extend([0; 9]);
        (0..2).for_each(|_| short(tape, &mut payload));
    }
    payload
}

fn short(tape: &mut Tape<'_>, payload: &mut Vec<u8>) {
    let text = tape.piece();
    payload.push(u8::try_from(text.len()).unwrap());
    payload.extend(text);
}

fn header(tape: &mut Tape<'_>) -> Vec<u8> {
    let mut payload = b"\0\x3c\0\0\0\0\0\0\0\0".to_vec();
    payload.extend([tape.byte() % 4, tape.byte()]);
    let flags = u16::from_be_bytes([tape.byte(), tape.byte()]);
    payload.extend(flags.to_be_bytes());
    for bit in (0..16).rev().filter(|bit| flags & (1 << bit) != 0) {
        match bit {
            13 => payload.extend(table(tape)),
            12 | 11 => payload.push(tape.byte()),
            6 => payload.extend([0; 8]),
            0 | 1 => {}
            _ => short(tape, &mut payload),
        }
    }
    if tape.one_in(8) {
        payload.extend(tape.piece());
    }
    payload
}

/// Something, as deep inside of tables and lists as the tape wants it.
fn table(tape: &mut Tape<'_>) -> Vec<u8> {
    let mut inside = tape.piece().to_vec();
    for _ in 0..tape.byte() % 40 {
        let kind = if tape.one_in(4) { b'A' } else { b'F' };
        let size = u32::try_from(inside.len()).unwrap().to_be_bytes();
        let name: &[u8] = b"\x01k";
        // In a list, values have no names; sometimes that is wrong.
        inside = [name, &[kind], &size, &inside].concat();
    }
    let size = u32::try_from(inside.len()).unwrap().to_be_bytes();
    [&size, inside.as_slice()].concat()
}

/// Reads arbitrary properties in every way that a receiver does.
pub(super) fn properties(bytes: &[u8]) {
    let payload = [&b"\0\x3c\0\0\0\0\0\0\0\0\0\0"[..], bytes].concat();
    let passed = pass(
        SHORT,
        &frame(HEADER, 1, &payload),
        &[usize::MAX],
        &[1 << 20],
    );
    if passed.broken {
        return;
    }
    let (_, read) = parse_frame(passed.bytes.as_slice()).expect("what passes can be read");
    let AMQPFrame::Header(_, header) = read else {
        panic!("it was a header");
    };
    receive(header.properties);
}

fn receive(properties: BasicProperties) {
    if let Some((app, instance)) = wire::reply_to(&properties) {
        assert!(crate::grammar::is_name(app) && crate::grammar::is_instance(instance));
    }
    assert!(wire::dead_letter_keys(&properties).all(|key| key.len() < 1 << 20));
    let _ = rpc::read_reply(&properties, Vec::new(), 0);
    assert!(rpc::pending::Pending::default().take(&properties).is_none());
    let id = wire::call_id(&properties).map(ToString::to_string);
    let subject = Subject {
        api: "fuzzing",
        name: "properties",
    };
    let context = Context::new(&Clock::default(), properties, subject, false);
    assert_eq!(context.message_id(), id.unwrap_or_default());
    assert_eq!(context.deadline().is_some(), context.time_left().is_some());
    let _ = (context.attempt(), context.caller(), context.header("k"));
    let _ = format!("{context:?}");
}
