//! Names: the ones the broker makes up, and the ones it is given.

use super::Core;
use amq_protocol::{
    protocol::{AMQPClass, exchange, queue},
    types::ShortString,
};
use std::sync::Arc;

impl Core {
    /// A name that nothing had before: 22 characters after the prefix, as in RabbitMQ's.
    pub(super) fn fresh_name(&mut self, prefix: &str) -> Arc<str> {
        let mut state = self.settings.seed ^ self.number().wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut word = || {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            mixed ^ (mixed >> 31)
        };
        let bits = (u128::from(word()) << 64) | u128::from(word());
        let letters = (0..22).map(|at| letter(bits.rotate_left(6 * at + 6)));
        Arc::from(prefix.chars().chain(letters).collect::<String>())
    }
}

/// The lowest six bits as a letter of URL-safe Base64.
fn letter(bits: u128) -> char {
    let low = (bits & 63) as u8;
    char::from(match low {
        0..26 => b'A' + low,
        26..52 => b'a' + low - 26,
        52..62 => b'0' + low - 52,
        62 => b'-',
        _ => b'_',
    })
}

/// Drops the line breaks in the names of queues and exchanges, as RabbitMQ does: some clients read them from files.
pub(super) fn to_one_line(class: &mut AMQPClass) {
    use exchange::AMQPMethod as Exchange;
    use queue::AMQPMethod as Queue;
    match class {
        AMQPClass::Exchange(Exchange::Declare(declare)) => strip(&mut declare.exchange),
        AMQPClass::Exchange(Exchange::Delete(delete)) => strip(&mut delete.exchange),
        AMQPClass::Queue(Queue::Declare(declare)) => strip(&mut declare.queue),
        AMQPClass::Queue(Queue::Delete(delete)) => strip(&mut delete.queue),
        AMQPClass::Queue(Queue::Bind(bind)) => {
            strip(&mut bind.queue);
            strip(&mut bind.exchange);
        }
        AMQPClass::Queue(Queue::Unbind(unbind)) => {
            strip(&mut unbind.queue);
            strip(&mut unbind.exchange);
        }
        _ => {}
    }
}

fn strip(name: &mut ShortString) {
    if name.as_str().contains(['\r', '\n']) {
        *name = name.as_str().replace(['\r', '\n'], "").into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_of_one_line() {
        for (given, taken) in [("\r\na\nb\r", "ab"), ("a b", "a b")] {
            let mut name = given.into();
            strip(&mut name);
            assert_eq!(name.as_str(), taken);
        }
    }

    #[test]
    fn every_digit_has_its_letter() {
        let letters: String = (0..64).map(letter).collect();
        assert_eq!(
            letters,
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        );
    }
}
