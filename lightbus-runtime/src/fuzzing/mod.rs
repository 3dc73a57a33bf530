//! Whatever decodes what others wrote, fed with arbitrary bytes, for fuzzers. Only there in tests and with `--cfg fuzzing`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub(crate) mod frames;
pub(crate) mod pieces;
mod records;
mod tape;
#[cfg(test)]
mod tests;
mod values;

use self::tape::Tape;
use crate::codec::Format;

/// A stream of frames from a broker, through what guards lapin: the same whatever pieces it comes in, and readable at the end.
pub fn guard(bytes: &[u8]) {
    let mut tape = Tape::new(bytes);
    let (written, read) = (tape.sizes(), tape.sizes());
    let composed = frames::compose(&mut tape);
    frames::check(&composed, &written, &read);
    frames::check(bytes, &written, &read);
}

/// The body of an event, or of a reply.
pub fn payload(bytes: &[u8]) {
    values::payload(bytes, Format::Msgpack);
    values::payload(bytes, Format::Json);
}

/// The arguments of a call.
pub fn args(bytes: &[u8]) {
    values::args(bytes, Format::Msgpack);
    values::args(bytes, Format::Json);
}

/// The properties of a message, as its receiver reads them.
pub fn properties(bytes: &[u8]) {
    frames::properties(bytes);
}

/// The records of an API's journal; and a task's id.
pub fn records(bytes: &[u8]) {
    records::records(bytes);
    records::id(bytes);
}
