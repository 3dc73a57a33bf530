//! What passes, what is replaced, and what is cut, in whatever pieces it comes.
#![allow(clippy::panic)]

use amq_protocol::frame::{AMQPFrame, parse_frame};
use lapin::BasicProperties;

use super::DEEPEST;
use crate::fuzzing::frames::frame;
use crate::fuzzing::pieces::pass;
use crate::wire::UNREADABLE;

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;

/// All at once, and byte by byte.
const WAYS: [&[usize]; 3] = [&[usize::MAX], &[1], &[3, 100, 7]];

fn header(body: u64, flags: u16, properties: &[u8]) -> Vec<u8> {
    let (body, flags) = (body.to_be_bytes(), flags.to_be_bytes());
    frame(
        HEADER,
        1,
        &[b"\0\x3c\0\0", &body[..], &flags, properties].concat(),
    )
}

fn deliver(key: &[u8]) -> Vec<u8> {
    let length = u8::try_from(key.len()).unwrap_or_default();
    let before = b"\0\x3c\0\x3c\x08lightbus\0\0\0\0\0\0\0\x01\0\x01x";
    frame(METHOD, 1, &[before, &[length][..], key].concat())
}

/// A table in a table, `depth` of them, with its length before it.
fn nested(depth: usize) -> Vec<u8> {
    let mut table = Vec::new();
    for left in (0..depth).rev() {
        table.extend(u32::try_from(left * 6).unwrap_or_default().to_be_bytes());
        table.extend(b"\0F");
    }
    table.truncate(depth * 6 - 2);
    table
}

/// What comes out, in whatever pieces it goes in; and how many messages were replaced.
fn passed(body: usize, bytes: &[u8]) -> (Vec<u8>, u64) {
    let whole = pass(body, bytes, WAYS[0], &[1 << 20]);
    for written in WAYS {
        for read in WAYS {
            let read: Vec<usize> = read.iter().map(|size| (*size).min(1 << 20)).collect();
            assert_eq!(pass(body, bytes, written, &read), whole);
        }
    }
    assert!(!whole.broken);
    (whole.bytes, whole.replaced)
}

fn properties(frame: &[u8]) -> BasicProperties {
    match parse_frame(frame) {
        Ok((_, AMQPFrame::Header(_, header))) => header.properties,
        other => panic!("a header should have come: {other:?}"),
    }
}

#[test]
fn what_is_in_order_passes_as_it_is() {
    let table = nested(DEEPEST);
    let stream = [
        deliver(b"shop.sold.\xc3\xa9"),
        header(9, 1 << 13 | 1 << 7, &[&table[..], b"\x02id"].concat()),
        frame(BODY, 1, b"\xff\x02\0\0\0\0\0\0\x09"),
        frame(8, 0, b""),
        frame(METHOD, 0, b"\0\x0a\0\x3c\xff"),
    ]
    .concat();
    assert_eq!(passed(100, &stream), (stream, 0));
}

#[test]
fn headers_that_are_nested_too_deep_are_left_out() {
    let deep = [&nested(1000)[..], b"\x02id\x06lb1.ev"].concat();
    let (body, next) = (frame(BODY, 1, b"x"), header(0, 0, b""));
    let stream = [
        header(1, 1 << 13 | 1 << 7 | 1 << 5, &deep),
        body.clone(),
        next.clone(),
    ]
    .concat();
    let (bytes, replaced) = passed(100, &stream);
    assert_eq!(replaced, 1);
    let kept = properties(&bytes);
    assert!(kept.headers().is_none());
    let text = |text: &Option<lapin::types::ShortString>| text.as_ref().map(ToString::to_string);
    assert_eq!(text(kept.message_id()).as_deref(), Some("id"));
    assert_eq!(text(kept.kind()).as_deref(), Some("lb1.ev"));
    let why = format!("{UNREADABLE}its headers are nested deeper than 32 levels");
    assert_eq!(text(kept.content_type()), Some(why));
    assert!(bytes.ends_with(&[body, next].concat()));
}

#[test]
fn text_that_is_none_is_left_out() {
    let (bytes, replaced) = passed(100, &header(0, 1 << 10 | 1 << 7, b"\x01\xff\x02id"));
    assert_eq!(replaced, 1);
    assert!(properties(&bytes).correlation_id().is_none());
    assert!(properties(&bytes).message_id().is_some());
    // A key that is no text spoils the message it belongs to, and no other.
    let fine = header(0, 0, b"");
    let stream = [
        deliver(b"a.\xff"),
        fine.clone(),
        deliver(b"a.b"),
        fine.clone(),
    ]
    .concat();
    let (bytes, replaced) = passed(100, &stream);
    assert_eq!(replaced, 1);
    assert!(bytes.starts_with(&deliver(b"a.?")));
    assert!(bytes.ends_with(&[deliver(b"a.b"), fine].concat()));
}

#[test]
fn a_body_that_is_too_long_is_cut() {
    let piece = |byte: u8, length: usize| frame(BODY, 1, &vec![byte; length]);
    let stream = [
        header(250, 0, b""),
        piece(1, 60),
        piece(2, 60),
        piece(3, 60),
        piece(4, 70),
        header(100, 0, b""),
        piece(5, 100),
        header(101, 0, b""),
        piece(6, 101),
    ];
    let expected = [
        header(101, 0, b""),
        piece(1, 60),
        piece(2, 41),
        header(100, 0, b""),
        piece(5, 100),
        header(101, 0, b""),
        piece(6, 101),
    ];
    assert_eq!(passed(100, &stream.concat()), (expected.concat(), 0));
}

#[test]
fn a_broker_that_cannot_be_read_is_left() {
    let properties = nested(DEEPEST + 1);
    let start = [b"\0\x0a\0\x0a\0\x09", &properties[..]].concat();
    assert!(pass(100, &frame(METHOD, 0, &start), WAYS[0], WAYS[1]).broken);
    let too_short = frame(HEADER, 1, b"\0\x3c");
    assert!(pass(100, &too_short, WAYS[0], WAYS[1]).broken);
    let endless = b"\x02\0\x01\xff\xff\xff\xff";
    assert!(pass(100, endless, WAYS[0], WAYS[1]).broken);
}
