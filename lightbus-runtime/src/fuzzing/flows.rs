//! What follows a task, and what is told of groups of them.

use super::tape::Tape;
use crate::task::fuzz;

pub(super) use fuzz::{heard, row};
#[cfg(test)]
pub(super) use fuzz::{rows, words};

/// A row as it is, and words that are cut from the tape.
pub(super) fn flows(bytes: &[u8]) {
    row(bytes);
    let mut tape = Tape::new(bytes);
    let mut pieces = Vec::new();
    while !tape.is_over() {
        pieces.push(tape.piece());
    }
    heard(pieces.into_iter());
}
