//! Frames on the wire: cutting them out of what was read, and writing the ones that are sent often by hand.

use amq_protocol::{
    frame::{AMQPFrame, WriteContext, gen_frame},
    protocol::AMQPClass,
};

pub(crate) const METHOD: u8 = 1;
pub(crate) const HEADER: u8 = 2;
pub(crate) const BODY: u8 = 3;
pub(crate) const HEARTBEAT: u8 = 8;
const END: u8 = 0xCE;
const HEAD: usize = 7;
/// What a frame has besides its payload.
pub(crate) const OVERHEAD: usize = HEAD + 1;

/// The protocol header of AMQP 0-9-1.
pub(crate) const PROTOCOL: [u8; 8] = *b"AMQP\x00\x00\x09\x01";
/// A heartbeat.
pub(crate) const HEARTBEAT_FRAME: [u8; 8] = [HEARTBEAT, 0, 0, 0, 0, 0, 0, END];

/// One frame, borrowed from the read buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: u8,
    pub(crate) channel: u16,
    pub(crate) payload: &'a [u8],
}

/// Bytes that are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadFrame {
    Kind(u8),
    TooLarge { size: usize, limit: usize },
    End(u8),
}

/// Cuts the first frame out of `bytes`: the frame and its whole length, or `None` until more was read.
pub(crate) fn next(bytes: &[u8], frame_max: usize) -> Result<Option<(Frame<'_>, usize)>, BadFrame> {
    let [kind, c1, c0, s3, s2, s1, s0, ..] = *bytes else {
        return match bytes.first() {
            Some(kind) if !is_kind(*kind) => Err(BadFrame::Kind(*kind)),
            _ => Ok(None),
        };
    };
    if !is_kind(kind) {
        return Err(BadFrame::Kind(kind));
    }
    let size = u32::from_be_bytes([s3, s2, s1, s0]) as usize;
    // Some clients take the limit for that of the payload alone, and RabbitMQ lets them.
    if size > frame_max {
        return Err(BadFrame::TooLarge {
            size,
            limit: frame_max - OVERHEAD,
        });
    }
    match bytes.get(HEAD + size) {
        None => Ok(None),
        Some(&END) => {
            let channel = u16::from_be_bytes([c1, c0]);
            Ok(Some((
                Frame {
                    kind,
                    channel,
                    payload: &bytes[HEAD..HEAD + size],
                },
                OVERHEAD + size,
            )))
        }
        Some(&other) => Err(BadFrame::End(other)),
    }
}

fn is_kind(kind: u8) -> bool {
    matches!(kind, METHOD | HEADER | BODY | HEARTBEAT)
}

/// Writes a method that is sent seldom.
pub(crate) fn method(out: &mut Vec<u8>, channel: u16, class: AMQPClass) {
    let frame = AMQPFrame::Method(channel, class);
    match gen_frame(&frame)(WriteContext::from(Vec::with_capacity(64))) {
        Ok(context) => out.extend_from_slice(&context.into_inner().0),
        Err(error) => tracing::error!(?error, ?frame, "a method could not be written"),
    }
}

/// Writes one method frame by hand: head, class, method, then what `body` appends.
fn raw_method(
    out: &mut Vec<u8>,
    channel: u16,
    class: u16,
    method: u16,
    body: impl FnOnce(&mut Vec<u8>),
) {
    let start = head(out, METHOD, channel);
    out.extend_from_slice(&class.to_be_bytes());
    out.extend_from_slice(&method.to_be_bytes());
    body(out);
    finish(out, start);
}

fn head(out: &mut Vec<u8>, kind: u8, channel: u16) -> usize {
    let [c1, c0] = channel.to_be_bytes();
    out.extend_from_slice(&[kind, c1, c0, 0, 0, 0, 0]);
    out.len()
}

fn finish(out: &mut Vec<u8>, start: usize) {
    let size = (out.len() - start) as u32;
    out[start - 4..start].copy_from_slice(&size.to_be_bytes());
    out.push(END);
}

fn short(out: &mut Vec<u8>, text: &str) {
    let text = &text.as_bytes()[..text.len().min(255)];
    out.push(text.len() as u8);
    out.extend_from_slice(text);
}

/// `basic.deliver`.
pub(crate) fn deliver(
    out: &mut Vec<u8>,
    channel: u16,
    consumer: &str,
    tag: u64,
    redelivered: bool,
    exchange: &str,
    key: &str,
) {
    raw_method(out, channel, 60, 60, |out| {
        short(out, consumer);
        out.extend_from_slice(&tag.to_be_bytes());
        out.push(u8::from(redelivered));
        short(out, exchange);
        short(out, key);
    });
}

/// `basic.get-ok`.
pub(crate) fn get_ok(
    out: &mut Vec<u8>,
    channel: u16,
    tag: u64,
    redelivered: bool,
    exchange: &str,
    key: &str,
    left: u32,
) {
    raw_method(out, channel, 60, 71, |out| {
        out.extend_from_slice(&tag.to_be_bytes());
        out.push(u8::from(redelivered));
        short(out, exchange);
        short(out, key);
        out.extend_from_slice(&left.to_be_bytes());
    });
}

/// `basic.return`.
pub(crate) fn returned(
    out: &mut Vec<u8>,
    channel: u16,
    code: u16,
    text: &str,
    exchange: &str,
    key: &str,
) {
    raw_method(out, channel, 60, 50, |out| {
        out.extend_from_slice(&code.to_be_bytes());
        short(out, text);
        short(out, exchange);
        short(out, key);
    });
}

/// `basic.ack`, as the broker's confirm.
pub(crate) fn ack(out: &mut Vec<u8>, channel: u16, tag: u64, multiple: bool) {
    raw_method(out, channel, 60, 80, |out| {
        out.extend_from_slice(&tag.to_be_bytes());
        out.push(u8::from(multiple));
    });
}

/// `basic.nack`, as the broker's refusal of one message; RabbitMQ leaves the flag to requeue set, which means nothing here.
pub(crate) fn nack(out: &mut Vec<u8>, channel: u16, tag: u64) {
    raw_method(out, channel, 60, 120, |out| {
        out.extend_from_slice(&tag.to_be_bytes());
        out.push(2);
    });
}

/// A content header and as many body frames as `frame_max` asks for.
pub(crate) fn content(
    out: &mut Vec<u8>,
    channel: u16,
    properties: &[u8],
    body: &[u8],
    frame_max: usize,
) {
    out.reserve(properties.len() + body.len() + 64);
    let start = head(out, HEADER, channel);
    out.extend_from_slice(&[0, 60, 0, 0]);
    out.extend_from_slice(&(body.len() as u64).to_be_bytes());
    out.extend_from_slice(properties);
    finish(out, start);
    for chunk in body.chunks(frame_max - OVERHEAD) {
        let start = head(out, BODY, channel);
        out.extend_from_slice(chunk);
        finish(out, start);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use amq_protocol::{frame::parse_frame, protocol::basic};

    #[test]
    fn cuts_frames() {
        let mut bytes = HEARTBEAT_FRAME.to_vec();
        ack(&mut bytes, 3, 9, true);
        let (first, used) = next(&bytes, 4096).unwrap().unwrap();
        assert_eq!(
            (first.kind, first.channel, first.payload.len(), used),
            (HEARTBEAT, 0, 0, 8)
        );
        let (second, _) = next(&bytes[used..], 4096).unwrap().unwrap();
        assert_eq!((second.kind, second.channel), (METHOD, 3));
        for cut in 0..8 {
            assert_eq!(next(&bytes[..cut], 4096), Ok(None));
        }
    }

    #[test]
    fn refuses_what_is_no_frame() {
        assert_eq!(next(b"GET / HTTP/1.1", 4096), Err(BadFrame::Kind(b'G')));
        assert_eq!(
            next(&[METHOD, 0, 1, 0, 0, 0x10, 0], 4096),
            Ok(None),
            "a payload of 4096"
        );
        assert_eq!(
            next(&[METHOD, 0, 1, 0xFF, 0, 0, 0], 4096),
            Err(BadFrame::TooLarge {
                size: 0xFF00_0000,
                limit: 4088
            })
        );
        assert_eq!(
            next(&[HEARTBEAT, 0, 0, 0, 0, 0, 0, 1], 4096),
            Err(BadFrame::End(1))
        );
    }

    #[test]
    fn hand_written_methods_parse() {
        let mut bytes = Vec::new();
        deliver(&mut bytes, 1, "tag", 5, true, "x", "k");
        get_ok(&mut bytes, 1, 6, false, "x", "k", 3);
        returned(&mut bytes, 1, 312, "NO_ROUTE", "x", "k");
        ack(&mut bytes, 1, 7, true);
        nack(&mut bytes, 1, 8);
        let mut rest = &bytes[..];
        let mut seen = Vec::new();
        while !rest.is_empty() {
            let (left, frame) = parse_frame(rest).unwrap();
            rest = left;
            if let AMQPFrame::Method(1, AMQPClass::Basic(method)) = frame {
                seen.push(method);
            }
        }
        assert_eq!(seen.len(), 5);
        assert!(
            matches!(&seen[0], basic::AMQPMethod::Deliver(m) if m.delivery_tag == 5 && m.redelivered && m.routing_key.as_str() == "k")
        );
        assert!(
            matches!(&seen[1], basic::AMQPMethod::GetOk(m) if m.message_count == 3 && !m.redelivered)
        );
        assert!(matches!(&seen[2], basic::AMQPMethod::Return(m) if m.reply_code == 312));
        assert!(matches!(&seen[3], basic::AMQPMethod::Ack(m) if m.delivery_tag == 7 && m.multiple));
        assert!(
            matches!(&seen[4], basic::AMQPMethod::Nack(m) if m.delivery_tag == 8 && !m.multiple)
        );
    }

    #[test]
    fn bodies_are_cut_to_the_frame_size() {
        let mut bytes = Vec::new();
        content(&mut bytes, 1, &[0, 0], &[7; 100], 48);
        let mut sizes = Vec::new();
        let mut rest = &bytes[..];
        while let Some((frame, used)) = next(rest, 48).unwrap() {
            sizes.push((frame.kind, frame.payload.len()));
            rest = &rest[used..];
        }
        assert_eq!(sizes, [(HEADER, 14), (BODY, 40), (BODY, 40), (BODY, 20)]);
    }
}
