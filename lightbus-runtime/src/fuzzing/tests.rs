//! The same in every test run: seeded, bounded.

use super::{args, frames, guard, payload, properties, records, tape::Tape};

/// A generator of numbers; the same seed, the same numbers.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.roll() % limit as u64) as usize
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| (self.roll() >> 32) as u8).collect()
    }

    /// Bytes that are often text, or small.
    fn plausible(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = self.bytes(count);
        for byte in &mut bytes {
            match self.below(4) {
                0 => *byte %= 16,
                1 => *byte &= 0x7F,
                _ => {}
            }
        }
        bytes
    }

    /// Flips, cuts and repeats.
    fn spoil(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..self.below(4) {
            if bytes.is_empty() {
                return;
            }
            let at = self.below(bytes.len());
            let end = at + self.below(bytes.len() - at).min(20);
            match self.below(4) {
                0 => bytes[at] ^= 1 << self.below(8),
                1 => drop(bytes.drain(at..end)),
                2 => bytes.truncate(at),
                _ => {
                    let again = bytes[at..end].to_vec();
                    bytes.splice(at..at, again);
                }
            }
        }
    }
}

#[test]
fn streams_of_frames() {
    let mut dice = Dice(1);
    for _ in 0..1500 {
        let count = dice.below(600);
        guard(&dice.plausible(count));
        let count = dice.below(60);
        properties(&dice.plausible(count));
    }
}

#[test]
fn spoilt_streams_of_frames() {
    let mut dice = Dice(2);
    for _ in 0..1500 {
        let count = dice.below(600);
        let tape = dice.plausible(count);
        let mut bytes = frames::compose(&mut Tape::new(&tape));
        dice.spoil(&mut bytes);
        let sizes = [1 + dice.below(9), 1 + dice.below(300)];
        frames::check(&bytes, &sizes, &sizes);
    }
}

#[test]
fn payloads_and_arguments() {
    const VALID: [&[u8]; 4] = [
        b"\x84\xa4flag\xc3\xa5small\xff\xa5large\xcf\0\0\0\0\0\0\0\x01\xa4list\x92\x80\x81\xa6letter\xa1x",
        b"\x83\xa6choice\x81\xa5Tuple\x92\x01\xd1\xff\0\xa7address\xa9127.0.0.1\xa3map\x81\xa1k\x07",
        br#"{"choice": {"Named": {"inner": {"float": 1.5}}}, "pair": [1, "x"], "text": null}"#,
        br#"{"n": 7, "blob": [1, 2, 3], "all": {"unit": null, "list": [{}, {}]}}"#,
    ];
    let mut dice = Dice(3);
    for _ in 0..5000 {
        let mut bytes = VALID[dice.below(VALID.len())].to_vec();
        dice.spoil(&mut bytes);
        payload(&bytes);
        args(&bytes);
        let count = dice.below(40);
        let bytes = dice.bytes(count);
        payload(&bytes);
        args(&bytes);
    }
}

#[test]
fn records_of_a_journal() {
    let mut dice = Dice(4);
    let mut read = 0;
    for _ in 0..3000 {
        let count = dice.below(400);
        read += records::records(&dice.plausible(count));
    }
    assert!(read > 1000, "{read} of them were records");
}

#[test]
fn ids_of_tasks() {
    const VALID: [&[u8]; 3] = [
        b"auth.resize_avatar/019aa9f4-3c00-7a3b-8f5e-2f1d5c3b7a90",
        b"my.auth.sync/019aa9f4-3c00-7a3b-8f5e-2f1d5c3b7a90@1767225600~unkept",
        b"auth.report/cron:sales:nightly:1767225600~unkept",
    ];
    let mut dice = Dice(5);
    let mut legal = 0;
    for _ in 0..5000 {
        let mut bytes = VALID[dice.below(VALID.len())].to_vec();
        dice.spoil(&mut bytes);
        legal += usize::from(records::id(&bytes));
    }
    assert!((1000..4500).contains(&legal), "{legal} of them were ids");
}
