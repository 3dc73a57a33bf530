//! Whole sessions made of arbitrary bytes, for fuzzers: run against the core under a clock of their own, with the core's books checked
//! after every step. Only there in tests and with `--cfg fuzzing`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod methods;
mod script;
mod tape;
#[cfg(test)]
mod tests;
mod world;

use self::{tape::Tape, world::World};
use crate::frames;

/// Cuts the bytes into frames under several frame sizes; what is cut must be what was there.
pub fn framing(bytes: &[u8]) {
    for frame_max in [4096, 131_072] {
        let mut rest = bytes;
        while let Ok(Some((frame, length))) = frames::next(rest, frame_max) {
            assert_eq!(frame.payload.len() + frames::OVERHEAD, length);
            assert!(length <= frame_max);
            assert_eq!(frames::next(&rest[..length - 1], frame_max), Ok(None));
            rest = &rest[length..];
        }
    }
}

/// Hands the bytes to an open connection as they are, in pieces, and then to one that has yet to log in.
pub fn stream(bytes: &[u8]) {
    let mut world = World::new();
    world.open(0);
    world.open(1);
    for piece in bytes.chunks(97) {
        world.read(1, piece);
    }
    world.connect(2);
    world.read(2, bytes);
    world.witness(0);
    world.finish();
}

/// Plays the script that the bytes spell: several connections that mostly speak the protocol, and sometimes do not.
pub fn session(bytes: &[u8]) {
    let mut world = World::new();
    world.open(0);
    script::play(&mut world, &mut Tape::new(bytes));
    world.finish();
}
