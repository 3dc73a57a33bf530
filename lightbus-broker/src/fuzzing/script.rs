//! Scripts: what happens next, one step after the other.

use super::{
    methods,
    tape::Tape,
    world::{PLAYERS, World, encode},
};
use crate::{core::Directive, frames};

/// Plays until the tape is over.
pub(crate) fn play(world: &mut World, tape: &mut Tape<'_>) {
    for piece in methods::scenery(tape) {
        world.read(0, &piece);
        world.reopen(0);
    }
    while !tape.is_over() {
        step(world, tape);
    }
}

fn step(world: &mut World, tape: &mut Tape<'_>) {
    let player = tape.below(PLAYERS);
    match world.directive(player) {
        None => return world.open(player),
        Some(Directive::Close | Directive::Linger) => return world.hang_up(player),
        Some(_) => {}
    }
    world.reopen(player);
    match tape.below(16) {
        0..=10 => {
            let said = said(world, player, tape);
            world.read(player, &said);
        }
        11 => {
            let spoilt = spoilt(world, player, tape);
            world.read(player, &spoilt);
        }
        12 => world.pass(tape.below(64) as u64),
        13 => world.choke(player, tape.one_in(2)),
        14 => match tape.below(4) {
            0 => world.block(true),
            1 | 2 => world.block(false),
            _ => world.connect(player),
        },
        _ => world.hang_up(player),
    }
}

/// Some methods and publications, read at once.
fn said(world: &World, player: usize, tape: &mut Tape<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..=tape.below(4) {
        let channel = channel(tape);
        if tape.one_in(2) {
            bytes.extend(methods::publish(tape, channel));
        } else {
            encode(
                &mut bytes,
                channel,
                [methods::method(tape, world.last_tag(player, channel))],
            );
        }
    }
    bytes
}

/// Channels 1 and 2 are open.
fn channel(tape: &mut Tape<'_>) -> u16 {
    if tape.one_in(4) { 2 } else { 1 }
}

/// What nobody should say: a byte changed, a piece missing, frames in the wrong order, or no method at all.
fn spoilt(world: &World, player: usize, tape: &mut Tape<'_>) -> Vec<u8> {
    let mut bytes = said(world, player, tape);
    let at = (tape.below(256) << 4 | tape.below(16)) % bytes.len();
    match tape.below(4) {
        0 => bytes[at] ^= 1 << tape.below(8),
        1 => drop(bytes.drain(at..(at + tape.below(32)).min(bytes.len()))),
        2 => {
            let mut all = split(&bytes);
            let by = tape.below(8) % all.len();
            all.rotate_left(by);
            bytes = all.concat();
        }
        _ => {
            let (kind, number, count) = (tape.below(10), tape.below(10) as u16, tape.below(64));
            let payload = tape.take(count);
            bytes = vec![kind as u8];
            bytes.extend(number.to_be_bytes());
            bytes.extend((payload.len() as u32).to_be_bytes());
            bytes.extend(payload);
            bytes.push(0xCE);
        }
    }
    bytes
}

/// The frames of whole frames' bytes.
fn split(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    while let Ok(Some((_, length))) = frames::next(bytes, 1 << 20) {
        all.push(bytes[..length].to_vec());
        bytes = &bytes[length..];
    }
    all
}
