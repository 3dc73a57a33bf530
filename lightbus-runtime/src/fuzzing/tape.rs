//! Decisions, read from bytes.

/// Bytes to decide by. Past their end, every decision is zero.
pub(super) struct Tape<'a>(&'a [u8]);

impl<'a> Tape<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    pub(super) fn one_in(&mut self, chances: u8) -> bool {
        self.byte().is_multiple_of(chances)
    }

    /// Some bytes as they are, at most 255.
    pub(super) fn piece(&mut self) -> &'a [u8] {
        let size = usize::from(self.byte()).min(self.0.len());
        let (piece, rest) = self.0.split_at(size);
        self.0 = rest;
        piece
    }

    /// Sizes of pieces.
    pub(super) fn sizes(&mut self) -> Vec<usize> {
        (0..4).map(|_| 1 + usize::from(self.byte())).collect()
    }
}
