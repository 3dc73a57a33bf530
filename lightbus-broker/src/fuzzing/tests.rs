//! The same in every test run: seeded, bounded.

use super::{framing, methods, session, stream, tape::Tape, world::encode};

/// A generator of numbers; the same seed, the same numbers.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.roll() % limit as u64) as usize
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.roll() as u8).collect()
    }
}

/// What a client says from its protocol header on.
fn valid_session(dice: &mut Dice) -> Vec<u8> {
    let decisions = dice.bytes(200);
    let mut tape = Tape::new(&decisions);
    let mut bytes = methods::scenery(&mut tape).concat();
    while !tape.is_over() {
        if tape.one_in(2) {
            bytes.extend(methods::publish(&mut tape, 1));
        } else {
            encode(&mut bytes, 1, [methods::method(&mut tape, 1)]);
        }
    }
    bytes
}

/// Flips, cuts, repeats and splices.
fn mutate(bytes: &mut Vec<u8>, other: &[u8], dice: &mut Dice) {
    for _ in 0..=dice.below(3) {
        let at = dice.below(bytes.len());
        let end = at + dice.below(bytes.len() - at) % 100;
        match dice.below(5) {
            0 => bytes[at] ^= 1 << dice.below(8),
            1 => drop(bytes.drain(at..end)),
            2 => bytes.truncate(at + 1),
            3 => {
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            _ => {
                let from = dice.below(other.len());
                bytes.splice(
                    at..end,
                    other[from..(from + 100).min(other.len())].iter().copied(),
                );
            }
        }
    }
}

#[test]
fn sessions_by_chance() {
    for seed in 0..200 {
        let mut dice = Dice(seed);
        let count = 50 + dice.below(4000);
        session(&dice.bytes(count));
    }
}

#[test]
fn spoilt_sessions() {
    let mut dice = Dice(1);
    let mut other = valid_session(&mut dice);
    for _ in 0..400 {
        let valid = valid_session(&mut dice);
        let mut bytes = valid.clone();
        mutate(&mut bytes, &other, &mut dice);
        stream(&bytes);
        let mut whole = methods::opening();
        whole.extend(&valid);
        mutate(&mut whole, &other, &mut dice);
        stream(&whole);
        framing(&whole);
        other = valid;
    }
}

#[test]
fn a_session_cut_at_every_byte() {
    let mut whole = methods::opening();
    whole.extend(methods::harmless());
    for cut in 0..whole.len() {
        stream(&whole[..cut]);
    }
}
